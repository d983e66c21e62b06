"""A summary against its store: the setting read back whole, and nobody else's runs in it."""

import shutil
from dataclasses import asdict, replace

import pytest
from made_results import DONE
from made_rows import write

from idim import estimate, sweeps
from idim.config import MODULE, OBJECTIVE, SCHEMA, RunSpec, SweepSpec
from idim.report.words import subject
from idim.results import parts
from idim.search import next_runs
from idim.store import Result, Store, write_sealed
from idim.sweeps.outcomes import Outcome, distinct_runs, outcomes, space_of

TOY = {"model": "toy", "d": (12, 5), "seeds": 2, "lr": (1.0,), "steps": 12}
SMALL = {"model": "digits-mlp", "d": (20,), "seeds": 1, "lr": (0.5,), "steps": 12}


@pytest.mark.parametrize(
    "change",
    [
        TOY,
        SMALL | {"norm": "tensor", "structure": "said", "head": "free", "baseline": 0.5},
        SMALL | {"d": (), "d_min": 20, "d_max": 90_000, "search": "adaptive", "max_runs": 3,
                 "threshold": 0.7, "baseline": 0.5},
    ],
    ids=str,
)  # fmt: skip
def test_a_folder_gives_back_the_setting_it_was_made_with(change, tmp_path):
    """What runs the search asks for, and at which rates, must not depend on who asks."""
    plan = sweeps.plan(SweepSpec(**change))
    sweeps.execute(plan, tmp_path, jobs=1)
    read = space_of(Store(tmp_path).sweep())
    assert read == plan.space
    assert [r.id for r in next_runs(read, {})] == [r.id for r in next_runs(plan.space, {})]


def test_the_numbers_of_a_summary_are_the_estimate_of_its_stored_scores(tmp_path):
    plan = sweeps.plan(SweepSpec(**TOY, threshold=0.6))
    summary = sweeps.execute(plan, tmp_path, jobs=1)
    stored = [(r.spec(), r.result()) for r in Store(tmp_path).runs()]
    scores = [
        estimate.Score(s.d, s.lr, s.seed, r.trainable, None, r.score["performance"])
        for s, r in stored
        if s is not None and isinstance(r, Result)
    ]
    assert [s.trainable for s in scores] == [1000 if s.d is None else s.d for s in scores]
    found = estimate.estimate(scores, threshold=0.6, chance=plan.chance["performance"])
    part = parts(found)
    assert {k: getattr(summary, k) for k in part if k != "notes"} == {
        k: part[k] for k in part if k != "notes"
    }
    assert summary.chance == plan.chance["performance"]
    assert summary.thresholds.keys() == {"d50", "d75", "d80", "d90", "d95", "d99"}
    assert (summary.search.steps, summary.D) == (12 * len(scores), 1000)


@pytest.mark.parametrize("change", [TOY, SMALL, SMALL | {"select": "eval"}], ids=str)
def test_a_folder_that_does_not_tell_its_problem_is_the_same_sweep(change, tmp_path):
    """As those are that were made before it was told: none of their runs is done again."""
    plan = sweeps.plan(SweepSpec(**change))
    first = sweeps.execute(plan, tmp_path, jobs=1)
    held = Store(tmp_path).sweep()
    assert (held.pop("problem"), held.pop("held_out")) == (plan.problem, plan.held_out)
    write_sealed(tmp_path / "sweep.json", held | {"schema": SCHEMA}, "sweep", "sweep")
    before = (tmp_path / "sweep.json").read_bytes()
    assert sweeps.summarise(tmp_path) == first
    events = []
    assert sweeps.execute(plan, tmp_path, jobs=1, progress=events.append) == first
    assert {e.kind for e in events} == {"skipped"}
    assert (tmp_path / "sweep.json").read_bytes() == before


@pytest.mark.parametrize("name", [OBJECTIVE, MODULE])
def test_a_task_file_may_be_called_what_it_likes(name, tmp_path):
    """Its short name was taken for a user's own code, which selects by the reported score."""
    rows = [{"text": f"day {i}", "label": i % 2} for i in range(40)]
    write(tmp_path / "rows" / "train.csv", rows)
    lines = ['data = "rows"', 'columns = ["text"]', 'labels = ["calm", "storm"]']
    (tmp_path / f"{name}.toml").write_text("\n".join(lines))
    task = str(tmp_path / f"{name}.toml")
    few = {"d": (5,), "lr": (0.1,), "baseline": 0.9, "seeds": 1, "steps": 1, "batch_size": 4}
    plan = sweeps.plan(SweepSpec(model="tiny", task=task, **few))
    summary = sweeps.execute(plan, tmp_path / "out", jobs=1)
    assert (summary.task, summary.problem, summary.held_out) == (name, "task", True)
    assert summary.protocol.selection.endswith("rows held out from the training set")
    assert f"on {name}" in subject(summary)


