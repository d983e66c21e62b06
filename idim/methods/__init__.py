"""How a model is made trainable: all of it, or only inside a random subspace."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from idim.config import RunSpec
from idim.problems.base import Model
from idim.subspace import Subspace

# Steps between two exact writes of theta where one copy of it is kept.  The training loop offers
# its state at multiples of this only, so that a resumed run goes on from the same bits.
EXACT_EVERY = 10


class Trainable(Protocol):
    """What the training loop needs to know of a method."""

    @property
    def trainable(self) -> int:
        """How many numbers are trained."""
        ...

    def param_groups(self) -> list[dict[str, Any]]:
        """Return optimizer groups, each with its learning rate."""
        ...

    def settle(self) -> None:
        """Make the module exactly what `state` says."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return what training has chosen so far, on the CPU."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over a `state()`."""
        ...

    def header(self) -> dict[str, str] | None:
        """Return the metadata that makes a file of `state()` restore the model; None: no file."""
        ...


@dataclass(frozen=True, slots=True)
class Full:
    """Full fine-tuning: every parameter is trained."""

    module: nn.Module
    lr: float

    @property
    def trainable(self) -> int:
        """D."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def param_groups(self) -> list[dict[str, Any]]:
        """One group of all parameters."""
        return [{"params": list(self.module.parameters()), "lr": self.lr}]

    def settle(self) -> None:
        """It is."""

    def state(self) -> dict[str, Tensor]:
        """Every parameter, tied ones once, and every buffer: training changes BatchNorm's."""
        named = {**dict(self.module.named_parameters()), **self._buffers()}
        return {n: p.detach().to("cpu", copy=True).contiguous() for n, p in named.items()}

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Copy the saved parameters and buffers in; older states hold no buffers."""
        for name, p in self.module.named_parameters():
            p.copy_(state[name])
        for name, b in self._buffers().items():
            if name in state:
                b.copy_(state[name])

    def _buffers(self) -> dict[str, Tensor]:
        return {f"buffer.{n}": b for n, b in self.module.named_buffers()}

    def header(self) -> None:
        """A full model is as large as the original: it is not kept."""


@dataclass(frozen=True, slots=True)
class InSubspace:
    """theta = theta_0 + P theta_d, with SAID's lambdas and a free head at their own step sizes."""

    subspace: Subspace
    spec: RunSpec

    @property
    def trainable(self) -> int:
        """d, and the head's parameters if it is free."""
        return self.subspace.trainable

    def param_groups(self) -> list[dict[str, Any]]:
        """Groups theta_d, lambdas and free."""
        return self.subspace.param_groups(
            theta_d={"lr": self.spec.lr},
            lambdas={"lr": self.spec.said_lr},
            free={"lr": self.spec.head_lr},
        )

    def settle(self) -> None:
        """Write theta anew where it was only moved since."""
        if self.spec.copies == 1:
            self.subspace.refresh()

    def state(self) -> dict[str, Tensor]:
        """theta_d, lambdas and the free head: a few kB."""
        return self.subspace.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Copy them in and write theta."""
        self.subspace.load_state(state)

    def header(self) -> dict[str, str]:
        """The spec of P, so that the file is one of `Subspace.save`."""
        return self.subspace.header()


def apply(spec: RunSpec, model: Model, projection_seed: int) -> Trainable:
    """Make a model trainable as the spec says.

    Raises:
        IdimError: d out of range for this model, SAID with too few d, no head to set apart.
    """
    if spec.method == "full":
        return Full(model.module, spec.lr)
    return InSubspace(bind(spec, model, projection_seed), spec)


def bind(spec: RunSpec, model: Model, projection_seed: int) -> Subspace:
    """Build the subspace of a spec round a module."""
    assert spec.d is not None
    return Subspace(
        model.module,
        d=spec.d,
        projection=spec.projection,
        structure=spec.structure,
        groups=spec.said_groups,
        norm=spec.norm,
        seed=projection_seed,
        copies=spec.copies,
        exact_every=EXACT_EVERY,
        free=model.head if spec.head == "free" else (),
        frozen=model.head if spec.head == "frozen" else (),
    )
