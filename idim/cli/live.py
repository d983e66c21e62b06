"""The live view of a sweep on a terminal: last scores, what runs now, d90 so far."""

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from idim.cli.screen import note
from idim.cli.words import FINISHED, found, label, left, outcome, place, score
from idim.plain import shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from idim.config import RunSpec
    from idim.results import Summary
    from idim.sweeps import Event

# Rows of runs that have ended, and of those that are at work.
RECENT, ACTIVE = 4, 6
# From this width on there is room for the loss; from that, for bars.
FOR_LOSS, FOR_BARS = 72, 52


class Known(Protocol):
    """What the runs so far say."""

    found: "Summary | None"
    words: str


class Live:
    """A few lines in place: the last scores, the runs at work, how far the sweep is, d90 so far.

    Failures stay on the screen above.  It is as wide as the terminal is at that moment.
    """

    def __init__(self, so_far: Known) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._so_far = so_far
        self._console = Console(stderr=True)
        self._active: dict[str, Event] = {}
        self._ended: deque[Event] = deque(maxlen=RECENT)
        self._last: Event | None = None
        self._found = self._failed = 0
        self._screen = Screen(
            console=self._console, get_renderable=self._drawn, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> "Live":
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()
        if self._found and self._last is not None:
            note(found(self._found, self._last.total, self._last.is_bound))

    def __call__(self, event: "Event") -> None:
        """Take an event in; it is drawn soon."""
        self._last = event
        if event.kind not in FINISHED:
            self._active[event.run.id] = event
            return
        self._active.pop(event.run.id, None)
        self._found += event.kind == "skipped"
        if event.kind == "failed":
            self._failed += 1
            line = shown(f"{label(event.run)}: {outcome(event)}")
            self._console.print(line, markup=False, highlight=False)
        else:
            self._ended.append(event)

    def _drawn(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        runs = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(5):
            runs.add_column(no_wrap=True)
        for event in list(self._ended):
            runs.add_row(*_named(event.run), *self._score(event))
        active = list(self._active.values())
        for event in active[:ACTIVE]:
            runs.add_row(*_named(event.run), *self._pace(event))
        rest = len(active) - ACTIVE
        parts = [runs, *([Text(f"and {rest} more at work")] if rest > 0 else []), self._whole()]
        return Group(*parts, Text(self._so_far.words))

    def _whole(self) -> "RenderableType":
        from rich.table import Table

        event, whole = self._last, Table.grid(padding=(0, 2, 0, 0))
        if event is None:
            return whole
        failed = f"; {self._failed} failed" if self._failed else ""
        text = f"{place(event)}{left(event)}{failed}"
        whole.add_row("runs", self._bar(event.finished, event.total), text)
        return whole

    def _score(self, event: "Event") -> tuple[str, str]:
        """Return a run's score, and whether it passes."""
        if event.score is None:
            return "no score", ""
        sweep = self._so_far.found
        line = sweep.line if sweep is not None else None
        verdict = ""
        if event.run.stop_at is not None:
            verdict = f"after {event.run.stop_at:.0%} of its steps"
        elif event.run.measure is not None and line is not None:
            from idim.estimate import reaches

            verdict = "passes" if reaches(event.score, line) else "fails"
        return score(event.score), verdict

    def _pace(self, event: "Event") -> tuple[Any, str]:
        """Return how far a run is, and its loss where there is room."""
        if not event.steps:
            return "starting", ""
        has_loss = event.loss is not None and self._console.width >= FOR_LOSS
        loss = f", loss {score(event.loss or 0.0)}" if has_loss else ""
        return self._bar(event.step, event.steps), f"step {event.step}/{event.steps}{loss}"

    def _bar(self, done: int, total: int) -> Any:
        from rich.progress_bar import ProgressBar

        if self._console.width < FOR_BARS:
            return ""
        width = 16 if self._console.width >= FOR_LOSS else 8
        return ProgressBar(total=total or 1, completed=done, width=width)


def _named(run: "RunSpec") -> tuple[str, str, str]:
    return shown(run.sized or run.method), f"lr={run.lr:.3g}", f"seed {run.seed}"
