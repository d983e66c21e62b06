"""A training of one's own: the same store, search, resume and report; mistakes are one line."""

import copy
import csv
import logging
import math
import os
import re
import subprocess
import sys
from functools import cache, partial, wraps
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import idim
from idim.errors import IdimError, RunFailed
from idim.problems import given, source
from idim.report import publish, table
from idim.store import Store
from idim.sweeps import evidence
from idim.training.schedule import learning_rate, stream

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CALLS: list[idim.Trial] = []
# The made-up problem: its score passes 0.9 of full training's 0.8 where d is at least this.
CROSSING = 37


def score(trial: idim.Trial) -> float:
    """A curve of known crossing, the best rate being what the matched step length says."""
    CALLS.append(trial)
    if trial.d is None:
        return 0.8
    if trial.d == 0:
        return 0.1
    return 0.73 if trial.d >= CROSSING else 0.3


def loss(trial: idim.Trial) -> float:
    """The same as a loss: 5 untrained, 1 trained, so the target is 5 - 0.9 * 4 = 1.4."""
    shift = 0.01 * trial.seed  # a seed's own start takes no part in its gain
    if trial.d == 0:
        return 5.0 + shift
    return (1.0 if trial.d is None else 1.3 if trial.d >= CROSSING else 2.0) + shift


GRID = {"d": [10, 36, 37, 100], "lr": [1.0], "baseline_lr": [0.1], "seeds": 2}


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def test_an_objective_is_searched_stored_and_reported_like_any_sweep(tmp_path):
    out = tmp_path / "out"
    found = idim.measure(score, D=5000, out=out, baseline_lr=[0.1], max_runs=60)
    assert found.baseline == pytest.approx(0.8)
    assert found.line == pytest.approx(0.72)
    assert found.interval is not None
    low, high = found.interval
    assert low <= CROSSING <= high <= 1.2 * low
    assert low <= found.d90 <= high
    assert found.protocol.training == "the objective's own"
    assert repr(found).startswith(f"<d90 = {found.d90} of D = 5,000: test_measure-score, trained")
    assert (out / "curve.png").stat().st_size > 10_000
    assert {t.d for t in CALLS} >= {None, found.smallest.d}
    calls = len(CALLS)
    again = idim.measure(score, D=5000, out=out, baseline_lr=[0.1], max_runs=60)
    assert (again.record, len(CALLS)) == (found.record, calls)
    assert idim.load(out).record == found.record
    report = publish.publish(found, evidence(out), "again", tmp_path / "report")
    text = next(p for p in report if p.suffix == ".md").read_text()
    assert "which trains and scores by itself" in text
    assert "columns of norm 1" not in text


def test_a_loss_is_measured_by_its_gain_seed_by_seed(tmp_path):
    found = idim.measure(loss, D=500, direction="minimize", out=tmp_path, **GRID)
    assert found.smallest.d == CROSSING
    assert found.metric == "gain"
    assert found.baseline == pytest.approx(4.0)
    assert found.line == pytest.approx(3.6)
    (full, *_) = (r.result() for r in Store(tmp_path).runs() if r.spec().d is None)
    assert set(full.score) == {"gain", "loss"}


def test_a_frame_has_the_rows_of_the_table(tmp_path):
    found = idim.measure(score, D=500, out=tmp_path, **GRID)
    frame = found.to_frame()
    assert frame["d"].isna().tolist() == [True, False, False, False, False]
    assert frame["d"].tolist()[1:] == [10, 36, 37, 100]
    assert frame["mean"].tolist() == [0.8, 0.3, 0.3, 0.73, 0.73]
    assert frame["passes"].tolist()[1:] == [False, False, True, True]
    assert str(found) == table.text(found).rstrip()
    assert found.plot(tmp_path / "figures" / "x").axes
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"x.png", "x.svg"}


def moody(trial: idim.Trial) -> float:
    """Fails at one rate of the baseline and at one of d = 36; d = 10 has no score at all."""
    if trial.d == 10 or (trial.d, trial.lr) in ((None, 0.3), (36, 2.0)):
        raise ValueError("no")
    return score(trial)


