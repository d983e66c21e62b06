"""Ctrl-C and SIGTERM: the work unwinds, one line is said, and no process stays behind.

Python's own handler raises KeyboardInterrupt wherever the program is: in the middle of an import it
prints a traceback, in a library's callback it may be swallowed.  This one remembers that it was
called, so that whatever comes of it ends the same way, and ends the process in any case.
"""

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {
    130: "interrupted; the same command continues where it stopped.",
    143: "stopped by SIGTERM; the same command continues where it stopped.",
}
# How long the work may take to unwind.
PATIENCE_S = 3.0

_caught: list[int] = []
_said: list[int] = []
_held: list[bool] = []


def install() -> None:
    """Take over both signals, unless whoever started us has them ignored."""
    for number in CODES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _catch)
    sys.unraisablehook = _unless_caught(sys.unraisablehook)


def code() -> int | None:
    """Return the exit code of the signal that came, None when none did."""
    return _caught[0] if _caught else None


def say(code: int) -> None:
    """Write the line of an exit code to stderr, once."""
    if code in _said:
        return
    _said.append(code)
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(WORDS[code] + "\n")
        sys.stderr.flush()


@contextmanager
def held() -> Iterator[None]:
    """Put a signal off while children are started; they begin with both signals blocked.

    A child is not yet known to anyone who could end it, and would print a traceback of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, CODES)
    _held.append(True)
    try:
        yield
    finally:
        _held.pop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if _caught and not _held:
            raise KeyboardInterrupt


def default_in_child() -> None:
    """Let the signals end a child at once: it keeps nothing that a kill could spoil."""
    for number in CODES:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CODES)


def _catch(number: int, _: Any) -> None:
    if _caught:  # a second Ctrl-C would break the clean end
        return
    _caught.append(CODES[signal.Signals(number)])
    _thread.start_new_thread(_end_in_any_case, ())
    if not _held:
        raise KeyboardInterrupt


def _end_in_any_case() -> None:
    """End the process where the exception was swallowed, or its unwinding hangs."""
    time.sleep(PATIENCE_S)
    if _said:  # the end is under way: it ends workers and clears up after them
        time.sleep(3 * PATIENCE_S)
    say(_caught[0])
    children = sys.modules.get("multiprocessing.process")
    for child in children.active_children() if children else ():
        with suppress(OSError, ValueError):
            child.kill()
    os._exit(_caught[0])


def _unless_caught(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Keep a hook from telling what an interrupt broke on its way."""
    return lambda unraisable: None if _caught else hook(unraisable)
