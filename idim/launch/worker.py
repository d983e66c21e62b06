"""Execute a run against the store: from its checkpoint to its result, or to why it failed.

A worker knows no other: launchers place workers, on this machine or on many.
"""

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from idim import kernels
from idim.config import RunSpec, recipe
from idim.errors import CodeFailed, IdimError, RunFailed, first_line
from idim.store import Damaged, Failed, Place, Record, Result, Store
from idim.training import events
from idim.training.events import Diverged, State, Step
from idim.training.loop import train
from idim.training.stack import key
from idim.training.start import blame

log = logging.getLogger(__name__)

# A run loses at most this much work to a kill; shorter runs are cheaper to start over.
CHECKPOINT_EVERY_S = 30.0
# Seconds between two ticks.
POLL_S = 0.5

Tick = Callable[[], None]


def run_stack(specs: list[RunSpec], root: Path, tick: Tick = lambda: None) -> list[str | None]:
    """Execute runs that train together, or one alone, from their checkpoints; store their results.

    Args:
        specs: of one `stack.key` and equally far, or a single run.
        root: of the store.
        tick: called after each look at the losses.

    Returns:
        For each run None when it finished, else the reason why not.

    Raises:
        OSError: the store cannot be written.
    """
    store = Store(root)
    runs = [store.run(spec) for spec in specs]
    starts = [_start(store, spec) for spec in specs]
    places = [
        run.begin(spec, kernels.describe(spec.device), metrics)
        for spec, run, (_, metrics) in zip(specs, runs, starts, strict=True)
    ]
    failures: list[str | None] = [None] * len(specs)
    saved, ticked = [time.monotonic()] * len(specs), 0.0
    last: dict[int, Step] = {}
    try:
        for r, event in train(specs, [state for state, _ in starts]):
            if not isinstance(event, Step):
                failures[r] = _end(store, specs[r], places[r], event, last.get(r))
                continue
            last[r], now = event, time.monotonic()
            places[r].append({"step": event.step, "steps": event.steps, "loss": event.loss})
            if now - saved[r] > CHECKPOINT_EVERY_S and not event.is_last:
                places[r].checkpoint(event.state())
                saved[r] = now
            if now - ticked > POLL_S:
                tick()
                ticked = now
    except OSError:
        raise
    except Exception as e:
        why, trace = _one_line(blame(specs[0], e)), traceback.format_exc()
        for r, run in enumerate(runs):
            if run.result() is None and failures[r] is None:
                failures[r] = why
                run.fail(places[r], why, trace)
    return failures


def _one_line(e: Exception) -> str:
    if isinstance(e, CodeFailed):  # its traceback is kept beside
        return e.said
    return str(e) if isinstance(e, IdimError) else f"{type(e).__name__}: {first_line(e)}"


def _end(
    store: Store, spec: RunSpec, place: Place, event: events.Result | RunFailed, last: Step | None
) -> str | None:
    """Store the end of a run; return why it failed, if it did."""
    run = store.run(spec)
    if isinstance(event, Diverged):  # the same spec would always end so: this is its result
        run.finish(place, Failed(error=str(event), diverged=True))
        return str(event)
    if isinstance(event, RunFailed):
        run.fail(place, str(event))
        return str(event)
    if event.header is not None:
        run.save_trained(event.state, event.header)
    result = Result(
        score=event.score, select=event.select, D=event.D, trainable=event.trainable,
        steps=event.steps, loss=event.loss, seconds=round(event.seconds, 3),
        schedule=None if spec.stop_at is None else event.schedule,
        best_step=event.best_step,
    )  # fmt: skip
    if spec.stop_at is None:
        run.finish(place, result, event.rows)
        store.run(spec.early_stop).forget_pause()
    else:
        assert last is not None
        run.save_pause(last.state())
        run.finish(place, result, event.rows)
    return None


def stacks(specs: list[RunSpec], root: Path, jobs: int) -> list[list[RunSpec]]:
    """Group the runs that can train together, in the order of their first; others stay alone.

    Groups are only as large as leaves work for every job.  They decide how fast runs are, never
    what comes out: see `training.stack`.
    """
    alike: dict[Any, list[RunSpec]] = {}
    for i, spec in enumerate(specs):
        alike_by = key(spec)
        place = i if alike_by is None else (alike_by, _steps_done(Store(root), spec))
        alike.setdefault(place, []).append(spec)
    groups = []
    for members in alike.values():
        size = min(recipe(members[0].model).stack or 1, -(-len(members) // jobs))
        groups += [members[i : i + size] for i in range(0, len(members), size)]
    return groups


def _start(store: Store, spec: RunSpec) -> tuple[State | None, list[Record]]:
    """Return where a run goes on, its own checkpoint or its first quarter's end, and its metrics.

    A checkpoint that is not what was written is set aside.
    """
    wanted = [store.run(spec).checkpoint]
    if not spec.stop_at:
        wanted.append(store.run(spec.early_stop).pause)
    for read in wanted:
        try:
            found = read()
        except Damaged as e:
            log.warning(store.set_aside(e))
            return _start(store, spec)
        if found is not None:
            return found
    return None, []


def _steps_done(store: Store, spec: RunSpec) -> int:
    state, _ = _start(store, spec)
    return int(state["step"]) if state else 0


class Watch(Protocol):
    """What is told of the workers' work."""

    def started(self, spec: RunSpec) -> None:
        """A run begins."""
        ...

    def tick(self) -> None:
        """Some time has passed while runs were going on."""
        ...

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """A run has finished, or failed for a reason."""
        ...
