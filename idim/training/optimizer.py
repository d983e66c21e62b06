"""Optimizers from specs, and what they hold of each parameter as tensors by name."""

from typing import Any

import torch
from torch import Tensor

from idim.config import RunSpec

# Where a state holds them; of other optimizers than Adam too, since states are stored.
_PLACE = "adam/"


def optimizer_of(spec: RunSpec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return a run's optimizer over groups that each have a learning rate, kept as `peak_lr`."""
    groups = [{**group, "peak_lr": group["lr"]} for group in groups]
    decay = spec.weight_decay if spec.decay_to == "trained" else 0.0
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=spec.lr, momentum=spec.momentum, weight_decay=decay, fused=True
        )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[spec.optimizer]
    betas = spec.beta1, spec.beta2
    return kind(groups, lr=spec.lr, betas=betas, weight_decay=decay, fused=True)


def held(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies, on the CPU, of what an optimizer holds."""
    return {
        f"{_PLACE}{i}/{name}": t.to("cpu", copy=True)
        for i, kept in optimizer.state_dict()["state"].items()
        for name, t in kept.items()
    }


def hold(optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    """Take over what `held` returned, among whatever else a state has."""
    kept: dict[int, dict[str, Tensor]] = {}
    for place, t in saved.items():
        if place.startswith(_PLACE):
            _, i, name = place.split("/")
            kept.setdefault(int(i), {})[name] = t
    optimizer.load_state_dict(optimizer.state_dict() | {"state": kept})
