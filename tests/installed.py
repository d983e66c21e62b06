"""What tests of tables of names share: a package with entry points, and an entry refused."""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from idim.errors import IdimError

HERE = Path(__file__).parent


def package(place: Path, group: str, entries: dict[str, str], code: str) -> dict[str, str]:
    """Write a package beside idim, and return an environment that has it installed.

    Args:
        place: a folder.
        group: of the entry points.
        entries: name -> what of the package's module `theirs`.
        code: of that module.
    """
    folder = place / "site" / "theirs-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = theirs:{what}" for name, what in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder.parent / "theirs.py").write_text(code)
    paths = [str(folder.parent), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def assert_refused(table: MutableMapping[str, Any], name: str, value: Any, line: str) -> None:
    """An entry that cannot work is refused when it is made, and the table is as it was."""
    before = list(table)
    with pytest.raises(IdimError, match=line):
        table[name] = value
    assert list(table) == before
