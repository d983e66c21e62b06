"""The streams of the command line, whatever they are: closed, full, of ASCII, or left by a reader.

What cannot be written in a terminal's encoding is written in its letters.  Nothing that is said on
stderr can fail: it tells of the work and is not the work.
"""

import codecs
import io
import os
import sys
import textwrap
from contextlib import suppress
from typing import Any

STDIN, STDOUT, STDERR = 0, 1, 2
# Of a terminal that does not say how wide it is.
COLUMNS = 80
SPELLED = {
    "\N{PLUS-MINUS SIGN}": "+-", "\N{MULTIPLICATION SIGN}": "x", "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{LESS-THAN OR EQUAL TO}": "<=", "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{GREEK SMALL LETTER RHO}": "rho", "\N{BULLET}": "*",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-", "\N{BOX DRAWINGS HEAVY LEFT}": "-",
    "\N{BOX DRAWINGS HEAVY RIGHT}": "-",
}  # fmt: skip
CLOSED = (
    "error: standard output is closed, so the result would be lost; "
    "write it to a file (> FILE), or to /dev/null."
)


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks: `+-` for a plus-minus sign, else a Python escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    written = (SPELLED.get(c) or c.encode("unicode_escape").decode("ascii") for c in lacking)
    return "".join(written), error.end


codecs.register_error("idim", _spell)


class _Deaf(io.RawIOBase):
    """A file descriptor of which no write fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: "io.ReadableBuffer") -> int:  # type: ignore[name-defined]
        left = memoryview(data).cast("B")
        whole = len(left)
        with suppress(OSError):
            while left:
                left = left[os.write(self._descriptor, left) :]
        return whole


def prepare() -> str | None:
    """Make the three streams safe to use; return the line that refuses a closed stdout."""
    was_open = [_is_open(number) for number in (STDIN, STDOUT, STDERR)]
    # a closed number is the next file's that is opened: what is printed would be written into it
    for number in (STDIN, STDOUT, STDERR):
        if not was_open[number]:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Deaf(STDERR)), encoding, errors="idim", line_buffering=True
    )
    if not was_open[STDOUT]:
        return CLOSED
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="idim")
    return None


def width(stream: Any) -> int | None:
    """Return the columns of the terminal that a stream writes to; None: it writes to none."""
    if stream is None or not stream.isatty():
        return None
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said[:6]) > 0:
        return int(said[:6])
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    return COLUMNS


def fitted(text: str, columns: int | None) -> str:
    r"""Break the lines that are longer than a terminal is wide, between words and never in one.

    Args:
        text: lines of it.
        columns: of the terminal; None leaves the text as it is.

    >>> print(fitted("a line of words\n  as/long/as/a/path and more", 12))
    a line of
      words
      as/long/as/a/path
        and more
    """
    if columns is None:
        return text
    return "\n".join(
        line if len(line) <= columns else "\n".join(_broken(line, columns))
        for line in text.split("\n")
    )


def _broken(line: str, columns: int) -> list[str]:
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    return textwrap.wrap(
        bare, max(columns, len(indent) + 3), initial_indent=indent,
        subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def drop_stdout() -> None:
    """Let go of what could not be written, or Python would complain again when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
