"""What the documents promise exists: links, commands, keys, settings, rooms."""

import re
import shlex
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args

import pytest
import typer
from test_comparison import compared, sweep
from test_layers import ROOMS

from idim.cli import app
from idim.config import PretrainSpec, RunSpec, SweepSpec, TrajectorySpec, load, parse_overrides
from idim.problems.tasks import TASKS, info
from idim.records import keys as keys_of
from idim.records import to_json
from idim.results import Baseline, Summary, Trajectory

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]  # fmt: skip
README = PAGES[0].read_text(encoding="utf-8")
MADE = tuple(name for name, task in TASKS.items() if task.is_generated)
SPECS = {
    "sweep": SweepSpec, "run": RunSpec, "trajectory": TrajectorySpec, "pretrain": PretrainSpec,
}  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[tuple[str, str]]:
    """Return file and anchor of each link that is not to the web."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8")))
    found = [link for link in found if "://" not in link]
    return [(file, anchor) for file, _, anchor in (link.partition("#") for link in found)]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


# --- links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    for file, anchor in links(path):
        to = path.parent / file if file else path
        assert to.exists(), file
        assert not anchor or anchor in anchors(to), f"{file}#{anchor}"


def test_every_page_is_reached_from_the_table_of_contents():
    reached, left = set(), [ROOT / "README.md"]
    while left:
        here = left.pop()
        if here.suffix == ".md" and here not in reached:
            left += [(here.parent / file).resolve() for file, _ in links(here) if file]
        reached.add(here)
    everything = {p for p in (ROOT / "docs").iterdir() if p.suffix in (".md", ".ipynb", ".png")}
    assert everything - reached == set()
    listed = {(ROOT / "docs" / file).resolve() for file, _ in links(ROOT / "docs" / "README.md")}
    pages = {p for p in everything if p.suffix != ".png" and p.name != "README.md"}
    assert pages - listed == set()


# --- the first screen -----------------------------------------------------------------------


def test_the_two_commands_stand_on_the_first_screen():
    head = "\n".join(README.splitlines()[:24])
    assert "-c constraints.txt . && .venv/bin/idim sweep\n" in head
    assert "-e '.[dev]' && .venv/bin/python -m pytest\n" in head
    assert (ROOT / "constraints.txt").read_text().count("torch==2.13.0\n") == 1


def test_readme_is_short():
    """Of what is typed: the block that the sweep prints has the length it has."""
    typed = re.sub(r"<!-- sweep -->.*?<!-- /sweep -->", "", README, flags=re.DOTALL)
    assert len(typed.splitlines()) <= 125


# --- commands -------------------------------------------------------------------------------


def commands() -> list[tuple[str, str]]:
    """Return page and line of every command in a block of shell, or of idim's within a sentence."""
    found = []
    for path in PAGES:
        blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for line in "".join(blocks).splitlines():
            parts = re.split(r" && |; ", re.sub(r"\s+# .*", "", line))
            found += [(path.name, part.strip()) for part in parts if part.strip()]
        told = "" if path.name == "CHANGELOG.md" else prose(path.read_text("utf-8"))
        within = re.findall(r"`(idim [a-z]+ [^`]+)`", told)
        found += [(path.name, line.replace("...", "")) for line in within]
    return found


COMMANDS = commands()
IDIM = [(name, line) for name, line in COMMANDS if re.match(r"(\S*/)?idim ", line)]


def test_there_are_examples_and_each_is_one_of_the_kinds_that_are_tested():
    assert len(IDIM) >= 25
    others = [line for name, line in COMMANDS if (name, line) not in IDIM]
    known = r"python3 -m venv |\.venv/bin/(pip|python) |python scripts/\w+\.py"
    assert [line for line in others if not re.match(known, line)] == []


@pytest.mark.parametrize(("name", "line"), IDIM)
def test_every_command_is_one_that_the_command_line_takes(name, line):
    """Parsed by the real one; what settings it makes, checked by their own bounds."""
    _, command, *words = shlex.split(line)
    group = typer.main.get_command(app)
    known = group.commands[command]  # pyright: ignore[reportAttributeAccessIssue]
    with known.make_context(command, list(words)) as context:
        given = dict(context.params)
    config = given.get("config")
    if config is not None:
        assert (ROOT / config).is_file()
    if command in SPECS:
        names = {f.name for f in fields(SPECS[command])}
        values = {k: v for k, v in given.items() if k in names and v is not None and v is not False}
        words = [w for w in words if re.match(r"\w+=", w)]
        file = None if config is None else ROOT / config
        load(SPECS[command], file, values | parse_overrides(words))
    task = given.get("task")
    if isinstance(task, str) and task.endswith(".toml") and "/" in task:
        assert info(str(ROOT / task)).columns


@pytest.mark.parametrize(("name", "line"), [c for c in COMMANDS if "scripts/" in c[1]])
def test_every_script_is_there_and_knows_its_options(name, line):
    _, script, *words = shlex.split(line)
    text = (ROOT / script).read_text(encoding="utf-8")
    for option in (w for w in words if w.startswith("--")):
        assert f'"{option}"' in text


def test_every_command_and_task_is_named():
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"idim {command.name or command.callback.__name__}" in README
    assert all(re.search(rf"\b{name}\b", page("tasks.md")) for name in TASKS)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_config_loads(path):
    if path.name.startswith("task_"):
        assert info(str(path)).columns
    elif path.name.startswith("pretrain_"):
        assert load(PretrainSpec, path, {}).steps
    elif path.name.startswith("trajectory_"):
        assert load(TrajectorySpec, path, {}) == TrajectorySpec(tasks=MADE)
    else:
        assert load(SweepSpec, path, {}).model


# --- keys -----------------------------------------------------------------------------------


def records(kind: object) -> dict[type, None]:
    """Return a record and all that its fields hold, at any depth."""
    found: dict[type, None] = {}
    if isinstance(kind, type) and is_dataclass(kind):
        found[kind] = None
        for field in fields(kind):
            found |= records(field.type)
    for inner in get_args(kind):
        found |= records(inner)
    return found


def test_every_key_that_is_printed_is_explained():
    text = page("json.md")
    for record in [*records(Summary), *records(Trajectory)]:
        assert [k for k in keys_of(record) if f"`{k}`" not in text] == [], record.__name__


def test_every_key_of_a_comparison_is_explained():
    printed = compared([sweep("a"), sweep("b")], epochs=3.0).to_json()
    names = {
        *printed,
        *(key for part in ("sweeps", "pairs", "differences") for key in printed[part][0]),
    }
    assert len(names) >= 20
    assert [name for name in names if f"`{name}`" not in page("json.md")] == []


def test_every_key_that_is_explained_is_printed():
    rows = re.findall(r"^\| (`.+?) \|", page("json.md"), flags=re.MULTILINE)
    explained = re.findall(r"`(\w+)`", " ".join(rows))
    assert len(explained) >= 25
    assert [k for k in explained if k not in keys_of(Summary)] == []


def test_a_fixed_baseline_lacks_what_was_never_tried():
    fixed = to_json(Baseline(mean=0.9, std=None, n=0, lr=None, scores=()))
    assert fixed == {"mean": 0.9, "std": None, "n": 0, "lr": None, "scores": []}
    assert "there is no `lrs` and no `failed`" in page("json.md")


# --- the map --------------------------------------------------------------------------------


def test_the_map_has_every_room_in_its_order():
    assert re.findall(r"^    idim/(\w+)", page("map.md"), flags=re.MULTILINE) == ROOMS
