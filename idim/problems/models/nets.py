"""Nets that come with the package: the toy, small perceptrons, LeNet."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from idim.errors import IdimError
from idim.problems.models.base import Batch, Model, Rows, cross_entropy
from idim.problems.tasks import Split, TaskData


class Toy(nn.Module):
    """D = 1,000 numbers in ten blocks of 100; block i (1..10) should sum to i.

    The loss is the mean of the ten squared errors, performance is exp(-loss): ten independent
    constraints, so the intrinsic dimension is 10.

    Source:
        Li et al. 2018, section 2 (the toy problem); started at 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1000))

    def forward(self) -> Tensor:
        """Return the loss, shape (1,)."""
        target = torch.arange(1, 11, dtype=self.theta.dtype, device=self.theta.device)
        sums = self.theta.view(10, 100).sum(dim=1)
        return (sums - target).square().mean().view(1)


def small_net(name: str, task: TaskData) -> Model:
    """Build one of the package's own nets; its weights are drawn from torch's generator."""
    if name == "toy":
        toy = Toy()
        return Model(toy, (), _Arrays.of(toy), lambda _: toy(), lambda loss, _: loss.sum())
    shape = task.train.inputs.shape[1:]  # type: ignore[union-attr]
    classes = len(task.info.labels)
    if name == "lenet":
        net = _lenet(shape, classes)
    else:
        hidden = {"digits-mlp": (100, 100), "mnist-fc": (200, 200)}[name]
        net = _mlp((math.prod(shape), *hidden, classes))
    head = str(len(net) - 1)
    return Model(net, (head,), _Arrays.of(net), lambda b: net(b["inputs"]), cross_entropy)


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise(widths):
        layers += [_he(nn.Linear(a, b)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _lenet(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    channels, side = shape[0], shape[1]
    if len(shape) != 3 or side < 16:
        raise IdimError(f"lenet reads images of at least 16 x 16 pixels, got shape {shape}.")
    flat = 16 * (((side - 4) // 2 - 4) // 2) ** 2
    return nn.Sequential(
        _he(nn.Conv2d(channels, 6, 5)), nn.ReLU(), nn.MaxPool2d(2),
        _he(nn.Conv2d(6, 16, 5)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        _he(nn.Linear(flat, 120)), nn.ReLU(),
        _he(nn.Linear(120, 84)), nn.ReLU(),
        _he(nn.Linear(84, classes)),
    )  # fmt: skip


def _he(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class _Arrays:
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
        at = torch.as_tensor(index, device=self.inputs.device)
        return {"inputs": self.inputs[at], "targets": self.targets[at]}
