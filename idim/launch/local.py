"""Workers on this machine: this process, or processes of their own."""

import os
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from pathlib import Path
from typing import Any, Self

from idim import signals
from idim.config import RunSpec
from idim.config.names import TABLES
from idim.errors import IdimError
from idim.launch.worker import POLL_S, Watch, run_stack, stacks
from idim.problems import given, source
from idim.problems.given import Given
from idim.store import Store

KILLED = "the process was killed (out of memory?); try fewer --jobs"


class Workers:
    """Processes that execute runs, as a context; one job runs them in this process.

    The processes start with the first runs and stay for the next: importing torch takes seconds.
    Each is a pool of its own, for a pool whose one process dies takes the others' work along.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[list[str | None]], tuple[ProcessPoolExecutor, list[RunSpec]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in [*self._idle, *(pool for pool, _ in self._busy.values())]:
            pool.shutdown(wait=False, cancel_futures=True)
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
        while waiting or self._busy:
            while waiting and len(self._busy) < self.jobs:
                self._start(waiting.pop(), root, watch)
            ended, _ = wait(self._busy, timeout=POLL_S, return_when=FIRST_COMPLETED)
            watch.tick()
            for future in ended:
                pool, stack = self._busy.pop(future)
                try:
                    _tell(watch, stack, future.result())
                    self._idle.append(pool)
                except BrokenProcessPool:
                    _note_killed(stack, root)
                    _tell(watch, stack, [KILLED] * len(stack))

    def _start(self, stack: list[RunSpec], root: Path, watch: Watch) -> None:
        pool = self._idle.pop() if self._idle else _process(stack[0])
        with signals.held():
            self._busy[pool.submit(run_stack, stack, root)] = pool, stack
        for spec in stack:
            watch.started(spec)


def _note_killed(stack: list[RunSpec], root: Path) -> None:
    for spec in stack:
        run = Store(root).run(spec)
        if (place := run.last_attempt()) and run.result() is None:
            run.fail(place, KILLED)


def _tell(watch: Watch, stack: list[RunSpec], failures: list[str | None]) -> None:
    for spec, failure in zip(stack, failures, strict=True):
        watch.ended(spec, failure)


def _process(spec: RunSpec) -> ProcessPoolExecutor:
    resource_tracker.ensure_running()  # else the first worker's start would unblock signals
    return ProcessPoolExecutor(
        1, mp_context=get_context("spawn"),
        initializer=_begin_worker, initargs=(given.find(spec), _entries(spec)),
    )  # fmt: skip


def _entries(spec: RunSpec) -> list[tuple[str, str, Any]]:
    """Return what this program has entered in tables and can be sent, as (table, name, class).

    Raises:
        IdimError: the run needs one that cannot.
    """
    found = []
    for kind, table in TABLES.items():
        for name, of in table.entered.items():
            if not (why := source.unsendable(of, of)):
                found.append((kind, name, of))
            elif getattr(spec, kind, None) == name:
                raise IdimError(
                    f"{kind} '{name}' cannot go to another process: {why}; use one job."
                )
    return found


def _begin_worker(code: Given | None, entries: list[tuple[str, str, Any]]) -> None:
    """Tie a worker's life to its parent's: an orphan would go on writing into the store."""
    signals.default_in_child()
    if code is not None:
        given.register(code)
    for kind, name, of in entries:
        TABLES[kind][name] = of
    sys.stdout = sys.stderr  # stdout is for the sweep's result, whatever a library prints
    parent = parent_process()
    assert parent is not None

    def outlive() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()
