"""A method is one class and one entry: runs, sweeps over its size, resume, reports take it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from alone import events, finish
from installed import assert_refused, package
from outside_method import LastTensors, enter
from typer.testing import CliRunner

import idim
from idim.cli import app
from idim.config import RunSpec, SweepSpec, load
from idim.errors import IdimError
from idim.methods import METHODS, Method
from idim.problems import kinds
from idim.report import table
from idim.store import Store
from idim.sweeps import (
    default_out,
    evidence,
    execute,
    folder_of,
    plan,
    plan_run,
    run,
    summarise,
    write,
)  # fmt: skip
from idim.sweeps.outcomes import outcomes, space_of
from idim.training.events import Step
from idim.training.start import build

NET = {"model": "digits-mlp", "method": "last_tensors", "steps": 40, "train_samples": 400}
HERE = Path(__file__).parent
# Numbers in the last 1 to 6 tensors of the net: biases and weights, from its end.
SIZES = {1: 10, 2: 1_010, 3: 1_110, 4: 11_110, 5: 11_210, 6: 17_610}


@pytest.fixture(autouse=True)
def entered():
    enter()
    yield
    del METHODS["last_tensors"]


def spec(**more) -> RunSpec:
    return plan_run(RunSpec(**NET | {"size": 2, "lr": 0.03} | more))


@pytest.mark.parametrize("size", SIZES)
def test_it_trains_its_numbers_and_no_other(size):
    result = finish(wanted := spec(size=size))
    assert result.trainable == SIZES[size]
    theta_0 = dict(build(wanted, kinds.load(wanted)).module.named_parameters())
    assert sum(p.numel() for p in result.state.values()) == SIZES[size]
    assert all(not torch.equal(p, theta_0[name]) for name, p in result.state.items())


def test_it_resumes_to_the_same_bits():
    whole = finish(wanted := spec())
    states = [e.state() for e in events(wanted) if isinstance(e, Step) and not e.is_last]
    for state in states:
        again = finish(wanted, state)
        assert all(torch.equal(again.state[name], p) for name, p in whole.state.items())
        assert again.score == whole.score


def test_its_id_says_its_size_and_nothing_of_a_subspace():
    assert spec().id.startswith("digits-digits-mlp-last_tensors-k2-s0-")
    assert spec(projection="dense", structure="said").id == spec().id
    assert len({spec(size=k).id for k in SIZES}) == len(SIZES)
    full = plan_run(RunSpec(**NET | {"method": "full"}, lr=0.03))
    assert spec(size=6).id != full.id


def test_a_run_is_kept_and_restored(tmp_path):
    wanted = spec()
    result = run(wanted, tmp_path)
    module = idim.restore(folder_of(wanted, tmp_path))
    rows = kinds.load(wanted).evaluation
    with torch.no_grad():
        right = module(torch.as_tensor(rows.inputs)).argmax(dim=1) == torch.as_tensor(rows.targets)
    assert right.double().mean().item() == pytest.approx(result.score["accuracy"])


def test_a_sweep_finds_the_smallest_size(tmp_path):
    words = NET | {"d": (1, 2, 4, 6), "lr": (0.03,), "baseline_lr": (0.03,), "seeds": 2}
    planned = plan(load(SweepSpec, None, words))
    assert default_out(planned.spec) == Path("idim-out/digits-digits-mlp-last_tensors")
    assert planned.lines()[1].split()[:3] == ["k=1", "?", "trained"]
    found = execute(planned, tmp_path, jobs=1)
    assert [(p.d, p.trainable) for p in found.points] == [(k, SIZES[k]) for k in (1, 2, 4, 6)]
    assert found.smallest.d in (2, 4, 6)
    assert found.points[-1].mean == pytest.approx(found.reference.mean, abs=0.02)
    said = table.text(found)
    assert "\n\ndigits-mlp on digits, last_tensors; D = 17,610; accuracy\n" in said
    assert "smallest k tried that passes, as the papers read k90: " in said
    assert "each redraws the head or net and data order" in table.protocol(found)
    write(found, tmp_path)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.md").read_text()
    assert r"Of 17,610 numbers the method last\_tensors trains 10 to 17,610, by its size k;" in text
    assert "| k50 |" in text
    assert "smallest k tried that passes" in text
    assert "P theta_d" not in text
    assert replace(summarise(tmp_path), seconds=found.seconds) == found


def test_a_run_that_diverges_is_one_of_its_size_and_not_of_the_baseline(tmp_path):
    words = NET | {"d": (4, 6), "lr": (0.03, 1e30), "baseline_lr": (0.03,), "seeds": 1}
    found = execute(plan(load(SweepSpec, None, words)), tmp_path, jobs=1)
    assert (found.runs.total, found.runs.diverged) == (5, 2)
    assert [(p.d, p.lr, p.n) for p in found.points] == [(4, 0.03, 1), (6, 0.03, 1)]
    left_out = sorted((o.fate, o.d or 0) for o in evidence(tmp_path).excluded)
    assert left_out == [("diverged", 4), ("diverged", 6)]
    failed = [o.score("accuracy") for o in outcomes_of(tmp_path) if o.error]
    assert sorted(score.d or 0 for score in failed) == [4, 6]


def test_the_command_line_knows_those_of_installed_packages(tmp_path):
    code = (HERE / "outside_method.py").read_text()
    environment = package(tmp_path, "idim.methods", {"theirs": "LastTensors"}, code)
    words = ["--model", "digits-mlp", "--method", "theirs", "--size", "2", "--steps", "5"]
    command = [sys.executable, "-m", "idim", "run", *words, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").rglob("digits-digits-mlp-theirs-k2-s0-*"))


def test_an_adaptive_search_goes_over_sizes_too(tmp_path):
    words = NET | {"d_min": 1, "baseline": 0.5, "seeds": 1, "max_runs": 8, "steps": 20}
    found = execute(plan(load(SweepSpec, None, words)), tmp_path, jobs=1)
    assert max(p.d for p in found.points) <= 6
    assert "from there the same, compared again" in found.protocol.lr


def outcomes_of(out):
    store = Store(out)
    return outcomes(store, space_of(store.sweep())).values()


class Mute(Method):
    pass


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"size": None}, "a last_tensors run needs size; give --size"),
        ({"size": 7}, "k 7 is out of range: here last_tensors has 1 to 6."),
        ({"size": 0}, "size must be at least 1, got 0"),
    ],
)
def test_a_size_that_cannot_be_is_one_line(words, line):
    with pytest.raises(IdimError, match=line):
        spec(**words)


def test_settings_of_another_method_are_refused_or_noted():
    words = {"model": "digits-mlp", "method": "last_tensors", "size": 2}
    with pytest.raises(IdimError, match="d would not be used: the method has no d; leave it out"):
        load(RunSpec, None, words | {"d": 3})
    with pytest.raises(IdimError, match="size would not be used: the method has no such size"):
        load(RunSpec, None, {"model": "digits-mlp", "d": 3, "size": 2})
    with pytest.raises(IdimError, match="method full has no size to search over"):
        load(SweepSpec, None, {"model": "digits-mlp", "method": "full"})
    told: list[str] = []
    load(RunSpec, None, words | {"projection": "dense"}, told.append)
    assert told == [
        "note: projection says nothing here: method last_tensors has no subspace."
    ]  # fmt: skip
    with pytest.raises(
        IdimError, match="unknown method 'last_tensor'; did you mean 'last_tensors'"
    ):
        load(RunSpec, None, words | {"method": "last_tensor"})


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("full", LastTensors, "method 'full' is idim's own; choose another name."),
        ("mine", Mute, "method 'mine' lacks .*trainable, which Method leaves to it."),
        ("mine", dict, "'mine' must be a subclass of idim.methods.base.Method."),
    ],
)
def test_an_entry_that_cannot_work_is_refused_when_it_is_made(name, value, line):
    assert_refused(METHODS, name, value, line)
