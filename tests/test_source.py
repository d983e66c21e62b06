"""What a function is bound to is in its fingerprint with all of its content, or is refused."""

import argparse
import builtins
import collections
import json
import linecache
import logging
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import types
from functools import partial
from pathlib import Path

import made_bound
import made_kinds
import numpy as np
import pytest
import torch
from made_bound import Data, Decorated, Plain, Slotted, bound_to, elsewhere, here
from made_kinds import KINDS
from torch import nn

import idim
from idim.errors import IdimError
from idim.problems import source

GRID = {"d": [10, 36], "lr": [1.0], "baseline_lr": [0.1], "seeds": 1}


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_value_has_another_fingerprint_and_an_equal_one_the_same(name):
    make = KINDS[name]
    for printed in (here, elsewhere):
        first, other, again = (printed(make(k)) for k in (1, 2, 1))
        assert first == again
        assert first != other


def test_fingerprints_are_the_same_in_processes_of_another_hash_seed():
    code = "import json, made_kinds; print(json.dumps(made_kinds.prints()))"
    path = os.pathsep.join(
        [str(Path(made_bound.__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    found = [json.loads(process.communicate()[0]) for process in started]
    here = made_kinds.prints()
    assert len(here) == 2 * len(KINDS)
    assert [{n for n in here if here[n] != there[n]} for there in found] == [set(), set()]


def test_values_of_one_content_are_told_apart_by_their_kind():
    content = {"k": 1}
    kinds = [
        dict, collections.OrderedDict, collections.Counter, collections.UserDict,
        lambda c: collections.defaultdict(None, c), lambda c: argparse.Namespace(**c),
        lambda c: types.SimpleNamespace(**c), lambda c: Plain(**c), lambda c: Data(**c),
        lambda c: Slotted(**c), lambda c: type("T", (), c), lambda c: type("T", (), c)(),
    ]  # fmt: skip
    for printed in (here, elsewhere):
        assert len({printed(kind(content)) for kind in kinds}) == len(kinds)


# --- refused -----------------------------------------------------------------------------------


def made(text: str, name: str = "train", **names):
    """A function without a file."""
    exec(text, names)
    return names[name]


TRAIN = "def train(trial):\n    return 1.0 if trial.d is None or trial.d >= 36 else 0.1"
CLASS = "class Made:\n    k = 1\n    def __call__(self, trial):\n        return 1.0"


class Inheriting(made(CLASS, "Made")):
    pass


WITHOUT = {
    "exec": lambda: made(TRAIN),
    "partial": lambda: partial(made(TRAIN)),
    "called object": lambda: made(CLASS, "Made")(),
    "class": lambda: made(CLASS, "Made"),
    "method": lambda: made(CLASS, "Made")().__call__,
    "inherited": Inheriting,
    "set on a class": lambda: type("T", (Plain,), {"__call__": made(TRAIN)})(1),
    "bound": lambda: bound_to(made(TRAIN)),
    "bound by a partial": lambda: partial(bound_to(1), made(TRAIN)),
    "in a list": lambda: bound_to([made(TRAIN)]),
    "builtin": lambda: max,
    "C callable": lambda: "a".count,
    "type": lambda: float,
    "ufunc": lambda: np.sin,
}


@pytest.mark.parametrize("name", WITHOUT)
def test_code_without_source_is_refused_through_measure(name, tmp_path):
    with pytest.raises(IdimError, match=r"^'.*' has no source .*; give version=\.$") as caught:
        idim.measure(WITHOUT[name](), D=500, out=tmp_path / "out", **GRID)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    form = {"module": lambda: nn.Linear(2, 1), "loss": lambda m: m.weight.sum()}
    with pytest.raises(IdimError, match=r"has no source"):
        idim.measure(**form, evaluate=WITHOUT[name](), d=[2], out=tmp_path / "out")
    given = source.fingerprint(WITHOUT[name](), version="1")
    assert given == source.fingerprint(WITHOUT[name](), version="1")
    assert given != source.fingerprint(WITHOUT[name](), version="2")


def test_with_a_version_code_without_source_is_measured_and_gone_on_with(tmp_path):
    first = idim.measure(made(TRAIN), D=500, version="1", out=tmp_path, **GRID)
    again = idim.measure(made(TRAIN), D=500, version="1", out=tmp_path, **GRID)
    assert first.smallest.d == again.smallest.d == 36
    with pytest.raises(IdimError, match="holds runs of other code"):
        idim.measure(made(TRAIN), D=500, version="2", out=tmp_path, **GRID)


def test_a_program_that_was_typed_in_is_refused(tmp_path):
    code = f"import idim\nfrom idim.errors import IdimError\n{TRAIN}\n"
    code += "try:\n    idim.measure(train, D=9, out='out')\nexcept IdimError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    line = "'program:train' has no source to tell a change by; give version=.\n"
    assert (done.stdout, done.stderr) == (line, "")
    assert not (tmp_path / "out").exists()


class Config:
    """Of another module than the functions below, as far as those of json's are concerned."""

    def __init__(self, k, **more):
        self.k = k
        vars(self).update(more)


class Run:
    """A logger as wandb's: a number of this process only, and what cannot be spelled."""

    def __init__(self):
        self.started, self.lock = id(self), threading.Lock()


def chain(n: int) -> list:
    return [chain(n - 1)] if n else []


UNSPELLED = {
    "lock": threading.Lock, "rlock": threading.RLock, "event": threading.Event,
    "thread": threading.Thread, "file": lambda: sys.__stderr__, "socket": socket.socket,
    "generator": lambda: (i for i in "a"), "queue": queue.Queue, "view": lambda: memoryview(b"a"),
    "code": lambda: chain.__code__, "frame": sys._getframe, "deep": lambda: chain(150),
    "made ufunc": lambda: np.frompyfunc(lambda x: x, 1, 1),
    "storage": lambda: torch.zeros(2).untyped_storage(),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "run": Run, "nested": lambda: torch.nested.nested_tensor([torch.ones(2)]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UNSPELLED)
def test_what_cannot_be_spelled_is_refused_by_the_name_by_which_it_is_held(name, tmp_path):
    def train(trial):
        return config.k

    config = Config(1, a=[Config(2, held=UNSPELLED[name]())])
    with pytest.raises(IdimError) as caught:
        idim.measure(train, D=500, out=tmp_path / "out", **GRID)
    line = str(caught.value)
    assert re.match(r"'test_source:.*train' is bound to 'config\.a\[0\]\.held", line)
    assert line.endswith("in which no change can be told; give version=.")
    assert "\n" not in line
    assert not (tmp_path / "out").exists()


PLACES = {
    "what": lambda held: bound_to(held),
    "argument[0]": lambda held: partial(bound_to(1), held),
    "key": lambda held: partial(bound_to(1), **{"key": held}),
    "default[0]": lambda held: made_default(held),
    "self.k": lambda held: Plain(held).method,
    "k": lambda held: Plain(held),
    "self.lock": lambda held: type("T", (Plain,), {"lock": held})(1).method,
    "what['a b']": lambda held: bound_to({"a b": held}),
    "what.what": lambda held: bound_to(bound_to(held)),
}


def made_default(held):
    return lambda trial, lock=held: 1.0


@pytest.mark.parametrize("place", PLACES)
def test_the_place_is_named(place):
    with pytest.raises(IdimError, match=rf"is bound to '{re.escape(place)}', of type '_thread:lo"):
        source.fingerprint(PLACES[place](threading.Lock()))


def test_with_a_version_what_cannot_be_spelled_counts_by_its_type():
    def version(value):
        return source.fingerprint(bound_to(value), version="1")

    def config(k, **more):
        return types.SimpleNamespace(k=k, **more)

    assert version(Plain([1, threading.Lock()])) == version(Plain([1, threading.Lock()]))
    assert version(Plain([1, threading.Lock()])) != version(Plain([2, threading.Lock()]))
    assert version(Plain(threading.Lock())) != version(Plain(threading.RLock()))
    # another module's object that holds one is of this process only
    theirs = partial(source.fingerprint, version="1")
    assert theirs(partial(json.dumps, Run(), k=1)) == theirs(partial(json.dumps, Run(), k=1))
    assert theirs(partial(json.dumps, Run(), k=1)) != theirs(partial(json.dumps, Run(), k=2))
    assert version(config(1, lock=threading.Lock())) == version(config(2, lock=threading.Lock()))


def test_a_logger_is_told_by_its_name(tmp_path):
    log = logging.getLogger("of.mine")

    def train(trial):
        log.debug("%s", trial)
        return 1.0 if trial.d is None or trial.d >= 36 else 0.1

    assert idim.measure(train, D=500, out=tmp_path, **GRID).smallest.d == 36


def test_an_object_that_its_use_changes_is_told_by_how_it_stood_at_first(tmp_path):
    """A process that goes on makes it anew, as the first one did."""

    def training():
        draws = made_bound.random.Random(1)

        def train(trial):
            return draws.random() * 0 + (1.0 if trial.d is None or trial.d >= 36 else 0.1)

        return train

    used = training()
    first = idim.measure(used, D=500, out=tmp_path, **GRID)
    assert idim.measure(training(), D=500, out=tmp_path, **GRID).record == first.record
    with pytest.raises(IdimError, match="or what it is bound to"):
        idim.measure(used, D=500, out=tmp_path, **GRID)


# --- the text of a class -----------------------------------------------------------------------


def written(folder: Path, text: str, name: str = "theirs"):
    """A module of a user's, from a file."""
    file = folder / f"{name}.py"
    file.write_text(text)
    module = types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    exec(compile(text, str(file), "exec"), module.__dict__)
    return module


TEXT = """
class Base:
    def helper(self): return 1
class Train(Base):
    rate = 3
    def __call__(self, trial): return self.helper()
    def method(self, trial): return self.helper()
def bound(held): return lambda trial: held.method(trial)
"""


@pytest.mark.parametrize("change", [("return 1", "return 2"), ("= 3", "= 4"), ("Base)", "object)")])
@pytest.mark.parametrize(
    "get", [lambda m: m.Train(), lambda m: m.Train().method, lambda m: m.bound(m.Train()),
            lambda m: m.Train, lambda m: m.bound(m.Train)],
)  # fmt: skip
def test_the_text_of_an_objects_class_is_its_own(get, change, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "theirs", None)
    prints = []
    for n, text in enumerate((TEXT, TEXT.replace(*change), TEXT)):
        (tmp_path / str(n)).mkdir()
        prints.append(source.fingerprint(get(written(tmp_path / str(n), text))))
    assert prints[0] == prints[2] != prints[1]


def test_a_decorator_that_is_an_object_is_seen_with_its_setting():
    one, other = (Decorated(bound_to(1), k) for k in (1, 2))
    assert source.fingerprint(one) != source.fingerprint(other)
    assert source.fingerprint(one) == source.fingerprint(Decorated(bound_to(1), 1))
    assert source.fingerprint(one) != source.fingerprint(Decorated(bound_to(2), 1))


OLDER = """
from functools import cache, partial
import torch
def plain(trial, scale=2.5): return scale
def closing(k, held=(1, "a", None, {"b": {3, 4}}), rows=torch.arange(3)):
    def inner(trial): return k, held, rows, torch.nn.Linear, helper
    return inner
def helper(x): return x
class Objective:
    def __init__(self, k): self.k = k
    def __call__(self, trial): return self.k
closed, bound, cached, called = closing(3), partial(plain, scale=3), cache(plain), Objective(3)
"""
# As they were when folders of these were made: what was seen then has kept its name.
PRINTS = {
    "plain": "24102d9a4fe997c0",
    "closed": "377702723f94b929",
    "bound": "a3493fcfdc9e4e0d",
    "cached": "24102d9a4fe997c0",
    "called": "6ca48b8ed631f790",
}


@pytest.mark.parametrize("name", PRINTS)
def test_fingerprints_of_what_was_always_seen_go_on(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "theirs", None)
    code = getattr(written(tmp_path, OLDER), name)
    assert source.fingerprint(code, asked="/500/maximize") == PRINTS[name]


def test_code_that_was_edited_after_it_was_loaded_is_refused(tmp_path, monkeypatch):
    """The scores of what runs would stand under the name of what the file says now."""
    monkeypatch.setitem(sys.modules, "theirs", None)
    text = (
        "def score(trial):\n    return 40\n\nclass Job:\n    def __call__(self, trial): return 40\n"
    )
    theirs = written(tmp_path, text)
    prints = [source.fingerprint(code) for code in (theirs.score, theirs.Job())]
    assert prints == [source.fingerprint(code) for code in (theirs.score, theirs.Job())]
    file = tmp_path / "theirs.py"
    for edited in (text.replace("40", "400"), "def score("):
        file.write_text(edited)
        for code in (theirs.score, theirs.Job()):
            with pytest.raises(
                IdimError, match=r"theirs\.py' was edited after it was loaded; start"
            ):
                source.fingerprint(code)
            assert source.fingerprint(code, version="1")
    # what stands further down may change
    file.write_text(text + "\nX = 1\n")
    assert source.fingerprint(theirs.score) == prints[0]


CHOSEN = {
    "a def of two": """
class Job:
    if V:
        def step(self): return 40
    else:
        def step(self): return 400
    def __call__(self, trial): return self.step()
""",
    "a method under a second name": """
class Job:
    def easy(self): return 40
    def hard(self): return 400
    reach = easy if V else hard
    def __call__(self, trial): return self.reach()
""",
    "a method put in later": """
class Job:
    def a(self, trial): return 40
    def b(self, trial): return 400
Job.__call__ = Job.a if V else Job.b
""",
    "a property": """
class Job:
    def a(self): return 40
    def b(self): return 400
    reach = property(a if V else b)
    def __call__(self, trial): return self.reach
""",
    "another module's base by an alias": """
from collections import Counter, OrderedDict
Base = Counter if V else OrderedDict
class Held(Base):
    pass
class Job:
    held = Held
    def __call__(self, trial): return self.held()
""",
    "a metaclass by an alias": """
class A(type):
    def reach(cls): return 40
class B(type):
    def reach(cls): return 400
Meta = A if V else B
class Job(metaclass=Meta):
    def __call__(self, trial): return type(self).reach()
""",
    "a default of a dataclass with slots": """
from dataclasses import dataclass
REACH = 40 if V else 400
@dataclass(slots=True)
class Config:
    reach: int = REACH
class Job:
    make = Config
    def __call__(self, trial): return self.make().reach
""",
    "a factory of a dataclass": """
from dataclasses import dataclass, field
def easy(): return 40
def hard(): return 400
make = easy if V else hard
@dataclass
class Job:
    reach: int = field(default_factory=make)
    def __call__(self, trial): return self.reach
""",
}  # fmt: skip


@pytest.mark.parametrize("kind", CHOSEN)
def test_which_of_several_a_class_took_is_told(kind, tmp_path, monkeypatch):
    """The text of the class is the same either way."""
    monkeypatch.setitem(sys.modules, "theirs", None)

    def print_of(chosen: bool) -> str:
        # the choice is made outside of what is told, as by the environment
        monkeypatch.setattr(builtins, "V", chosen, raising=False)
        linecache.clearcache()
        made = written(tmp_path, CHOSEN[kind]).Job()
        if kind == "a factory of a dataclass":
            made.reach = 1
        return source.fingerprint(made)

    assert print_of(True) == print_of(True) != print_of(False)


def test_objects_that_all_hold_one_another_are_not_gone_through_forever():
    some = [Plain(i) for i in range(30)]
    for one in some:
        one.k = set(some)
    with pytest.raises(IdimError, match="in which no change can be told"):
        source.fingerprint(bound_to(some[0]))
    for one in some:
        one.k = list(some)
    assert here(some[0]) == here(some[0])


def test_code_that_wraps_itself_is_one_line():
    code = bound_to(1)
    vars(code)["__wrapped__"] = code
    with pytest.raises(IdimError, match="bound to itself too often"):
        source.fingerprint(code)
