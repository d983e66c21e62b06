"""Many processes: the part of a parameter that this one holds, and sums of d numbers over all.

FSDP2 cuts each parameter along its first dimension, so a rank holds consecutive rows of P theta_d,
which it makes alone.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from idim.errors import IdimError


def is_sharded(tensor: Any) -> bool:
    """Tell whether a tensor is a DTensor, without the second that importing its class takes."""
    return hasattr(tensor, "device_mesh")


def local(tensor: Any) -> Tensor:
    """Return what this process holds of a tensor, flat; all of it unless it is sharded."""
    return (tensor.to_local() if is_sharded(tensor) else tensor).detach().reshape(-1)


def offset(parameter: Any) -> int:
    """Return how many of a parameter's numbers lie before those that this process holds.

    Raises:
        IdimError: sharded otherwise than along the first dimension of a one-dimensional mesh.
    """
    if not is_sharded(parameter):
        return 0
    if len(parameter.placements) != 1 or not parameter.placements[0].is_shard(0):
        raise IdimError(
            f"a parameter is laid out as {parameter.placements}; only FSDP2's shards along the "
            "first dimension of a one-dimensional mesh are supported."
        )
    rows, world = parameter.shape[0], parameter.device_mesh.size()
    each = -(-rows // world)  # as torch.chunk cuts
    before = min(rows, each * parameter.device_mesh.get_local_rank())
    return before * (parameter.numel() // rows if rows else 0)


def group_of(parameters: Iterable[Any]) -> Any:
    """Return the process group that parameters are sharded over, None if they are not.

    Raises:
        IdimError: some are sharded and some are not.
    """
    found = [p.device_mesh.get_group() if is_sharded(p) else None for p in parameters]
    if len({id(group) for group in found}) > 1:
        raise IdimError("shard all of the subspace's parameters over one mesh, or none.")
    return found[0]


def find_ddp(module: nn.Module, ignored: str) -> tuple[Any, Any]:
    """Find the DistributedDataParallel in whose forward a module runs now.

    Args:
        module: that of a subspace.
        ignored: the attribute that tells DDP what it must not average.

    Returns:
        Its group, and the same again if the next backward pass is to average; None without.

    Raises:
        IdimError: it wraps another module, or wrapped this one before the subspace was bound.
    """
    ddp = DistributedDataParallel._active_ddp_module
    if ddp is None or all(part is not module for part in ddp.module.modules()):
        return None, None
    inner = getattr(ddp.module, "_orig_mod", ddp.module)  # what torch.compile wraps
    if inner is not module or not ddp.parameters_to_ignore.issuperset(getattr(module, ignored)):
        raise IdimError(
            "bind the subspace to the module that DistributedDataParallel wraps, and before it "
            "does: Subspace(module, ...), then DistributedDataParallel(module)."
        )
    return ddp.process_group, ddp.process_group if ddp.require_backward_grad_sync else None


def agree(content: str, group: Any) -> bool:
    """Tell whether all ranks of a group hold the same text; each must call it."""
    mine = hashlib.blake2b(content.encode(), digest_size=32).digest()
    on = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
    sent = torch.tensor(list(mine), device=on)
    found = [torch.empty_like(sent) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, sent, group=group)
    return all(torch.equal(sent, other) for other in found)


def all_reduce(parameters: Iterable[nn.Parameter], group: Any, *, average: bool) -> None:
    """Sum or average gradients over a group, all in one message, in place.

    A parameter without a gradient counts as one of zeros, so that ranks agree on the message; one
    that has none on any rank is left without, as in one process.
    """
    held = list(parameters)
    lacking = [p for p in held if p.grad is None]
    has = torch.tensor([float(p.grad is not None) for p in held])
    for p in lacking:
        p.grad = torch.zeros_like(p)
    gradients = [p.grad for p in held if p.grad is not None]
    numbers = parameters_to_vector(gradients)
    message = torch.cat([numbers, has.to(numbers)])
    dist.all_reduce(message, group=group)
    numbers, has = message[: len(numbers)], message[len(numbers) :]
    if average:
        numbers /= dist.get_world_size(group)
    vector_to_parameters(numbers, gradients)
    if lacking:
        for p, count in zip(held, has.tolist(), strict=True):
            p.grad = p.grad if count else None
