"""The Python of the documents runs, in README, in every page and in the notebook."""

import ast
import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import idim
from idim.config import SweepSpec, load

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BOOK = ROOT / "docs" / "first_d90.ipynb"
# Above an example that is checked, not run, and why.
NAMES_ONLY = "<!-- names only: "
BLOCK = re.compile(r"(?:^(<!-- [^>\n]* -->)\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(path: Path, run: bool) -> list[str]:
    """Return the examples of a page that are run, or those that are not."""
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [code for mark, code in found if mark.startswith(NAMES_ONLY) is not run]


def cells() -> list[str]:
    """Return the code of the notebook, cell by cell, without what speaks to Jupyter."""
    book = json.loads(BOOK.read_text(encoding="utf-8"))
    codes = ("".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code")
    return [re.sub(r"^%.*\n", "", code, flags=re.MULTILINE) for code in codes]


def made_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def run(codes: list[str], file: Path, given: dict[str, Any]) -> None:
    """Run examples one after another, as one file that was there before this program."""
    file.write_text("\n".join(codes), encoding="utf-8")
    os.utime(file, (0, 0))  # idim.measure refuses code that was edited since
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), given)


@pytest.mark.parametrize("path", [p for p in PAGES if examples(p, run=True)], ids=lambda p: p.name)
def test_every_example_of_a_page_runs(path, tmp_path, monkeypatch):
    """README's speak of a model and a training that the reader has."""
    monkeypatch.chdir(tmp_path)
    theirs = {
        "torch": torch, "idim": idim, "model": made_net(), "make_net": made_net,
        "fit": lambda net, optimizer, trial: None, "accuracy": lambda net: 0.5,
    }  # fmt: skip
    given = theirs if path.name == "README.md" else {}
    run(examples(path, run=True), tmp_path / f"{path.stem}.py", {"__name__": "page"} | given)


@pytest.mark.parametrize(
    "code", [c for p in PAGES for c in examples(p, run=False)] + ["\n".join(cells())]
)
def test_what_is_too_long_to_run_has_names_that_exist(code):
    """Calls of idim with their arguments and settings, and what is asked of what they return."""
    tree = ast.parse(code)
    found = {"idim"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("idim."):
            function = getattr(idim, ast.unparse(node.func).removeprefix("idim."))
            known = inspect.signature(function).parameters
            rest = {k.arg: k.value for k in node.keywords if k.arg not in known}
            if "settings" in known:
                given = {name or "": ast.literal_eval(value) for name, value in rest.items()}
                load(SweepSpec, None, {k: tuple(v) if isinstance(v, list) else v
                                       for k, v in given.items()})  # fmt: skip
            else:
                assert not rest
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("idim."):
            found |= {ast.unparse(target) for target in node.targets}
    asked = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    of_summaries = [n.attr for n in asked if ast.unparse(n.value) in found - {"idim", "sub"}]
    assert [name for name in of_summaries if not hasattr(idim.Summary, name)] == []


def test_the_notebook_was_run_and_tells_nothing_of_the_machine():
    book = json.loads(BOOK.read_text(encoding="utf-8"))
    codes = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [c["execution_count"] for c in codes] == list(range(1, len(codes) + 1))
    outputs = [out for c in codes for out in c["outputs"]]
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert not [out for out in outputs if out.get("name") == "stderr"]
    assert {json.dumps(c["metadata"]) for c in codes} == {"{}"}
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 2
    for out in outputs:
        out.get("data", {}).pop("image/png", None)
    assert not re.search(
        r"(?<![\w.])/(home|Users|tmp|root|work|usr|var|opt)\b", json.dumps(outputs)
    )


@pytest.mark.slow
def test_the_notebook_says_what_its_cells_give(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(cells(), tmp_path / "book.py", {"__name__": "book"})
    printed = capsys.readouterr().out
    book = json.loads(BOOK.read_text(encoding="utf-8"))
    outs = [out for cell in book["cells"] for out in cell.get("outputs", ())]
    stored = "".join("".join(out["text"]) for out in outs if out.get("name") == "stdout")
    numbers = r"^d90 = .*$"
    assert re.findall(numbers, printed, re.MULTILINE) == re.findall(numbers, stored, re.MULTILINE)
