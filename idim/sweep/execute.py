"""Execute the runs of a plan that have no result yet, and tell what happens."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from idim.config import RunSpec, recipe, slug
from idim.errors import RunFailed
from idim.launch import local
from idim.store import Record, Run, Store
from idim.sweep.plan import Plan
from idim.sweep.summary import summarise

EventKind = Literal["start", "step", "done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to one run of a sweep."""

    kind: EventKind
    run_id: str
    index: int  # from 1
    total: int
    step: int = 0
    steps: int = 0
    loss: float | None = None
    score: float | None = None
    message: str = ""
    eta_s: float | None = None  # of the whole sweep


Progress = Callable[[Event], None]


def execute(
    plan: Plan, out: Path, *, jobs: int | None = None, progress: Progress = lambda _: None
) -> Record:
    """Do the runs of a plan that have no result yet, and return the summary.

    Args:
        plan: from `plan`.
        out: folder of the sweep.
        jobs: processes; by default one for each core a run leaves idle.
        progress: told of every event.

    Raises:
        IdimError: `out` holds another sweep.
    """
    store = Store(out)
    store.claim(_claim(plan))
    watch = _Watch(plan.specs, store, progress)
    missing = [spec for spec in plan.specs if not watch.found(spec)]
    local.run_all(missing, out, _jobs(plan, missing, jobs), watch)
    return summarise(out)


def _jobs(plan: Plan, missing: list[RunSpec], jobs: int | None) -> int:
    if jobs is None:
        threads = recipe(plan.spec.model).threads or os.cpu_count() or 1
        jobs = (os.cpu_count() or 1) // threads if plan.spec.device == "cpu" else 1
    return max(1, min(jobs, len(missing)))


def _claim(plan: Plan) -> Record:
    """Everything a summary needs beside the runs; equal for equal sweeps, wherever they lie."""
    record = asdict(plan.spec)
    # the fingerprints below say what these named; the paths may differ between machines
    record |= {"model": slug(plan.spec.model), "task": slug(plan.spec.task)}
    del record["data"]
    first = plan.specs[0]
    return record | {
        "model_fingerprint": first.model_fingerprint,
        "data_fingerprint": first.data_fingerprint,
        "D": plan.D,
        "metric": plan.metric,
        "chance": plan.chance.get(plan.metric),
        "notes": list(plan.notes),
        "runs": [spec.id for spec in plan.specs],
        "trainable": [plan.trainable(spec) for spec in plan.specs],
    }


def run(spec: RunSpec, out: Path, progress: Progress = lambda _: None) -> Record:
    """Do one run, or return its stored result.

    Args:
        spec: from `plan_run`.
        out: folder of the store.
        progress: told of every event.

    Raises:
        RunFailed: with the reason.
    """
    stored = Store(out).run(spec)
    result = stored.result()
    if result is None:
        local.run_all([spec], out, 1, _Watch([spec], Store(out), progress))
        result = stored.result() or {"error": stored.failure()}
    if "error" in result:
        raise RunFailed(f"{result['error'].rstrip('.')}.")
    return {"id": spec.id, **result, "out": str(stored.folder)}


class _Watch:
    """Turns what a pool reports into events with a forecast."""

    def __init__(self, specs: list[RunSpec], store: Store, progress: Progress) -> None:
        self.store, self.progress = store, progress
        self.index = {spec.id: i for i, spec in enumerate(specs, 1)}
        self.active: dict[str, Run] = {}
        self.began = time.monotonic()
        # in runs, counting parts of runs
        self.before = self.finished = 0

    def found(self, spec: RunSpec) -> bool:
        """Tell whether a run has its result already."""
        result = self.store.run(spec).result()
        if result is None:
            return False
        self.before += 1
        self._send("skipped", spec, score=_score(result), message=result.get("error", ""))
        return True

    def started(self, spec: RunSpec) -> None:
        """A run begins."""
        self.active[spec.id] = self.store.run(spec)
        self._send("start", spec)

    def tick(self) -> None:
        """Some time has passed."""
        found = {run_id: run.last_metrics() for run_id, run in self.active.items()}
        seen = {run_id: m for run_id, m in found.items() if m}
        eta_s = self._eta(sum(m["step"] / m["steps"] for m in seen.values()))
        for run_id, m in seen.items():
            self._event("step", run_id, eta_s=eta_s, **m)

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """A run has finished, or failed."""
        del self.active[spec.id]
        self.finished += 1
        result = self.store.run(spec).result() or {}
        kind: EventKind = "failed" if failure else "done"
        self._send(kind, spec, score=_score(result), message=failure or "", eta_s=self._eta(0))

    def _eta(self, share: float) -> float | None:
        done = self.finished + share
        if not done:
            return None
        left = len(self.index) - self.before - done
        return left * (time.monotonic() - self.began) / done

    def _send(self, kind: EventKind, spec: RunSpec, **more: Any) -> None:
        self._event(kind, spec.id, **more)

    def _event(self, kind: EventKind, run_id: str, **more: Any) -> None:
        index, total = self.index[run_id], len(self.index)
        self.progress(Event(kind=kind, run_id=run_id, index=index, total=total, **more))


def _score(result: Record) -> float | None:
    return next(iter(result["score"].values())) if "score" in result else None
