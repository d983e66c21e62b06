"""Nets that come with the package: the toy, small perceptrons, LeNet."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from idim.errors import IdimError

# Widths of the hidden layers.
PERCEPTRONS = {"digits-mlp": (100, 100), "mnist-fc": (200, 200)}


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


def small_net(name: str, shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Build a classifier of small inputs; its weights are drawn from torch's generator.

    Args:
        name: "lenet" or one of `PERCEPTRONS`.
        shape: of one input: (features,), or (channels, height, width).
        classes: width of the last layer, the head.

    Raises:
        IdimError: inputs that lenet cannot read.
    """
    if name == "lenet":
        return _lenet(shape, classes)
    return _mlp((math.prod(shape), *PERCEPTRONS[name], classes))


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
