"""Every mistake a user can make, phrased once: what was wrong, what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches


class IdimError(Exception):
    """A user's mistake: one clear line on stderr, exit code 2."""

    exit_code = 2


class RunFailed(IdimError):
    """The request was right but the machine or the training failed: exit code 1."""

    exit_code = 1


class OffLine(RunFailed):
    """A hub file is needed, is not on this machine, and the hub cannot be reached."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> IdimError:
    """Build the error for a name that is not in a table, with the nearest known one.

    >>> str(unknown("projection", "fastfod", ["dense", "fastfood"]))
    "unknown projection 'fastfod'; did you mean 'fastfood'? Known: dense, fastfood."
    """
    names = list(known)
    near = get_close_matches(name, names, n=1)
    guess = f"; did you mean '{near[0]}'?" if near else "."
    tail = f" {hint}" if hint else ""
    return IdimError(f"unknown {kind} '{name}'{guess} Known: {', '.join(names)}.{tail}")
