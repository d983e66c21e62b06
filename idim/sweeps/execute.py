"""Execute the runs of a plan that have no result yet, and tell what happens."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from idim import launch
from idim.config import QUARTER, RunSpec, SweepSpec, slug
from idim.errors import CodeFailed, RunFailed
from idim.machine import cores
from idim.methods import METHODS
from idim.problems import tasks
from idim.results import Summary
from idim.search import Done
from idim.store import Ended, Record, Result, Run, Store, alone, make_folder, write_text
from idim.sweeps.outcomes import Outcome, distinct_runs, outcomes
from idim.sweeps.plan import Plan
from idim.sweeps.shared import Shared, said, told
from idim.sweeps.summary import summarise

# Settings that say when a search stops and not what it does: a folder may be given new ones.
STOP_RULES = ("tolerance", "max_runs")
# What was said of a sweep does not make it another.
LOOSE = (*STOP_RULES, "notes", "problem", "held_out", "chance", "eval_rows", "dropout")

EventKind = Literal["start", "step", "done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to one run of a sweep."""

    kind: EventKind
    run: RunSpec
    # Runs that have ended; one that went on from its first quarter is one.
    finished: int
    # Runs of the sweep; where the search finds out as it goes, how many it makes at most.
    total: int
    is_bound: bool = False
    step: int = 0
    steps: int = 0
    loss: float | None = None
    score: float | None = None
    message: str = ""
    eta_s: float | None = None  # of the whole sweep, at most


Progress = Callable[[Event], None]
Tell = Callable[[str], None]


def execute(
    plan: Plan,
    out: Path,
    *,
    jobs: int | None = None,
    workers: launch.Launched | None = None,
    share: Sequence[Path] = (),
    progress: Progress = lambda _: None,
    tell: Tell = lambda _: None,
    accepted: Callable[[], None] = lambda: None,
    only_baseline: bool = False,
) -> Summary:
    """Do the runs of a sweep that have no result yet, and return the summary.

    Args:
        plan: from `plan`.
        out: folder of the sweep.
        jobs: processes; by default one for each core a run leaves idle.
        workers: processes that stay for another sweep, in place of `jobs` new ones.
        share: folders of other sweeps, whose equal runs are taken and not done again: `neighbours`.
        progress: told of every event.
        tell: given a line for what was damaged in the folder, and is set aside and done again, and
            for what a user should know before the first run.
        accepted: called once the folder is this sweep's.
        only_baseline: stop where the first d would come.

    Raises:
        IdimError: `out` holds another sweep, another process is at work in it, or a strategy asks
            for what is no run of the sweep.
        RunFailed: a launcher came back without having stored what became of a run, or a strategy
            raised.
    """
    with alone(out):
        said = Store(out).claim(_claim(plan), loose=LOOSE)
        accepted()
        for line in said:
            tell(line)
        try:
            return _execute(plan, out, jobs, workers, share, progress, tell, only_baseline)
        except CodeFailed as e:
            log, cause = out / "traceback.log", e.__cause__
            write_text(log, "".join(traceback.format_exception(cause)))
            raise CodeFailed(e.said, log) from cause


def check(plan: Plan, out: Path) -> None:
    """Refuse a folder that holds another sweep; nothing is written or made.

    Raises:
        IdimError: as `execute`.
    """
    Store(out).check(_claim(plan), loose=LOOSE)


def already(plan: Plan, out: Path) -> int:
    """Count the runs of a sweep that a folder holds already; nothing is written or made.

    Raises:
        IdimError: as `execute`, but for another process at work in it.
        Damaged: a run's file is not as it was written; `execute` does that run again.
    """
    check(plan, out)
    store = Store(out)
    ended = distinct_runs(outcomes(store, plan.space)).values()
    return sum(outcome.result is not None for outcome in ended)


