"""A user's own code as a problem: a module with its loss, or a function that trains by itself.

A spec names it by `model`; the code itself is registered in each process that runs it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from idim.config import MODULE, OBJECTIVE, Setup
from idim.errors import IdimError, RunFailed
from idim.problems.base import Model, Problem, seeded
from idim.problems.small import Arrays
from idim.problems.tasks import Split

# Directions by the metric that is stored; a loss is turned into a gain, of which more is better.
METRICS = {"maximize": "score", "minimize": "gain"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One training that an objective is asked for."""

    # The size of the subspace; None: train everything; 0: nothing, score the untrained model.
    d: int | None
    # 0 where d is: nothing moves.
    lr: float
    # Fixes whatever is drawn: theta_0, P, the order of rows.
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A function that trains and scores by itself."""

    name: str
    call: Callable[[Trial], float]
    # How many numbers a trial of d=None trains.
    D: int
    direction: str
    fingerprint: str

    def score(self, trial: Trial) -> dict[str, float]:
        """Return the metric of a trial, and a loss as it is beside the gain that it makes.

        A gain is how far the loss has come down from that of the untrained model of the same
        seed, so that a share of it means the same whatever the loss starts from.

        Raises:
            RunFailed: what the function returns is no number.
        """
        value = self._value(trial, f"'{self.name}'")
        if self.direction == "maximize":
            return {"score": value}
        return {"gain": self._start(trial.seed) - value, "loss": value}

    def _start(self, seed: int) -> float:
        """Ask for the untrained loss of a seed, once in a process: at no rate, as nothing moves."""
        key = self.name, self.fingerprint, seed
        if key not in _UNTRAINED:
            whose = f"'{self.name}' at d=0, untrained,"
            _UNTRAINED[key] = self._value(Trial(0, 0.0, seed), whose)
        return _UNTRAINED[key]

    def _value(self, trial: Trial, whose: str) -> float:
        return number(asked(whose, self.call, trial), whose)


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """A module, what to minimise, and how to score it."""

    name: str
    make: Callable[[], nn.Module]
    loss: Callable[[nn.Module], Tensor]
    evaluate: Callable[[nn.Module], float]
    head: tuple[str, ...]
    direction: str
    fingerprint: str


Given = Objective | Own
# By task and name, then by fingerprint, the newest last: functions may share a name.
_REGISTERED: dict[tuple[str, str], dict[str, Given]] = {}
# Losses of untrained models, of the newest code only: what it calls may have changed since.
_UNTRAINED: dict[tuple[str, str, int], float] = {}
# Parameters that a module was made with.
_MADE = WeakIdKeyDictionary()
# What is squared in a fit of scores stays far from what a float holds.
LARGEST = float(np.finfo(np.float32).max)


def register(given: Given) -> None:
    """Make the code known to this process."""
    task = OBJECTIVE if isinstance(given, Objective) else MODULE
    codes = _REGISTERED.setdefault((task, given.name), {})
    codes.pop(given.fingerprint, None)
    codes[given.fingerprint] = given
    _UNTRAINED.clear()


def find(setup: Setup) -> Given | None:
    """Return the code that a spec names; None where it names none.

    A run's spec says which of one name it is; a sweep's, which is not resolved yet, the newest.

    Raises:
        IdimError: this process does not know it.
    """
    if setup.task not in (OBJECTIVE, MODULE):
        return None
    codes = _REGISTERED.get((setup.task, setup.model), {})
    wanted = getattr(setup, "model_fingerprint", "") or next(reversed(codes), "")
    if wanted not in codes:
        raise IdimError(
            f"'{setup.model}' is a function of a Python program; call idim.measure in it again."
        )
    return codes[wanted]


def own_problem(own: Own, setup: Setup) -> Problem:
    """Return the problem of a module; its one row stands for none."""
    nothing = Split.nothing()
    metric = METRICS[own.direction]
    return Problem(
        train=nothing,
        select=None,
        evaluation=nothing,
        build=partial(_build, own, setup.device),
        answers=Tensor.numpy,
        judge=lambda found, _: {metric: found.item()},
        metrics=(metric,),
        chance={},
        data_fingerprint="",
        model_fingerprint=lambda: own.fingerprint,
    )


def _build(own: Own, device: str, seed: int) -> Model:
    with seeded(seed):
        net = asked(f"'{own.name}'", own.make)
        if not isinstance(net, nn.Module):
            raise IdimError(f"'{own.name}' made a {type(net).__name__}, not a torch module.")
        missing = [name for name in own.head if name not in dict(net.named_modules())]
        if missing:
            raise IdimError(f"'{own.name}' has no submodule '{missing[0]}' to be its head.")
        asked(f"the module of '{own.name}', moved to {device},", net.to, device)
        _refuse_made(own, net)
        start = 0.0 if own.direction == "maximize" else _untrained(own, net)

    def outputs(_: dict[str, Tensor]) -> Tensor:
        if torch.is_grad_enabled():
            return _scalar(own, asked(f"the loss of '{own.name}'", own.loss, net))
        value = _score(own, net)
        shown = value if own.direction == "maximize" else start - value
        return torch.tensor([shown], dtype=torch.float64)

    return Model(net, own.head, Arrays.of(net), outputs, lambda loss, _: loss.sum())


def _refuse_made(own: Own, net: nn.Module) -> None:
    """Refuse parameters that an earlier run has trained: no run would begin where its seed says."""
    own_parameters = dict(net.named_parameters())
    for name, parameter in own_parameters.items():
        if parameter in _MADE:
            raise IdimError(
                f"'{own.name}' gives out its parameter '{name}' again, as an earlier run has left "
                "it; make a new module in each call, or a copy.deepcopy."
            )
    _MADE.update({p: True for p in own_parameters.values() if p.requires_grad})


@torch.no_grad()
def _untrained(own: Own, net: nn.Module) -> float:
    net.eval()
    before = _versions(net)
    value = _score(own, net)
    after = _versions(net)
    if written := [name for name in before if after.get(name) != before[name]]:
        raise RunFailed(
            f"the evaluation of '{own.name}' writes to the parameter '{written[0]}'; it must leave "
            "the module as it is."
        )
    return value


def _score(own: Own, net: nn.Module) -> float:
    whose = f"the evaluation of '{own.name}'"
    return number(asked(whose, own.evaluate, net), whose)


def _versions(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Return for each parameter what changes where it is written to, but for lazy ones."""
    whole = ((n, p) for n, p in net.named_parameters() if not is_lazy(p))
    return {name: (id(p), p._version) for name, p in whole}