def test_what_was_tried_and_what_failed_is_counted_in_every_row(tmp_path):
    """Each row of the frame and of points.csv against the runs that the store holds."""
    grid = GRID | {"lr": [1.0, 2.0], "baseline_lr": [0.1, 0.3]}
    found = idim.measure(moody, D=500, out=tmp_path, **grid)
    frame, runs = found.to_frame(), list(Store(tmp_path).runs())
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    ds = [None, 36, 37, 100]
    assert [row["d"] for row in rows] == ["" if d is None else str(d) for d in ds]
    for i, d in enumerate(ds):
        here = [run for run in runs if run.spec().d == d]
        assert frame["failed"][i] == sum(run.result() is None for run in here)
        lrs = sorted({run.spec().lr for run in here})
        assert rows[i]["lrs"] == ";".join(map(repr, lrs))
    assert frame["failed"].tolist() == [2, 2, 0, 0]
    assert idim.Summary.from_json(found.record).to_frame().equals(frame)


def test_failed_is_missing_only_where_no_run_is_meant(tmp_path):
    def hopeless(trial: idim.Trial) -> float:
        return math.nan if trial.d is None else score(trial)

    none = idim.measure(hopeless, D=500, out=tmp_path / "none", **GRID)
    assert (none.baseline, none.reference.lrs, none.to_frame()["failed"][0]) == (None, (0.1,), 2)
    grid = {k: v for k, v in GRID.items() if k != "baseline_lr"}
    fixed = idim.measure(score, D=500, out=tmp_path / "fixed", baseline=0.8, **grid)
    assert fixed.to_frame()["failed"].isna().tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("scale", [1e-320, 1e-200, -1e-320, 0.0, 1e-25, 1e30])
def test_a_search_ends_in_one_line_whatever_the_scale_of_the_score(tmp_path, scale):
    def scaled(trial: idim.Trial) -> float:
        return scale * score(trial)

    found = idim.measure(scaled, D=500, out=tmp_path, max_runs=30, seeds=1)
    assert (found.d90 is not None) == (scale > 1e-30)
    if scale < 1e-30:
        assert found.search.why == "the baseline has no score above 0"


@pytest.mark.parametrize(
    ("direction", "more", "value"),
    [("maximize", {}, 0.5), ("maximize", GRID, 0.0), ("minimize", {}, 0.5), ("minimize", GRID, 2)],
)
def test_an_objective_that_heeds_nothing_is_told_of(tmp_path, direction, more, value):
    def constant(trial: idim.Trial) -> float:
        del trial
        return value

    few = {"max_runs": 20, "seeds": 1} if not more else {}
    found = idim.measure(constant, D=500, direction=direction, out=tmp_path, **more | few)
    ds = {run.spec().d for run in Store(tmp_path).runs()}
    told = [note for note in found.notes if "runs scored the same" in note]
    # a search without a line asks for no d
    assert len(told) == (len(ds) > 1) or found.line is None
    for note in told:
        shown = value if direction == "maximize" else 0.0
        assert note.startswith(f"Every one of {found.runs.done} runs scored the same, {shown:g}:")


def test_the_notes_of_ones_own_score_speak_of_no_evaluation_set_and_no_baseline_it_refuses(
    tmp_path,
):
    def broken(trial: idim.Trial) -> float:
        return math.nan if trial.d is None else loss(trial)

    rates = GRID | {"lr": [1.0, 2.0], "seeds": 1}
    for direction, own in (("maximize", score), ("minimize", loss)):
        found = idim.measure(own, D=500, direction=direction, out=tmp_path / direction, **rates)
        assert (
            "Learning rates were selected by the reported score itself, which that flatters."
            in (found.notes)
        )
        assert not any("evaluation set" in n or "scored the same" in n for n in found.notes)
        gone = idim.measure(
            broken, D=500, direction=direction, out=tmp_path / f"-{direction}", **GRID
        )
        (note,) = (n for n in gone.notes if n.startswith("No line"))
        assert ("a fixed baseline value" in note) == (direction == "maximize")


@pytest.mark.parametrize("threshold", [1.5, 0, -1, math.nan, "x", True])
def test_a_folder_is_read_at_a_share_alone(tmp_path, threshold):
    with pytest.raises(IdimError, match=r"^threshold must be "):
        idim.load(tmp_path, threshold)
    with pytest.raises(IdimError, match="threshold"):
        idim.measure(score, D=500, out=tmp_path, threshold=threshold)


