"""Every mistake a user can make, phrased once: what was wrong, what would be right."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from idim.plain import brief

AGAIN = "the same command continues where it stopped"
# Refusals of the machine, not of the request: what they are, and what to do.
_FULL = "Free some space; the same command continues where it stopped."
_GONE = f"Look at the disk or the network folder; {AGAIN}."
_FILES = f"Raise 'ulimit -n' or use fewer --jobs; {AGAIN}."
_MEMORY = f"Use a smaller --batch-size or fewer --jobs; {AGAIN}."
MACHINE = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("your share of the disk is full", _FULL),
    errno.EFBIG: ("a file would be larger than is allowed here", _FULL),
    errno.EMFILE: ("too many files are open", _FILES),
    errno.ENFILE: ("too many files are open on this machine", _FILES),
    errno.EIO: ("the disk failed", _GONE),
    errno.ESTALE: ("the network folder is gone", _GONE),
    errno.ENXIO: ("the device is gone", _GONE),
    errno.ENODEV: ("the device is gone", _GONE),
    errno.ETIMEDOUT: ("the disk does not answer", _GONE),
    errno.ENOENT: (
        "no such file or folder", "Was it removed meanwhile? Choose another place, or run it again."
    ),
    errno.ENOMEM: ("there is not enough memory", _MEMORY),
    errno.EAGAIN: ("no further process or thread may be started", _MEMORY),
}  # fmt: skip


class IdimError(Exception):
    """A user's mistake: one clear line on stderr, exit code 2."""

    exit_code = 2


class RunFailed(IdimError):
    """The request was right but the machine or the training failed: exit code 1."""

    exit_code = 1


class Misled(IdimError):
    """Code from outside does not do what its base class says."""


class CodeFailed(RunFailed):
    """Code from outside raised: what is the `__cause__`.

    Args:
        said: whose code it is and what it raised.
        log: where its traceback was written; None: nowhere.
    """

    def __init__(self, said: str, log: Path | None = None) -> None:
        self.said = said
        where = f"its traceback is in {log}" if log else "IDIM_DEBUG=1 shows its traceback"
        super().__init__(f"{said}; {where}.")


class OffLine(RunFailed):
    """A hub file is needed, is not on this machine, and the hub cannot be reached."""


def code_error(whose: str, e: BaseException) -> IdimError:
    """Build the error for code from outside that raised; one that was phrased keeps its line."""
    if isinstance(e, IdimError):
        return (RunFailed if isinstance(e, RunFailed) else Misled)(f"{whose}: {e}")
    return CodeFailed(f"{whose} raised {type(e).__name__}: {first_line(e)}")


def first_line(e: BaseException) -> str:
    r"""Return the first line of what an exception says.

    >>> first_line(ValueError("no such k\nat all")), first_line(ValueError())
    ('no such k', 'no message')
    """
    return (str(e).strip() or "no message").splitlines()[0]


def unreadable(name: str, e: OSError) -> IdimError:
    """Build the error for a file that could not be read: the machine's fault, or the request's."""
    if e.errno in MACHINE and e.errno != errno.ENOENT:
        what, advice = MACHINE[e.errno]
        return RunFailed(f"cannot read {name}: {what}. {advice}")
    return IdimError(f"cannot read {name}: {e.strerror or e}.")


def refused(e: OSError) -> IdimError:
    """Build the error for what the machine refused: its own fault, or that of the request."""
    name = os.fsdecode(e.filename) if isinstance(e.filename, bytes) else e.filename
    where = f": '{name}'" if name else ""
    if e.errno in MACHINE:
        what, advice = MACHINE[e.errno]
        return RunFailed(f"{what}{where}. {advice}")
    return IdimError(f"{e.strerror or e}{where}. Give a folder that you can read and write.")


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> IdimError:
    """Build the error for a name that is not in a table, with the nearest known one.

    >>> str(unknown("projection", "fastfod", ["dense", "fastfood"]))
    "unknown projection 'fastfod'; did you mean 'fastfood'? Known: dense, fastfood."
    """
    names = list(known)
    found = near(name, names)
    guess = f"; did you mean '{found}'?" if found else "."
    tail = f" {hint}" if hint else ""
    return IdimError(f"unknown {kind} {_quoted(name)}{guess} Known: {', '.join(names)}.{tail}")


def near(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like another, whatever its capitals; None: none is.

    >>> near("Digit-MLP", ["toy", "digits-mlp"]), near("bert", ["toy", "digits-mlp"])
    ('digits-mlp', None)
    """
    small = {k.lower(): k for k in known}
    found = get_close_matches(name[:100].lower(), small, n=1, cutoff=cutoff)
    return small[found[0]] if found else None


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= 100 else brief(name, 100)
