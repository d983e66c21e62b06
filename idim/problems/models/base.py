"""What every kind of model is to the training loop: a module, its rows, outputs and loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from idim.problems.tasks import Split

Batch = dict[str, Tensor]


class Rows(Protocol):
    """A split in the form the module reads: a number of rows and batches of them."""

    def __len__(self) -> int: ...

    def batch(self, index: Sequence[int]) -> Batch:
        """Return the rows at `index` as tensors on the module's device."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A module with what is needed to train it on one task."""

    module: nn.Module
    # Names of the submodules that are new for the task: the classification head.
    head: tuple[str, ...]
    encode: Callable[[Split], Rows]
    # (N, classes) logits, (N, 1) predictions for regression, or the toy's (1,) loss.
    outputs: Callable[[Batch], Tensor]
    loss: Callable[[Tensor, Batch], Tensor]
    # Behaviours mended since the first stores that decide this model's bits, e.g. `pairs:2`: a
    # part of the run's id, so that older runs never pass for new ones.
    changed: tuple[str, ...] = ()
    # What a reader of the results must know about the model, one sentence each.
    notes: tuple[str, ...] = ()


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss of class logits, (N, classes)."""
    return F.cross_entropy(logits.float(), batch["targets"])


def squared_error(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss of predicted values, (N, 1)."""
    return F.mse_loss(logits.float().squeeze(-1), batch["targets"])
