"""Pictures and numbers, read by the package's own small nets."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from idim.builtin.nets import small_net
from idim.config import Setup
from idim.errors import IdimError
from idim.problems import tasks
from idim.problems.base import Batch, Model, Problem, Rows, cross_entropy, seeded
from idim.problems.rowed import rowed
from idim.problems.tasks import Split, TaskData, TaskInfo


def small(setup: Setup, _: TaskInfo) -> Problem:
    """Return the problem of a small net on its task.

    Raises:
        IdimError: bad rows, or a head to keep: none is stored.
    """
    refuse_kept_head(setup)
    data = tasks.load(setup)
    return rowed(data, partial(_build, setup.model, data), lambda: f"builtin:{setup.model}:1")


def refuse_kept_head(setup: Setup) -> None:
    """Refuse --keep-head where nothing is read from a file."""
    if setup.keep_head:
        raise IdimError(f"model '{setup.model}' has no stored head to keep; drop --keep-head.")


def _build(name: str, data: TaskData, seed: int) -> Model:
    shape = data.train.inputs.shape[1:]  # type: ignore[union-attr]
    with seeded(seed):
        net = small_net(name, shape, len(data.info.labels))
    head = str(len(net) - 1)
    return Model(net, (head,), Arrays.of(net), lambda b: net(b["inputs"]), cross_entropy)


class Arrays:
    """A split of numbers, kept on the module's device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.inputs = torch.as_tensor(split.inputs, device=device)
        self.targets = torch.as_tensor(split.targets, device=device)

    @classmethod
    def of(cls, module: nn.Module) -> Callable[[Split], Rows]:
        """Return an encoder that follows the module's device."""
        return lambda split: cls(split, next(module.parameters()).device)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int]) -> Batch:
        """Return the rows at `index`."""
        at = torch.as_tensor(index, device=self.inputs.device)
        return {"inputs": self.inputs[at], "targets": self.targets[at]}
