"""Progress on stderr: a live view on a terminal, sparse lines anywhere else and in the log."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from idim.cli.live import Live
from idim.cli.screen import note
from idim.cli.voice import Voice
from idim.cli.words import FINISHED, found, label, left, outcome, pace, place
from idim.errors import IdimError

if TYPE_CHECKING:
    from idim.results import Summary
    from idim.sweeps import Event

HEARTBEAT_S = 30.0
# The runs so far are read again after so long, and after so many times what the reading takes.
LOOK_S, LOOKS = 2.0, 20.0

Show = Callable[["Event"], None]


@contextmanager
def follow(voice: Voice, look: "Callable[[], Summary] | None" = None) -> Iterator[Show]:
    """Show events as this stderr can, and write them to the log; call what this yields with each.

    Args:
        voice: says the lines, or keeps them.
        look: reads what the runs so far say, where they are those of a sweep.
    """
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    is_live = is_terminal and not voice.is_quiet
    so_far = SoFar(look)
    with ExitStack() as stack:
        lines = stack.enter_context(Lines(voice.keep if is_live else voice.say, so_far))
        live = stack.enter_context(Live(so_far)) if is_live else None

        def show(event: "Event") -> None:
            so_far.heed(event)
            lines(event)
            if live is not None:
                live(event)

        yield show


class SoFar:
    """What the runs so far say; they are read now and then, since that takes time."""

    def __init__(
        self,
        look: "Callable[[], Summary] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._clock = look, clock
        self._is_stale, self._next = False, 0.0
        self.found: Summary | None = None
        self.words = ""

    def heed(self, event: "Event") -> None:
        """Read them again, if any has ended; while others are at work, which then do not wait."""
        if event.kind in FINISHED:
            self._is_stale = True
        elif self._look is not None and self._is_stale and self._clock() >= self._next:
            began = self._clock()
            with suppress(IdimError, OSError):
                self.found = self._look()
                self.words = _so_far(self.found)
            now = self._clock()
            self._is_stale, self._next = False, now + max(LOOK_S, LOOKS * (now - began))


def _so_far(found: "Summary") -> str:
    from idim.report.words import so_far

    return so_far(found)


class Lines:
    """One line a finished run, one for all that were found done, and a rare heartbeat."""

    def __init__(
        self,
        say: Callable[[str], None] = note,
        so_far: SoFar | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._so_far, self._clock = say, so_far or SoFar(), clock
        self._found = self._total = 0
        self._is_bound = False
        self._spoke_at = clock()
        self._told = ""

    def __enter__(self) -> "Lines":
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
        if self._told != self._so_far.words:
            self._told = self._so_far.words
            self._tell(f"[{place(event)}] {self._told}")
        if event.kind in FINISHED:
            self._say(event, outcome(event))
        elif event.kind == "step" and self._clock() - self._spoke_at >= HEARTBEAT_S:
            self._say(event, pace(event))

    def _say(self, event: "Event", text: str) -> None:
        self._tell(f"[{place(event)}] {label(event.run)}: {text}{left(event)}")
        self._spoke_at = self._clock()

    def _say_found(self) -> None:
        if self._found:
            self._tell(found(self._found, self._total, self._is_bound))
        self._found = 0
