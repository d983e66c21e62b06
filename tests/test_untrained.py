"""The untrained model as a run, and sweeps that search for a share of the gain over it."""

import json
import math
import random
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import idim
from idim.cli import app
from idim.config import RunSpec, SweepSpec, load
from idim.errors import IdimError
from idim.estimate import Score, estimate
from idim.records import to_json
from idim.report import table
from idim.search import Done, next_runs
from idim.store import Store
from idim.sweeps import At, plan, summarise

SETTINGS = {
    "model": "digits-mlp", "d": (20, 60, 200), "lr": (1.0,), "baseline_lr": (0.01,), "seeds": 2,
    "steps": 60, "device": "cpu", "threshold": 0.8,
}  # fmt: skip
RUN = RunSpec(model="digits-mlp", task="digits", method="untrained", seed=1, threads=1)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("gain")
    idim.sweep(out=out, target="gain", **SETTINGS)
    return out


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)), prog_name="idim")


# --- the run ----------------------------------------------------------------------------------


RECIPE = {"lr": 0.5, "epochs": 3.0, "batch_size": 8, "weight_decay": 0.1, "optimizer": "sgd",
          "projection": "dense", "norm": "tensor", "checkpoint": "best"}  # fmt: skip


@pytest.mark.parametrize("name", RECIPE)
def test_no_setting_of_a_training_is_in_its_id(name):
    assert replace(RUN, **{name: RECIPE[name]}).id == RUN.id
    assert RUN.measure == 0
    assert RUN.sized == ""


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"eval_samples": 50}, {"keep_head": True}, {"method": "full"}]
)
def test_what_it_is_scored_by_is(change):
    assert replace(RUN, **change).id != RUN.id


def test_it_is_stored_and_scored_as_any_run(tmp_path):
    words = ("run", "--model", "digits-mlp", "--method", "untrained", "--device", "cpu",
             "--out", tmp_path, "--json")  # fmt: skip
    first = json.loads(run(*words).stdout)
    assert (first["trainable"], first["steps"], first["loss"]) == (0, 0, None)
    assert 0.0 < first["score"]["accuracy"] < 0.3
    again = run(*words, "--lr", "0.5")
    assert json.loads(again.stdout) == first
    assert "lr says nothing here: method untrained trains nothing" in again.stderr
    assert "stops a training" in run(*words, "stop_at=0.5").stderr
    assert "has no size to search over" in run("sweep", "--method", "untrained").stderr
    with pytest.raises(IdimError, match="untrained model, which keeps no weights"):
        idim.restore(first["out"])


# --- a sweep ----------------------------------------------------------------------------------


def test_a_sweep_of_the_gain_scores_the_untrained_model_once_a_seed(swept):
    runs = {r.spec().id: r.spec() for r in Store(swept).runs()}
    alone = [s for s in runs.values() if s.method == "untrained"]
    assert sorted(s.seed for s in alone) == [0, 1]
    found = summarise(swept)
    assert found.untrained.n == 2
    assert found.floor == max(found.untrained.mean, found.chance)
    gain = found.baseline - found.floor
    assert found.line == pytest.approx(found.floor + 0.8 * gain)
    # the search's own runs are 2 of the baseline and 6 of d
    assert found.runs.done == 10
    assert found.search.done
    # what is trained has the ids of a papers' sweep
    twin = plan(load(SweepSpec, None, SETTINGS)).specs
    assert {s.id for s in twin} == set(runs) - {s.id for s in alone}


def test_a_killed_sweep_does_not_score_it_again(swept):
    events = []
    idim.sweep(out=swept, target="gain", **SETTINGS, progress=events.append)
    assert {e.kind for e in events} == {"skipped"}


ATS = [
    At(),
    At(target="papers"),
    At(threshold=0.5),
    At(target="papers", threshold=0.95),
    At(target="gain", threshold=0.7, baseline=0.93),
    At(baseline=0.9, floor=0.3),
]


@pytest.mark.parametrize("at", ATS, ids=str)
def test_a_store_is_read_at_any_line_and_json_says_what_the_terminal_does(swept, at):
    found = summarise(swept, at)
    share, full = at.threshold or 0.8, at.baseline or summarise(swept).baseline
    floor = at.floor or summarise(swept).floor
    papers = at.target == "papers"
    assert found.line == pytest.approx(share * full if papers else floor + share * (full - floor))
    other = found.gain if papers else found.papers
    assert other.line == pytest.approx(floor + share * (full - floor) if papers else share * full)
    words = {k: str(v) for k, v in (("--threshold", at.threshold), ("--target", at.target),
                                    ("--baseline", at.baseline)) if v is not None}  # fmt: skip
    flags = [word for pair in words.items() for word in pair]
    if at.floor is None:
        told = json.loads(run("estimate", swept, *flags, "--json").stdout)
        assert told == to_json(found)
        text = " ".join(run("estimate", swept, *flags).stdout.split())
        assert f"{told['line']:.3f}" in text
        for reading, d in ((told, "d90"), (to_json(other), "d")):
            if reading[d] is not None:
                assert f"d{100 * share:g} = {reading[d]:,} (95% interval" in text
    lines = table.findings(found)
    assert lines[0].startswith("gain " * (not papers) + f"d{100 * share:g} ")
    assert lines[1].startswith("of the gain over" if papers else "as the papers ask: d")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--target", "gan"], "did you mean 'gain'"),
        (["--baseline", "x"], "baseline must be 'own' or a number, got 'x'"),
        (["--baseline", "93"], "it is a score, 0.9 and not 90"),
        (["--threshold", "90"], "it is a share, 0.9 and not 90"),
    ],
)
@pytest.mark.parametrize("command", ["estimate", "report", "plot"])
def test_another_line_that_is_none_is_refused(swept, command, words, says):
    refused = run(command, swept, *words)
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_a_floor_without_a_gain_is_refused():
    with pytest.raises(IdimError, match="floor would not be used: it is for target gain"):
        load(SweepSpec, None, {"floor": 0.5})
    assert load(SweepSpec, None, {"floor": "0.5", "target": "gain"}).floor == 0.5