# --- a module with its loss ----------------------------------------------------------------


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))


def data(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(256, 6, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, :1] * x[:, 1:2]).sin()


def squares(module: nn.Module) -> torch.Tensor:
    x, y = data(0)
    rows = torch.randint(len(x), (32,))
    return F.mse_loss(module(x[rows]), y[rows])


def held_out(module: nn.Module) -> float:
    x, y = data(1)
    assert not module.training
    return F.mse_loss(module(x), y).item()


FORM = {"module": net, "loss": squares, "evaluate": held_out, "direction": "minimize"}
TRAINING = {"steps": 60, "d": [5, 40], "lr": [0.1], "baseline_lr": [0.03], "seeds": 2}


def test_a_module_is_trained_by_the_same_loop(tmp_path):
    found = idim.measure(**FORM, **TRAINING, out=tmp_path)
    assert sum(p.numel() for p in net().parameters()) == found.D
    assert found.runs.done == 6
    assert found.baseline > 0
    specs = {(r.spec().d, r.spec().seed): r for r in Store(tmp_path).runs()}
    full = specs[None, 0].result()
    # by hand: AdamW on the same rows, from the same theta_0
    torch.manual_seed(stream(0, "init"))
    module = net()
    start = held_out(module.eval())
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=0.0)
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 0.03 * learning_rate(step, 60, 0.06)
        torch.manual_seed(stream(0, "step", step))
        optimizer.zero_grad()
        squares(module.train()).backward()
        optimizer.step()
    assert full.score["gain"] == pytest.approx(start - held_out(module.eval()), rel=1e-4)


def test_the_callers_torch_is_left_as_it_was(tmp_path):
    torch.set_num_threads(2)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    idim.measure(**FORM, **TRAINING, out=tmp_path, threads=1)
    assert torch.equal(torch.rand(3), wanted)
    assert torch.get_num_threads() == 2


