"""One run: the model by itself, an optimizer of torch over what its method trains.

Source of "zero" and "theta_0": Li et al. 2018, section 3 (their L2 penalty is on the weights
themselves, also in a subspace); Li, Grandvalet and Davoine 2018, eq. 3 (L2-SP).
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from idim.config import RunSpec
from idim.errors import RunFailed
from idim.problems import kinds
from idim.problems.base import Problem, Rows
from idim.problems.tasks import Split
from idim.training.events import State
from idim.training.optimizer import held, hold, optimizer_of
from idim.training.schedule import batch_index, learning_rate, stream
from idim.training.start import blame, build, make, prepare_torch

# Rows of a batch where nothing is trained.
EVALUATED = 256


class Single:
    """A run that trains by itself."""

    def __init__(self, spec: RunSpec, problem: Problem) -> None:
        self.spec, self.model = spec, build(spec, problem)
        theta = list(self.model.module.parameters())  # before theta_d is among them
        self.D = sum(p.numel() for p in theta)
        self.method = make(spec, self.model)
        self.penalised = _penalised(spec, theta)
        self.methods = [self.method]
        self.optimizer = optimizer_of(spec, self.method.param_groups())
        self.best = Best(self, problem) if spec.checkpoint == "best" else None

    def step(self, rows: Rows, step: int, steps: int) -> Tensor:
        """Take one step; return the loss of the rows, (1,), without what a penalty adds."""
        spec, model = self.spec, self.model
        share = learning_rate(step, steps, spec.warmup, spec.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share
        _seed_dropout(spec, stream(spec.seed, "step", step))
        model.module.train()
        batch = rows.batch(batch_index(spec, len(rows), step))
        with _autocast(spec):
            loss = model.loss(model.outputs(batch), batch)
        of_rows = loss.detach()
        for p, center in self.penalised:
            away = p.float() if center is None else p.float() - center
            loss = loss + 0.5 * spec.weight_decay * away.square().sum()
        self.optimizer.zero_grad(set_to_none=True)
        # In a subspace, theta's gradient becomes theta_d's layer by layer as backward makes it
        # (`subspace.gradients`), and after the optimizer's step theta is theta_0 + P theta_d again
        # (`subspace.follow`).
        loss.backward()
        if spec.clip is not None:
            trained = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, spec.clip)
        self.optimizer.step()
        # a penalty that is no number ends the run as a loss does
        total = loss.detach()
        return torch.where(total.isfinite(), of_rows, total).reshape(1)

    def outputs(self, split: Split) -> Sequence[Tensor]:
        """Return what the model puts out on a split, (rows, ...), on the CPU."""
        return [outputs(self.spec, self.model, split)]

    def saver(self, r: int, step: int, loss: float) -> Callable[[], State]:
        """Return what makes the state at a step; `r` is 0."""

        def state() -> State:
            record = {f"theta/{name}": t for name, t in self.method.state().items()}
            record |= held(self.optimizer) | (self.best.state() if self.best else {})
            return record | {
                "step": torch.tensor(step),
                "loss": torch.tensor(loss, dtype=torch.float64),
            }

        return state

    def restore(self, states: Sequence[State | None]) -> int:
        """Take over a state; return its step."""
        (saved,) = states
        if saved is None:
            return 0
        self.method.load_state(under("theta/", saved))
        hold(self.optimizer, saved)
        if self.best:
            self.best.restore(saved)
        return int(saved["step"])


class Best:
    """The best end of an epoch so far: by rows held out, or the scored ones where none are."""

    def __init__(self, run: Single, problem: Problem) -> None:
        self.run, self.problem = run, problem
        self.step, self.score, self.theta = 0, -math.inf, None

    def look(self, step: int) -> None:
        """Score the run as it stands; of equal scores the earliest stays."""
        rows = self.problem.select or self.problem.evaluation
        try:
            found = evaluate(self.run.spec, self.run.model, self.problem, rows)
        except RunFailed:  # a prediction that is no number is not the best; the loss will tell
            return
        if (score := found[self.problem.metrics[0]]) > self.score:
            self.step, self.score, self.theta = step, score, self.run.method.state()

    def take(self) -> None:
        """Put the run back to where it was best, if an epoch has ended."""
        if self.theta is not None:
            self.run.method.load_state(self.theta)

    def state(self) -> State:
        """Return what a resumed run needs to know of it."""
        if self.theta is None:
            return {}
        named = {f"best/theta/{name}": t for name, t in self.theta.items()}
        about = torch.tensor([self.step, self.score], dtype=torch.float64)
        return named | {"best/about": about}

    def restore(self, saved: State) -> None:
        """Take over a `state()`."""
        if "best/about" in saved:
            step, self.score = saved["best/about"].tolist()
            self.step, self.theta = int(step), under("best/theta/", saved)


def under(prefix: str, state: State) -> State:
    """Return the part of a state below a prefix."""
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _penalised(
    spec: RunSpec, theta: list[nn.Parameter]
) -> list[tuple[nn.Parameter, Tensor | None]]:
    """Return the parameters that a penalty in the loss draws somewhere, and where to; None: 0."""
    if spec.decay_to == "trained" or not spec.weight_decay:
        return []
    at_start = spec.decay_to == "theta_0"
    moving = [p for p in theta if p.requires_grad]
    return [(p, p.detach().float().clone() if at_start else None) for p in moving]


@torch.no_grad()
def outputs(spec: RunSpec, model: Any, split: Split) -> Tensor:
    """Return what a model puts out on a split, (rows, ...), on the CPU."""
    model.module.eval()
    rows = model.encode(split)
    found = []
    for start in range(0, len(rows), EVALUATED):
        batch = rows.batch(range(start, min(start + EVALUATED, len(rows))))
        with _autocast(spec):
            each = model.outputs(batch)
            found.append((each if each.dtype == torch.float64 else each.float()).cpu())
    return torch.cat(found)


def evaluate(spec: RunSpec, model: Any, problem: Problem, split: Split) -> dict[str, float]:
    """Return every metric of the problem on a split."""
    found: np.ndarray = problem.answers(outputs(spec, model, split))
    return problem.judge(found, split.targets)


def time_step(spec: RunSpec) -> float:
    """Measure one training step of a spec: the faster of two after a warm-up, in seconds."""
    prepare_torch(spec)
    problem = kinds.load(spec)
    try:
        run = Single(spec, problem)
        rows, seconds = run.model.encode(problem.train), []
        for step in range(3):
            started = time.perf_counter()
            run.step(rows, step, 3).item()
            seconds.append(time.perf_counter() - started)
    except Exception as e:
        if (error := blame(spec, e)) is not e:
            raise error from e
        raise
    return min(seconds[1:])


def _seed_dropout(spec: RunSpec, seed: int) -> None:
    # torch.manual_seed would seed every kind of device, at 3 ms a call where there is no GPU
    torch.default_generator.manual_seed(seed)
    if spec.device == "cuda":
        torch.cuda.manual_seed(seed)


def _autocast(spec: RunSpec) -> Any:
    return torch.autocast(spec.device, torch.bfloat16, enabled=spec.dtype == "bfloat16")
