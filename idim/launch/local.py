"""Execute runs on this machine: in this process, or in a pool of them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Protocol, Self

from idim import kernels
from idim.config import RunSpec
from idim.errors import IdimError
from idim.store import Run, Store, save_tensors

# A run loses at most this much work to a kill; shorter runs are cheaper to start over.
CHECKPOINT_EVERY_S = 30.0
POLL_S = 0.5

Tick = Callable[[], None]


def run_one(spec: RunSpec, root: Path, tick: Tick = lambda: None) -> str | None:
    """Execute one run, resuming from its checkpoint, and store its result.

    Args:
        spec: the run.
        root: of the store.
        tick: called after each look at the loss.

    Returns:
        None when the run finished; the reason when it failed.

    Raises:
        OSError: the store cannot be written.
    """
    from idim.train import Diverged

    run = Store(root).run(spec)
    run.begin(spec, kernels.describe())
    try:
        _execute(spec, run, tick)
    except Diverged as e:  # the same spec would always end so: this is its result
        run.finish({"error": str(e), "diverged": True})
        return str(e)
    except IdimError as e:
        run.fail(str(e))
        return str(e)
    except OSError:
        raise
    except Exception as e:
        reason = f"{type(e).__name__}: {str(e).strip() or 'no message'}".splitlines()[0]
        run.fail(reason)
        return reason
    return None


def _execute(spec: RunSpec, run: Run, tick: Tick) -> None:
    from idim.train import Step, train

    first = Store(run.folder.parents[1]).run(spec.first_quarter)
    resume = run.load_checkpoint() or (None if spec.stop_at else run.follow(first))
    run.rewind_metrics(int(resume["step"]) if resume else 0)
    saved, last = time.monotonic(), None
    for event in train(spec, resume):
        if isinstance(event, Step):
            last = event
            run.append({"step": event.step, "steps": event.steps, "loss": event.loss})
            if time.monotonic() - saved > CHECKPOINT_EVERY_S and not event.is_last:
                run.checkpoint(event.state())
                saved = time.monotonic()
            tick()
            continue
        if event.header is not None:
            save_tensors(run.folder / "subspace.safetensors", event.state, event.header)
        result = {
            "score": event.score, "select": event.select, "D": event.D,
            "trainable": event.trainable, "steps": event.steps, "loss": event.loss,
            "seconds": round(event.seconds, 3),
        }  # fmt: skip
        if spec.stop_at is None:
            run.finish(result)
            first.forget_pause()
        else:
            assert last is not None
            run.pause(result | {"schedule": event.schedule}, last.state())


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
        """Execute runs in the order given.

        Args:
            specs: the runs.
            root: of the store.
            watch: told of every start and end, and about twice a second between.
        """
        if self.jobs == 1:
            for spec in specs:
                watch.started(spec)
                watch.ended(spec, run_one(spec, root, watch.tick))
            return
        waiting = list(reversed(specs))
        running: dict[Future[str | None], RunSpec] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                spec = waiting.pop()
                self._pool = self._pool or _pool(self.jobs)
                running[self._pool.submit(run_one, spec, root)] = spec
                watch.started(spec)
            ended, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            watch.tick()
            for future in ended:
                spec = running.pop(future)
                try:
                    watch.ended(spec, future.result())
                except BrokenProcessPool:
                    reason = "the process was killed (out of memory?); try fewer --jobs"
                    Store(root).run(spec).fail(reason)
                    watch.ended(spec, reason)
                    self._pool = None


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Tie a worker's life to its parent's: an orphan would go on writing into the store."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout = sys.stderr  # stdout is for the sweep's result, whatever a library prints
    parent = parent_process()
    assert parent is not None

    def outlive() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()