def test_a_sweep_from_python_is_that_of_the_command_line(tmp_path):
    found = idim.sweep(model="toy", d=[9, 10], seeds=1, lr=[5.0], baseline=1, out=tmp_path)
    assert found.smallest.d == 10
    given = {"model": "toy", "d": "9,10", "seeds": "1", "lr": "5", "baseline": "1"}
    words = [f"{name}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "idim", "sweep", *words, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"2 of 2 runs were done before" in done.stderr
    assert str(idim.load(tmp_path)) == str(found)


@pytest.mark.parametrize("example", ["plain_loop.py", "language_model.py"])
def test_the_examples_measure_d90(example, tmp_path):
    # the first numbers of the search are enough to see that it runs as it stands
    text = (
        (EXAMPLES / example)
        .read_text()
        .replace("max_runs=30", "max_runs=4")
        .replace("jobs=2", "jobs=1")
    )
    script = tmp_path / example
    script.write_text(text)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"\n\n{script.stem}" in done.stdout
    assert "all of 4 runs are spent" in done.stdout
    assert script.with_suffix(".png").exists()


# --- what decides the number is in the id, and what cannot be is one line --------------------


def factory(threshold: int):
    def inner(trial: idim.Trial) -> float:
        return 1.0 if trial.d is None or trial.d >= threshold else 0.1

    return inner


def test_the_fingerprint_sees_source_bindings_and_version():
    prints = [
        source.fingerprint(score), source.fingerprint(loss), source.fingerprint(factory(3)),
        source.fingerprint(factory(4)), source.fingerprint(partial(score)),
        source.fingerprint(partial(score, 1)), source.fingerprint(score, version="2"),
    ]  # fmt: skip
    assert source.fingerprint(score) == prints[0]
    assert source.fingerprint(factory(3)) == prints[2]
    assert len(set(prints)) == len(prints)


class Held:
    """A training with a setting of its own."""

    def __init__(self, threshold: int, rows=None) -> None:
        self.threshold, self.rows = threshold, rows

    def __call__(self, trial: idim.Trial) -> float:
        return 1.0 if trial.d is None or trial.d >= self.threshold else 0.1

    def method(self, trial: idim.Trial) -> float:
        return self(trial)


def times(factor: float):
    def wrap(code):
        @wraps(code)
        def inner(trial: idim.Trial) -> float:
            return factor * code(trial)

        return inner

    return wrap


def other_times(factor: float):
    def wrap(code):
        @wraps(code)
        def inner(trial: idim.Trial) -> float:
            return factor * code(trial) + 1

        return inner

    return wrap


def bound_to(what):
    return lambda trial: score(trial) if what else 0.0


# fmt: off
ON_ONE_LINE = lambda t: t.d or 3, lambda t: t.d or 4
# fmt: on
VALUES = [
    None,
    1,
    "a",
    [1],
    {1: 2},
    {3, 4},
    range(2),
    torch.zeros(3),
    torch.ones(3),
    np.zeros(3),
    torch.zeros(3, dtype=torch.bfloat16),
    torch.zeros(3, 1),
    score,
    loss,
    factory(3),
    Held,
    Held(3),
    Held(4),
    Held(3, torch.ones(2)),
    Held(3, Held(5)),
    nn.Linear,
    math,
]  # fmt: skip
CODES = [
    Held(3), Held(4), Held(3, np.ones(3)), Held(3).method, Held(4).method, partial(Held(3), x=1),
    times(2)(score), times(3)(score), other_times(2)(score), times(2)(loss),
    times(2)(times(2)(loss)),
    cache(score), *ON_ONE_LINE, *map(bound_to, VALUES),
]  # fmt: skip


def test_whatever_a_function_is_bound_to_is_in_its_fingerprint():
    prints = list(map(source.fingerprint, CODES))
    alike = [(a, b) for a, b in combinations(range(len(CODES)), 2) if prints[a] == prints[b]]
    assert alike == []
    assert prints == list(map(source.fingerprint, copy.deepcopy(CODES)))


def test_what_holds_itself_or_no_array_has_a_fingerprint_too():
    own: list = [1]
    own.append(own)
    odd = [own, torch.zeros(2, device="meta"), torch.eye(2).to_sparse(), np.array([score])]
    prints = [source.fingerprint(bound_to(x)) for x in odd]
    assert prints == [source.fingerprint(bound_to(x)) for x in odd]


def test_two_functions_of_one_name_do_not_stand_for_each_other(tmp_path):
    def nesting(inner: int):
        def outer(trial: idim.Trial) -> float:
            if trial.d == 10 and inner:
                found = idim.measure(nesting(0), D=500, out=tmp_path / f"{trial.seed}", **GRID)
                assert found.smallest.d == 100
            return score(trial) if inner else float(trial.d in (None, 100))

        return outer

    found = idim.measure(nesting(1), D=500, out=tmp_path / "out", **GRID)
    assert (found.smallest.d, found.record["runs"]["failed"]) == (CROSSING, 0)


def test_the_untrained_loss_is_asked_for_once_a_seed(tmp_path):
    idim.measure(loss_seen, D=500, direction="minimize", out=tmp_path, **GRID)
    assert [(t.lr, t.seed) for t in CALLS if t.d == 0] == [(0.0, 0), (0.0, 1)]
    assert len(CALLS) == 12


def loss_seen(trial: idim.Trial) -> float:
    CALLS.append(trial)
    return loss(trial)


def test_what_is_asked_of_a_module_is_in_its_runs_ids(tmp_path):
    short = {**TRAINING, "steps": 2, "d": [5], "seeds": 1}
    asked = [{}, {"head_modules": ["2"]}, {"direction": "maximize"}, {"version": "2"}]
    ids = []
    for n, change in enumerate(asked):
        found = idim.measure(**FORM | change, **short, out=tmp_path / str(n))
        ids.append({r.id for r in Store(found.out).runs()})
    assert all(not a & b for i, a in enumerate(ids) for b in ids[:i])


def test_changed_code_in_an_old_folder_is_refused(tmp_path):
    idim.measure(factory(37), D=500, out=tmp_path, **GRID)
    line = r"holds runs of other code: 'test_measure:factory\.inner' .* has changed since"
    with pytest.raises(IdimError, match=line):
        idim.measure(factory(36), D=500, out=tmp_path, **GRID)
    with pytest.raises(IdimError, match=line):
        idim.measure(factory(37), D=500, version="2", out=tmp_path, **GRID)
    assert idim.measure(factory(37), D=500, out=tmp_path, **GRID).smallest.d == CROSSING


def test_a_closure_stays_in_this_process(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found = idim.measure(factory(37), D=500, out=tmp_path, jobs=4, **GRID)
    assert found.smallest.d == CROSSING
    assert "cannot go to another process: it is a closure" in caplog.text


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.nan, "returned nan"), (None, "returned a NoneType; a number is wanted"),
     ("x", "returned a str"), ([1, 2], "returned a list"), (math.inf, "returned inf"),
     ("0.5", "returned a str"), (True, "returned a bool"), (np.bool_(1), "returned a bool"),
     (torch.tensor(True), "returned a Tensor"), (torch.tensor(1 + 2j), "returned a Tensor"),
     (torch.ones(2), "returned a Tensor"), (10**400, "returned inf"),
     (-1e300, "a score is at most 3.4e+38")],
)  # fmt: skip
def test_what_is_no_number_fails_the_run_and_says_so(value, said, tmp_path):
    def odd(trial: idim.Trial) -> float:
        return value if trial.d == 36 else score(trial)

    found = idim.measure(odd, D=500, out=tmp_path, **GRID)
    assert found.runs.failed == 2
    assert [p.d for p in found.points] == [10, 37, 100]
    assert any(said in (r.failure() or "") for r in Store(tmp_path).runs())


