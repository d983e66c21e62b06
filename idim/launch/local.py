"""Execute runs on this machine: in this process, or in a pool of them."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from pathlib import Path
from typing import Any, Protocol, Self

from idim import kernels, signals, together
from idim.config import RunSpec, recipe
from idim.errors import IdimError, RunFailed
from idim.store import Damaged, Place, Record, Store
from idim.train import Diverged, Result, State, Step, train

log = logging.getLogger(__name__)

# A run loses at most this much work to a kill; shorter runs are cheaper to start over.
CHECKPOINT_EVERY_S = 30.0
POLL_S = 0.5

Tick = Callable[[], None]


def run_stack(specs: list[RunSpec], root: Path, tick: Tick = lambda: None) -> list[str | None]:
    """Execute runs that train together, or one alone, from their checkpoints; store their results.

    Args:
        specs: of one `together.key` and equally far, or a single run.
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
        for r, event in _events(specs, [state for state, _ in starts]):
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
        for r, run in enumerate(runs):
            if run.result() is None and failures[r] is None:
                failures[r] = _one_line(e)
                run.fail(places[r], _one_line(e))
    return failures


def _one_line(e: Exception) -> str:
    if isinstance(e, IdimError):
        return str(e)
    return f"{type(e).__name__}: {str(e).strip() or 'no message'}".splitlines()[0]


def _events(specs: list[RunSpec], resume: list[State | None]) -> Iterator[together.Event]:
    """Train, and yield (index of the run, event); a run that diverges ends in an event too."""
    if together.key(specs[0]) is not None:
        yield from together.train_together(specs, resume)
        return
    try:
        for event in train(specs[0], resume[0]):
            yield 0, event
    except Diverged as e:
        yield 0, e


def _end(
    store: Store, spec: RunSpec, place: Place, event: Result | RunFailed, last: Step | None
) -> str | None:
    """Store the end of a run; return why it failed, if it did."""
    run = store.run(spec)
    if isinstance(event, Diverged):  # the same spec would always end so: this is its result
        run.finish(place, {"error": str(event), "diverged": True})
        return str(event)
    if isinstance(event, RunFailed):
        run.fail(place, str(event))
        return str(event)
    if event.header is not None:
        run.save_trained(event.state, event.header)
    result = {
        "score": event.score, "select": event.select, "D": event.D,
        "trainable": event.trainable, "steps": event.steps, "loss": event.loss,
        "seconds": round(event.seconds, 3),
    }  # fmt: skip
    if spec.stop_at is None:
        run.finish(place, result, event.rows)
        store.run(spec.first_quarter).forget_pause()
    else:
        assert last is not None
        run.save_pause(last.state())
        run.finish(place, result | {"schedule": event.schedule}, event.rows)
    return None


def stacks(specs: list[RunSpec], root: Path, jobs: int) -> list[list[RunSpec]]:
    """Group the runs that can train together, in the order of their first; others stay alone.

    Groups are only as large as leaves work for every job.  They decide how fast runs are, never
    what comes out: see `together`.
    """
    alike: dict[Any, list[RunSpec]] = {}
    for i, spec in enumerate(specs):
        key = together.key(spec)
        place = i if key is None else (key, _steps_done(Store(root), spec))
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
        wanted.append(store.run(spec.first_quarter).pause)
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
    """What is told of a pool's work."""

    def started(self, spec: RunSpec) -> None:
        """A run begins."""
        ...

    def tick(self) -> None:
        """Some time has passed while runs were going on."""
        ...

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """A run has finished, or failed for a reason."""
        ...


class Workers:
    """Processes that execute runs, as a context; one job runs them in this process.

    The processes start with the first runs and stay for the next: importing torch takes seconds.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.kill()  # one that is still starting has other signals blocked

    def run_all(self, specs: list[RunSpec], root: Path, watch: Watch) -> None:
        """Execute runs, in the order of the first of each stack.

        Args:
            specs: the runs.
            root: of the store.
            watch: told of every start and end, and about twice a second between.
        """
        waiting = stacks(specs, root, self.jobs)
        if self.jobs == 1:
            for stack in waiting:
                for spec in stack:
                    watch.started(spec)
                _tell(watch, stack, run_stack(stack, root, watch.tick))
            return
        waiting.reverse()
        running: dict[Future[list[str | None]], list[RunSpec]] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                stack = waiting.pop()
                self._pool = self._pool or _pool(self.jobs)
                with signals.held():
                    running[self._pool.submit(run_stack, stack, root)] = stack
                for spec in stack:
                    watch.started(spec)
            ended, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            watch.tick()
            for future in ended:
                stack = running.pop(future)
                try:
                    _tell(watch, stack, future.result())
                except BrokenProcessPool:
                    reason = "the process was killed (out of memory?); try fewer --jobs"
                    for spec in stack:
                        run = Store(root).run(spec)
                        if (place := run.last_attempt()) and run.result() is None:
                            run.fail(place, reason)
                    _tell(watch, stack, [reason] * len(stack))
                    self._pool = None


def _tell(watch: Watch, stack: list[RunSpec], failures: list[str | None]) -> None:
    for spec, failure in zip(stack, failures, strict=True):
        watch.ended(spec, failure)


def _pool(jobs: int) -> ProcessPoolExecutor:
    resource_tracker.ensure_running()  # else the first worker's start would unblock signals
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Tie a worker's life to its parent's: an orphan would go on writing into the store."""
    signals.default_in_child()
    sys.stdout = sys.stderr  # stdout is for the sweep's result, whatever a library prints
    parent = parent_process()
    assert parent is not None

    def outlive() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()
