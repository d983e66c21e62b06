"""Progress on stderr: live bars on a terminal, sparse lines anywhere else."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from idim.cli.screen import note

if TYPE_CHECKING:
    from idim.config import RunSpec
    from idim.sweep import Event

HEARTBEAT_S = 30.0
FINISHED = ("done", "failed", "skipped")


def follow(specs: Iterable["RunSpec"]) -> "Bars | Lines":
    """Choose the display for this stderr; use it as a context, and call it with each event."""
    labels = {spec.id: label(spec) for spec in specs}
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Bars(labels) if is_terminal else Lines(labels)


def label(spec: "RunSpec") -> str:
    """Name a run within its sweep: `d=100 lr=0.03 seed 1`."""
    size = "full" if spec.method == "full" else f"d={spec.d}"
    return f"{size} lr={spec.lr:.3g} seed {spec.seed}"


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
    loss = "" if event.loss is None else f", loss {event.loss:.4f}"
    return f"step {event.step}/{event.steps}{loss}"


def outcome(event: "Event") -> str:
    """Say how a run ended."""
    if event.kind == "failed":
        return f"failed: {event.message}"
    return "no score" if event.score is None else f"score {event.score:.4f}"


def left(event: "Event") -> str:
    """Say how long the whole sweep will take from here, if known."""
    eta_s = event.eta_s or 0.0
    return f"; {duration(eta_s)} left" if eta_s >= 1 else ""


def found(count: int, total: int) -> str:
    """Say how much of a repeated sweep there was to keep."""
    return f"{count} of {total} runs were done before"


class Lines:
    """One line a finished run, one for all that were found done, and a rare heartbeat."""

    def __init__(self, labels: dict[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._labels, self._clock = labels, clock
        self._finished = self._found = self._total = 0
        self._spoke_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._say_found()

    def __call__(self, event: "Event") -> None:
        """Print what the event is worth in a log."""
        self._total = event.total
        self._finished += event.kind in FINISHED
        if event.kind == "skipped":
            self._found += 1
            return
        self._say_found()
        if event.kind in FINISHED:
            self._say(event, outcome(event))
        elif event.kind == "step" and self._clock() - self._spoke_at >= HEARTBEAT_S:
            self._say(event, pace(event))

    def _say(self, event: "Event", text: str) -> None:
        place = f"[{self._finished}/{event.total}]"
        name = self._labels.get(event.run_id, event.run_id)
        note(f"{place} {name}: {text}{left(event)}")
        self._spoke_at = self._clock()

    def _say_found(self) -> None:
        if self._found:
            note(found(self._found, self._total))
        self._found = 0


class Bars:
    """A bar for the sweep and one for each active run; failures stay on the screen above."""

    def __init__(self, labels: dict[str, str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._labels = labels
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._sweep = self._bars.add_task("runs", total=len(labels), note="")
        self._active: dict[str, Any] = {}
        self._finished = self._found = self._failed = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._found:
            note(found(self._found, len(self._labels)))

    def __call__(self, event: "Event") -> None:
        """Move the bars."""
        if event.kind in FINISHED:
            self._finish(event)
        else:
            self._advance(event)
        failed = f"; {self._failed} failed" if self._failed else ""
        note = f"{self._finished}/{event.total}{left(event)}{failed}"
        self._bars.update(self._sweep, completed=self._finished, total=event.total, note=note)

    def _advance(self, event: "Event") -> None:
        if event.run_id not in self._active:
            name = self._labels.get(event.run_id) or event.run_id
            self._active[event.run_id] = self._bars.add_task(name, total=None, note="")
        bar = self._active[event.run_id]
        self._bars.update(bar, completed=event.step, total=event.steps or None, note=pace(event))

    def _finish(self, event: "Event") -> None:
        bar = self._active.pop(event.run_id, None)
        if bar is not None:
            self._bars.remove_task(bar)
        self._finished += 1
        self._found += event.kind == "skipped"
        if event.kind == "failed":
            self._failed += 1
            name = self._labels.get(event.run_id, event.run_id)
            self._bars.console.print(f"{name}: {outcome(event)}", markup=False, highlight=False)
