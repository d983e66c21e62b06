"""A user's own code as a problem: a module with its loss, or a function that trains by itself.

A spec names it by `model`; the code itself is registered in each process that runs it.
"""

import hashlib
import inspect
import math
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
        value = self._value(trial)
        if self.direction == "maximize":
            return {"score": value}
        start = self._value(Trial(0, trial.lr, trial.seed))
        return {"gain": start - value, "loss": value}

    def _value(self, trial: Trial) -> float:
        return number(self.call(trial), f"'{self.name}'")


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
_REGISTERED: dict[tuple[str, str], Given] = {}


def register(given: Given) -> None:
    """Make the code known to this process."""
    task = OBJECTIVE if isinstance(given, Objective) else MODULE
    _REGISTERED[task, given.name] = given


def find(setup: Setup) -> Given | None:
    """Return the code that a spec names; None where it names none.

    Raises:
        IdimError: this process does not know it.
    """
    if setup.task not in (OBJECTIVE, MODULE):
        return None
    if (given := _REGISTERED.get((setup.task, setup.model))) is None:
        raise IdimError(
            f"'{setup.model}' is a function of a Python program; call idim.measure in it again."
        )
    return given


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
        net = own.make()
        if not isinstance(net, nn.Module):
            raise IdimError(f"'{own.name}' made a {type(net).__name__}, not a torch module.")
        missing = [name for name in own.head if name not in dict(net.named_modules())]
        if missing:
            raise IdimError(f"'{own.name}' has no submodule '{missing[0]}' to be its head.")
        net.to(device)
        start = 0.0 if own.direction == "maximize" else _untrained(own, net)

    def outputs(_: dict[str, Tensor]) -> Tensor:
        if torch.is_grad_enabled():
            return _scalar(own, own.loss(net))
        value = number(own.evaluate(net), f"the evaluation of '{own.name}'")
        shown = value if own.direction == "maximize" else start - value
        return torch.tensor([shown], dtype=torch.float64)

    return Model(net, own.head, Arrays.of(net), outputs, lambda loss, _: loss.sum())


@torch.no_grad()
def _untrained(own: Own, net: nn.Module) -> float:
    net.eval()
    return number(own.evaluate(net), f"the evaluation of '{own.name}'")


def _scalar(own: Own, loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise RunFailed(f"the loss of '{own.name}' must be a tensor of one number.")
    return loss.reshape(1)


def number(value: Any, whose: str) -> float:
    """Read what a user's function returned.

    Raises:
        RunFailed: it is no number, or NaN or infinite.
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        kind = type(value).__name__
        raise RunFailed(f"{whose} returned a {kind}; a number is wanted.") from None
    if not math.isfinite(found):
        raise RunFailed(f"{whose} returned {found}.")
    return found


def name_of(code: Any) -> str:
    """Name a function by its module and its own name: what ids and titles hold."""
    code = code.func if isinstance(code, partial) else code
    code = code if hasattr(code, "__qualname__") else type(code)
    module = code.__module__
    if module == "__main__":  # a program, by the name of its file
        module = Path(main_file() or "program").stem
    return f"{module}:{code.__qualname__.replace('<locals>.', '')}"


def main_file() -> str | None:
    """Return the file of the program that runs; None where it was typed in."""
    return getattr(sys.modules["__main__"], "__file__", None)


def fingerprint(*codes: Any, version: str = "") -> str:
    """Hash the source of functions, what they are bound to, and a version that the user gives.

    What they call in turn is not seen: that is what `version` is for.

    Raises:
        IdimError: there is no source, and no version.
    """
    digest = hashlib.sha256(version.encode())
    for code in codes:
        digest.update(_source(code, version).encode())
    return digest.hexdigest()[:16]


def _source(code: Any, version: str) -> str:
    if isinstance(code, partial):
        return f"{_source(code.func, version)}{_plain((code.args, code.keywords))}"
    try:
        source = inspect.getsource(code if hasattr(code, "__qualname__") else type(code))
    except (OSError, TypeError):
        if not version:
            raise IdimError(
                f"'{name_of(code)}' has no source to tell a change by; give version=."
            ) from None
        source = ""
    bound = getattr(code, "__defaults__", None), getattr(code, "__kwdefaults__", None)
    cells = [_content(cell) for cell in getattr(code, "__closure__", None) or ()]
    return f"{name_of(code)}\n{textwrap.dedent(source)}{_plain((bound, cells))}"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _plain(value: Any) -> str:
    """Spell numbers, texts and what is made of them; of anything else no more than its type."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_plain(k)}:{_plain(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_plain, value)) + "]"
    return type(value).__qualname__
