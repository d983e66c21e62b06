"""A method is anyone's code: what it says and what it raises is one line that names it."""

import math

import pytest
from installed import assert_refused
from outside_method import LastTensors
from typer.testing import CliRunner

from idim.cli import app
from idim.config import RunSpec, SweepSpec, load
from idim.errors import CodeFailed, IdimError, Misled, RunFailed
from idim.methods import METHODS, Method
from idim.methods.full import Full
from idim.sweeps import execute, plan, plan_run, run, summarise
from idim.training.single import time_step

NET = {"model": "digits-mlp", "method": "mine", "steps": 2, "train_samples": 100}
GRID = {"d": (1, 2), "baseline": 0.5, "baseline_lr": (0.01,), "seeds": 1}


@pytest.fixture
def enter():
    def entered(**changes):
        METHODS["mine"] = type("Mine", (LastTensors,), changes)

    yield entered
    if "mine" in METHODS:
        del METHODS["mine"]


def says(value):
    return classmethod(lambda *_: value)


@classmethod
def raises(*_):
    raise ValueError("oh no\nand more")


@classmethod
def leaves(*_):
    raise SystemExit("gone")


def refused(_, spec, model, seed):
    raise ValueError("no such k\nand more")


SAID = {
    "sizes is a text": ({"sizes": says("many")}, "sizes() of method 'mine' gives 'many'; it must"),
    "sizes is 0": ({"sizes": says(0)}, "sizes() of method 'mine' gives 0; it must be a whole num"),
    "sizes is None": ({"sizes": says(None)}, "sizes() of method 'mine' gives None; it must be"),
    "sizes is true": ({"sizes": says(True)}, "sizes() of method 'mine' gives True; it must be a"),
    "sizes raises": ({"sizes": raises}, "sizes() of method 'mine' raised ValueError: oh no; IDIM"),
    "sizes leaves": ({"sizes": leaves}, "sizes() of method 'mine' raised SystemExit: gone; IDIM"),
    "check raises": ({"check": raises}, "check() of method 'mine' raised ValueError: oh no; IDIM"),
    "trained is a text": ({"trained": says("9")}, "trained() of method 'mine' gives '9'; it must"),
    "trained is 0": (
        {"trained": says(0)},
        "trained() of method 'mine' gives 0; it must be a whole",
    ),
    "rate is NaN": ({"matched_rate": says(math.nan)}, "matched_rate() of method 'mine' gives nan;"),
    "rate is 0": ({"matched_rate": says(0.0)}, "matched_rate() of method 'mine' gives 0; it must"),
    "rate is None": ({"matched_rate": says(None)}, "matched_rate() of method 'mine' gives None;"),
    "rate raises": ({"matched_rate": raises}, "matched_rate() of method 'mine' raised ValueError"),
}
# Of an adaptive search alone.
MOVED = {
    "transfer is infinite": ({"transfer": says(math.inf)}, "transfer() of method 'mine' gives inf"),
    "transfer raises": ({"transfer": raises}, "transfer() of method 'mine' raised ValueError: oh"),
}
TRAINS = "a run of method 'mine' raised "
TRAINED = {
    "cannot be made": ({"__init__": refused}, f"{TRAINS}ValueError: no such k"),
    "trains nothing": ({"trainable": 0}, "method 'mine' trains 0 numbers at k=2; it must train 1"),
    "counts None": ({"trainable": None}, "method 'mine' trains None numbers at k=2; it must tra"),
    "counts a half": ({"trainable": 0.5}, "method 'mine' trains 0.5 numbers at k=2; it must tra"),
    "counts too few": ({"trainable": 7}, "method 'mine' says that it trains 7 numbers, and gives"),
    "no groups": ({"param_groups": lambda _: []}, f"{TRAINS}ValueError: optimizer got an empty"),
    "no rate": ({"param_groups": lambda _: [{"params": []}]}, f"{TRAINS}KeyError: 'lr'"),
    "groups None": ({"param_groups": lambda _: None}, f"{TRAINS}TypeError: 'NoneType' object is"),
    "state None": ({"state": lambda _: None}, f"{TRAINS}TypeError: 'NoneType'"),
    "settle raises": ({"settle": lambda _: 1 / 0}, f"{TRAINS}ZeroDivisionError: division by zero"),
}


