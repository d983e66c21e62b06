"""Pure functions of arrays: the random bits and the transforms that make P.  Imports no other room.

Each module of kernels has `matvec`, `rmatvec` and `write`, which take P as a value, `map.Map`;
`choose` picks one.
"""

import logging
import os
from functools import cache

import torch

from idim.kernels import cpu, gpu, reference
from idim.kernels.map import Kernels

# Forces one of KERNELS; unset, the fastest that works here is chosen.
VARIABLE = "IDIM_KERNELS"
KERNELS = ("reference", "cpu", "triton")


class Unavailable(ValueError):
    """The kernels that IDIM_KERNELS asks for do not exist or cannot run here."""


def choose(device: torch.device, dtype: torch.dtype) -> Kernels:
    """Return the kernels for arithmetic of a dtype on a device.

    float64 is the reference's: it is what the fused kernels are measured against.

    Raises:
        Unavailable: IDIM_KERNELS names kernels that are unknown or cannot run.
    """
    chosen = _chosen(device.type, os.environ.get(VARIABLE, ""))
    return chosen if dtype == torch.float32 else reference


def describe(device: str = "cpu") -> str:
    """Say which kernels run on a kind of device of this machine, and why."""
    forced = os.environ.get(VARIABLE, "")
    try:
        chosen = _chosen(device, forced)
    except Unavailable as e:
        return f"none: {e}"
    if chosen is reference:
        why = f"{VARIABLE}=reference" if forced else _why_not(_fused(device, forced), device)
        return f"reference (plain torch); {why}"
    name = cpu.describe() if chosen is cpu else gpu.describe()
    return f"{name}; {VARIABLE}={forced}" if forced else name


def other_than_fused(device: str) -> str | None:
    """Return "reference" where a kind of device runs those, whose sums have other last bits."""
    chosen = _chosen(device, os.environ.get(VARIABLE, ""))
    return "reference" if chosen is reference else None


@cache
def _chosen(device: str, forced: str) -> Kernels:
    if forced and forced not in KERNELS:
        raise Unavailable(f"unknown {VARIABLE}={forced}; known: {', '.join(KERNELS)}.")
    if forced == "reference":
        return reference
    fused = _fused(device, forced)
    if forced and forced != fused:
        raise Unavailable(f"{VARIABLE}={forced} cannot run on {device}; unset it or use reference.")
    reason = _why_not(fused, device)
    if not reason and fused == "cpu":
        return cpu
    if not reason:
        from idim.kernels.gpu import products

        return products
    if forced:
        remedy = {"cpu": "reinstall idim with a C compiler", "triton": "unset it"}[forced]
        raise Unavailable(f"{VARIABLE}={forced}, but {reason}; {remedy}.")
    # once in a process, before anything is computed
    logging.getLogger("idim").warning("kernels: the slower reference runs, as %s.", reason)
    return reference


def _fused(device: str, forced: str) -> str:
    """Name the fused kernels that could run on a kind of device."""
    return "cpu" if device == "cpu" and forced != "triton" else "triton"


def _why_not(fused: str, device: str) -> str:
    """Say why fused kernels cannot run on a kind of device; empty if they can."""
    if fused == "cpu":
        return cpu.why_not()
    if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        return "Triton's kernels run on a GPU, or with TRITON_INTERPRET=1 in its interpreter"
    reason = gpu.why_not()
    if reason:
        return reason
    from idim.kernels.gpu import products

    return products.what_fails(torch.device(device))
