"""Pure functions of arrays: the random bits and the transforms that make P.  Imports no other room.

Each kernel module has the functions of `reference` under the same names: `fastfood_matvec`,
`fastfood_rmatvec`, `fastfood_write`, and so for orthogonal, onehot and sparse.  `choose` picks one.
"""

import logging
import os
from functools import cache
from types import ModuleType

import torch

from idim.kernels import cpu, reference

# Forces one of KERNELS; unset, the fastest that works here is chosen.
VARIABLE = "IDIM_KERNELS"
KERNELS = ("reference", "cpu", "triton")


class Unavailable(ValueError):
    """The kernels that IDIM_KERNELS asks for do not exist or cannot run here."""


def choose(device: torch.device, dtype: torch.dtype) -> ModuleType:
    """Return the kernel module for arithmetic of a dtype on a device.

    float64 is the reference's: it is what the fused kernels are measured against.

    Raises:
        Unavailable: IDIM_KERNELS names kernels that are unknown or cannot run.
    """
    chosen = _chosen(device.type, os.environ.get(VARIABLE, ""))
    return chosen if dtype == torch.float32 else reference


def describe() -> str:
    """Say which kernels run on this machine's CPU, and why."""
    forced = os.environ.get(VARIABLE, "")
    try:
        chosen = _chosen("cpu", forced)
    except Unavailable as e:
        return f"none: {e}"
    why = f"{VARIABLE}={forced}" if forced else cpu.why_not()
    name = "reference (plain torch)" if chosen is reference else cpu.describe()
    return f"{name}; {why}" if why else name


@cache
def _chosen(device: str, forced: str) -> ModuleType:
    if forced and forced not in KERNELS:
        raise Unavailable(f"unknown {VARIABLE}={forced}; known: {', '.join(KERNELS)}.")
    if forced == "triton":
        raise Unavailable("this version has no Triton kernels; unset IDIM_KERNELS.")
    if forced == "cpu" and device != "cpu":
        raise Unavailable(f"{VARIABLE}=cpu cannot run on {device}; unset it or use reference.")
    if forced == "reference" or device != "cpu":
        return reference
    reason = cpu.why_not()
    if not reason:
        return cpu
    if forced:
        raise Unavailable(f"{VARIABLE}=cpu, but {reason}; reinstall idim with a C compiler.")
    # once in a process, before anything is computed
    logging.getLogger("idim").warning("kernels: the slower reference runs, as %s.", reason)
    return reference
