"""theta = theta_0 + P theta_d: binds a projection to a module's own parameters.

The module keeps its `nn.Parameter`s.  A subspace writes theta into them after each optimizer step
and folds each parameter's gradient into theta_d's as soon as backward has made it, so autograd
never sees P and no gradient of size D outlives its layer.
"""

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from idim.errors import IdimError, unknown
from idim.projection import PROJECTIONS, kernels_for
from idim.subspace import ranks, saved
from idim.subspace.follow import Follower
from idim.subspace.gradients import large_embeddings
from idim.subspace.layout import Segment, check_d, check_storage, group_names, partition, segments
from idim.subspace.theta import Theta
from idim.subspace.theta_0 import Buffers, InMemory, OnDisk, digest
from idim.subspace.tie import Tie, home, prepare, tie_of


class Subspace:
    """Train a module only inside a random d-dimensional subspace of its parameters.

    `parameters()`, or the module's own, go into any torch optimizer; after each of its steps,
    before each call of its closure and before each forward pass of the module its weights are
    theta_0 + P theta_d again.  Until `merge`, theta_d (and the lambdas) are parameters of the
    module, so that `zero_grad`, clipping, `state_dict`, `load_state_dict`, `transformers.Trainer`
    and DistributedDataParallel (wrapped round a bound module) treat it as any other; the module's
    own gradients are consumed.  A deep copy is bound to a subspace of its own (`Subspace.of`).
    Weights that were changed otherwise are refused at the next step, `save` or `merge`, unless
    through `tensor.data`, which nobody sees; on a GPU call `refresh()` after changing
    `theta_d.data`.  Set the dtype first.  Large embeddings get sparse gradients.

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
            optimizer step.  DistributedDataParallel round a bound module needs none and sends as
            little; neither does a module sharded by FSDP2.
        free: names (or name prefixes) of parameters trained directly, beside the subspace.
        frozen: names (or name prefixes) left at theta_0.

    Raises:
        IdimError: d out of range, SAID with d <= number of lambdas, an unknown name, nothing to
            train, parameters that share memory or have none, or a module bound already.  The
            module is left as it was.

    Source:
        Li et al. 2018, eq. 2; Aghajanyan et al. 2020, eq. 1 (DID) and 3 (SAID).

    >>> _ = torch.manual_seed(0)
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
        prepare(module)
        self.spec: dict[str, Any] = {
            "d": d, "projection": projection, "structure": structure, "groups": groups,
            "norm": norm, "seed": seed, "free": list(free), "frozen": list(frozen),
        }  # fmt: skip
        inside, apart, held = partition(module, self.spec["free"], self.spec["frozen"])
        check_storage(module, inside)
        names = group_names(inside, groups) if structure == "said" else []
        self.d, self.D, m = d, sum(p.numel() for p in inside.values()), len(set(names))
        check_d(d, self.D, m, groups)
        self.projection = PROJECTIONS[projection](self.D, d - m, seed)
        is_double = any(p.dtype == torch.float64 for p in inside.values())
        how = {
            "dtype": torch.float64 if is_double else torch.float32,
            "device": next(iter(inside.values())).device,
        }
        theta_d = nn.Parameter(torch.zeros(d - m, **how))
        kernels_for(theta_d)  # kernels that cannot run fail here, not after a first step
        lambdas = nn.Parameter(torch.ones(m, **how)) if m else None
        laid = segments(inside, names, norm)
        self._sharded = ranks.group_of(inside.values())
        self._group = self._sharded or group
        self._starts = [s.start + ranks.offset(s.parameter) for s in laid]
        self._theta_0 = (InMemory if copies == 2 else OnDisk)(
            [ranks.local(segment.parameter) for segment in laid]
        )
        self._buffers = Buffers(module)
        self._exact_every = 1 if copies == 2 else exact_every
        self._frozen = list(held)
        self.attach(module, laid, apart, theta_d, lambdas, Tie(home(module)))

    def attach(
        self,
        module: nn.Module,
        laid: list[Segment],
        free: dict[str, nn.Parameter],
        theta_d: nn.Parameter,
        lambdas: nn.Parameter | None,
        tie: Tie,
    ) -> Follower:
        """Take hold of a module, which is changed only here; nothing here can fail."""
        self.module, self.segments, self.free = module, laid, free
        self.theta_d, self.lambdas = theta_d, lambdas
        named = dict(module.named_parameters())
        for name in self._frozen:
            named[name].requires_grad_(False)
        for p in self._own():
            p.subspace = self  # type: ignore[attr-defined]
        inside = [segment.parameter for segment in laid]
        tie.attach(module, self._own(), inside)
        theta = Theta(
            module, laid, self._starts, self.projection, self._own(), self._theta_0,
            exact_every=self._exact_every,
            embeddings=[] if self._sharded else large_embeddings(module, inside),
            place=tie.place, is_sharded=self._sharded is not None,
        )  # fmt: skip
        self.follower: Follower | None = Follower(
            self, module, theta, self._group,
            is_sharded=self._sharded is not None,
            trained=self._own() if self._sharded else self.parameters(),
            content=self._all,
        )  # fmt: skip
        self._tie = tie
        tie.sub = self.follower
        return self.follower

    @classmethod
    def of(cls, module: nn.Module) -> "Subspace | None":
        """Return the subspace that a module, or a deep copy of one, is bound to."""
        tie = tie_of(module)
        follower = None if tie is None else tie.subspace(module)
        return None if follower is None else follower.sub

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
        """Write theta = theta_0 + lambda * P theta_d into the module's parameters.

        Raises:
            IdimError: after `merge`.
        """
        if self.follower is None:
            raise IdimError("the subspace was merged and holds no module: bind a new one.")
        self.follower.theta.refresh()

    def _all(self) -> str:
        """Return, as a text to compare, what all ranks must share."""
        return json.dumps([self.header(), {n: digest(t) for n, t in self.state().items()}])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Subspace":
        copy = Subspace.of(deepcopy(self.module, memo))
        if copy is None:
            raise IdimError("a merged subspace cannot be copied: copy its module.")
        return copy

    def __reduce__(self) -> Any:
        """Pickle as nothing: a pickled module loses its subspace; `save` is the way to keep it."""
        return type(None), ()

    @torch.no_grad()
    def reduce(self) -> None:
        """Combine gradients over the group's ranks; optimizers do it first in their step.

        Call it yourself only to see or clip them before.  Each rank sends as many numbers as are
        trained: d, and the free parameters unless FSDP2, which shards them, has reduced them.

        Raises:
            IdimError: the ranks hold other theta_0, theta_d or P.
        """
        if self.follower is not None:
            self.follower.reduce()

    def save(self, path: str | Path) -> None:
        """Write `state` with what fixes P and a hash of each tensor of theta_0: some kB.

        Raises:
            IdimError: the module's weights are not theta_0 + P theta_d, or no file can be there.
        """
        saved.write(path, self.state(), self.header())

    def header(self) -> dict[str, str]:
        """Return what a file of `state()` must say of P and theta_0, as safetensors metadata."""
        if self._sharded is not None:  # no rank has theta_0
            return saved.header(self.spec, self.D, None)
        inside = {segment.name: (i, segment.parameter) for i, segment in enumerate(self.segments)}
        order = [n for n, _ in self.module.named_parameters() if n in inside]
        tensors = ((n, p, self._theta_0.base(i, p)) for n in order for i, p in [inside[n]])
        changed = self._buffers.changed(self.module)
        theta_0 = saved.describe(self.module, tensors, self.free, changed)
        return saved.header(self.spec, self.D, theta_0)

    @classmethod
    def load(cls, module: nn.Module, path: str | Path) -> Self:
        """Rebuild a saved subspace round a module that holds the same theta_0; exact to the bit.

        Warns where the file does not say its theta_0: one of an older version, or of FSDP.

        Raises:
            IdimError: not a file of `save`, or a module with another theta_0: the first tensor
                that differs is named, and the module is left alone.
        """
        spec, state = saved.matching(module, path)
        try:
            sub = cls(module, **spec)
        except TypeError:
            raise IdimError(f"'{path}' names options that this version does not know.") from None
        try:
            sub.load_state(state)
        except IdimError:
            sub.merge()
            raise
        return sub

    def state(self) -> dict[str, Tensor]:
        """Return what training has chosen, by name; contiguous copies on the CPU.

        Buffers that training changed (BatchNorm's statistics) are among it.
        """
        if self.follower is not None:
            self.follower.theta.settle()
        buffers = self._buffers.changed(self.module)
        tensors = self._targets() | {f"buffer.{n}": b for n, b in buffers.items()}
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over a `state()` and write theta.

        Raises:
            IdimError: a tensor is missing or has another shape; nothing is changed then.
        """
        targets = self._targets()
        for name, target in targets.items():
            if name not in state or state[name].shape != target.shape:
                raise IdimError(f"the state has no '{name}' of shape {tuple(target.shape)}.")
        if self.follower is not None:
            self.follower.theta.check_parameters()
        for name, target in targets.items():
            target.copy_(state[name])
        named = {n.removeprefix("buffer."): t for n, t in state.items() if n.startswith("buffer.")}
        self._buffers.restore(self.module, named)
        self.refresh()

    def merge(self) -> nn.Module:
        """Let go of the module: it keeps the trained weights and is plain again.

        Raises:
            IdimError: the module's weights are not theta_0 + P theta_d.
        """
        if self.follower is None:
            return self.module
        self.follower.theta.settle(is_merge=True)
        self.follower.theta.close()
        self._tie.detach(self.module)
        self.follower = None
        for p in self._own():
            p.subspace = None  # type: ignore[attr-defined]
        named = dict(self.module.named_parameters())
        for name in self._frozen:
            if name in named:
                named[name].requires_grad_(True)
        return self.module

    def _targets(self) -> dict[str, Tensor]:
        """Return all that is trained, by the names of `state`."""
        targets: dict[str, Tensor] = {"theta_d": self.theta_d}
        targets |= {f"free.{n}": p for n, p in self.free.items()}
        return targets if self.lambdas is None else targets | {"lambdas": self.lambdas}

    def _own(self) -> list[nn.Parameter]:
        """Return the parameters whose change moves theta."""
        return [self.theta_d] if self.lambdas is None else [self.theta_d, self.lambdas]
