"""theta = theta_0 + P theta_d: only theta_d is trained, d numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from idim.methods.base import EXACT_EVERY, Method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from idim.config import RunSpec, Setup, SweepSpec
    from idim.problems.base import Model
    from idim.subspace.layout import Extent


HEADS = {
    "subspace": "head in the subspace",
    "free": "head trained beside it",
    "frozen": "head frozen",
}


class InSubspace(Method):
    """theta_d, with SAID's lambdas and a free head at their own step sizes.

    Source:
        Li et al. 2018, eq. 2; Aghajanyan et al. 2020, eq. 1 and 3.
    """

    size = symbol = "d"
    ignores = ("size",)
    draws = "P"
    matched = "lr_full sqrt(D/d), the matched step length"

    def __init__(self, spec: "RunSpec", model: "Model", seed: int) -> None:
        from idim.subspace import Subspace

        self.spec = spec
        self.subspace = Subspace(
            model.module,
            d=spec.d or 0,
            projection=spec.projection,
            structure=spec.structure,
            groups=spec.said_groups,
            norm=spec.norm,
            seed=seed,
            copies=spec.copies,
            exact_every=EXACT_EVERY,
            free=model.head if spec.head == "free" else (),
            frozen=model.head if spec.head == "frozen" else (),
        )

    @classmethod
    def named(cls, setting: "Setup") -> tuple[str, ...]:
        """Name the kind of P and the structure."""
        return setting.projection, setting.structure

    @classmethod
    def title(cls, setting: Any) -> str:
        """Say P, the structure and where the head is: "fastfood DID, head in the subspace"."""
        return f"{setting.projection} {setting.structure.upper()}, {HEADS[setting.head]}"

    @classmethod
    def check(cls, size: int, span: "Extent", setting: "Setup") -> None:
        """Refuse a d above D, or one that SAID's lambdas use up."""
        from idim.subspace.layout import check_d

        check_d(size, span.D, span.lambdas, setting.said_groups)

    @classmethod
    def trained(cls, size: int, span: "Extent") -> int:
        """d, and the head's parameters if it is free."""
        return size + span.free

    @classmethod
    def matched_rate(cls, rate: float, size: int, D: int, tensors: int, setting: "Setup") -> float:
        """Return the rate whose Adam steps are as long as full fine-tuning's.

        Such a step moves theta by lr sqrt(d) in a subspace of unit columns, and by lr sqrt(D) in
        full space; with unit columns within each tensor, sqrt(tensors) times as far.  SGD's moves
        it by lr |g| sqrt(d/D) and by lr |g|, the same ratio; with unit columns within each tensor
        by lr sqrt(tensors d sum |g_t|^2 / D_t), which no rule of D and tensors foretells.
        """
        return rate * (D / size) ** 0.5 / (tensors**0.5 if setting.norm == "tensor" else 1)

    @classmethod
    def matching(cls, setting: "Setup") -> str:
        """Say the rule, and where SGD's steps keep it from being a match."""
        is_tensor = setting.norm == "tensor"
        rule = "lr_full sqrt(D/d) / sqrt(tensors)" if is_tensor else "lr_full sqrt(D/d)"
        if setting.optimizer == "sgd" and is_tensor:
            return (
                f"{rule}, with which steps of SGD are longer than full training's, by a factor "
                "that depends on the gradient"
            )
        if setting.optimizer == "sgd" and setting.clip is not None:
            return f"{rule}, the matched step length of gradients that are not clipped"
        return cls.matched if not is_tensor else f"{rule}, the matched step length"

    @classmethod
    def transfer(cls, setting: "SweepSpec") -> float:
        """As measured, or as given: see `SweepSpec.lr_transfer`."""
        return setting.lr_transfer

    @classmethod
    def stacks(cls, spec: "RunSpec") -> bool:
        """Where nothing but theta_d is trained."""
        return (spec.structure, spec.head, spec.copies) == ("did", "subspace", 2)

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

    def state(self) -> "dict[str, Tensor]":
        """theta_d, lambdas and the free head: a few kB."""
        return self.subspace.state()

    def load_state(self, state: "dict[str, Tensor]") -> None:
        """Copy them in and write theta."""
        self.subspace.load_state(state)

    def header(self) -> dict[str, str]:
        """The spec of P, so that the file is one of `Subspace.save`."""
        return self.subspace.header()

    @classmethod
    def restored(cls, spec: "RunSpec", model: "Model", seed: int, file: Path) -> "nn.Module":
        """Bind the module to the subspace that the file holds, and take it off again."""
        from idim.subspace import Subspace

        return Subspace.load(model.module, file).merge()
