"""Progress on stderr: live bars on a terminal, sparse lines anywhere else."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from idim.cli.screen import note
from idim.plain import number, shown

if TYPE_CHECKING:
    from idim.config import RunSpec
    from idim.sweeps import Event

HEARTBEAT_S = 30.0
FINISHED = ("done", "failed", "skipped")


def follow() -> "Bars | Lines":
    """Choose the display for this stderr; use it as a context, and call it with each event."""
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Bars() if is_terminal else Lines()


def label(spec: "RunSpec") -> str:
    """Name a run within its sweep: `d=100 lr=0.03 seed 1`."""
    size = spec.sized or spec.method
    part = "" if spec.stop_at is None else f", first {spec.stop_at:.0%}"
    return f"{size} lr={spec.lr:.3g} seed {spec.seed}{part}"


def duration(seconds: float) -> str:
    """Write a time as a person says it.

    >>> [duration(s) for s in (4.2, 200, 1200, 8100)]
    ['4 s', '3 min 20 s', '20 min', '2 h 15 min']
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m:02d} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def pace(event: "Event") -> str:
    """Say how far a run is."""
    if not event.steps:
        return "starting"
    loss = "" if event.loss is None else f", loss {number(event.loss, digits=4)}"
    return f"step {event.step}/{event.steps}{loss}"


def outcome(event: "Event") -> str:
    """Say how a run ended."""
    if event.kind == "failed":
        return f"failed: {event.message}"
    return "no score" if event.score is None else f"score {number(event.score, digits=4)}"


def left(event: "Event") -> str:
    """Say how long the whole sweep will take from here, if known."""
    eta_s = event.eta_s or 0.0
    most = "at most " if event.is_bound else ""
    return f"; {most}{duration(eta_s)} left" if eta_s >= 1 else ""


def place(event: "Event") -> str:
    """Say how many runs are finished, of how many there will be or may be.

    >>> from types import SimpleNamespace
    >>> place(SimpleNamespace(finished=3, total=9, is_bound=True))
    '3 of at most 9'
    """
    return f"{event.finished}{' of at most ' if event.is_bound else '/'}{event.total}"


def found(count: int, total: int, is_bound: bool = False) -> str:
    """Say how much of a repeated sweep there was to keep; never more than there is.

    >>> found(3, 9), found(24, 30, is_bound=True), found(32, 30)
    ('3 of 9 runs were done before', '24 of at most 30 runs were done before', '32 of 32 runs were done before')
    """  # noqa: E501
    most = "at most " if is_bound and count < total else ""
    return f"{count} of {most}{max(count, total)} runs were done before"


class Lines:
    """One line a finished run, one for all that were found done, and a rare heartbeat."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found = self._total = 0
        self._is_bound = False
        self._spoke_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._say_found()

    def __call__(self, event: "Event") -> None:
        """Print what the event is worth in a log."""
        self._total, self._is_bound = event.total, event.is_bound
        if event.kind == "skipped":
            self._found += 1
            return
        self._say_found()
        if event.kind in FINISHED:
            self._say(event, outcome(event))
        elif event.kind == "step" and self._clock() - self._spoke_at >= HEARTBEAT_S:
            self._say(event, pace(event))

    def _say(self, event: "Event", text: str) -> None:
        note(f"[{place(event)}] {label(event.run)}: {text}{left(event)}")
        self._spoke_at = self._clock()

    def _say_found(self) -> None:
        if self._found:
            note(found(self._found, self._total, self._is_bound))
        self._found = 0


class Bars:
    """A bar for the sweep and one for each active run; failures stay on the screen above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._sweep = self._bars.add_task("runs", total=None, note="")
        self._active: dict[str, Any] = {}
        self._found = self._failed = self._total = 0
        self._is_bound = False

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._found:
            note(found(self._found, self._total, self._is_bound))

    def __call__(self, event: "Event") -> None:
        """Move the bars."""
        self._total, self._is_bound = event.total, event.is_bound
        if event.kind in FINISHED:
            self._finish(event)
        else:
            self._advance(event)
        failed = f"; {self._failed} failed" if self._failed else ""
        note = f"{place(event)}{left(event)}{failed}"
        self._bars.update(self._sweep, completed=event.finished, total=event.total, note=note)

    def _advance(self, event: "Event") -> None:
        if event.run.id not in self._active:
            self._active[event.run.id] = self._bars.add_task(label(event.run), total=None, note="")
        bar = self._active[event.run.id]
        self._bars.update(bar, completed=event.step, total=event.steps or None, note=pace(event))

    def _finish(self, event: "Event") -> None:
        bar = self._active.pop(event.run.id, None)
        if bar is not None:
            self._bars.remove_task(bar)
        self._found += event.kind == "skipped"
        if event.kind == "failed":
            self._failed += 1
            line = shown(f"{label(event.run)}: {outcome(event)}")
            self._bars.console.print(line, markup=False, highlight=False)