def _execute(
    plan: Plan,
    out: Path,
    jobs: int | None,
    workers: launch.Launched | None,
    share: Sequence[Path],
    progress: Progress,
    tell: Tell,
    only_baseline: bool,
) -> Summary:
    store = Store(out)
    for line in store.mend():
        tell(line)
    for line in plan.warnings:
        tell(f"warning: {line}")
    most, is_bound = plan.most, plan.bound is not None
    if only_baseline:
        most, is_bound = plan.before, True
    watch = _Watch(store, progress, most, is_bound=is_bound)
    for outcome in distinct_runs(outcomes(store, plan.space)).values():
        watch.found(outcome)
    shared, taken, first = Shared(plan, out, share), {}, 0
    # what failed in an earlier process is tried again, what failed in this one is not
    tried: set[str] = set()
    own = launch.start(default_jobs(plan, jobs)) if workers is None else nullcontext(workers)
    with own as workers:
        while not isinstance(batch := _next(plan, store, tried), Done):
            if only_baseline and not (batch := [spec for spec in batch if not spec.measure]):
                break
            if tried.issuperset(spec.id for spec in batch):
                raise RunFailed(
                    f"run '{batch[0].id}' left neither a result nor a reason; its launcher lost it."
                )
            watch.expect(batch)
            found = shared.take(batch)
            if found and not first:
                tell(told(found))
                first = len(found)
            taken |= found
            for spec in (spec for spec in batch if spec.id in found):
                watch.found(Outcome(spec, store.run(spec).result()))
            workers.run_all([spec for spec in batch if spec.id not in found], out, watch)
            tried |= {spec.id for spec in batch}
    if len(taken) > first:
        tell(f"{said(taken)} in all")
    return summarise(out)


def _next(plan: Plan, store: Store, tried: set[str]) -> list[RunSpec] | Done:
    ended = outcomes(store, plan.space).items()
    final = {i: o for i, o in ended if o.result is not None or i in tried}
    return plan.next_runs({i: o.score(plan.metric) for i, o in final.items()})


def default_jobs(plan: Plan, jobs: int | None) -> int:
    """Return how many processes a sweep gets: `jobs`, or one for each core a run leaves idle."""
    if jobs is None:
        threads = plan.spec.threads or cores()
        jobs = cores() // threads if plan.spec.device == "cpu" else 1
    return max(1, jobs)


def _claim(plan: Plan) -> Record:
    """Everything a summary needs beside the runs; equal for equal sweeps, wherever they lie."""
    record = asdict(plan.spec)
    # the fingerprints below say what these named; the paths may differ between machines
    record |= plan.space.resolved | {"model": slug(plan.spec.model)}
    record["task"] = record.pop("task_name", "") or slug(plan.spec.task)
    del record["data"]
    return record | {
        "full_stacked": plan.space.full_stacked,
        "D": plan.D,
        "tensors": plan.space.tensors,
        "metric": plan.metric,
        "chance": plan.chance.get(plan.metric),
        "notes": list(plan.notes),
        "problem": plan.problem,
        "held_out": plan.held_out,
        "eval_rows": plan.eval_rows,
        "dropout": plan.dropout,
    }


def run(
    spec: RunSpec,
    out: Path,
    progress: Progress = lambda _: None,
    tell: Tell = lambda _: None,
    accepted: Callable[[], None] = lambda: None,
) -> Result:
    """Do one run, or return its stored result.

    Args:
        spec: from `plan_run`.
        out: folder of the store.
        progress: told of every event.
        tell: given a line for what was damaged, and is set aside and done again.
        accepted: called once the run's folder is there, if there is anything to do in it.

    Raises:
        RunFailed: with the reason.
    """
    store = Store(out)
    for line in (m for s in (spec, spec.early_stop) for m in store.mend_run(store.run(s))):
        tell(line)
    stored = store.run(spec)
    result = stored.result()
    if result is None:
        watch = _Watch(store, progress, 1)
        watch.expect([spec])
        with alone(stored.folder), launch.start(1) as workers:
            make_folder(stored.folder)
            accepted()
            workers.run_all([spec], out, watch)
        result = stored.result()
    if isinstance(result, Result):
        return result
    why = stored.failure() if result is None else result.error
    raise RunFailed(f"{(why or 'no reason is known').rstrip('.')}.")


