"""Whether an optimizer that owns parameters of a subspace owns its theta_d too, at their rate."""

import warnings
import weakref
from typing import Any

import torch
from torch import nn

from idim.errors import IdimError
from idim.subspace.gradients import theta_d_of

_bound = 0  # how often a module was bound


class _Owner:
    """What one optimizer owns of subspaces, as of its parameter count and the modules bound then.

    Args:
        optimizer: whose parameters are looked at now, and not again.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.stamp = _stamp(optimizer)
        groups = optimizer.param_groups
        at = {id(p): i for i, group in enumerate(groups) for p in group["params"]}
        inside: dict[int, tuple[nn.Parameter, set[int]]] = {}
        for i, group in enumerate(groups):
            for p in group["params"]:
                theta_d = theta_d_of(p)
                if theta_d is not None:
                    inside.setdefault(id(theta_d), (theta_d, set()))[1].add(i)
        # theta_d without a group, and the version of it that its last step without it saw
        self.lacking = [(weakref.ref(p), [-1]) for key, (p, _) in inside.items() if key not in at]
        # the group of theta_d, and those of the parameters that it moves
        self.mixed = [
            (weakref.ref(p), at[key], found - {at[key]})
            for key, (p, found) in inside.items()
            if key in at and found - {at[key]}
        ]
        self.is_told = False


_owners: "weakref.WeakKeyDictionary[torch.optim.Optimizer, _Owner]" = weakref.WeakKeyDictionary()


def _is_held(theta_d: nn.Parameter) -> bool:
    """Tell whether theta_d still moves a module; not after `Subspace.merge`."""
    return getattr(theta_d, "subspace", None) is not None


def note_bound() -> None:
    """Have all optimizers looked at anew: one of them may own what was just bound."""
    global _bound
    _bound += 1


def check_groups(optimizer: torch.optim.Optimizer) -> None:
    """Refuse a step that moves nothing of a subspace, though its parameters are stepped.

    What may be meant, two optimizers or a rate for each part, is told of once.

    Raises:
        IdimError: nobody has stepped theta_d since this optimizer was told of it, or the rate of
            theta_d is 0 and that of the module's own parameters is not.
    """
    owner = _owners.get(optimizer)
    if owner is None or owner.stamp != _stamp(optimizer):
        owner = _owners[optimizer] = _Owner(optimizer)
    for ref, seen in owner.lacking:
        theta_d = ref()
        if theta_d is not None and theta_d.grad is not None and _is_held(theta_d):
            _check_lacking(theta_d, seen)
    for ref, own, others in owner.mixed:
        theta_d = ref()
        if theta_d is not None and _is_held(theta_d):
            _check_rates(optimizer.param_groups, own, others, owner)


def _check_lacking(theta_d: nn.Parameter, seen: list[int]) -> None:
    line = (
        "an optimizer owns parameters of a subspace, which move through theta_d alone, and not "
        "theta_d: give it Subspace.parameters(), or all of the bound module's."
    )
    before, seen[0] = seen[0], theta_d._version
    if before == theta_d._version:
        raise IdimError(line)
    if before < 0:
        warnings.warn(line, stacklevel=2)


def _check_rates(groups: list[dict[str, Any]], own: int, others: set[int], owner: _Owner) -> None:
    rates = [_rate(groups[i]) for i in (own, *others)]
    found = sorted({r for r in rates[1:] if r not in (None, rates[0])})
    if rates[0] is None or not found:
        return
    line = (
        f"theta_d is in the optimizer's group of lr={rates[0]:g}, and what it moves is in one of "
        f"lr={found[-1]:g}, which has no effect: give the optimizer Subspace.param_groups()."
    )
    if rates[0] == 0:
        raise IdimError(line)
    if not owner.is_told:
        owner.is_told = True
        warnings.warn(line, stacklevel=2)


def _rate(group: dict[str, Any]) -> float | None:
    """Return a group's learning rate; None where it has none, or a look would wait for a device."""
    rate = group.get("lr")
    is_far = isinstance(rate, torch.Tensor) and rate.device.type != "cpu"
    return None if rate is None or is_far else float(rate)


def _stamp(optimizer: torch.optim.Optimizer) -> tuple[int, ...]:
    return _bound, *(len(group["params"]) for group in optimizer.param_groups)
