"""The columns of one file of rows, before they are texts and targets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idim import reading
from idim.errors import IdimError
from idim.hub.layout import form

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one file, and what it says of them."""

    path: Path
    columns: Columns
    # Rows that lacked cells and were left out.
    short: int = 0
    # By column: the names of its classes, in a file that declares them.
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)


def malformed(path: Path, why: str) -> IdimError:
    """Build the error for a file that is not what its name says."""
    with reading.opened(path) as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            return IdimError(f"'{path}' is a Git LFS pointer, not the data; run 'git lfs pull'.")
    kind = form(path.name) or path.suffix
    return IdimError(f"'{path}' is not a good {kind} file: {why.strip().rstrip('.')}.")


def check_columns(path: Path, wanted: list[str], there: list[str]) -> None:
    """Refuse a file that lacks a column, or has two of a name: one would be dropped unseen."""
    missing = [name for name in wanted if name not in there]
    if missing:
        raise IdimError(f"'{path}' has no column '{missing[0]}'; its columns are {few(there)}.")
    twice = [name for name in wanted if name and there.count(name) > 1]
    if twice:
        raise IdimError(f"'{path}' has {there.count(twice[0])} columns '{twice[0]}'; rename one.")


def few(names: list[str]) -> str:
    """Write up to 20 names."""
    return ", ".join([*names[:20], *["..."] * (len(names) > 20)]) or "none"
