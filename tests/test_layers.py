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


# What replaces an attribute: pytest's, Python's own, and unittest.mock's.
REPLACE = ("setattr", "delattr", "patch", "object", "multiple")


def ours(tree: ast.Module) -> set[str]:
    """Return the names by which a file knows idim, its modules and what they hold."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "idim":
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            of_idim = (alias for alias in node.names if alias.name.split(".")[0] == "idim")
            found |= {alias.asname or "idim" for alias in of_idim}
    return found


def is_ours(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression is something of idim's: a name, an attribute, or a path as text."""
    if isinstance(node, ast.Constant):
        return str(node.value).split(".")[0] == "idim"
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in names


def replaced(tree: ast.Module) -> list[str]:
    """Return what a file sets or deletes of idim's; entries of its tables are free to all."""
    names, found = ours(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            found += [ast.unparse(node)] if is_ours(node.value, names) else []
        elif isinstance(node, ast.Call) and node.args:
            called = node.func
            name = getattr(called, "attr", None) or getattr(called, "id", None)
            of_modules = name == "setitem" and ast.unparse(node.args[0]) == "sys.modules"
            if is_ours(node.args[of_modules], names) and (of_modules or name in REPLACE):
                found.append(", ".join(map(ast.unparse, node.args[:2])))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            of_modules = ast.unparse(node.value) == "sys.modules"
            found += [ast.unparse(node)] if of_modules and is_ours(node.slice, names) else []
    return found


DOUBLES = {
    "monkeypatch.setattr(seal, 'read_bytes', f)": "seal, 'read_bytes'",
    "monkeypatch.setattr(idim.store.seal, 'x', f)": "idim.store.seal, 'x'",
    "monkeypatch.setattr('idim.store.seal.x', f)": "'idim.store.seal.x', f",
    "monkeypatch.delattr(seal, 'x')": "seal, 'x'",
    "setattr(seal, 'x', 1)": "seal, 'x'",
    "with mock.patch('idim.store.seal') as x: pass": "'idim.store.seal'",
    "with mock.patch.object(seal, 'x'): pass": "seal, 'x'",
    "before, seal.SIZE = seal.SIZE, 1": "seal.SIZE",
    "del seal.SIZE": "seal.SIZE",
    "sys.modules['idim.store'] = x": "sys.modules['idim.store']",
    "monkeypatch.setitem(sys.modules, 'idim.store', x)": "sys.modules, 'idim.store'",
}
NONE = [
    "monkeypatch.setattr(time, 'monotonic', f)", "monkeypatch.setattr('tempfile.tempdir', f)",
    "monkeypatch.setitem(seal.TABLE, 'x', f)", "seal.TABLE['x'] = 1", "model.seal = seal.SIZE",
    "sys.modules['theirs'] = x",
]  # fmt: skip


@pytest.mark.parametrize(("code", "what"), [*DOUBLES.items(), *((code, None) for code in NONE)])
def test_a_double_is_seen(code, what):
    known = "import idim.store.seal\nfrom idim.store import seal\n"
    assert replaced(ast.parse(known + code)) == ([what] if what else [])


def test_tests_replace_nothing_of_the_project():
    """A double passes whatever the code in its place does."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    found = [f"{p.name}: {what}" for p in files for what in replaced(ast.parse(p.read_text()))]
    assert not found


def test_every_public_name_can_be_found_and_got():
    assert set(idim.__all__) <= set(dir(idim))
    assert dir(idim) == sorted(set(dir(idim)))
    for name in idim.__all__:
        assert getattr(idim, name) is not None
