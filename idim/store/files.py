"""Files that are whole or absent, and reads that cannot hang."""

import errno
import hashlib
import json
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from idim.errors import IdimError

# A file half written by a process of another machine is left alone for so long.
FOREIGN_S = 24 * 3600.0
_SUFFIX = ".part"


class Damaged(IdimError):
    """A file is not what the store wrote there; no number is taken from it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"'{path}' is damaged ({why}); the command that wrote it sets it aside and does it "
            "again."
        )
        self.path = path
        self.why = why


def write_bytes(path: Path, *content: bytes | memoryview) -> None:
    """Write bytes, one piece after another, so that the file is whole or absent.

    They are written beside it first, under a name that tells whose they are: `sweep_parts` removes
    what a killed process has left.
    """
    part = beside(path)
    try:
        with part.open("xb") as f:
            f.writelines(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    except BaseException as e:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(e, OSError):  # the name beside it is nobody's concern
            e.filename, e.filename2 = str(path), None
        raise


def beside(path: Path) -> Path:
    """Name a file beside another that only this process writes, and only once."""
    return path.with_name(f".{path.name[:100]}.{_owner()}.{time.monotonic_ns():x}{_SUFFIX}")


def make_folder(path: Path) -> None:
    """Make a folder that a user named, with those above it.

    Raises:
        IdimError: there can be none of this name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # as /proc answers
        raise IdimError(f"'{path}' cannot be made; choose another --out.") from None


def write_text(path: Path, text: str) -> None:
    """Write text so that the file is whole or absent."""
    write_bytes(path, text.encode())


def write_json(path: Path, record: Any) -> None:
    """Write a record so that the file is whole or absent.  NaN has no place in it."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def read_bytes(path: Path, last: int | None = None) -> bytes | None:
    """Return a file's bytes, or the last of them, None if there is no file.

    Raises:
        Damaged: something else than a file stands there: a folder, a pipe, a loop of links.
    """
    try:
        # a pipe without a writer would keep a plain open waiting for ever
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        if e.errno == errno.ENAMETOOLONG:  # there can be none
            return None
        raise Damaged(path, e.strerror or "it cannot be read") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Damaged(path, "not a file")
    with os.fdopen(handle, "rb") as f:
        if last is not None:
            f.seek(max(0, os.fstat(handle).st_size - last))
        return f.read()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, None if there is none.

    Raises:
        Damaged: the file is not JSON.
    """
    content = read_bytes(path)
    return None if content is None else parse(path, content)


def parse(path: Path, content: bytes) -> Any:
    """Return what JSON text of a file holds.

    Raises:
        Damaged: it is not JSON.
    """
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Damaged(path, "not JSON") from None


def sweep_parts(root: Path) -> None:
    """Remove the files that killed processes have left half written below a folder."""
    for path in root.rglob(f".*{_SUFFIX}"):
        with suppress(OSError):
            if _is_left(path):
                path.unlink()


def _owner() -> str:
    """Name this process so that no other ever has the name: host, number, time of its start."""
    return f"{_host()}.{os.getpid()}.{_start(os.getpid())}"


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in platform.node())[:60] or "host"


def _start(pid: int) -> str:
    """Return when a process began, in the machine's ticks; 0 where it cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _is_left(path: Path) -> bool:
    host, pid, start = path.name.removesuffix(_SUFFIX).split(".")[-4:-1]
    if host != _host():
        return time.time() - path.stat().st_mtime > FOREIGN_S
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, and alive
        pass
    return _start(int(pid)) != start


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes of this machine.

    Two that train the same run would each end the other's attempt.

    Raises:
        IdimError: another one holds it.
    """
    from filelock import FileLock, Timeout

    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    lock = FileLock(Path(tempfile.gettempdir()) / f"idim-{user}-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise IdimError(
            f"another idim is at work in '{folder}'; wait for its end, or choose another --out."
        ) from None
    except OSError:  # no place for locks: work without
        pass
    try:
        yield
    finally:
        lock.release()


def folders(place: Path) -> Iterator[Path]:
    """Yield the folders in a folder, in the order of their names; none where there is no folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted(p for p in place.iterdir() if p.is_dir())