class Rude(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "said"),
    [(FileNotFoundError(2, "No such file", "rows.csv"), r"raised FileNotFoundError: .*rows\.csv"),
     (OSError(28, "No space left"), "raised OSError"), (StopIteration(), "raised StopIteration"),
     (KeyError("a\nb"), "raised KeyError"), (ValueError("one\ntwo"), r"raised ValueError: one\.$"),
     (Rude(), "raised Rude: no message"), (MemoryError(), "MemoryError")],
)  # fmt: skip
def test_an_error_of_the_objective_is_its_runs_and_not_the_stores(error, said, tmp_path):
    def odd(trial: idim.Trial) -> float:
        if trial.d == 36:
            raise error
        return score(trial)

    found = idim.measure(odd, D=500, out=tmp_path, **GRID)
    assert (found.smallest.d, found.record["runs"]["failed"]) == (CROSSING, 2)
    (first, _) = [r for r in Store(tmp_path).runs() if r.failure()]
    assert re.search(said, first.failure())
    assert "in odd" in (first.last_attempt().folder / "traceback.log").read_text()


def test_where_no_run_has_a_score_the_first_reason_is_said(tmp_path):
    with pytest.raises(RunFailed, match=r"no run has a score: 'test_measure:Held' returned a Held"):
        idim.measure(Held, D=500, out=tmp_path / "a", **GRID)
    with pytest.raises(RunFailed, match=r"at d=0, untrained, returned nan"):
        idim.measure(no_start, D=500, direction="minimize", out=tmp_path / "b", **GRID)


def no_start(trial: idim.Trial) -> float:
    return math.nan if trial.d == 0 else 1.0


def test_settings_may_be_ranges_and_numpys(tmp_path):
    settings = GRID | {"d": np.array([10, 37]), "lr": [np.float64(1)], "seeds": np.int64(2)}
    found = idim.measure(score, D=np.int32(500), out=tmp_path, **settings)
    assert found.smallest.d == CROSSING
    again = idim.measure(score, D=500, out=tmp_path, **GRID | {"d": range(10, 38, 27)})
    assert again.record == found.record


def test_the_objective_may_change_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def wandering(trial: idim.Trial) -> float:
        os.chdir("/")
        return score(trial)

    assert idim.measure(wandering, D=500, out="here", **GRID).smallest.d == CROSSING
    assert (tmp_path / "here/summary.json").exists()


