"""What every problem is to the rest: rows, a module with theta_0, its outputs, loss and score."""

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from idim.problems.tasks import Split, TaskInfo

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is learned, and by what: the rows, and how a module with theta_0 is made.

    A problem is a value: its two fingerprints and a seed fix every number that comes of it.
    """

    train: Split
    # Held out of the training rows to choose the learning rate on; None: `evaluation`.
    select: Split | None
    evaluation: Split
    # Of a whole module, from the seed that draws whatever is not read from a file.
    build: Callable[[int], Model]
    # Turns what a model put out over a split, (N, ...), into predictions, (N,).
    answers: Callable[[Tensor], np.ndarray]
    # Scores predictions against targets, both (N,), by metric; higher is better, and the first
    # metric is the one that d90 uses.
    judge: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    metrics: tuple[str, ...]
    # By metric: the score on `evaluation` of the best constant answer, where there is one.
    chance: dict[str, float]
    data_fingerprint: str
    # Hashes what decides theta_0 before any seed; it reads every byte of the weights.
    model_fingerprint: Callable[[], str]
    # What a reader of the results must know about the rows, one sentence each.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: an entry of `problems.KINDS`."""

    # Raises IdimError for a setting that does not fit.
    make: Callable[..., Problem]
    # The package's own nets that read its rows; None: any other model does.
    nets: tuple[str, ...] | None
    # Which models to give, as an error says it.
    models: str

    def reads(self, model: str, nets: Container[str]) -> bool:
        """Whether a model can read the rows; `nets` are those of every kind."""
        return model in self.nets if self.nets is not None else model not in nets


def has_dropout(module: nn.Module) -> bool:
    """Say whether a part of a module drops something while it trains, attention's weights too.

    Whatever names a rate has one by which it is known: `p` of torch's own, else `...drop...`.
    """

    def rates(part: nn.Module) -> Iterator[Any]:
        held = vars(part)
        if isinstance(part, _DropoutNd):
            yield held.get("p")
        yield from (value for name, value in held.items() if "drop" in name.lower())

    return any(
        isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0
        for part in module.modules()
        for rate in rates(part)
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw weights from a seed, and leave torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        # weights are drawn on the CPU; torch.manual_seed takes 3 ms to seed devices too
        torch.default_generator.manual_seed(seed)
        yield


def classes(info: TaskInfo, outputs: Tensor) -> np.ndarray:
    """Turn logits, (N, classes), into class codes, or (N, 1) of regression into values; (N,)."""
    found = outputs.numpy()
    return found.argmax(axis=1) if info.labels else found[:, 0]


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss of class logits, (N, classes)."""
    return F.cross_entropy(logits.float(), batch["targets"])


def squared_error(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss of predicted values, (N, 1)."""
    return F.mse_loss(logits.float().squeeze(-1), batch["targets"])
