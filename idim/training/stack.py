"""Many small runs at once: runs that share all but P, d, learning rate and seed, as one stack.

A small net spends its time between operations, not in them, so R runs take one stacked step.  Their
company changes nothing: a batched product multiplies each run's own matrices, and everything else
is elementwise or done run by run.  A run's bits are those of its spec, alone or with others, before
and after a kill; the tests compare them.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from idim.config import RunSpec
from idim.errors import Misled
from idim.methods import Method
from idim.methods.full import Full
from idim.methods.subspace import InSubspace
from idim.problems.base import Batch, Model, Problem, Rows
from idim.problems.tasks import Split
from idim.projection import Piece
from idim.subspace import Subspace
from idim.subspace.layout import partition, segments
from idim.training.events import State
from idim.training.schedule import batch_index, learning_rate
from idim.training.single import EVALUATED, Best
from idim.training.start import build, make

# What runs of one stack may differ in.
APART = ("d", "lr", "seed", "projection", "norm")
# A run's numbers start at a multiple of this, and are filled up with zeros to one: then all of them
# go through the vector loops of elementwise operations, none through a tail that rounds otherwise.
ALIGN = 64
# Adam's two averages of each trained number.
MOMENTS = ("exp_avg", "exp_avg_sq")


def key(spec: RunSpec) -> str | None:
    """Return what runs must have in common to train together; None: this one trains alone.

    Raises:
        Misled: it says that it is a row of a stack, which takes no such run.
    """
    if not spec.stacked:
        return None
    _check(spec)
    shared = {k: v for k, v in json.loads(spec.canonical()).items() if k not in APART}
    return json.dumps([shared, spec.data], sort_keys=True)


def _check(spec: RunSpec) -> None:
    """Refuse a row that the stack would train otherwise than its spec says."""
    if not spec.is_stackable:
        raise Misled(
            f"run '{spec.id}' says stacked, and no run of its model, method and recipe can be."
        )


class _Net(nn.Module):
    """A model's outputs and loss as a module, so that `functional_call` may swap its parameters."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module, self.model = model.module, model

    def forward(self, batch: Batch, wants_loss: bool) -> Tensor:
        outputs = self.model.outputs(batch)
        return self.model.loss(outputs, batch) if wants_loss else outputs


class _Projected:
    """theta = theta_0 + P theta_d of one run, in its row of the stack."""

    def __init__(self, sub: Subspace, theta: Tensor) -> None:
        sub.merge()  # the module's own parameters take no part
        self.sub, theta_0, self.scale = sub, theta.clone(), None
        self.pieces = [Piece(theta, theta_0, 0, 1.0)]
        if sub.spec["norm"] == "tensor":
            sizes = torch.tensor([segment.stop - segment.start for segment in sub.segments])
            scales = torch.tensor([segment.scale for segment in sub.segments])
            self.scale = scales.repeat_interleave(sizes)
            self.pieces = [
                Piece(theta[s.start : s.stop], theta_0[s.start : s.stop], s.start, s.scale)
                for s in sub.segments
            ]

    def pull(self, gradient: Tensor) -> Tensor:
        """Turn the gradient of theta into that of theta_d."""
        return self.sub.projection.rmatvec(
            gradient if self.scale is None else gradient * self.scale
        )

    def push(self) -> None:
        """Write theta."""
        self.sub.projection.write(self.sub.theta_d, self.pieces)


