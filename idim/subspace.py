"""theta = theta_0 + P theta_d: binds a projection to a module's own parameters.

The module keeps its `nn.Parameter`s.  A subspace writes theta into them after each optimizer step
and folds each parameter's gradient into theta_d's as soon as backward has made it, so autograd
never sees P and no gradient of size D outlives its layer.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from idim import shards
from idim.errors import IdimError, unknown
from idim.gradients import Gradients, large_embeddings
from idim.layout import check_d, group_names, partition, slots
from idim.origin import InMemory, OnDisk
from idim.projection import PROJECTIONS, Piece, kernels_for


class Subspace:
    """Train a module only inside a random d-dimensional subspace of its parameters.

    `parameters()` go into any torch optimizer; after each of its steps the module's weights are
    theta_0 + P theta_d again, without further calls.  (If you change theta_d by hand, call
    `refresh()`.)  The module's own gradients are consumed; `state_dict`, gradient checkpointing,
    autocast, tied weights and `transformers.Trainer` (given the optimizer) work as before; only
    clipping must be given `sub.parameters()`, since the module's own gradients are gone.  Move the
    module to its device first.  Large embeddings get sparse gradients until `merge`.

    Args:
        module: its parameters with `requires_grad` span the full space; theta_0 is their value now.
        d: numbers to train in the subspace, lambdas included; 1 <= d <= D.
        projection: a name in `idim.projection.PROJECTIONS`.
        structure: "did" (theta_0 + P theta_d) or "said" (each group's rows times its own lambda).
        groups: what shares one lambda under "said": "tensor", "module" or "block" (a layer of a
            stack, or a top-level part).
        norm: columns of P have unit norm over all D ("global", Li et al.) or within each tensor
            ("tensor", Aghajanyan et al.'s code).
        seed: fixes P.
        copies: 2 keeps theta_0 beside theta.  1 keeps it in a temporary file and adds P times the
            change of theta_d to theta after a step, which rounds each time, so that every
            `exact_every` steps (and in `refresh`, `load_state` and `merge`) theta is written anew.
        exact_every: see `copies`.
        group: a `torch.distributed` process group whose ranks hold equal modules and see different
            rows: d gradients (and those of free parameters) are averaged over it before each
            optimizer step.  Do not wrap the module in DistributedDataParallel, which would
            send D.  A module sharded by FSDP2 needs no group: it has one.
        free: names (or name prefixes) of parameters trained directly, beside the subspace.
        frozen: names (or name prefixes) left at theta_0.

    Raises:
        IdimError: d out of range, SAID with d <= number of lambdas, an unknown name, or nothing
            to train.

    Source:
        Li et al. 2018, eq. 2; Aghajanyan et al. 2020, eq. 1 (DID) and 3 (SAID).

    >>> net = nn.Linear(20, 2)
    >>> sub = Subspace(net, d=10, seed=0)
    >>> optimizer = torch.optim.Adam(sub.parameters(), lr=0.1)
    >>> loss = net(torch.ones(1, 20)).square().sum()
    >>> loss.backward()
    >>> optimizer.step()
    >>> bool(net(torch.ones(1, 20)).square().sum() < loss)
    True
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        d: int,
        projection: str = "fastfood",
        structure: str = "did",
        groups: str = "module",
        norm: str = "global",
        seed: int = 0,
        copies: int = 2,
        exact_every: int = 10,
        group: Any = None,
        free: Iterable[str] = (),
        frozen: Iterable[str] = (),
    ) -> None:
        for kind, value, known in (
            ("projection", projection, tuple(PROJECTIONS)),
            ("structure", structure, ("did", "said")),
            ("said_groups", groups, ("tensor", "module", "block")),
            ("norm", norm, ("global", "tensor")),
        ):
            if value not in known:
                raise unknown(kind, value, known)
        if copies not in (1, 2) or exact_every < 1:
            raise IdimError(
                f"copies={copies} must be 1 or 2, exact_every={exact_every} at least 1."
            )
        self.module = module
        self.spec: dict[str, Any] = {
            "d": d, "projection": projection, "structure": structure, "groups": groups,
            "norm": norm, "seed": seed, "free": list(free), "frozen": list(frozen),
        }  # fmt: skip
        inside, self.free, outside = partition(module, self.spec["free"], self.spec["frozen"])
        names = group_names(inside, groups) if structure == "said" else []
        self.d, self.D, m = d, sum(p.numel() for p in inside.values()), len(set(names))
        check_d(d, self.D, m, groups)
        for p in outside.values():
            p.requires_grad_(False)
        self.projection = PROJECTIONS[projection](self.D, d - m, seed)
        self.slots = slots(inside, names, norm)
        first = next(iter(inside.values()))
        dtype = torch.float64 if first.dtype == torch.float64 else torch.float32
        self.theta_d = nn.Parameter(torch.zeros(d - m, dtype=dtype, device=first.device))
        kernels_for(self.theta_d)  # kernels that cannot run fail here, not after a first step
        self.lambdas = nn.Parameter(torch.ones(m, dtype=dtype, device=first.device)) if m else None
        # an optimizer keeps the subspace alive; the module does not (torch never collects a cycle
        # through a parameter's hooks, and a sweep would leak a model a run)
        for p in self._own():
            p.subspace = self  # type: ignore[attr-defined]
        self._sharded = shards.group_of(inside.values())
        self._group = self._sharded or group
        embeddings = [] if self._sharded else large_embeddings(module, inside.values())
        self._starts = [s.start + shards.offset(s.parameter) for s in self.slots]
        self._origin = (InMemory if copies == 2 else OnDisk)(self._thetas())
        self._exact_every = 1 if copies == 2 else exact_every
        self._steps = 0
        self._written = [p.detach().clone() for p in self._own()]  # what theta was written from
        self._gradients = Gradients(
            self.projection, self.slots, self._starts, self.theta_d, self.lambdas, embeddings
        )

    def parameters(self) -> list[nn.Parameter]:
        """Return everything that is trained: theta_d, the lambdas if any, the free parameters."""
        return [p for group in self.param_groups() for p in group["params"]]

    def param_groups(self, **options: Any) -> list[dict[str, Any]]:
        """Return the same as optimizer groups named theta_d, lambdas and free.

        Args:
            options: per group, e.g. `theta_d={"lr": 0.1}, free={"lr": 1e-3}`.
        """
        members = {
            "theta_d": [self.theta_d],
            "lambdas": [] if self.lambdas is None else [self.lambdas],
            "free": list(self.free.values()),
        }
        return [
            {"params": params, "name": name, **options.get(name, {})}
            for name, params in members.items()
            if params
        ]

    @property
    def trainable(self) -> int:
        """How many numbers training chooses: d and the free parameters."""
        return self.d + sum(p.numel() for p in self.free.values())

    @torch.no_grad()
    def refresh(self) -> None:
        """Write theta = theta_0 + lambda * P theta_d into the module's parameters."""
        thetas = self._thetas()
        self._write(self.theta_d, self._scales(), thetas, self._origin.bases(thetas))
        self._note_written()

    def _step(self) -> None:
        """Follow an optimizer's step: exactly, or by what it changed."""
        self._steps += 1
        if self._steps % self._exact_every:
            self._move()
        else:
            self.refresh()

    @torch.no_grad()
    def _move(self) -> None:
        """Add what changed in lambda * P theta_d to theta, group by group of equal lambda."""
        scales, thetas = [slot.scale for slot in self.slots], self._thetas()
        old, new = self._written, self._own()
        if self.lambdas is None:
            self._write(new[0] - old[0], scales, thetas, thetas)
        else:
            for g in range(len(self.lambdas)):
                theta_d = new[1][g] * new[0] - old[1][g] * old[0]
                self._write(theta_d, scales, thetas, thetas, group=g)
        self._note_written()

    def _write(
        self,
        theta_d: Tensor,
        scales: list[float],
        thetas: list[Tensor],
        bases: list[Tensor],
        group: int | None = None,
    ) -> None:
        pieces = [
            Piece(theta, base, start, scale)
            for slot, theta, base, start, scale in zip(
                self.slots, thetas, bases, self._starts, scales, strict=True
            )
            if theta.numel() and group in (None, slot.group)
        ]
        self.projection.write(theta_d, pieces)

    def _thetas(self) -> list[Tensor]:
        """Return what this process holds of each tensor, flat and writable."""
        return [shards.local(slot.parameter) for slot in self.slots]

    def _note_written(self) -> None:
        for written, p in zip(self._written, self._own(), strict=True):
            written.copy_(p)
        small = self._gradients.small
        if self.lambdas is not None and small < self.D:
            self._gradients.delta = self.projection.matvec(self.theta_d.detach(), small, self.D)

    @torch.no_grad()
    def reduce(self) -> None:
        """Combine gradients over the group's ranks; optimizers do it first in their step.

        Call it yourself only to see or clip them before.  Each rank sends as many numbers as are
        trained: d, and the free parameters unless FSDP2, which shards them, has reduced them.
        """
        if self._group is None or not self._gradients.is_new:
            return
        trained = self._own() if self._sharded else self.parameters()
        shards.all_reduce(trained, self._group, average=self._sharded is None)
        self._gradients.is_new = False

    def save(self, path: str | Path) -> None:
        """Write theta_d, lambdas, free parameters and the spec of P: a few kB, no P, no theta_0."""
        from safetensors.torch import save_file

        save_file(self.state(), path, metadata=self.header())

    def header(self) -> dict[str, str]:
        """Return what a file of `state()` must say of P, as safetensors metadata."""
        return {"idim": json.dumps(self.spec | {"D": self.D})}

    @classmethod
    def load(cls, module: nn.Module, path: str | Path) -> Self:
        """Rebuild a saved subspace round a module that holds the same theta_0; exact to the bit.

        Raises:
            IdimError: not a file of `save`, or a module with another number of parameters.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as f:
                spec = json.loads((f.metadata() or {})["idim"])
                state = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError):
            raise IdimError(f"'{path}' is not a file written by Subspace.save.") from None
        except OSError as e:
            raise IdimError(f"cannot read '{path}': {e.strerror}.") from None
        D = spec.pop("D")
        sub = cls(module, **spec)
        if sub.D != D:
            sub.merge()
            raise IdimError(f"'{path}' was trained on D={D} parameters, this module has {sub.D}.")
        sub.load_state(state)
        return sub

    def state(self) -> dict[str, Tensor]:
        """Return what training has chosen, by name; contiguous copies on the CPU."""
        tensors = {"theta_d": self.theta_d, **{f"free.{n}": p for n, p in self.free.items()}}
        if self.lambdas is not None:
            tensors["lambdas"] = self.lambdas
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over a `state()` and write theta."""
        targets = {"theta_d": self.theta_d, **{f"free.{n}": p for n, p in self.free.items()}}
        if self.lambdas is not None:
            targets["lambdas"] = self.lambdas
        for name, target in targets.items():
            target.copy_(state[name])
        self.refresh()

    def merge(self) -> nn.Module:
        """Let go of the module: it keeps the trained weights and is plain again."""
        if self._exact_every > 1:
            self.refresh()
        self._gradients.close()
        for p in self._own():
            p.subspace = None  # type: ignore[attr-defined]
        return self.module

    def _own(self) -> list[nn.Parameter]:
        """Return the parameters whose change moves theta."""
        return [self.theta_d] if self.lambdas is None else [self.theta_d, self.lambdas]

    def _scales(self) -> list[float]:
        """Return what each slot's rows of P theta_d are multiplied by."""
        scales = [slot.scale for slot in self.slots]
        if self.lambdas is None:
            return scales
        groups = [slot.group for slot in self.slots]
        return (self.lambdas.new_tensor(scales) * self.lambdas[groups]).tolist()


def _subspaces(optimizer: torch.optim.Optimizer) -> list[Subspace]:
    """Return those of whose theta_d or lambdas an optimizer owns some."""
    owned = (p for group in optimizer.param_groups for p in group["params"])
    return list({id(s): s for p in owned if (s := getattr(p, "subspace", None))}.values())


def _before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for sub in _subspaces(optimizer):
        sub.reduce()


def _after_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for sub in _subspaces(optimizer):
        sub._step()


# One pair of hooks for all subspaces: a pair for each, removed when it dies, would change torch's
# tables while another optimizer walks them.
register_optimizer_step_pre_hook(_before_step)
register_optimizer_step_post_hook(_after_step)