def test_sweeps_of_two_targets_are_not_compared(swept, tmp_path):
    idim.sweep(out=tmp_path / "papers", **SETTINGS)
    refused = run("compare", swept, tmp_path / "papers")
    assert "give one --target for all" in refused.stderr
    told = run("compare", swept, tmp_path / "papers", "--target", "papers", "--json")
    assert told.exit_code == 0, told.stderr


# --- the search -------------------------------------------------------------------------------


def searched(planned, score):
    """Replay a search in a made-up world: the scores it asked for, and why it ended."""
    known = {}
    while not isinstance(batch := next_runs(planned.space, known), Done):
        for r in batch:
            size = 5000 if r.measure is None else r.measure
            lr = 0.0 if r.measure == 0 else r.lr
            known[r.id] = Score(r.measure, lr, r.seed, size, None, score(r))
    return list(known.values()), batch.why


@pytest.mark.parametrize(("target", "untrained", "low", "high"), [
    ("papers", 0, 50, 200), ("gain", 3, 500, 2000),
])  # fmt: skip
def test_the_adaptive_search_narrows_the_line_that_is_asked_for(target, untrained, low, high):
    """In a world where the two lines are a factor of ten apart: at d = 100 and 1,000."""
    settings = {"model": "digits-mlp", "d_max": 10_000, "max_runs": 40, "device": "cpu"}
    planned = plan(load(SweepSpec, None, settings | {"target": target}))

    def score(run):
        if run.measure == 0:
            return 0.6
        share = 0.75 + 0.15 * math.log10((run.measure or 5000) / 100)
        return 0.6 + 0.4 * min(share, 1.0) + 0.002 * (run.seed % 2)

    known, _ = searched(planned, score)
    assert sum(s.d == 0 for s in known) == untrained
    found = estimate(known, target=target, floor=0.6)
    assert low < found.fit.d < high
    assert sum(low < (s.d or 0) < high for s in known) >= 4


def test_a_search_for_a_gain_is_the_same_wherever_scores_begin():
    """Scores may all be negative, as of a likelihood: the rate is chosen at each d as above 0."""
    settings = {"model": "digits-mlp", "d_max": 10_000, "max_runs": 24, "device": "cpu"}
    planned = plan(load(SweepSpec, None, settings | {"target": "gain"}))
    planned = replace(planned, space=replace(planned.space, chance=None))

    def score(run, begin):
        if run.measure == 0:
            return begin
        draw = random.Random(f"{run.measure} {run.lr} {run.seed}").gauss(0, 0.01)
        best = 0.02 if run.measure is None else 4 * (300 / run.measure) ** 0.65
        value = 1.0 if run.measure is None else 1 / (1 + 300 / run.measure / 9)
        value += draw - 0.01 * math.log(run.lr / best) ** 2
        return begin + round(value * 2**20) / 2**20  # so that adding rounds nothing

    found = []
    for begin in (0.0, -4.0, -1024.0):
        known, why = searched(planned, lambda run, b=begin: score(run, b))
        told = estimate(known, target="gain")
        asked = [(s.d, s.lr, s.seed) for s in known]
        found.append((asked, why, told.fit.d, [(p.d, p.lr, p.n) for p in told.points]))
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_no_search_begins_where_the_gain_is_not_sure():
    settings = {"model": "digits-mlp", "device": "cpu", "target": "gain", "max_runs": 30}
    planned = plan(load(SweepSpec, None, settings))
    worlds = {  # what a run scores, untrained or in full
        "is not 2 standard errors": lambda r: 0.5 + 0.002 * r.seed,
        "above a constant answer": lambda r: None if r.measure == 0 else 0.1,
    }
    for why, score in worlds.items():
        known, said = searched(planned, score)
        assert why in said
        assert not any(s.d for s in known)


# --- a user's own training --------------------------------------------------------------------


def objective(trial):
    """A score that is 0.5 untrained, and 0.9 with 20 numbers or more."""
    if trial.d == 0:
        assert trial.lr == 0.0
        return 0.5
    size = 1000 if trial.d is None else trial.d
    return 0.5 + 0.4 * min(size, 20) / 20 + 0.001 * trial.seed


def loss(trial):
    return 1.0 - objective(trial)


def test_an_objective_gains_over_its_untrained_model(tmp_path):
    settings = {"D": 1000, "seeds": 2, "d": (4, 8, 12, 16, 20), "lr": [0.1], "baseline_lr": [0.1]}
    found = idim.measure(objective, target="gain", out=tmp_path / "gain", **settings)
    assert (found.floor, found.untrained.n) == (0.5, 2)
    assert (found.d90, found.smallest.d) == (18, 20)
    # of losses the score is that gain already, at either target
    for target in ("papers", "gain"):
        lost = idim.measure(loss, direction="minimize", target=target,
                            out=tmp_path / target / "lost", **settings)  # fmt: skip
        assert (lost.d90, lost.untrained) == (18, None)
        assert lost.line == pytest.approx(0.9 * lost.baseline)
    with pytest.raises(IdimError, match="leave out floor"):
        idim.measure(loss, direction="minimize", floor=0.1, out=tmp_path / "x", **settings)
