"""Checkpoints that come with the package: `tiny` is the last, `tiny@300` the one after 300 steps.

weights/<family>/config.json, tokenizer.json, tokenizer_config.json   once
weights/<family>/<step>/model.safetensors                             float16
weights/<family>/SHA256SUMS                                           of all of them
"""

import hashlib
from pathlib import Path

from idim.config import recipe
from idim.errors import IdimError, unknown

HOME = Path(__file__).parent
SUMS = "SHA256SUMS"
WEIGHTS = "model.safetensors"
_REINSTALL = "reinstall the package: pip install --force-reinstall --no-deps idim."


def families() -> list[str]:
    """Return the names of the pretrainings that are shipped."""
    return sorted(path.parent.name for path in HOME.glob(f"*/{SUMS}"))


def is_shipped(name: str) -> bool:
    """Tell whether a model name is one of ours, with a step or without."""
    return name.partition("@")[0] in families()


def names() -> dict[str, str]:
    """Map each name that `--model` takes to what it is."""
    out = {}
    for family in families():
        steps = _steps(_sums(family))
        out[family] = f"{recipe(family).about}, after {steps[-1]:,} steps"
        for step in steps:
            out[f"{family}@{step}"] = f"the same after {step:,} steps"
    return out


def folder(name: str) -> Path:
    """Return the folder of a checkpoint's weights, checked; `shared` has what stands beside them.

    Args:
        name: a family, or `family@step`.

    Raises:
        IdimError: no such step, or a file that is not as it was shipped.
    """
    family, at, step = name.partition("@")
    sums = _sums(family)
    steps = [str(s) for s in _steps(sums)]
    if at and step not in steps:
        raise unknown("checkpoint", name, [family, *(f"{family}@{s}" for s in steps)])
    step = step or steps[-1]
    for file, expected in sums.items():
        if "/" not in file or file == f"{step}/{WEIGHTS}":
            _check(HOME / family / file, expected)
    return HOME / family / step


def shared(folder: Path) -> Path:
    """Return where a model folder's config and tokenizer are: ours stand once, above the steps."""
    return folder.parent if folder.parent.parent == HOME else folder


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise IdimError(f"'{path}' is missing; {_REINSTALL}")
    if digest(path) != expected:
        raise IdimError(f"'{path}' is damaged (its checksum is wrong); {_REINSTALL}")


def _sums(family: str) -> dict[str, str]:
    """Read `digest  file` lines: file to digest."""
    path = HOME / family / SUMS
    try:
        pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {file: digest for digest, file in pairs}
    except (OSError, ValueError):
        sums = {}
    if not _steps(sums):
        raise IdimError(f"'{path}' is damaged; {_REINSTALL}")
    return sums


def _steps(sums: dict[str, str]) -> list[int]:
    found = (file.partition("/") for file in sums)
    return sorted(int(step) for step, _, rest in found if rest == WEIGHTS and step.isdigit())
