"""Whole sweeps, from the command line to the summary, on nets small enough for a test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hubserver import serve
from makers import make_mrpc, make_tiny_bert, make_tiny_roberta

from idim import Subspace, restore
from idim.config import RunSpec, SweepSpec, load, parse_overrides
from idim.errors import IdimError, RunFailed
from idim.estimate import Smallest
from idim.problems import kinds
from idim.projection import PROJECTIONS
from idim.results import Runs, Summary
from idim.store import Store
from idim.sweeps import At, evidence, execute, plan, plan_run, run, summarise, write
from idim.training.single import evaluate
from idim.training.start import build

DIGITS = "model=digits-mlp d=5,40 seeds=2 lr=0.3,1 baseline_lr=0.003 steps=60 train_samples=300"


NONE = Runs(total=0, done=0, failed=0, diverged=0, stopped_early=0)


def spec(words: str) -> SweepSpec:
    return load(SweepSpec, None, parse_overrides(words.split()))


def idim(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "idim", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def folders_of(out: Path) -> list[Path]:
    return sorted(out.glob("runs/*/*"))


def timeless(summary: Summary) -> Summary:
    return replace(summary, seconds=0.0, out=Path())


def printed(stdout: str) -> Summary:
    return timeless(Summary.from_json(json.loads(stdout)))


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_the_toy_problem_has_intrinsic_dimension_10(kind, tmp_path):
    """Li et al. 2018: ten independent constraints, so d = 9 cannot solve it and d = 10 can."""
    words = f"model=toy projection={kind} d=9,10,11 seeds=2 lr=5,20 baseline_lr=0.1 steps=1000"
    summary = execute(plan(spec(words)), tmp_path, jobs=1)
    assert (summary.d90, summary.smallest) == (10, Smallest(10, (9, 10)))
    assert [p.mean > 0.99 for p in summary.points] == [False, True, True]


SMALL = "model=digits-mlp d_min=5 d_max=300 seeds=2 baseline_lr=0.01 steps=60 train_samples=300"


def test_an_adaptive_search_finds_the_toys_dimension(tmp_path):
    words = "model=toy baseline=1 tolerance=1.1 d_min=8 d_max=12 steps=800 lr=5,20"
    summary = execute(plan(spec(words)), tmp_path, jobs=1)
    assert (summary.d90, summary.interval) == (10, (10, 10))
    assert summary.search.why == "the interval over seeds is narrower than a factor of 1.1"
    assert summary.runs.total <= 60


def test_a_search_resumed_from_any_part_of_its_store_ends_the_same(tmp_path):
    planned = plan(spec(f"{SMALL} max_runs=11"))
    whole = execute(planned, tmp_path / "whole", jobs=1)
    runs = sorted(folders_of(tmp_path / "whole"), key=lambda p: p.stat().st_mtime)
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    for folder in folders_of(tmp_path / "part"):
        if folder.name in {p.name for p in runs[1::2]}:
            (folder / "result.json").unlink()
    events = []
    again = execute(planned, tmp_path / "part", jobs=2, progress=events.append)
    assert timeless(again) == timeless(whole)
    assert {p.name for p in folders_of(tmp_path / "part")} == {p.name for p in runs}
    assert {e.kind for e in events} >= {"skipped", "done"}
    assert summarise(tmp_path / "whole") == whole


def test_a_search_may_be_given_more_runs_and_nothing_else(tmp_path):
    few = execute(plan(spec(f"{SMALL} max_runs=6")), tmp_path, jobs=1)
    assert few.search.why == "all of 6 runs are spent"
    more = execute(plan(spec(f"{SMALL} max_runs=9")), tmp_path, jobs=1)
    assert more.runs.total == 9
    with pytest.raises(IdimError, match="holds another sweep"):
        execute(plan(spec(f"{SMALL} max_runs=9 threshold=0.8")), tmp_path)


def test_another_threshold_is_read_off_the_same_runs(tmp_path):
    execute(plan(spec(DIGITS)), tmp_path, jobs=1)
    found = summarise(tmp_path, At(0.5))
    assert found.line == pytest.approx(summarise(tmp_path).line / 0.9 * 0.5)
    assert found.search.done


def test_stopping_early_saves_steps_and_the_report_counts_them(tmp_path):
    live = []
    summary = execute(plan(spec(f"{SMALL} max_runs=7")), tmp_path, jobs=1, progress=live.append)
    ended = [event.finished for event in live if event.kind == "done"]
    assert {event.total for event in live} == {7}
    assert ended == sorted(ended)
    assert (ended[-1], len(ended)) == (7, 9)  # two went on from their first quarter
    assert summary.runs.stopped_early == 2
    assert summary.search.steps_saved == 2 * 40
    assert summary.search.steps == 60 * summary.runs.done + 2 * 20
    told = []
    execute(plan(spec(f"{SMALL} max_runs=7")), tmp_path, progress=told.append)
    assert [event.kind for event in told] == ["skipped"] * summary.runs.total


def test_a_run_that_goes_on_from_its_first_quarter_has_the_bits_of_one_that_never_stopped(tmp_path):
    whole = plan_run(RunSpec(model="digits-mlp", d=40, lr=0.5, steps=80, train_samples=300))
    run(whole, tmp_path / "calm")
    early = run(whole.early_stop, tmp_path / "halved")
    assert (early.steps, early.schedule) == (20, 80)
    state = Store(tmp_path / "halved").run(whole.early_stop).folder / "paused.safetensors"
    assert state.exists()
    run(whole, tmp_path / "halved")
    assert not state.exists()
    for file in ("attempts/1/metrics.jsonl", "subspace.safetensors", "rows.safetensors"):
        one, two = (
            Store(tmp_path / where).run(whole).folder / file for where in ("calm", "halved")
        )
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("steps", [1, 3, 8, 13])
def test_runs_too_short_for_a_look_may_stop_early_too(steps, tmp_path):
    words = f"model=digits-mlp d_min=20 d_max=40 seeds=1 baseline=0.5 steps={steps} max_runs=8"
    summary = execute(plan(spec(f"{words} train_samples=200")), tmp_path, jobs=1)
    assert summary.runs.failed == 0
    assert summary.runs.done > 0


def test_a_second_sweep_does_only_what_is_missing(tmp_path):
    planned = plan(spec(DIGITS))
    events = []
    first = execute(planned, tmp_path, jobs=1, progress=events.append)
    assert first.runs == replace(NONE, total=10, done=10)
    assert [e.kind for e in events].count("done") == 10
    lost = planned.specs[3]
    (Store(tmp_path).run(lost).folder / "result.json").unlink()
    events.clear()
    assert timeless(execute(planned, tmp_path, jobs=1, progress=events.append)) == timeless(first)
    assert [e.kind for e in events].count("skipped") == 9
    assert [e.run.id for e in events if e.kind == "done"] == [lost.id]


def test_runs_in_a_pool_give_the_same_bits_as_runs_here(tmp_path):
    one = execute(plan(spec(DIGITS)), tmp_path / "one", jobs=1)
    two = execute(plan(spec(DIGITS)), tmp_path / "two", jobs=2)
    assert timeless(one) == timeless(two)


def test_the_results_lie_in_the_folder_as_documented(tmp_path):
    out = tmp_path / 'it\'s a "sweep"'
    summary = execute(plan(spec(DIGITS)), out, jobs=1)
    write(summary, out)
    assert {p.name for p in out.iterdir()} == {
        "sweep.json", "summary.json", "points.csv", "curve.png", "curve.svg", "runs",
    }  # fmt: skip
    for folder in folders_of(out):
        names = {p.name for p in folder.iterdir()} - {"subspace.safetensors"}
        assert names == {"spec.json", "result.json", "rows.safetensors", "attempts"}
        names = {p.name for p in (folder / "attempts/1").iterdir()}
        assert names == {"provenance.json", "metrics.jsonl"}
    assert json.loads((out / "summary.json").read_text()) == summary.to_json()
    assert Summary.from_json(summary.to_json()) == summary
    assert summarise(out) == summary


def test_another_sweep_in_the_same_folder_is_refused_before_anything_is_written(tmp_path):
    execute(plan(spec("model=toy d=3 seeds=1 lr=1 steps=5")), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(IdimError, match=r"holds another sweep \(d=\[3\] there, \[4\] here\)"):
        execute(plan(spec("model=toy d=4 seeds=1 lr=1 steps=5")), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_diverges_is_recorded_and_the_sweep_goes_on(tmp_path):
    words = "model=digits-mlp d=20 seeds=1 lr=0.5,1e38 baseline_lr=0.003 steps=30"
    summary = execute(plan(spec(words)), tmp_path, jobs=1)
    assert summary.runs == replace(NONE, total=3, done=2, failed=1, diverged=1)
    (lost,) = evidence(tmp_path).excluded
    assert (lost.fate, lost.d, lost.lr, lost.seed) == ("diverged", 20, 1e38, 0)
    assert summary.points[0].lr == 0.5
    assert any("failed" in note for note in summary.notes)
    again = []
    execute(plan(spec(words)), tmp_path, jobs=1, progress=again.append)
    assert {e.kind for e in again} == {"skipped"}


def test_a_fixed_baseline_trains_no_baseline():
    assert {r.method for r in plan(spec("model=toy baseline=0.5 d=3 seeds=1")).specs} == {
        "subspace"
    }


def test_one_run_is_stored_and_found_again(tmp_path):
    wanted = plan_run(RunSpec(model="toy", d=3, steps=20))
    first, events = run(wanted, tmp_path), []
    assert run(wanted, tmp_path, events.append) == first
    assert events == []
    with pytest.raises(RunFailed, match=r"the loss became nan by step \d+ at lr 1e\+38\."):
        run(plan_run(RunSpec(model="toy", method="full", lr=1e38, steps=20)), tmp_path)


@pytest.mark.parametrize("head", ["subspace", "free"])
def test_the_file_of_a_run_restores_its_trained_model(head, tmp_path):
    wanted = plan_run(RunSpec(model="digits-mlp", d=40, lr=0.5, steps=60, head=head, seed=3))
    result = run(wanted, tmp_path)
    problem = kinds.load(wanted)
    fresh = build(wanted, problem)
    Subspace.load(fresh.module, Store(tmp_path).run(wanted).folder / "subspace.safetensors")
    assert evaluate(wanted, fresh, problem, problem.evaluation) == result.score


def test_one_line_gives_the_trained_model_of_a_run_head_included(tmp_path):
    words = {"d": 40, "lr": 0.1, "steps": 12, "batch_size": 8, "train_samples": 64, "seed": 3}
    wanted = plan_run(RunSpec(model="tiny", eval_samples=64, **words))
    result = run(wanted, tmp_path)
    restored = restore(Store(tmp_path).run(wanted).folder)
    assert not restored.training
    problem = kinds.load(wanted)
    fresh = build(wanted, problem)
    fresh.module.load_state_dict(restored.state_dict())
    assert evaluate(wanted, fresh, problem, problem.evaluation) == result.score


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("nowhere", "holds no finished run"),
        ("full", "is full fine-tuning, which keeps no weights"),
    ],
)
def test_what_cannot_be_restored_is_one_line(where, line, tmp_path):
    full = plan_run(RunSpec(model="toy", method="full", lr=0.1, steps=5))
    run(full, tmp_path)
    folder = Store(tmp_path).run(full).folder if where == "full" else tmp_path / where
    with pytest.raises(IdimError, match=line):
        restore(folder)


def test_a_tiny_transformer_runs_a_whole_sweep_offline(tmp_path):
    make_tiny_bert(tmp_path / "tiny model")
    make_mrpc(tmp_path / "data")
    result = idim(
        "sweep", "--model", str(tmp_path / "tiny model"), "--task", "mrpc",
        "--data", str(tmp_path / "data"), "--d", "20,400", "--lr", "0.5", "--seeds", "1",
        "--baseline-lr", "1e-3", "--epochs", "3", "--batch-size", "16", "--structure", "said",
        "--said-groups", "block", "--out", str(tmp_path / "out"), "--json",
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    summary = printed(result.stdout)
    assert [p.trainable for p in summary.points] == [20, 400]
    assert summary.runs.done == 3
    assert "Traceback" not in result.stderr


def test_a_hub_model_and_task_are_fetched_once_and_then_need_no_network(tmp_path):
    root = tmp_path / "hub"
    make_tiny_roberta(root / "models/FacebookAI/roberta-base")
    make_mrpc(root / "datasets/nyu-mll/glue")
    words = (
        "sweep", "--model", "roberta-base", "--task", "mrpc", "--d", "20", "--lr", "0.5",
        "--seeds", "1", "--baseline-lr", "1e-3", "--steps", "5", "--json", "--out",
    )  # fmt: skip
    with serve(root) as hub:
        env = hub.env(tmp_path)
        online = idim(*words, str(tmp_path / "a"), env=env)
        assert online.returncode == 0, online.stderr
        asked = len(hub.requests)
        cached = idim(*words, str(tmp_path / "b"), env=env)
        assert len(hub.requests) == asked  # pinned: not one request
    results = [printed(r.stdout) for r in (online, cached)]
    assert results[0] == results[1]


def test_without_network_a_hub_name_costs_seconds_and_one_line(tmp_path):
    with serve(tmp_path) as hub:
        env = hub.env(tmp_path)
    start = time.monotonic()
    result = idim("sweep", "--model", "roberta-base", "--task", "mrpc", env=env)
    assert time.monotonic() - start < 30  # mostly importing torch, on a busy machine
    assert result.returncode == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert "roberta-base" in last
    assert "--model FOLDER" in last


KILLABLE = """
import sys
from idim.launch import worker
worker.CHECKPOINT_EVERY_S = 0.0
from idim.cli import app
app(sys.argv[1:], prog_name="idim")
"""


def test_kill_9_in_the_middle_of_a_run_loses_nothing(tmp_path):
    grid = "model=digits-mlp d=40 seeds=2 lr=0.5 baseline_lr=0.003 steps=800 train_samples=300"
    words = ["sweep", *grid.split(), "--jobs", "1", "--json", "--no-share"]
    calm = idim(*words, "--out", str(tmp_path / "calm"))
    assert calm.returncode == 0, calm.stderr
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLABLE, *words, "--out", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(out.glob("runs/*/*/result.json"))) < 2 or not _is_half_done(out):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    halves = {path.parents[2].relative_to(out) for path in out.glob(STATES)}
    assert halves
    resumed = idim(*words, "--out", str(out))
    assert resumed.returncode == 0, resumed.stderr
    assert printed(resumed.stdout) == printed(calm.stdout)
    assert not list(out.glob(STATES))
    for half, file in product(halves, ("attempts/*/metrics.jsonl", "subspace.safetensors")):
        ours, theirs = (next((tmp_path / w / half).glob(file)) for w in ("killed", "calm"))
        assert ours.read_bytes() == theirs.read_bytes()


STATES = "runs/*/*/attempts/*/state.safetensors"


def _is_half_done(out: Path) -> bool:
    return any(p.stat().st_size for p in out.glob(STATES))


def test_what_a_sweep_rests_on_is_told_from_its_store_alone(tmp_path):
    words = "model=digits-mlp d_min=20 d_max=40 seeds=1 baseline=0.5 steps=40 max_runs=8 "
    summary = execute(plan(spec(words + "train_samples=200")), tmp_path, jobs=1)
    proof = evidence(tmp_path)
    assert len(proof.excluded) == summary.runs.stopped_early > 0
    assert {(run.fate, run.stop_at, run.error) for run in proof.excluded} == {
        ("stopped", 0.25, None)
    }
    assert sum(source.runs for source in proof.sources) == summary.runs.total
    assert proof.sources[0].versions["torch"]
    assert (proof.setting.d_max, proof.tensors) == (40, 6)
    for stored in Store(tmp_path).runs():
        (stored.folder / "attempts/1/provenance.json").unlink()
    assert evidence(tmp_path).sources == ()
