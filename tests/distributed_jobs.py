"""What each of two processes does in test_distributed.py; results go to files of the rank."""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from idim import Subspace

STEPS = 3


def net() -> nn.Sequential:
    """Return a net with tensors on both sides of SMALL, and rows that two ranks share unevenly."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 1101), nn.Tanh(), nn.Linear(1101, 3))


def rows(rank: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(8, 64, generator=g), torch.arange(8) % 3
    return (x, y) if rank is None else (x[4 * rank : 4 * rank + 4], y[4 * rank : 4 * rank + 4])


def train(module: nn.Module, sub: Subspace, rank: int | None) -> None:
    optimizer = torch.optim.SGD(sub.parameters(), lr=0.5)
    for _ in range(STEPS):
        x, y = rows(rank)
        F.cross_entropy(module(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()


def parallel(structure: str, head: str) -> dict[str, torch.Tensor]:
    """Data parallelism: equal modules, half of the rows each; count what is sent."""
    sent, real = [], dist.all_reduce

    def counting(tensor, *args, **kwargs):
        sent.append(tensor.numel() * tensor.itemsize)
        return real(tensor, *args, **kwargs)

    dist.all_reduce = counting
    module = net()
    free = ("2",) if head == "free" else ()
    sub = Subspace(module, d=20, structure=structure, free=free, group=dist.group.WORLD)
    train(module, sub, dist.get_rank())
    return {**sub.state(), "sent": torch.tensor(sent), "theta": module[0].weight.detach()}


def sharded(structure: str, projection: str) -> dict[str, torch.Tensor]:
    """FSDP2: each rank holds and projects its rows alone."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    asked = []
    module = net()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (module[0], module[2], module):
        fully_shard(part, mesh=mesh)
    sub = Subspace(module, d=20, structure=structure, projection=projection)
    real = sub.projection.rmatvec
    sub.projection.rmatvec = lambda v, *span: asked.append(len(v)) or real(v, *span)
    train(module, sub, dist.get_rank())
    parameters: list[Any] = list(module.parameters())  # DTensors now
    held = sum(p.to_local().numel() for p in parameters)
    theta = [p.full_tensor().detach().flatten() for p in parameters]
    return {
        **sub.state(),
        "theta": torch.cat(theta),
        "large": torch.tensor(max(asked)),
        "held": torch.tensor(held),
    }


def main() -> None:
    """Run `job arguments folder` under torchrun."""
    job, *arguments, folder = sys.argv[1:]
    dist.init_process_group("gloo")
    found = {"parallel": parallel, "sharded": sharded}[job](*arguments)
    torch.save(found, Path(folder) / f"{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
