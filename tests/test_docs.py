"""What the documents promise exists."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from idim.cli import app
from idim.config import PretrainSpec, RunSpec, SweepSpec, TrajectorySpec, load, parse_overrides
from idim.problems.tasks import TASKS, info

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE = tuple(name for name, task in TASKS.items() if task.is_generated)
pytestmark = pytest.mark.skipif(not README, reason="README.md is empty")


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) >= 3
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_and_task_is_named():
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"idim {command.name or command.callback.__name__}" in README
    assert all(re.search(rf"\b{name}\b", README) for name in TASKS)


def test_every_example_of_sweep_and_run_is_a_valid_spec():
    lines = re.findall(r"^idim (sweep|run) ([^#\n]+)", README, flags=re.MULTILINE)
    assert len(lines) >= 4
    for command, rest in lines:
        words = rest.split()
        flags = dict(pairwise(words))
        given = {k[2:]: v for k, v in flags.items() if k.startswith("--") and k != "--config"}
        given.pop("dry-run", None)
        overrides = parse_overrides([w for w in words if re.match(r"\w+=", w)])
        file = ROOT / flags["--config"] if "--config" in flags else None
        load(SweepSpec if command == "sweep" else RunSpec, file, given | overrides)


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


def test_every_key_of_the_summary_is_explained():
    from idim.records import keys as keys_of
    from idim.results import Summary

    assert [k for k in keys_of(Summary) if f"`{k}`" not in README] == []


def test_the_two_commands_stand_on_the_first_screen():
    head = "\n".join(README.splitlines()[:24])
    assert "-c constraints.txt . && .venv/bin/idim sweep\n" in head
    assert "-e '.[dev]' && .venv/bin/python -m pytest\n" in head
    assert (ROOT / "constraints.txt").read_text().count("torch==2.13.0\n") == 1


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_every_example_of_a_page_runs(path):
    examples = re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)
    assert examples
    for example in examples:
        exec(compile(example, path.name, "exec"), {})
