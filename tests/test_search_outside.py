"""A strategy is one class and one entry: specs, sweeps, summaries and reports take it as it is."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from installed import assert_refused, package
from outside_search import Bisection, enter
from typer.testing import CliRunner

import idim
from idim.cli import app
from idim.config import SweepSpec, load
from idim.errors import IdimError
from idim.estimate import Smallest
from idim.report import table
from idim.search import STRATEGIES, Strategy
from idim.sweeps import execute, plan, summarise, write

HERE = Path(__file__).parent
# Five runs of the toy; in so few steps it is learned from d = 11 on, not from its 10.
WORDS = {"model": "toy", "search": "bisection", "baseline": "1", "d_max": "40", "steps": "100"}


@pytest.fixture
def bisection():
    enter()
    yield
    del STRATEGIES["bisection"]


def spec(**more: str) -> SweepSpec:
    return load(SweepSpec, None, WORDS | more)


def timeless(summary):
    return replace(summary, seconds=0.0, out=Path())


class Killed(Exception):
    """Ends a sweep from outside."""


@pytest.mark.usefixtures("bisection")
def test_it_is_swept_resumed_summarised_and_reported(tmp_path):
    planned = plan(spec())
    events = []
    whole = execute(planned, tmp_path / "whole", jobs=1, progress=events.append)
    assert whole.smallest == Smallest(11, (10, 11))
    found = whole.search
    assert (found.strategy, found.why) == ("bisection", "nothing lies between 10 and 11")
    asked = [e.run.d for e in events if e.kind == "done"]
    assert asked[:3] == [21, 11, 6]
    assert {(e.total, e.is_bound) for e in events} == {(7, True)}

    def kill(event):
        if event.kind == "done" and event.finished == 3:
            raise Killed

    with pytest.raises(Killed):
        execute(planned, tmp_path / "killed", jobs=1, progress=kill)
    so_far = summarise(tmp_path / "killed")
    assert not so_far.search.done
    assert "search: 3 runs; not finished" in table.text(so_far)
    events.clear()
    again = execute(planned, tmp_path / "killed", jobs=1, progress=events.append)
    assert timeless(again) == timeless(whole)
    assert [e.run.d for e in events if e.kind == "done"] == asked[3:]

    write(whole, tmp_path / "whole")
    assert (tmp_path / "whole" / "curve.png").exists()
    said = table.text(whole)
    assert f"search: {len(asked)} runs; nothing lies between 10 and 11" in said
    assert "seeds 3; each redraws P" in table.protocol(whole)
    assert whole.protocol.lr == "1, 4, 16, 64 times lr_full sqrt(D/d), the matched step length"
    done = CliRunner().invoke(app, ["report", str(tmp_path / "whole")])
    assert done.exit_code == 0, done.output
    written = (tmp_path / "whole" / "report.md").read_text()
    assert "came from a bisection; 10 fails and 11 passes" in written


@pytest.mark.usefixtures("bisection")
def test_a_dry_run_says_what_it_will_do_and_what_it_costs_at_most():
    said = plan(spec()).lines()
    assert said[0].split()[:2] == ["d=21", "21"]
    assert said[1] == "then the search chooses d from 2 to 40 by what it finds"
    assert said[2].startswith("at most 7 runs of 100 steps, at most ")
    assert "subspace " in said[2]


@pytest.mark.usefixtures("bisection")
def test_python_takes_it_by_name(tmp_path):
    found = idim.sweep(**{**WORDS, "baseline": 1.0, "d_max": 12, "steps": 100}, out=tmp_path)
    assert found.smallest.d == 11


@pytest.mark.usefixtures("bisection")
@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"d": "3"}, "d would not be used: the search is a bisection, and it is for search grid;"),
        ({"tolerance": "2"}, "tolerance would not .* a bisection, and it is for search adaptive;"),
        ({"search": "bisecton"}, "'bisecton'; did you mean 'bisection'\\? Known: auto, adaptive, "),
        ({"d_min": "2000"}, "d_min 2000 exceeds d_max 40"),
    ],
)
def test_settings_that_it_does_not_heed_are_refused(more, line):
    with pytest.raises(IdimError, match=line):
        load(SweepSpec, None, WORDS | more)


@pytest.mark.usefixtures("bisection")
def test_it_is_never_chosen_by_itself_and_its_folder_needs_it(tmp_path):
    assert plan(spec(search="auto")).spec.search == "adaptive"
    execute(plan(spec(d_max="3", steps="20")), tmp_path, jobs=1)
    del STRATEGIES["bisection"]
    with pytest.raises(IdimError, match="unknown search 'bisection'"):
        summarise(tmp_path)
    enter()


class Mute(Strategy):
    called = "nothing"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("grid", Bisection, "strategy 'grid' is idim's own; choose another name."),
        ("auto", Bisection, "'auto' is no name for a strategy: it stands for none of them"),
        ("mine", Mute, "strategy 'mine' lacks runs, which Strategy leaves to it."),
        ("mine", dict, "'mine' must be a subclass of idim.search.strategy.Strategy."),
    ],
)
def test_an_entry_that_cannot_work_is_refused_when_it_is_made(name, value, line):
    assert_refused(STRATEGIES, name, value, line)


@pytest.fixture
def installed(tmp_path):
    """A package beside idim with an entry point, and an environment that has it installed."""
    code = (HERE / "outside_search.py").read_text()
    return package(tmp_path, "idim.strategies", {"halving": "Bisection", "gone": "Gone"}, code)


def test_the_command_line_knows_those_of_installed_packages(installed, tmp_path):
    def cli(*words):
        command = [sys.executable, "-m", "idim", *words]
        return subprocess.run(command, env=installed, capture_output=True, text=True, check=False)

    words = [f"{k}={v}" for k, v in WORDS.items() if k not in ("search", "d_max")]
    out = tmp_path / "out"
    done = cli("sweep", *words, "d_max=12", "--search", "halving", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "as the papers read d90: 11 (10 fails)" in done.stdout
    assert "auto, adaptive, grid, halving, gone" in " ".join(cli("sweep", "-h").stdout.split())
    gone = cli("sweep", *words, "--search", "gone")
    assert gone.returncode == 2
    assert "strategy 'gone' cannot be imported from theirs:Gone: " in gone.stderr
    assert "Traceback" not in gone.stderr


# --- no name of a strategy stands elsewhere ---------------------------------------------------

ROOT = Path(idim.__file__).parent
ELSEWHERE = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] != "search" and path != ROOT / "config" / "names.py"
]


def constants(path: Path) -> set[str]:
    """Return every string of a file's code, without docstrings."""
    tree = ast.parse(path.read_text())
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in said)
    return {n.value for n in found if isinstance(n.value, str)}


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_name_of_a_strategy_stands_elsewhere(path):
    """Compared by equality, it is a branch; "grid" in a sentence is a word like others."""
    assert not constants(path) & set(STRATEGIES.own)


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_of_a_strategy_is_imported_elsewhere(path):
    own = {at.partition(":")[0] for at in STRATEGIES.own.values()}
    named = {
        n.module for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)
    }
    assert not named & own