class Stack:
    """R runs of one net: theta as (R, D), of which each tensor of the net is a stack of views.

    Adam's step is its rate times a direction that no rate enters, so one optimizer serves all runs:
    it trains `y`, all their numbers end to end, at a share of rate 1, and what a run trains is
    start + lr y.
    """

    best: Best | None = None

    def __init__(self, specs: Sequence[RunSpec], problem: Problem) -> None:
        for spec in specs:
            _check(spec)
        self.specs, models = specs, [build(spec, problem) for spec in specs]
        self.model, self.net = models[0], _Net(models[0])
        inside, _, _ = partition(self.model.module, [], [])
        laid = segments(inside, [], "global")
        self.D = laid[-1].stop
        names = [segment.name for segment in laid]
        theta = torch.stack([_flat(model.module, names) for model in models])
        self.parts = {
            f"module.{segment.name}": theta[:, segment.start : segment.stop]
            .view(len(specs), *segment.parameter.shape)
            .requires_grad_()
            for segment in laid
        }
        self.methods: list[Method] = list(map(make, specs, models))
        if not all(isinstance(method, Full | InSubspace) for method in self.methods):
            raise Misled(
                f"method '{specs[0].method}' says that its runs stack, which only those of full "
                "training and of a subspace can."
            )
        self.projected = [
            _Projected(method.subspace, row[: self.D])
            for method, row in zip(self.methods, theta, strict=True)
            if isinstance(method, InSubspace)
        ]
        sizes = [p.sub.theta_d.numel() for p in self.projected] or [self.D] * len(specs)
        room = torch.tensor([_aligned(size) for size in sizes])
        starts = (room.cumsum(0) - room).tolist()
        self.at = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        self.trained = torch.zeros(int(room.sum())) if self.projected else theta.view(-1)
        for p, at in zip(self.projected, self.at, strict=False):
            p.sub.theta_d.data = self.trained[at]
        self.start = self.trained.clone()
        self.rates = torch.tensor([s.lr for s in specs]).repeat_interleave(room)
        self.y = torch.zeros_like(self.start)
        self.y.grad = torch.zeros_like(self.y)
        self.adam = {name: torch.zeros_like(self.y) for name in MOMENTS}
        self.optimizer = torch.optim.AdamW(
            [self.y], betas=(specs[0].beta1, specs[0].beta2), weight_decay=0.0, fused=True
        )
        self.optimizer.state[self.y] = self.adam | {"step": torch.tensor(0.0)}

    def step(self, rows: Rows, step: int, steps: int) -> Tensor:
        """Take one step of every run; return the losses, (R,)."""
        loss = self._call(rows.batch(self._index(len(rows), step)), wants_loss=True)
        parts = torch.autograd.grad(loss.sum(), list(self.parts.values()))
        gradient = torch.cat([part.reshape(len(self.specs), -1) for part in parts], dim=1)
        assert self.y.grad is not None
        for r, at in enumerate(self.at):
            row = gradient[r]
            self.y.grad[at] = self.projected[r].pull(row) if self.projected else row
        self.optimizer.param_groups[0]["lr"] = learning_rate(
            step, steps, self.specs[0].warmup, self.specs[0].schedule
        )
        self.optimizer.step()
        self._push()
        return loss.detach()

    @torch.no_grad()
    def _push(self) -> None:
        torch.addcmul(self.start, self.y, self.rates, out=self.trained)
        for p in self.projected:
            p.push()

    @torch.no_grad()
    def outputs(self, split: Split) -> Sequence[Tensor]:
        """Return what every run puts out on a split, (rows, ...) each."""
        rows, found = self.model.encode(split), []
        for start in range(0, len(rows), EVALUATED):
            batch = rows.batch(range(start, min(start + EVALUATED, len(rows))))
            # one copy a run: with shared inputs the products would merge into one of R times the
            # columns, whose sums may depend on R
            batch = {k: v.expand(len(self.specs), *v.shape) for k, v in batch.items()}
            found.append(self._call(batch, wants_loss=False))
        return list(torch.cat(found, dim=1))

    def saver(self, r: int, step: int, loss: float) -> Callable[[], State]:
        """Return what makes the state of a run at a step."""

        def state() -> State:
            own = {"y": self.y, **self.adam}
            return {name: t[self.at[r]].clone() for name, t in own.items()} | {
                "step": torch.tensor(step),
                "loss": torch.tensor(loss, dtype=torch.float64),
            }

        return state

    @torch.no_grad()
    def restore(self, states: Sequence[State | None]) -> int:
        """Take over the states of all runs; return their step."""
        (step,) = {int(state["step"]) if state else 0 for state in states}
        for at, state in zip(self.at, states, strict=True):
            for name, t in {"y": self.y, **self.adam}.items():
                if state is not None:
                    t[at] = state[name]
        self.optimizer.state[self.y]["step"].fill_(step)
        self._push()
        return step

    def _index(self, rows: int, step: int) -> Any:
        """Return the rows of a step for each run, (R, batch)."""
        seeds = [spec.seed for spec in self.specs]
        first = {seed: i for i, seed in reversed([*enumerate(seeds)])}
        place = {seed: i for i, seed in enumerate(first)}
        each = torch.tensor([batch_index(self.specs[i], rows, step) for i in first.values()])
        return each[[place[seed] for seed in seeds]]

    def _call(self, batch: Batch, *, wants_loss: bool) -> Tensor:
        def one(parts: State, batch: Batch) -> Tensor:
            return functional_call(self.net, parts, (batch, wants_loss))

        return vmap(one)(self.parts, batch)


def _flat(module: nn.Module, names: list[str]) -> Tensor:
    """Return the named parameters end to end, with zeros up to a multiple of ALIGN."""
    named = dict(module.named_parameters())
    flat = torch.cat([named[name].detach().reshape(-1) for name in names])
    return functional.pad(flat, (0, _aligned(len(flat)) - len(flat)))


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN
