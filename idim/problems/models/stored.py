"""The tensors of a folder's weight files, opened without reading them."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from idim.errors import IdimError

FLOATS = ("F64", "F32", "F16", "BF16")


def open_weights(files: Iterable[Path]) -> dict[str, Any]:
    """Map the names of stored tensors to slices, which read when they are indexed.

    Raises:
        IdimError: a file that is not safetensors, or two files with one tensor.
    """
    from safetensors import SafetensorError, safe_open

    stored: dict[str, Any] = {}
    for file in files:
        try:
            handle: Any = safe_open(file, framework="pt")
            found = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as e:
            raise IdimError(f"'{file}' is not a whole safetensors file: {one_line(e)}.") from None
        twice = sorted(stored.keys() & found.keys())
        if twice:
            raise IdimError(f"'{file}' holds '{twice[0]}', which another weight file also holds.")
        stored |= found
    return stored


def count(stored: dict[str, Any]) -> int:
    """Count the numbers of all stored tensors."""
    return sum(math.prod(t.get_shape()) for t in stored.values())


def one_line(e: BaseException) -> str:
    """Return the first line of what an error says, printable and short; else its type."""
    lines = (" ".join(line.split()) for line in str(e).splitlines())
    line = next((line for line in lines if line), "")
    shown = "".join(c for c in line if c.isprintable()).rstrip(".:")
    if len(shown) > 200:
        shown = shown[:197] + "..."
    return shown if " " in shown else f"{type(e).__name__} {shown}".strip()
