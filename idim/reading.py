"""Reading files that others wrote: regular ones only, and never more than a bound.

A pipe or device in a file's place would hang or never end, and a few compressed kB may hold GBs.
"""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from idim.errors import IdimError, unreadable

KB, MB, GB = 10**3, 10**6, 10**9
# A config, a task file, a data set's card.
SETTINGS = MB
# One file of rows or of text, as it is once unpacked.
ROWS = 2 * GB
# One JSON list may hold this part of it: it is ten times as large in memory.
LIST_SHARE = 4
# One row of them.
ROW = 16 * MB
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def opened(path: Path, limit: int | None = None, kind: str = "") -> Iterator[BinaryIO]:
    """Open a regular file to read bytes from it, without waiting for anybody.

    Args:
        path: a file, or a link to one.
        limit: the most bytes it may hold.
        kind: what messages call it, beside its name.

    Raises:
        IdimError: it is none, is larger, or cannot be read, also while it is open.
    """
    name = f"{kind} '{path}'".lstrip()
    try:
        # not blocking: opening a pipe would wait until somebody writes into it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise unreadable(name, e) from None
    except ValueError:  # a name with a zero byte
        raise IdimError(f"cannot read {name}: no file can have this name.") from None
    try:
        _refuse(name, descriptor, limit)
    except IdimError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        try:
            yield file
        except gzip.BadGzipFile as e:
            raise IdimError(f"cannot read {name}: {e}.") from None
        except OSError as e:
            raise unreadable(name, e) from None


def _refuse(name: str, descriptor: int, limit: int | None) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        what = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise IdimError(f"cannot read {name}: it is {what}, not a file.")
    if limit is not None and found.st_size > limit:
        raise too_large(name, limit, f"holds {size(found.st_size)}")


def check(path: Path, limit: int | None = None) -> int:
    """Refuse what `opened` would refuse, for a library that opens the file itself.

    Returns:
        How many bytes it holds.
    """
    with opened(path, limit) as file:
        return os.fstat(file.fileno()).st_size


def content(path: Path, limit: int, kind: str = "") -> bytes:
    """Return what a file holds, at most `limit` bytes.

    Raises:
        IdimError: as `opened`.
    """
    with opened(path, limit, kind) as file:
        return _all(path, file, limit, "holds more")


def text(path: Path, limit: int) -> str:
    """Return what a file of UTF-8 text holds.

    Raises:
        IdimError: as `opened`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return content(path, limit).decode("utf-8")


def unpacked(path: Path, limit: int) -> bytes:
    """Return what a file holds, of a `.gz` what it holds once unpacked, at most `limit` bytes.

    Raises:
        IdimError: as `opened`, or it is not a good gzip file.
    """
    if path.suffix != ".gz":
        return content(path, limit)
    with stream(path) as file:
        return _all(path, file, limit, "unpacks to more")


def _all(path: Path, file: BinaryIO, limit: int, what: str) -> bytes:
    found = upto(file, limit + 1)
    if len(found) > limit:
        raise too_large(f"'{path}'", limit, what)
    return found


def upto(file: BinaryIO, most: int) -> bytes:
    """Read bit by bit: only what is there takes memory, whatever a file says of its size."""
    found = bytearray()
    while part := file.read(min(MB, most - len(found))):
        found += part
    return bytes(found)


@contextmanager
def stream(path: Path, limit: int | None = None) -> Iterator[BinaryIO]:
    """Open a file of at most `limit` bytes, or what a `.gz` holds, to read it bit by bit.

    Raises:
        IdimError: as `opened`, or it turns out not to be a good gzip file.
    """
    with opened(path, limit) as file:
        if path.suffix != ".gz":
            yield file
            return
        try:
            yield gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[misc]
        except (EOFError, zlib.error) as e:
            raise IdimError(f"cannot read '{path}': {e}.") from None


def lines(path: Path, *, whole: int = ROWS, line: int = ROW) -> Iterator[str]:
    """Yield the lines of a UTF-8 text, also of a `.gz`, newlines kept, a byte order mark left out.

    Raises:
        IdimError: as `opened`, a line is longer than `line` bytes, or a `.gz` is not a good one or
            unpacks to more than `whole` bytes.
        UnicodeDecodeError: it is not UTF-8.
    """
    with stream(path, whole) as file:
        words = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        for i in range(1, 1 << 62):
            found = words.readline(line)
            if not found:
                return
            if path.suffix == ".gz" and file.tell() > whole:
                raise too_large(f"'{path}'", whole, "unpacks to more")
            if len(found) >= line:
                raise too_large(f"'{path}'", line, f"has more in line {i}")
            yield found


def too_large(name: str, limit: int, what: str = "holds more") -> IdimError:
    """Build the error for a file that holds more than is read."""
    return IdimError(f"{name} {what}; at most {size(limit)} are read.")


def size(count: int) -> str:
    """Write a number of bytes.

    >>> size(999), size(2_500_000), size(3 * 10**9)
    ('999 bytes', '2.5 MB', '3 GB')
    """
    for unit, name in ((GB, "GB"), (MB, "MB"), (KB, "kB")):
        if count >= unit:
            return f"{float(f'{count / unit:.3g}'):g} {name}"
    return f"{count} bytes"


def expanded(name: str) -> Path:
    """Return a path with `~` written out; of an unknown user it stays as it is."""
    return Path(os.path.expanduser(name))


def is_folder(path: object) -> bool:
    """Whether a name is a folder's; False of any name that no folder can have."""
    return os.path.isdir(str(path))