def default_out(spec: SweepSpec) -> Path:
    """Name the folder of a resolved sweep by what is measured, so that a repeat finds it."""
    rest = slug(spec.model), *METHODS[spec.method].named(spec)
    names = dict.fromkeys((slug(spec.task), tasks.own_name(spec.task) or slug(spec.task)))
    places = [Path("idim-out", "-".join((name, *rest))) for name in names]
    # a folder may be older than the name in a task's file
    return next((place for place in places if (place / "sweep.json").exists()), places[-1])


def folder_of(spec: RunSpec, out: Path) -> Path:
    """Return the folder in which a run is or will be stored."""
    return Store(out).run(spec).folder


class _Watch:
    """Turns what workers report into events with a forecast."""

    def __init__(
        self, store: Store, progress: Progress, total: int, *, is_bound: bool = False
    ) -> None:
        self.store, self.progress = store, progress
        self.total, self.is_bound = total, is_bound
        # runs that ended, without the first quarters that another of them went on from
        self.over: set[str] = set()
        # by active run, the ended first quarter that it goes on from
        self.going_on: dict[str, str] = {}
        self.active: dict[str, tuple[RunSpec, Run]] = {}
        self.began = time.monotonic()
        # in runs, counting parts of runs
        self.work = 0.0

    def found(self, outcome: Outcome) -> None:
        """A run has its result already."""
        if outcome.result is None:
            return
        self.over.add(outcome.run.id)
        message = outcome.error or ""
        self._send("skipped", outcome.run, score=_score(outcome.result), message=message)

    def expect(self, batch: list[RunSpec]) -> None:
        """These runs come next: edges of a grid may ask for more than it began with."""
        coming, quarters = {s.id for s in batch}, {s.early_stop.id for s in batch}
        self.total = max(self.total, len(coming | self.over - quarters))

    def started(self, spec: RunSpec) -> None:
        """A run begins."""
        self.active[spec.id] = spec, self.store.run(spec)
        if (quarter := spec.early_stop.id) in self.over:
            self.going_on[spec.id] = quarter
        self._send("start", spec)

    def tick(self) -> None:
        """Some time has passed."""
        found = [(spec, run.last_metrics()) for spec, run in self.active.values()]
        seen = [(spec, m) for spec, m in found if m]
        eta_s = self._eta(sum(m["step"] / m["steps"] for _, m in seen))
        for spec, m in seen:
            self._send("step", spec, eta_s=eta_s, **m)

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """A run has finished, or failed."""
        del self.active[spec.id]
        self.over.add(spec.id)
        self.work += spec.stop_at or 1.0
        if quarter := self.going_on.pop(spec.id, None):
            self.over.remove(quarter)
            self.work -= QUARTER
        result = self.store.run(spec).result()
        kind: EventKind = "failed" if failure else "done"
        self._send(kind, spec, score=_score(result), message=failure or "", eta_s=self._eta(0))

    def _eta(self, share: float) -> float | None:
        done = self.work + share
        if not done:
            return None
        left = self.total - (len(self.over) - len(self.going_on)) - share
        return max(0.0, left) * (time.monotonic() - self.began) / done

    def _send(self, kind: EventKind, spec: RunSpec, **more: Any) -> None:
        self.total = max(self.total, len(self.over))  # a folder may hold what is asked no more
        about: dict[str, Any] = {"finished": len(self.over), "total": self.total}
        self.progress(Event(kind=kind, run=spec, is_bound=self.is_bound, **about, **more))


def _score(result: Ended | None) -> float | None:
    return next(iter(result.score.values())) if isinstance(result, Result) else None