def test_runs_of_another_setting_in_the_same_folder_are_nobodys(tmp_path):
    plan = sweeps.plan(SweepSpec(**TOY))
    before = sweeps.execute(plan, tmp_path, jobs=1)
    own = len(list(Store(tmp_path).runs()))
    for change in ({"steps": 11}, {"projection": "dense"}, {"norm": "tensor"}, {"warmup": 0.5}):
        other = replace(plan.specs[-1], **change)
        sweeps.run(sweeps.plan_run(other), tmp_path)
    assert len(list(Store(tmp_path).runs())) == own + 4
    assert sweeps.summarise(tmp_path) == before


def test_an_outcome_keeps_select_and_score_apart():
    run = RunSpec(model="x", task="t", d=10, lr=0.1, seed=3)
    result = replace(
        DONE, trainable=10, select={"f1": 0.2, "mcc": 0.3}, score={"f1": 0.4, "mcc": 1}
    )
    score = Outcome(run, result).score("f1")
    assert asdict(score) == asdict(estimate.Score(10, 0.1, 3, 10, 0.2, 0.4))
    lost = Outcome(run, None, "killed").score("f1")
    assert (lost.select, lost.score, lost.error) == (None, None, "killed")


def test_a_run_that_went_on_is_told_once_and_one_that_stopped_too():
    run = RunSpec(model="x", task="t", d=10, lr=0.1)
    early, other = run.early_stop, replace(run, lr=0.2).early_stop
    ended = {r.id: Outcome(r, DONE) for r in (run, early, other)}
    assert set(distinct_runs(ended)) == {run.id, other.id}


def test_the_score_of_a_run_that_stopped_early_counts_nowhere(tmp_path):
    """Of two rates the one that stopped scored higher: it was tried, and that is all."""
    plan = sweeps.plan(SweepSpec(**TOY | {"baseline": 1.0, "lr": (1.0, 2.0)}))
    sweeps.execute(plan, tmp_path, jobs=1)
    shutil.rmtree(tmp_path / "runs")  # but the setting stays, for these two
    run = plan.space.run(5, 1.0, 0)
    early = replace(run, lr=2.0).early_stop
    for spec, score in ((run, 0.3), (early, 0.95)):
        stored = Store(tmp_path).run(spec)
        result = replace(DONE, score={"performance": score})
        stored.finish(stored.begin(spec, "reference", []), result)
    summary = sweeps.summarise(tmp_path)
    (point,) = summary.points
    assert (point.lr, point.scores, point.lrs) == (1.0, (0.3,), (1.0, 2.0))
    assert (summary.d90, summary.runs.stopped_early) == (None, 1)
    assert (summary.baseline, summary.line) == (1.0, 0.9)


@pytest.mark.parametrize(
    ("change", "D", "trained"),
    [
        ({}, 17_610, [17_610, 40]),
        ({"head": "free"}, 16_600, [17_610, 1050]),
        ({"head": "frozen"}, 16_600, [17_610, 40]),
        ({"structure": "said"}, 17_610, [17_610, 40]),
    ],
)
def test_d_and_D_are_counted_as_the_report_says(change, D, trained):
    """64-100-100-10: the last layer is the head, 1,010 of 17,610."""
    plan = sweeps.plan(SweepSpec(model="digits-mlp", d=(40,), lr=(1.0,), seeds=1, **change))
    assert plan.D == plan.space.D == D
    assert [plan.trainable(plan.specs[0]), plan.trainable(plan.specs[-1])] == trained


def test_d_is_tried_in_order_and_never_beyond_D():
    grid = sweeps.plan(SweepSpec(model="toy", d=(40, 5, 40)))
    assert grid.spec.d == (5, 40)
    wide = sweeps.plan(SweepSpec(model="toy", d_min=2, d_max=50_000, search="adaptive"))
    assert (wide.spec.d_max, wide.space.spec.d_max) == (1000, 1000)
    assert sweeps.plan(SweepSpec(model="toy", d_min=990, d_max=5000, points=3)).spec.d[-1] <= 1000


def test_the_first_metric_of_a_task_is_the_one_that_counts():
    plan = sweeps.plan(SweepSpec(model="tiny", task="acceptability", d=(20,)))
    assert plan.metric == "accuracy"
    assert plan.space.chance == plan.chance["accuracy"] == 0.5


def test_outcomes_of_an_empty_store_are_none(tmp_path):
    assert outcomes(Store(tmp_path), sweeps.plan(SweepSpec(**TOY)).space) == {}
