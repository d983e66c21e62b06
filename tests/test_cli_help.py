"""The help: every setting is documented, it fits the screen, and it costs no heavy import."""

import os
import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from idim.cli import app
from idim.config import RunSpec, SweepSpec

COMMANDS = [
    "sweep", "trajectory", "run", "pretrain", "estimate", "plot", "report", "compare", "tasks",
    "models", "info", "prefetch",
]  # fmt: skip
SWEEP_OPTIONS = """
    --model --task --data --projection --structure --said-groups --norm --head --d --d-min --d-max
    --points --lr --baseline-lr --seeds --epochs --steps --batch-size --max-length --train-samples
    --eval-samples --threshold --baseline --search --select --device --dtype --jobs --out --config
    --dry-run --json --verbose --quiet
"""
HEAVY = {
    "torch", "transformers", "datasets", "numpy", "matplotlib", "pandas", "sklearn", "scipy",
    "pyarrow", "pydantic", "rich", "huggingface_hub",
}  # fmt: skip


def show(*words: str) -> str:
    return CliRunner().invoke(app, list(words), prog_name="idim").stdout


def python(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, env=env
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_short_first_line_and_ends_in_its_example(command):
    help_text = show(command, "-h")
    assert help_text == show(command, "--help")
    first = help_text.split("\n\n")[1].strip()
    assert len(first) < 60
    assert f"{command} " in show("-h")
    assert first in show("-h")
    heading, example = help_text.splitlines()[-2:]
    assert heading == "Example:"
    assert example.startswith(f"  idim {command}")


def test_sweep_documents_every_option():
    words = show("sweep", "-h").split()
    assert [option for option in SWEEP_OPTIONS.split() if option not in words] == []


@pytest.mark.parametrize(("command", "spec"), [("sweep", SweepSpec), ("run", RunSpec)])
def test_every_setting_is_an_option_or_named_as_a_key(command, spec):
    help_text = show(command, "-h")
    looked_up = {"model_fingerprint", "data_fingerprint", "changed", "kernels", "stacked",
                 "task_name"}  # fmt: skip
    settings = {f.name for f in fields(spec)} - looked_up
    without = {name for name in settings if f"--{name.replace('_', '-')}" not in help_text.split()}
    own = {"lr_multiples", "lr_transfer", "pruning", "floor"} if spec is SweepSpec else {"stop_at"}
    assert (
        without
        == {
            "weight_decay",
            "decay_to",
            "warmup",
            "said_lr",
            "head_lr",
            "copies",
            "beta1",
            "beta2",
            "momentum",
            "clip",
        }
        | own
    )
    assert all(f"{name}=" in help_text for name in without)


@pytest.mark.parametrize("columns", ["80", "100"])
def test_help_fits_the_terminal(columns):
    environment = os.environ | {"COLUMNS": columns}
    done = python("-m", "idim", "sweep", "-h", env=environment)
    assert max(map(len, done.stdout.splitlines())) <= int(columns)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_narrow_help_breaks_no_word(command):
    words = [command, "--help"]
    wide, narrow = (
        CliRunner().invoke(app, words, prog_name="idim", terminal_width=columns).stdout
        for columns in (100, 60)
    )
    *above, example = narrow.splitlines()
    assert max(map(len, above)) <= 60
    # an example is one line, to be copied
    assert (" ".join(narrow.split()), example) == (" ".join(wide.split()), wide.splitlines()[-1])


def test_help_loads_nothing_heavy_and_is_instant():
    done = python("-X", "importtime", "-m", "idim", "--help")
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time")]
    loaded = {line[2].strip().partition(".")[0] for line in lines[1:]}
    seconds = sum(int(line[0].rpartition(":")[2]) for line in lines[1:]) / 1e6
    assert loaded & HEAVY == set()
    assert seconds < 1.0  # 0.1 s on a quiet machine; tests share theirs


def test_bare_idim_shows_the_help():
    assert show() == show("--help")
    assert show("--version").startswith("idim 0.")
