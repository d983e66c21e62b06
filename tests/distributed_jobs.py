"""What each of two processes does in test_distributed.py; results go to files of the rank."""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel as DDP

from idim import Subspace
from idim.errors import IdimError

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
    for step in range(STEPS):
        x, y = rows(rank)
        F.cross_entropy(module(x), y).backward()
        for _ in range(step):  # early, and again: the gradients are combined once all the same
            sub.reduce()
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
    parameters: list[Any] = [p for p in module.parameters() if hasattr(p, "to_local")]
    held = sum(p.to_local().numel() for p in parameters)
    theta = [p.full_tensor().detach().flatten() for p in parameters]
    return {
        **sub.state(),
        "theta": torch.cat(theta),
        "large": torch.tensor(max(asked)),
        "held": torch.tensor(held),
    }


def take(net: nn.Module, optimizer: torch.optim.Optimizer, clip: float, sync: Any = None) -> None:
    """Take steps as accelerate does: accumulate a half without `sync`, clip, zero the module."""
    for _ in range(STEPS):
        x, y = rows(dist.get_rank())
        if sync is not None:
            with sync():
                F.cross_entropy(net(x[:2]), y[:2]).div(2).backward()
            F.cross_entropy(net(x[2:]), y[2:]).div(2).backward()
        else:
            F.cross_entropy(net(x), y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        net.zero_grad()


def wrapped() -> dict[str, torch.Tensor]:
    """DistributedDataParallel round a bound module, in every way that it is used."""
    found = {}
    for mode in ("plain", "unused", "view", "no_sync", "over_module", "compiled", "static"):
        for structure, free in (("did", ()), ("said", ("2",))):
            bound = net()
            sub = Subspace(bound, d=20, structure=structure, free=free)
            inner = torch.compile(bound, backend="eager") if mode == "compiled" else bound
            ddp = DDP(
                inner, find_unused_parameters=mode == "unused", static_graph=mode == "static",
                gradient_as_bucket_view=mode == "view",
            )  # fmt: skip
            chosen = ddp.parameters() if mode == "over_module" else sub.parameters()
            steps = torch.optim.AdamW(chosen, lr=0.05, weight_decay=0.0)
            take(ddp, steps, 0.05, ddp.no_sync if mode == "no_sync" else None)
            state = sub.state() | {"theta": bound[0].weight.detach()}
            found |= {f"{mode}/{structure}/{name}": t for name, t in state.items()}
    return found


def refused() -> dict[str, torch.Tensor]:
    """What cannot be made right is said on every rank."""
    lines = {}

    def note(name, action):
        try:
            action()
        except IdimError as e:
            lines[name] = torch.tensor(list(str(e).encode()), dtype=torch.uint8)

    def run(module):
        x, y = rows(dist.get_rank())
        F.cross_entropy(module(x), y).backward()

    ddp = DDP(net())
    note("around", lambda: Subspace(ddp, d=20))
    Subspace(ddp.module, d=20)
    note("before", lambda: run(ddp))
    outer = nn.Sequential(net(), nn.Linear(3, 3))
    Subspace(outer[0], d=20)
    note("part", lambda: run(DDP(outer)))
    for name, seed, how in (("theta_0", dist.get_rank(), {}), ("P", 0, {"seed": dist.get_rank()})):
        torch.manual_seed(seed)
        other = nn.Linear(64, 3)
        Subspace(other, d=20, **how)
        note(name, lambda m=other: run(DDP(m)))
    torch.manual_seed(dist.get_rank())
    other = nn.Linear(64, 3)
    sub = Subspace(other, d=20, group=dist.group.WORLD)
    run(other)
    note("group", sub.reduce)
    return lines


def main() -> None:
    """Run `job arguments folder` under torchrun."""
    job, *arguments, folder = sys.argv[1:]
    dist.init_process_group("gloo")
    jobs = {"parallel": parallel, "sharded": sharded, "wrapped": wrapped, "refused": refused}
    found = jobs[job](*arguments)
    torch.save(found, Path(folder) / f"{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
