"""The file of a trained subspace: its metadata, and the theta_0 that it belongs to."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from idim.errors import IdimError
from idim.subspace import ranks
from idim.subspace.layout import partition
from idim.subspace.theta_0 import digest
from idim.subspace.tie import NAMES, prepare

# role -> name -> "3x40 float32 5f0c...", or without the hash where the file has the values
Description = dict[str, dict[str, str]]

WHERE = {
    "inside": "inside the subspace", "free": "trained beside it", "fixed": "fixed",
    "buffers": "a buffer", "unsaved": "a buffer that no state dict has",
}  # fmt: skip


class Saved(NamedTuple):
    """What a file of `Subspace.save` says."""

    spec: dict[str, Any]
    D: int
    state: dict[str, Tensor]
    theta_0: Description | None


def header(spec: Mapping[str, Any], D: int, theta_0: Description | None) -> dict[str, str]:
    """Return the metadata of a file."""
    found = {"idim": json.dumps({**spec, "D": D})}
    return found if theta_0 is None else found | {"theta_0": json.dumps(theta_0)}


def write(path: str | Path, state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a file.

    Raises:
        IdimError: the path cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(state, path, metadata=metadata)
    except (OSError, SafetensorError) as e:
        raise IdimError(f"cannot write '{path}': {e}") from None


def read(path: str | Path) -> Saved:
    """Read a file.

    Raises:
        IdimError: it cannot be read, or `Subspace.save` did not write it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            state = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
        spec = json.loads(metadata["idim"])
        theta_0 = json.loads(metadata.get("theta_0", "null"))
        return Saved(spec, spec.pop("D"), state, theta_0)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError):
        raise IdimError(f"'{path}' is not a file written by Subspace.save.") from None
    except OSError as e:
        raise IdimError(f"cannot read '{path}': {e.strerror or e}.") from None


def matching(module: nn.Module, path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the spec and state of a file that belongs to a module; the module is left alone.

    Raises:
        IdimError: it does not: the first tensor that differs is named.
    """
    spec, D, state, theta_0 = read(path)
    prepare(module)
    try:
        inside, apart, _ = partition(module, spec["free"], spec["frozen"])
    except (KeyError, TypeError, IdimError) as e:
        raise IdimError(f"'{path}' does not fit this module: {e}") from None
    here = sum(p.numel() for p in inside.values())
    if here != D:
        raise IdimError(f"'{path}' was trained on D={D} parameters, this module has {here}.")
    if theta_0 is None or any(map(ranks.is_sharded, inside.values())):
        warnings.warn(
            f"'{path}' does not say which theta_0 it belongs to (an older version wrote it, or "
            "FSDP holds the module): that this module holds the same could not be checked.",
            stacklevel=3,
        )
        return spec, state
    held = [name.removeprefix("buffer.") for name in state if name.startswith("buffer.")]
    ours = describe(module, ((n, p, p) for n, p in inside.items()), apart, held)
    theta_0.setdefault("unsaved", ours["unsaved"])  # an older version did not look at them
    _tell_unsaved(path, theta_0, ours)
    if list(theta_0["inside"]) != list(ours["inside"]) or not _same(theta_0, ours):
        raise IdimError(f"'{path}' belongs to another theta_0: {_difference(theta_0, ours)}.")
    return spec, state


def describe(
    module: nn.Module,
    inside: Iterable[tuple[str, Tensor, Tensor]],
    free: Iterable[str],
    changed: Iterable[str] = (),
) -> Description:
    """Describe all that decides a restored model beside what the file itself holds.

    Args:
        module: bound or not; fixed parameters and buffers are read from it.
        inside: name, parameter and theta_0 of each tensor in the subspace, in module order.
        free: names of the parameters beside the subspace, whose values the file holds.
        changed: names of the buffers whose values the file holds.
    """
    theirs, held = {n: f"{_form(p)} {digest(base)}" for n, p, base in inside}, set(changed)
    apart = set(free)
    named = {n: p for n, p in module.named_parameters() if n.rpartition(".")[2] not in NAMES}
    rest = {n: p for n, p in named.items() if n not in theirs}
    return {
        "inside": theirs,
        "free": {n: _form(p) for n, p in rest.items() if n in apart},
        "fixed": {n: f"{_form(p)} {digest(p)}" for n, p in rest.items() if n not in apart},
        "buffers": {
            n: _form(b) if n in held else f"{_form(b)} {digest(b)}"
            for n, b in _buffers(module, persistent=True)
        },
        "unsaved": {  # one that changed may be a cache, which another module lacks until it runs
            n: _form(b) if b.is_meta else f"{_form(b)} {digest(b)}"
            for n, b in _buffers(module, persistent=False)
            if n not in held
        },
    }


def _tell_unsaved(path: str | Path, theirs: Description, ours: Description) -> None:
    """Warn where a buffer that no state dict has holds other numbers, and let it pass.

    It was made by the module's own code, a table of sines for instance, whose last bits another
    processor may compute otherwise.
    """
    for name, text in theirs["unsaved"].items():
        here = ours["unsaved"].get(name, "")
        if here.split()[:2] == text.split()[:2] and not _agree(text, here):
            warnings.warn(
                f"'{path}': the buffer '{name}', which no file holds, has other numbers here than "
                "where it was trained; outputs may differ.",
                stacklevel=4,
            )
            theirs["unsaved"][name] = here


def _same(theirs: Description, ours: Description) -> bool:
    return all(
        theirs[role].keys() == ours[role].keys()
        and all(_agree(text, ours[role][name]) for name, text in theirs[role].items())
        for role in WHERE
    )


def _difference(theirs: Description, ours: Description) -> str:
    """Say which tensor differs first, and how."""
    here = {n: (role, text) for role in WHERE for n, text in ours[role].items()}
    there = {n: (role, text) for role in WHERE for n, text in theirs[role].items()}
    for name, (role, text) in there.items():
        if name not in here:
            return f"this module has no '{name}'"
        now, found = here[name]
        if now != role:
            return f"'{name}' is {WHERE[role]} there and {WHERE[now]} here"
        if text.split()[:2] != found.split()[:2]:
            shapes = [" ".join(t.split()[:2]) for t in (text, found)]
            return f"'{name}' is {shapes[0]} there and {shapes[1]} here"
        if not _agree(text, found):
            return f"'{name}' holds other numbers here"
    extra = [name for name in here if name not in there]
    return f"it has no '{extra[0]}'" if extra else "the parameters come in another order here"


def _agree(theirs: str, ours: str) -> bool:
    """Tell whether two descriptions of a tensor agree, by their hashes where theirs has one."""
    return ours.split()[: len(theirs.split())] == theirs.split()


def _form(tensor: Tensor) -> str:
    return f"{'x'.join(map(str, tensor.shape)) or 'scalar'} {str(tensor.dtype)[6:]}"


def _buffers(module: nn.Module, *, persistent: bool) -> Iterable[tuple[str, Tensor]]:
    for path, part in module.named_modules():
        for name, b in part._buffers.items():
            if b is not None and persistent == (name not in part._non_persistent_buffers_set):
                yield f"{path}.{name}".lstrip("."), b
