"""The one place where an exception becomes a line on stderr and an exit code.

Exit codes: 0 done, 1 the machine or a training failed, 2 the user's mistake, 130 interrupted,
143 stopped by SIGTERM.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from idim import signals
from idim.errors import AGAIN, CodeFailed, IdimError, refused
from idim.plain import shown
from idim.terminal import STDOUT, drop_stdout, fitted, width

# typer keeps click to itself: its usage errors are known only as the parent of BadParameter.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = signals.CODES[signal.SIGINT]


@contextmanager
def reported() -> Iterator[None]:
    """Print what went wrong as one line and end with its exit code; no traceback leaves here."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as e:
        if isinstance(e, BrokenPipeError) and _reader_left():
            raise typer.Exit(1) from None
        line, code = explain(e)
        if signals.code() is not None:
            signals.say(code)
            raise typer.Exit(code) from None
        is_code = isinstance(e, CodeFailed) or (isinstance(e, Exception) and _known(e) is None)
        if os.environ.get("IDIM_DEBUG") and is_code:
            raise
        if isinstance(e, OSError):  # it may have been stdout's
            _drop_if_full()
        print(fitted(line, width(sys.stderr)), file=sys.stderr)
        raise typer.Exit(code) from None


def explain(e: BaseException) -> tuple[str, int]:
    """Return the line that says what went wrong, and the exit code."""
    caught = signals.code()
    if caught is not None or isinstance(e, KeyboardInterrupt):  # whatever came of it
        code = caught or INTERRUPTED
        return signals.WORDS[code], code
    known = _known(e)
    if known is None:
        reason = " ".join(str(e).split()) or "no message"
        what = f"internal: {type(e).__name__}: {reason[:500]} "
        known = f"{what}(run with IDIM_DEBUG=1 for the traceback)", 1
    return f"error: {shown(known[0])}", known[1]


def _known(e: BaseException) -> tuple[str, int] | None:
    """Return what to say of a mistake or of the machine, and the exit code; None: a bug."""
    match e:
        case IdimError():
            return str(e), e.exit_code
        case UsageError():
            return _usage(e), 2
        case OSError(errno=int()):
            said = refused(e)
            return str(said), said.exit_code
        case MemoryError():
            return f"there is not enough memory. Use a smaller --batch-size; {AGAIN}.", 1
        case _ if (found := _machine(e)) is not None:
            return found, 1
        case ImportError():
            return f"a package is missing or broken ({e}); install idim again.", 1
    return None


# What libraries say, in exceptions of no kind of their own, where the machine has no more to give.
_STARVED = (
    ("can't allocate memory", "there is not enough memory. Use a smaller --batch-size"),
    ("not enough memory", "there is not enough memory. Use a smaller --batch-size"),
    ("out of memory", "there is not enough memory. Use a smaller --batch-size"),
    ("failed to map segment", "there is not enough memory. Raise 'ulimit -v'"),
    ("can't start new thread", "no further thread may be started. Raise 'ulimit -u'"),
    ("no space left", "the disk is full. Free some space"),
    ("too many open files", "too many files are open. Raise 'ulimit -n' or use fewer --jobs"),
)


def _machine(e: BaseException) -> str | None:
    said = str(e).lower()
    return next((f"{text}; {AGAIN}." for words, text in _STARVED if words in said), None)


def _usage(e: Any) -> str:
    """Phrase a usage error on one line, with the nearest option or the way to the help."""
    guesses = getattr(e, "possibilities", None)
    text = " ".join((e.message if guesses else e.format_message()).split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    if guesses:
        return f"{text}; did you mean {guesses[0]}?"
    if text.endswith("?") or e.ctx is None:
        return text
    return f"{text}; see '{e.ctx.command_path} -h'."


def _drop_if_full() -> None:
    """Let go of a stdout that takes nothing, else Python complains of it once more at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        drop_stdout()


def _reader_left() -> bool:
    """Tell whether stdout's reader (`| head`) is gone, and if so keep the interpreter quiet."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(STDOUT, 0)  # errors and hang-ups are always reported
    if not poll.poll(0):
        return False
    drop_stdout()
    return True
