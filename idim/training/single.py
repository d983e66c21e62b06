"""One run: the model by itself, an optimizer of torch over what its method trains."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from idim import methods
from idim.config import RunSpec
from idim.problems import kinds
from idim.problems.base import Problem, Rows
from idim.problems.tasks import Split
from idim.training.events import State
from idim.training.schedule import batch_index, learning_rate, stream
from idim.training.start import build, prepare_torch

# Rows of a batch where nothing is trained.
EVALUATED = 256


class Single:
    """A run that trains by itself."""

    def __init__(self, spec: RunSpec, problem: Problem) -> None:
        self.spec, self.model = spec, build(spec, problem)
        # before theta_d is among them
        self.D = sum(p.numel() for p in self.model.module.parameters())
        self.method = methods.apply(spec, self.model, stream(spec.seed, "projection"))
        self.methods = [self.method]
        groups = [{**g, "peak_lr": g["lr"]} for g in self.method.param_groups()]
        self.optimizer = torch.optim.AdamW(
            groups, lr=spec.lr, weight_decay=spec.weight_decay, fused=True
        )

    def step(self, rows: Rows, step: int, steps: int) -> Tensor:
        """Take one step; return the loss, (1,)."""
        spec, model = self.spec, self.model
        share = learning_rate(step, steps, spec.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share
        _seed_dropout(spec, stream(spec.seed, "step", step))
        model.module.train()
        batch = rows.batch(batch_index(spec, len(rows), step))
        with _autocast(spec):
            loss = model.loss(model.outputs(batch), batch)
        self.optimizer.zero_grad(set_to_none=True)
        # In a subspace, theta's gradient becomes theta_d's layer by layer as backward makes it
        # (`subspace.gradients`), and after the optimizer's step theta is theta_0 + P theta_d again
        # (`subspace.follow`).
        loss.backward()
        self.optimizer.step()
        return loss.detach().reshape(1)

    def outputs(self, split: Split) -> Sequence[Tensor]:
        """Return what the model puts out on a split, (rows, ...), on the CPU."""
        return [outputs(self.spec, self.model, split)]

    def saver(self, r: int, step: int, loss: float) -> Callable[[], State]:
        """Return what makes the state at a step; `r` is 0."""

        def state() -> State:
            record = {f"theta/{name}": t for name, t in self.method.state().items()}
            for i, kept in self.optimizer.state_dict()["state"].items():
                record |= {f"adam/{i}/{name}": t.to("cpu", copy=True) for name, t in kept.items()}
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
        theta = {n.removeprefix("theta/"): t for n, t in saved.items() if n.startswith("theta/")}
        self.method.load_state(theta)
        kept: dict[int, State] = {}
        for name, t in saved.items():
            if name.startswith("adam/"):
                _, i, field = name.split("/")
                kept.setdefault(int(i), {})[field] = t
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": kept})
        return int(saved["step"])


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
    run = Single(spec, problem)
    rows, seconds = run.model.encode(problem.train), []
    for step in range(3):
        started = time.perf_counter()
        run.step(rows, step, 3).item()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def _seed_dropout(spec: RunSpec, seed: int) -> None:
    # torch.manual_seed would seed every kind of device, at 3 ms a call where there is no GPU
    torch.default_generator.manual_seed(seed)
    if spec.device == "cuda":
        torch.cuda.manual_seed(seed)


def _autocast(spec: RunSpec) -> Any:
    return torch.autocast(spec.device, torch.bfloat16, enabled=spec.dtype == "bfloat16")