@pytest.mark.parametrize(
    ("out", "line"),
    [("", "out must name a folder"), ("a\0b", "out must name"), (b"x", "out must name"),
     (3, "out must name"), ("file", "exists: .*file'"), ("file/x", "[Nn]ot a directory"),
     ("x" * 300, "too long")],
)  # fmt: skip
def test_a_folder_that_cannot_be_is_one_line(out, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for call in (
        lambda: idim.measure(score, D=500, out=out, **GRID),
        lambda: idim.sweep(model="toy", d=[9], seeds=1, lr=[5.0], baseline=1, out=out),
    ):
        with pytest.raises(IdimError, match=line) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_damaged_sweep_file_is_set_aside_and_said(tmp_path):
    idim.measure(score, D=500, out=tmp_path, **GRID)
    (tmp_path / "sweep.json").write_text("{")
    said: list[str] = []
    found = idim.measure(score, D=500, out=tmp_path, tell=said.append, **GRID)
    assert (found.smallest.d, len(said)) == (CROSSING, 1)
    assert "sweep.json' is damaged" in said[0]


SHARED = nn.Linear(6, 1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"module": lambda: SHARED, "d": [3]}, "gives out its parameter 'weight' again"),
        ({"evaluate": lambda m: [p.zero_() for p in m.parameters()] and 1.0}, "writes to the para"),
        ({"evaluate": lambda m: 1 / 0}, "the evaluation of .* raised ZeroDivisionError"),
        ({"evaluate": lambda m: m.nothing}, "raised AttributeError"),
        ({"loss": lambda m: squares(m).detach()}, "has no gradient"),
        ({"loss": lambda m: torch.tensor(3)}, "has no gradient"),
        ({"loss": lambda m: squares(m).item()}, "must be a tensor of one number"),
        ({"loss": lambda m: os.listdir("/nowhere")}, "the loss of .* raised FileNotFoundError"),
        ({"module": lambda: 1 / 0}, "raised ZeroDivisionError"),
        ({"module": lambda: net().to("meta")}, "moved to cpu, raised NotImplementedError"),
        ({"batch_size": 4}, "batch_size would not be used"),
        ({"select": "eval"}, "select would not be used"),
        ({"loss": 3}, "loss must be a function, not 3"),
        ({"head": "frozen"}, "has no head to set apart"),
    ],
)
def test_a_module_that_cannot_be_measured_is_one_line(change, line, tmp_path):
    with pytest.raises(IdimError, match=line) as caught:
        idim.measure(**FORM | TRAINING | change, out=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_modules_head_can_be_set_apart(tmp_path):
    short = {**TRAINING, "steps": 2, "d": [5], "seeds": 1}
    for head, trained in (("free", 5 + 13), ("frozen", 5), ("subspace", 5)):
        found = idim.measure(**FORM, **short, head_modules="2", head=head, out=tmp_path / head)
        assert [p["trainable"] for p in found.record["points"]] == [trained]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({}, "give an objective and D, or module"),
        ({"objective": score}, "give D="),
        ({"objective": score, "D": 0}, "give D="),
        ({"objective": 3, "D": 5}, "must be a function"),
        ({"objective": score, "D": 5, **FORM}, "not both"),
        ({"module": net, "loss": squares}, "give an objective and D, or module"),
        ({"objective": score, "D": 50, "direction": "up"}, "direction must be"),
        ({"objective": score, "D": 50, "projection": "dense"}, "projection would not be used"),
        ({"objective": score, "D": 50, "steps": 5}, "steps would not be used"),
        ({"objective": score, "D": 50, "model": "tiny"}, "model"),
        ({"objective": score, "D": 50, "sedes": 5}, "unknown key 'sedes'"),
        ({"objective": score, "D": 50, "jobs": 0}, "jobs must be at least 1"),
        ({"objective": score, "D": 50, "d": [60]}, "must lie between 1 and D=50"),
        ({**FORM, "epochs": 3}, "give steps"),
        ({**FORM, "direction": "minimize", "baseline": 0.5}, "a gain has no fixed baseline"),
        (
            {**FORM, "head_modules": ["nowhere"], "structure": "did", "steps": 2, "d": [5]},
            "nowhere",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(words, line, tmp_path):
    with pytest.raises(IdimError, match=line) as caught:
        idim.measure(**words, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_store_of_a_function_is_gone_on_with_by_its_program_only(tmp_path):
    idim.measure(score, D=500, out=tmp_path, **GRID)
    given._REGISTERED.clear()
    run = next(Store(tmp_path).runs()).spec()
    with pytest.raises(IdimError, match=r"call idim\.measure in it again"):
        given.find(run)
    assert idim.load(tmp_path).smallest.d == CROSSING
