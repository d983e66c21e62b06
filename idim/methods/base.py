"""The contract of a method; known without torch, which only its instances need."""

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from idim.config.schema import ONLY_IN_SUBSPACE
from idim.errors import IdimError
from idim.plain import brief

if TYPE_CHECKING:
    from torch import Tensor, nn

    from idim.config import RunSpec, Setup, SweepSpec
    from idim.problems.base import Model
    from idim.subspace.layout import Extent

# Steps between two exact writes of theta where one copy of it is kept.  The training loop offers
# its state at multiples of this only, so that a resumed run goes on from the same bits.
EXACT_EVERY = 10


class Method(ABC):
    """How a model is made trainable.  The class is known to specs, an instance trains one run.

    A run is of a method and of a size: what `d` is to a subspace, a rank or a count is to another.
    What is compared across methods is how many numbers are trained, `trainable`.

    Args:
        spec: the run.
        model: freshly built, at theta_0; the method may change its module.
        seed: of what the method draws.
    """

    # The field of a run that holds its size, "d" or "size"; None: there is nothing to choose.
    size: ClassVar[str | None] = "size"
    # The size in tables and in d90's name: "r" gives r90.
    symbol: ClassVar[str] = "size"
    # Whether anything is trained; else `measure` of its runs is 0.
    trains: ClassVar[bool] = True
    # What a seed draws for it, beside the head, the data order and dropout.
    draws: ClassVar[str] = ""
    # What `matched_rate` is; see `matching`.
    matched: ClassVar[str] = "lr_full"
    # Settings of a run that mean nothing here: they are not in its id.
    ignores: ClassVar[tuple[str, ...]] = ONLY_IN_SUBSPACE

    @abstractmethod
    def __init__(self, spec: "RunSpec", model: "Model", seed: int) -> None: ...

    @staticmethod
    def unfit(of: "type[Method]") -> str | None:
        """Say why a class cannot be entered as a method: what names are made of is none."""
        if of.size not in ("d", "size", None):
            return f"size must be 'd', 'size' or None, not {brief(of.size)}"
        if not (isinstance(of.symbol, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", of.symbol)):
            return f"symbol must be a word of letters, digits and _, not {brief(of.symbol)}"
        words = (of.draws, of.matched, *(of.ignores if isinstance(of.ignores, tuple) else (None,)))
        if not all(isinstance(word, str) for word in words):
            return "draws and matched must be texts, and ignores a tuple of them"
        return None

    # What specs, searches and tables ask

    @classmethod
    def named(cls, setting: "Setup") -> tuple[str, ...]:
        """Name what sets runs of one sweep apart from another's, first what ids say of it."""
        return (setting.method,)

    @classmethod
    def title(cls, setting: Any) -> str:
        """Say what is trained, for titles.

        Args:
            setting: a sweep's spec, or its summary: it has `method`, `projection` and the like.
        """
        return str(setting.method)

    @classmethod
    def sizes(cls, span: "Extent") -> int:
        """Return the largest size."""
        return span.D

    @classmethod
    def check(cls, size: int, span: "Extent", setting: "Setup") -> None:
        """Refuse a size that the model does not allow.

        Raises:
            IdimError: it is out of range.
        """
        if not 1 <= size <= (most := cls.sizes(span)):
            raise IdimError(
                f"{cls.symbol} {size:,} is out of range: here {setting.method} has 1 to {most:,}."
            )

    @classmethod
    def trained(cls, size: int, span: "Extent") -> int | None:
        """Return how many numbers a run of a size will train; None: it shows when it runs."""
        return None

    @classmethod
    def matched_rate(cls, rate: float, size: int, D: int, tensors: int, setting: "Setup") -> float:
        """Return the learning rate whose steps are as long as full fine-tuning's at `rate`.

        Args:
            rate: of full fine-tuning.
            size: of the run.
            D: parameters of the model, which lie in so many `tensors`.
            tensors: see D.
            setting: of the sweep.
        """
        return rate

    @classmethod
    def matching(cls, setting: "Setup") -> str:
        """Say what `matched_rate` is in a setting, and how near it comes to a match."""
        return cls.matched

    @classmethod
    def transfer(cls, setting: "SweepSpec") -> float:
        """Return a in the rule lr ~ size^-a that carries a best rate to another size."""
        return 0.0

    @classmethod
    def stacks(cls, spec: "RunSpec") -> bool:
        """Say whether runs of it can be rows of a stack (`idim.training.stack`)."""
        return False

    # What training asks

    @property
    @abstractmethod
    def trainable(self) -> int:
        """How many numbers are trained."""

    @abstractmethod
    def param_groups(self) -> list[dict[str, Any]]:
        """Return optimizer groups, each with its learning rate."""

    @abstractmethod
    def state(self) -> "dict[str, Tensor]":
        """Return what training has chosen so far, on the CPU."""

    @abstractmethod
    def load_state(self, state: "dict[str, Tensor]") -> None:
        """Take over a `state()`."""

    def settle(self) -> None:  # noqa: B027
        """Make the module exactly what `state` says, where a step leaves it only nearly so."""

    def header(self) -> dict[str, str] | None:
        """Return the metadata under which `state()` is kept as a file; None: it is not kept."""
        return None

    @classmethod
    def restored(cls, spec: "RunSpec", model: "Model", seed: int, file: Path) -> "nn.Module":
        """Return a model's module as the run of a kept file had trained it, bound to nothing."""
        from safetensors.torch import load_file

        method = cls(spec, model, seed)
        method.load_state(load_file(file))
        method.settle()
        return model.module
