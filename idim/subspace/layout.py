"""Which parameters a subspace spans, and which rows of P are theirs."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from idim.errors import IdimError
from idim.projection import SMALL

Named = dict[str, nn.Parameter]


class Segment(NamedTuple):
    """Where one tensor of the module lives in P: rows [start, stop), scaled by `scale`."""

    name: str
    parameter: nn.Parameter
    start: int
    stop: int
    scale: float
    group: int

    @property
    def is_small(self) -> bool:
        """Whether the tensor lies in the shared last rows."""
        return self.parameter.numel() < SMALL


class Extent(NamedTuple):
    """What a subspace of a module would span."""

    D: int
    tensors: int
    lambdas: int
    free: int
    frozen: int


def extent(
    module: nn.Module,
    *,
    structure: str = "did",
    groups: str = "module",
    free: Iterable[str] = (),
    frozen: Iterable[str] = (),
) -> Extent:
    """Count what `Subspace` with the same arguments would span, changing nothing."""
    inside, outside, held = partition(module, list(free), list(frozen))
    lambdas = len(set(group_names(inside, groups))) if structure == "said" else 0
    size, apart, still = (sum(p.numel() for p in ps.values()) for ps in (inside, outside, held))
    return Extent(size, len(inside), lambdas, apart, still)


def check_d(d: int, D: int, lambdas: int, groups: str) -> None:
    """Refuse a d that does not fit.

    Raises:
        IdimError: with the values that would.
    """
    if not 1 <= d <= D:
        raise IdimError(f"d={d} must lie between 1 and D={D}, the number of parameters.")
    if d <= lambdas:
        raise IdimError(
            f"d={d} is too small for SAID with one lambda per {groups}: its {lambdas} lambdas "
            f"count in d; choose d >= {lambdas + 1}, or coarser --said-groups."
        )


def partition(module: nn.Module, free: list[str], frozen: list[str]) -> tuple[Named, Named, Named]:
    """Split the module's trainable parameters: inside the subspace, free, frozen."""
    for name, t in (*module.named_parameters(), *module.named_buffers()):
        if nn.parameter.is_lazy(t):
            raise IdimError(f"'{name}' has no shape yet: run the module once, then bind it.")
    trainable = {n: p for n, p in module.named_parameters() if p.requires_grad}
    for pattern in (*free, *frozen):
        if not any(_matches(n, pattern) for n in trainable):
            raise IdimError(f"no trainable parameter is named '{pattern}' or below it.")
    held = {n: p for n, p in trainable.items() if any(_matches(n, f) for f in frozen)}
    outside = {
        n: p for n, p in trainable.items() if n not in held and any(_matches(n, f) for f in free)
    }
    left = {n: p for n, p in trainable.items() if n not in held and n not in outside}
    inside = {n: p for n, p in left.items() if p.numel()}  # an empty tensor has no rows
    if not inside:
        raise IdimError("the module has no trainable parameter left for the subspace.")
    for name, p in inside.items():
        if not p.is_floating_point() or not p.is_contiguous():
            raise IdimError(f"parameter '{name}' must be floating point and contiguous.")
        if p.itemsize < 2:
            raise IdimError(f"parameter '{name}' is {p.dtype}: a subspace takes 16 bits or more.")
    return inside, outside, held


def check_storage(module: nn.Module, inside: Named) -> None:
    """Refuse parameters whose numbers a subspace cannot write one by one.

    Raises:
        IdimError: no values yet (the meta device), several devices, memory shared with another,
            or parameters of a script module or of inference mode, which are not written to so.
    """
    if torch.is_inference_mode_enabled() or any(p.is_inference() for p in inside.values()):
        raise IdimError("make the module and bind its subspace outside of torch.inference_mode().")
    for path, part in module.named_modules():
        held = (f"{path}.{n}".lstrip(".") for n, _ in part.named_parameters(recurse=False))
        if isinstance(part, torch.jit.ScriptModule) and any(n in inside for n in held):
            what = f"'{path}'" if path else "the module"
            raise IdimError(f"{what} is one of torch.jit, which cannot be bound: bind plain ones.")
    for name, p in inside.items():
        if p.is_meta:
            raise IdimError(
                f"parameter '{name}' is on the meta device: load the module's weights first."
            )
    devices = list(dict.fromkeys(str(p.device) for p in inside.values()))
    if len(devices) > 1:
        raise IdimError(f"the subspace's parameters must be on one device, not {devices}.")
    last, end = "", -1
    for start, stop, name in sorted(_spans(module)):
        if start < end and (name in inside or last in inside):
            raise IdimError(
                f"'{last}' and '{name}' share memory: make them one parameter (b.weight = "
                "a.weight) or copy one (b.weight.data = b.weight.data.clone())."
            )
        if stop > end:
            last, end = name, stop


def _spans(module: nn.Module) -> Iterable[tuple[int, int, str]]:
    """Return the first byte, the end and the name of each tensor of a module that has memory."""
    for named in (module.named_parameters(), module.named_buffers()):
        for name, t in named:
            if t.layout != torch.strided or t.is_meta or hasattr(t, "device_mesh"):
                continue
            if t.numel():
                last = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
                yield t.data_ptr(), t.data_ptr() + (last + 1) * t.element_size(), name


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(pattern + ".")


def segments(inside: Named, groups: list[str], norm: str) -> list[Segment]:
    """Lay the tensors out in rows: large ones in module order, then all small ones."""
    D = sum(p.numel() for p in inside.values())
    number = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    group_of = dict(zip(inside, (number[g] for g in groups), strict=True)) if groups else {}
    laid, start = [], 0
    for name in sorted(inside, key=lambda n: inside[n].numel() < SMALL):
        p = inside[name]
        scale = 1.0 if norm == "global" else math.sqrt(D / p.numel())
        laid.append(Segment(name, p, start, start + p.numel(), scale, group_of.get(name, 0)))
        start += p.numel()
    return laid


def group_names(names: Iterable[str], groups: str) -> list[str]:
    """Name the lambda group of each tensor: itself, its module, or its block."""
    if groups == "tensor":
        return list(names)
    if groups == "module":
        return [name.rpartition(".")[0] for name in names]
    return [_block(name) for name in names]


def _block(name: str) -> str:
    """Cut a tensor's name after its first number (`bert.encoder.layer.3`), else after two parts.

    >>> _block("bert.encoder.layer.3.output.dense.weight"), _block("classifier.weight")
    ('bert.encoder.layer.3', 'classifier')
    """
    parts = name.split(".")[:-1] or [name]
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts[:2])
