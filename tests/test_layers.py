"""One direction: a room imports only rooms to its left."""

import ast
from pathlib import Path

import pytest

import idim

ROOMS = [
    "plain", "signals", "terminal", "errors", "records", "reading", "machine", "config", "kernels",
    "projection", "subspace", "hub", "builtin", "problems", "methods", "training", "store",
    "pretrain", "estimate", "search", "results", "report", "launch", "sweeps", "studies", "api",
    "cli",
]  # fmt: skip
ROOT = Path(idim.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*.py") if p.name not in ("__main__.py",) and p.parent != ROOT)
FILES += sorted(p for p in ROOT.glob("*.py") if not p.name.startswith("__"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the rooms a file imports, at its top or inside functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "idim":
            names += [f"idim.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    rooms = {n.split(".")[1] for n in names if n.startswith("idim.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_rooms_to_its_left(path):
    here = ROOMS.index(room(path))
    wrong = [r for r in imported(path) if ROOMS.index(r) > here]
    assert not wrong, f"{room(path)} may not import {wrong}"


def test_kernels_import_nothing_else_of_the_project():
    for path in (ROOT / "kernels").rglob("*.py"):
        assert imported(path) <= {"kernels"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_reads_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 350


def test_every_public_name_can_be_found_and_got():
    assert set(idim.__all__) <= set(dir(idim))
    assert dir(idim) == sorted(set(dir(idim)))
    for name in idim.__all__:
        assert getattr(idim, name) is not None
