"""The untrained model: theta_0 with its head as a seed draws it; what a gain counts from."""

from typing import TYPE_CHECKING, Any, ClassVar

from idim.config.schema import ONLY_IN_SUBSPACE
from idim.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from idim.config import RunSpec
    from idim.problems.base import Model

# What only a training heeds.
_OF_TRAINING = (
    "epochs", "steps", "batch_size", "optimizer", "beta1", "beta2", "momentum", "clip",
    "weight_decay", "decay_to", "warmup", "schedule", "checkpoint", "select", "lr",
)  # fmt: skip


class Untrained(Method):
    """Nothing is trained, and the model is scored as it is: one run a seed, whatever the recipe."""

    size = None
    trains: ClassVar[bool] = False
    ignores = (*ONLY_IN_SUBSPACE, *_OF_TRAINING)

    def __init__(self, spec: "RunSpec", model: "Model", seed: int) -> None:
        del spec, model, seed

    @property
    def trainable(self) -> int:
        """None of them."""
        return 0

    def param_groups(self) -> list[dict[str, Any]]:
        """No group."""
        return []

    def state(self) -> "dict[str, Tensor]":
        """Nothing was chosen."""
        return {}

    def load_state(self, state: "dict[str, Tensor]") -> None:
        """There is nothing to take over."""
        del state
