"""Asks idim.hub in processes of their own, as the libraries read their environment once."""

import subprocess
import sys
from pathlib import Path

from makers import write_card

import idim

ROBERTA = "models/FacebookAI/roberta-base"
GLUE = "datasets/nyu-mll/glue"
MODEL = "resolve_model('roberta-base')"
DATA = "resolve_dataset('nyu-mll/glue', 'mrpc')"
ASK = """
import sys
from idim.errors import IdimError
from idim.hub import prefetch, resolve_dataset, resolve_model
try:
    print(eval(sys.argv[1]))
except IdimError as e:
    print(f"error: {e}", file=sys.stderr)
    sys.exit(e.exit_code)
"""


def write_stubs(folder: Path) -> Path:
    """Write a hub with the real repositories' file names; their contents are stubs."""
    model = [
        "config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt",
        "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "onnx/model.safetensors",
        "README.md",
    ]  # fmt: skip
    write(folder / ROBERTA, *model)
    splits = ["train", "validation", "test"]
    write(
        folder / GLUE, *(f"{c}/{s}-00000-of-00001.parquet" for c in ("mrpc", "rte") for s in splits)
    )
    write_card(folder / GLUE, {"mrpc": splits, "rte": splits})
    return folder


def write(folder: Path, *files: str) -> Path:
    """Write files whose content is their name."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{folder.name}: {name}")
    return folder


def ask(env: dict[str, str], expression: str) -> subprocess.CompletedProcess[str]:
    """Evaluate in a process of its own, as the libraries read their environment once."""
    return program(env, ASK, expression)


def program(env: dict[str, str], code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code that can import idim, whether it is installed or not."""
    place = str(Path(idim.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=env | {"PYTHONPATH": place},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def folder(env: dict[str, str], expression: str) -> Path:
    """Expect the path that the expression prints."""
    done = ask(env, expression)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def complaint(env: dict[str, str], expression: str, code: int = 2) -> str:
    """Expect one line on stderr and this exit code."""
    done = ask(env, expression)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines), done.stdout) == (code, 1, ""), done.stderr
    return lines[0]