def _scalar(own: Own, loss: Any) -> Tensor:
    whose = f"the loss of '{own.name}'"
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise RunFailed(f"{whose} must be a tensor of one number.")
    if not loss.requires_grad:
        raise RunFailed(
            f"{whose} has no gradient: it must come from the module's parameters, without detach, "
            "no_grad or item."
        )
    return loss.reshape(1)


def asked(whose: str, code: Callable[..., Any], *args: Any) -> Any:
    """Call a user's code, whose errors are its own: no fault of the store's, no end of ours.

    Raises:
        RunFailed: naming what it raised; the traceback is its cause's.
    """
    try:
        return code(*args)
    except (IdimError, MemoryError):
        raise
    except Exception as e:
        said = _said(e)
        if "memory" in said:  # the loop says what would help
            raise
        raise RunFailed(f"{whose} raised {type(e).__name__}: {said[:200].rstrip('.')}.") from e


def _said(e: Exception) -> str:
    try:
        return (str(e).strip() or "no message").splitlines()[0]
    except Exception:  # whatever a user's class does
        return "no message"


def number(value: Any, whose: str) -> float:
    """Read what a user's function returned.

    Raises:
        RunFailed: it is no number, or NaN or infinite, or no float32 could hold it.
    """
    value = value.detach() if isinstance(value, Tensor) else value
    kind = type(value).__name__
    truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")
    try:
        if truth or isinstance(value, str | bytes | bytearray):
            raise TypeError
        found = float(value)
    except OverflowError:
        found = math.inf
    except (TypeError, ValueError, RuntimeError):
        raise RunFailed(f"{whose} returned a {kind}; a number is wanted.") from None
    if not math.isfinite(found):
        raise RunFailed(f"{whose} returned {found}.")
    if abs(found) > LARGEST:
        raise RunFailed(f"{whose} returned {found:g}; a score is at most {LARGEST:.2g}.")
    return found
