"""Execute runs on this machine: in this process, or in a pool of them."""

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
from idim.store import Run, Store, save_tensors
from idim.train import Diverged, Result, State, Step, train

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
    runs = [Store(root).run(spec) for spec in specs]
    for spec, run in zip(specs, runs, strict=True):
        run.begin(spec, kernels.describe(spec.device))
    failures: list[str | None] = [None] * len(specs)
    saved, ticked = [time.monotonic()] * len(specs), 0.0
    last: dict[int, Step] = {}
    try:
        for r, event in _events(specs, runs):
            if not isinstance(event, Step):
                failures[r] = _end(specs[r], runs[r], event, last.get(r))
                continue
            last[r], now = event, time.monotonic()
            runs[r].append({"step": event.step, "steps": event.steps, "loss": event.loss})
            if now - saved[r] > CHECKPOINT_EVERY_S and not event.is_last:
                runs[r].checkpoint(event.state())
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
                run.fail(_one_line(e))
    return failures


def _one_line(e: Exception) -> str:
    if isinstance(e, IdimError):
        return str(e)
    return f"{type(e).__name__}: {str(e).strip() or 'no message'}".splitlines()[0]


def _events(specs: list[RunSpec], runs: list[Run]) -> Iterator[together.Event]:
    """Train, and yield (index of the run, event); a run that diverges ends in an event too."""
    resume = [_state(spec, run) for spec, run in zip(specs, runs, strict=True)]
    for run, state in zip(runs, resume, strict=True):
        run.rewind_metrics(int(state["step"]) if state else 0)
    if together.key(specs[0]) is not None:
        yield from together.train_together(specs, resume)
        return
    try:
        for event in train(specs[0], resume[0]):
            yield 0, event
    except Diverged as e:
        yield 0, e


def _end(spec: RunSpec, run: Run, event: Result | RunFailed, last: Step | None) -> str | None:
    """Store the end of a run; return why it failed, if it did."""
    if isinstance(event, Diverged):  # the same spec would always end so: this is its result
        run.finish({"error": str(event), "diverged": True})
        return str(event)
    if isinstance(event, RunFailed):
        run.fail(str(event))
        return str(event)
    if event.header is not None:
        save_tensors(run.folder / "subspace.safetensors", event.state, event.header)
    result = {
        "score": event.score, "select": event.select, "D": event.D,
        "trainable": event.trainable, "steps": event.steps, "loss": event.loss,
        "seconds": round(event.seconds, 3),
    }  # fmt: skip
    if spec.stop_at is None:
        run.finish(result)
        _first(run, spec).forget_pause()
    else:
        assert last is not None
        run.pause(result | {"schedule": event.schedule}, last.state())
    return None


def stacks(specs: list[RunSpec], root: Path, jobs: int) -> list[list[RunSpec]]:
    """Group the runs that can train together, in the order of their first; others stay alone.

    Groups are only as large as leaves work for every job.  They decide how fast runs are, never
    what comes out: see `together`.
    """
    alike: dict[Any, list[RunSpec]] = {}
    for i, spec in enumerate(specs):
        key = together.key(spec)
        place = i if key is None else (key, _steps_done(spec, Store(root).run(spec)))
        alike.setdefault(place, []).append(spec)
    groups = []
    for members in alike.values():
        size = min(recipe(members[0].model).stack or 1, -(-len(members) // jobs))
        groups += [members[i : i + size] for i in range(0, len(members), size)]
    return groups


def _first(run: Run, spec: RunSpec) -> Run:
    """Return the run that stops where this one may go on."""
    return Store(run.folder.parents[1]).run(spec.first_quarter)


def _state(spec: RunSpec, run: Run) -> State | None:
    """Return where a run goes on: its own checkpoint, or the end of its first quarter."""
    own = run.load_checkpoint()
    return own if own or spec.stop_at else run.follow(_first(run, spec))


def _steps_done(spec: RunSpec, run: Run) -> int:
    state = run.load_checkpoint() or (None if spec.stop_at else _first(run, spec).load_pause())
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
                process.terminate()

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
                        Store(root).run(spec).fail(reason)
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
