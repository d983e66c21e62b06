"""What a command says beside its result: how much of it, where, and the log that keeps it."""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self, TextIO

import typer

from idim.cli.failure import explain
from idim.cli.screen import note
from idim.plain import shown

# The option of every command that tells of its work: True says more, False the answer alone.
Loud = Annotated[
    bool | None,
    typer.Option(
        "-v/-q",
        "--verbose/--quiet",
        help="-v prints protocol, methods and all notes too; -q the answer alone, no progress",
        show_default=False,
    ),
]


class Voice:
    """The lines on stderr of one command, and its log, which is open as long as the context.

    Nothing reads the log again, and nothing that goes wrong with it stops the work.

    Args:
        loud: False leaves out how the work goes, but nothing that a user must know.
    """

    def __init__(self, loud: bool | None = None) -> None:
        self.is_quiet, self.is_full = loud is False, loud is True
        self._log: TextIO | None = None
        self._before: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None
    ) -> None:
        if e is not None:
            self.keep(explain(e)[0])
        if self._log is not None:
            with suppress(OSError):
                self._log.close()
            self._log = None

    def note(self, text: str) -> None:
        """Say what a user must know: what was damaged, what may be wrong."""
        self.keep(text)
        note(text)

    def say(self, text: str) -> None:
        """Say how the work goes."""
        self.keep(text)
        if not self.is_quiet:
            note(text)

    def keep(self, text: str) -> None:
        """Write a line, with the time, to the log alone; before there is one it waits."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())} {shown(text)}\n"
        if self._log is None:
            self._before.append(line)
            return
        with suppress(OSError):
            self._log.write(line)

    def log_to(self, path: Path, command: str) -> None:
        """Go on in a log, or begin it; say so where there can be none.

        Args:
            path: of the file, in a folder that is held against other processes.
            command: what was typed.
        """
        self._log = _opened(path)
        if self._log is None:
            note(f"'{path}' cannot be written to; there will be no log.")
            return
        before, self._before = self._before, []
        self.keep(f"$ {command}")
        with suppress(OSError):
            self._log.writelines(before)


def _opened(path: Path) -> TextIO | None:
    """Open a file to append to; None where that is another's, by a link, or no file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        handle = os.open(path, flags, 0o666)
        about = os.fstat(handle)
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
            return os.fdopen(handle, "a", buffering=1, encoding="utf-8", errors="backslashreplace")
        os.close(handle)
    return None
