"""What tests share that are about how idim or another package is installed."""

import importlib.util
import os
from collections.abc import MutableMapping
from pathlib import Path
from types import ModuleType
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


def beside(source: str, folder: Path) -> ModuleType:
    """Run a module's code as if it were installed in another folder, with the files there.

    Args:
        source: of the module, whose file is copied there unless there is one of its name.
        folder: where it is to lie.
    """
    path = folder / Path(source).name
    if not path.exists():
        path.write_bytes(Path(source).read_bytes())
    found = importlib.util.spec_from_file_location(f"elsewhere_{path.parent.name}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def assert_refused(table: MutableMapping[str, Any], name: str, value: Any, line: str) -> None:
    """An entry that cannot work is refused when it is made, and the table is as it was."""
    before = list(table)
    with pytest.raises(IdimError, match=line):
        table[name] = value
    assert list(table) == before
