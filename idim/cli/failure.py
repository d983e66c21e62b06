"""The one place where an exception becomes a line on stderr and an exit code.

Exit codes: 0 done, 1 the machine or a training failed, 2 the user's mistake, 130 interrupted.
"""

import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from idim.errors import IdimError

# typer keeps click to itself: its usage errors are known only as the parent of BadParameter.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130
# The file behind sys.stdout, also while a command sends stray prints to stderr.
STDOUT = 1
FULL = {errno.ENOSPC, errno.EDQUOT}
UNWRITABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
}  # fmt: skip


@contextmanager
def reported() -> Iterator[None]:
    """Print what went wrong as one line and end with its exit code; no traceback leaves here."""
    try:
        yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as e:
        if isinstance(e, BrokenPipeError) and _reader_left():
            raise typer.Exit(1) from None
        line, code = explain(e)
        if line.startswith("error: internal") and os.environ.get("IDIM_DEBUG"):
            raise
        if code == INTERRUPTED:  # a second Ctrl-C would break the clean end into a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(line, file=sys.stderr)
        raise typer.Exit(code) from None


def explain(e: BaseException) -> tuple[str, int]:
    """Return the line that says what went wrong, and the exit code."""
    match e:
        case KeyboardInterrupt():
            return "interrupted; the same command continues where it stopped.", INTERRUPTED
        case IdimError():
            return f"error: {e}", e.exit_code
        case UsageError():
            return f"error: {_usage(e)}", 2
        case OSError(errno=number) if number in FULL:
            return (
                f"error: the disk is full{_where(e)}. "
                "Free some space; the same command continues where it stopped."
            ), 1
        case OSError(errno=number) if number in UNWRITABLE:
            return f"error: {e.strerror}{_where(e)}. Give a folder that you can write to.", 2
        case _:
            text = " ".join(str(e).split()) or "no message"
            return (
                f"error: internal: {type(e).__name__}: {text} "
                "(run with IDIM_DEBUG=1 for the traceback)"
            ), 1


def _where(e: OSError) -> str:
    return f": '{e.filename}'" if e.filename else ""


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


def _reader_left() -> bool:
    """Tell whether stdout's reader (`| head`) is gone, and if so keep the interpreter quiet."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(STDOUT, 0)  # errors and hang-ups are always reported
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return True