def first_counts(spec):
    planned = plan(spec)
    return [planned.trainable(run) for run in planned.specs]


def one_line(found, line):
    assert line in str(found.value)
    assert "\n" not in str(found.value)
    assert found.value.exit_code == (1 if " raised " in str(found.value) else 2)


@pytest.mark.parametrize("name", [*SAID, *MOVED])
def test_what_it_says_of_its_sizes_is_checked_before_any_run(enter, name):
    changes, line = (SAID | MOVED)[name]
    enter(**changes)
    more = {"d_min": 1, "baseline": 0.5} if name in MOVED else GRID
    spec = load(SweepSpec, None, NET | more)
    with pytest.raises(IdimError) as found:
        first_counts(spec)
    one_line(found, line)


@pytest.mark.parametrize("name", TRAINED)
def test_what_goes_wrong_in_its_run_names_it(enter, tmp_path, name):
    changes, line = TRAINED[name]
    enter(**changes)
    spec = plan_run(RunSpec(**NET, size=2, lr=0.01))
    with pytest.raises(RunFailed) as found:
        run(spec, tmp_path)
    one = str(found.value)
    assert line in one
    assert "\n" not in one
    (log,) = tmp_path.rglob("traceback.log")
    assert log.read_text().startswith("Traceback")
    if name != "state None" and "settle" not in changes:  # these show at a run's end
        with pytest.raises((Misled, CodeFailed)) as found:
            time_step(spec)
        one_line(found, line)


def test_a_sweep_of_it_says_which_runs_failed_and_why(enter, tmp_path):
    enter(**TRAINED["cannot be made"][0])
    found = execute(
        plan(load(SweepSpec, None, NET | GRID | {"lr_multiples": (1.0,)})), tmp_path, jobs=1
    )
    assert (found.runs.total, found.runs.lost) == (2, 2)
    assert found.d90 is None
    assert summarise(tmp_path).runs == found.runs


def test_only_rows_of_full_training_and_of_a_subspace_stack(enter, tmp_path):
    """A stack would have trained all parameters of any other."""
    enter(stacks=says(True))
    spec = plan_run(RunSpec(**NET, size=2, lr=0.01))
    assert spec.stacked
    with pytest.raises(RunFailed, match="method 'mine' says that its runs stack, which only"):
        run(spec, tmp_path)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"symbol": "two words"}, "symbol must be a word of letters, digits and _, not 'two w"),
        ({"symbol": ""}, "symbol must be a word of letters, digits and _, not ''"),
        ({"symbol": 7}, "symbol must be a word of letters, digits and _, not 7"),
        ({"symbol": "d\n"}, "symbol must be a word of letters"),
        ({"size": "rank"}, "size must be 'd', 'size' or None, not 'rank'"),
        ({"draws": None}, "draws and matched must be texts, and ignores a tuple of them"),
        ({"ignores": "norm"}, "draws and matched must be texts, and ignores a tuple of them"),
    ],
)
def test_what_names_are_made_of_is_checked_when_it_is_entered(fields, line):
    one = type("Mine", (LastTensors,), fields)
    assert_refused(METHODS, "mine", one, f"method 'mine': {line}")


@pytest.mark.parametrize("method", [*METHODS.own])
def test_the_package_s_own_fit(method):
    assert Method.unfit(METHODS[method]) is None
    assert Method.unfit(Full) is None


def test_the_command_line_says_one_line(enter, tmp_path):
    enter(**SAID["sizes is a text"][0])
    words = ["digits-mlp", "--method", "mine", "--size", "2", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["run", "--model", *words])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: sizes() of method 'mine' gives 'many'; it must be a whole")
