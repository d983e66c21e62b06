"""train(spec) -> events: the loop.  It knows no disk and no terminal.

Each step is a function of (state, seed, step): data order and dropout are drawn afresh from the
seed and the step's number, so a run resumed from any step ends in the same bits.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from idim import methods
from idim.config import RunSpec, recipe
from idim.errors import IdimError, RunFailed
from idim.machine import cores
from idim.problems import kinds
from idim.problems.base import Model, Problem, Rows
from idim.problems.tasks import Split

# Steps between two looks at the loss: on a GPU each look waits for the device.
LOOK_EVERY = methods.EXACT_EVERY

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Step:
    """One look at a running training."""

    step: int
    steps: int
    is_last: bool
    loss: float
    # Everything a resumed run needs, by name; call it only when it is to be written.
    state: Callable[[], State]


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a training, or of its first part where the spec stops it."""

    score: dict[str, float]
    select: dict[str, float] | None
    D: int
    trainable: int
    steps: int
    # Steps of the whole learning-rate schedule: more than `steps` where the spec stops early.
    schedule: int
    loss: float
    seconds: float
    state: State
    # Metadata under which `state` is a file of `Subspace.save`; None for full fine-tuning.
    header: dict[str, str] | None
    # `prediction` and `target` by row of the evaluation set: what an estimate of the rows' own
    # noise needs.
    rows: State


class Diverged(RunFailed):
    """The loss is no longer a number: the same spec would always end so."""

    @classmethod
    def at(cls, step: int, loss: float, lr: float) -> Self:
        """Say where."""
        return cls(f"the loss became {loss} by step {step} at lr {lr:g}")


def train(spec: RunSpec, resume: State | None = None) -> Iterator[Step | Result]:
    """Run one spec from the start, or from the state of a `Step`.

    Args:
        spec: with no open field (`config.with_recipe`) and a device other than "auto".
        resume: what a `Step.state()` returned.

    Yields:
        A Step every few steps and a Result at the end.

    Raises:
        IdimError: the spec does not fit the model or the data.
        Diverged: the loss became NaN or infinite.
        RunFailed: out of memory, or files that were changed since the spec was made.
    """
    started = time.perf_counter()
    prepare_torch(spec)
    problem = kinds.load(spec)
    model = build(spec, problem)
    refuse_changed(spec, problem)
    D = sum(p.numel() for p in model.module.parameters())  # before theta_d is among them
    method = methods.apply(spec, model, stream(spec.seed, "projection"))
    rows = model.encode(problem.train)
    steps = count_steps(spec, len(rows))
    optimizer = _optimizer(spec, method)
    done = _restore(resume, method, optimizer) if resume else 0
    end, loss = last_step(spec, steps), float(resume["loss"]) if resume else math.nan
    try:
        for step in range(done, end):
            value = _one_step(spec, model, rows, optimizer, step, steps)
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == end:
                loss = value.item()
                if not math.isfinite(loss):
                    raise Diverged.at(step + 1, loss, spec.lr)
                state = _saver(method, optimizer, step + 1, loss)
                yield Step(step + 1, steps, step + 1 == end, loss, state)
        method.settle()
        found = predict(spec, model, problem, problem.evaluation)
        held_out = problem.select
        yield Result(
            score=problem.judge(found, problem.evaluation.targets),
            select=None if held_out is None else evaluate(spec, model, problem, held_out),
            D=D,
            trainable=method.trainable,
            steps=end,
            schedule=steps,
            loss=loss,
            seconds=time.perf_counter() - started,
            state=method.state(),
            header=method.header(),
            rows=by_row(found, problem.evaluation),
        )
    except (torch.OutOfMemoryError, RuntimeError) as e:
        if "memory" not in str(e):
            raise
        smaller = max(1, (spec.batch_size or 2) // 2)
        raise RunFailed(
            f"out of memory at batch size {spec.batch_size}; try --batch-size {smaller}"
        ) from None


def build(spec: RunSpec, problem: Problem) -> Model:
    """Build the spec's model on its device with the seed's theta_0."""
    model = problem.build(stream(spec.seed, "init"))
    model.module.to(spec.device)
    return model


def refuse_changed(spec: RunSpec, problem: Problem) -> None:
    """Refuse a model or rows that are not those the spec was made for, once both are loaded.

    Raises:
        RunFailed: files were changed since; the run's id names what they were.
    """
    was = {"model": spec.model_fingerprint, "rows": spec.data_fingerprint}
    now = {"model": problem.model_fingerprint, "rows": lambda: problem.data_fingerprint}
    for what, then in was.items():
        if then and now[what]() != then:
            raise RunFailed(
                f"the files of the {what} were changed after this run was planned; put them back, "
                "or choose another --out"
            )


def stream(seed: int, *names: str | int) -> int:
    """Derive an independent 63-bit seed for one use of the run's seed."""
    text = "/".join(str(n) for n in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def count_steps(spec: RunSpec, rows: int) -> int:
    """Return the number of optimizer steps of a run over `rows` training rows."""
    if spec.steps is not None:
        return spec.steps
    assert spec.epochs is not None
    assert spec.batch_size is not None
    return max(1, round(spec.epochs * math.ceil(rows / spec.batch_size)))


def last_step(spec: RunSpec, steps: int) -> int:
    """Return the step a run ends with: where its spec stops it, a look at which it may go on."""
    if spec.stop_at is None:
        return steps
    looks = max(1, round(spec.stop_at * steps / LOOK_EVERY)) * LOOK_EVERY
    return looks if looks < steps else max(1, round(spec.stop_at * steps))


def learning_rate(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak rate at a step: linear up over the warm-up, linear down to 0."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return (steps - step) / max(1.0, steps - rise)


def evaluate(spec: RunSpec, model: Model, problem: Problem, split: Split) -> dict[str, float]:
    """Return every metric of the problem on a split."""
    return problem.judge(predict(spec, model, problem, split), split.targets)


@torch.no_grad()
def predict(spec: RunSpec, model: Model, problem: Problem, split: Split) -> np.ndarray:
    """Return what a model says of each row of a split: class codes, or values; (N,)."""
    model.module.eval()
    rows = model.encode(split)
    outputs = []
    for start in range(0, len(rows), 256):
        batch = rows.batch(range(start, min(start + 256, len(rows))))
        with _autocast(spec):
            found = model.outputs(batch)
            outputs.append((found if found.dtype == torch.float64 else found.float()).cpu())
    return problem.answers(torch.cat(outputs))


def by_row(predictions: np.ndarray, split: Split) -> State:
    """Return predictions and targets as small tensors: a byte a row where classes are few."""
    both = {"prediction": predictions, "target": split.targets}
    return {name: _small(torch.from_numpy(np.ascontiguousarray(a))) for name, a in both.items()}


def _small(values: Tensor) -> Tensor:
    if values.is_floating_point():
        return values.float()
    return values.to(torch.uint8 if int(values.max()) < 256 else torch.int32)


def _one_step(
    spec: RunSpec, model: Model, rows: Rows, optimizer: Any, step: int, steps: int
) -> Tensor:
    share = learning_rate(step, steps, spec.warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * share
    _seed_dropout(spec, stream(spec.seed, "step", step))
    model.module.train()
    batch = rows.batch(batch_index(spec, len(rows), step))
    with _autocast(spec):
        loss = model.loss(model.outputs(batch), batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _seed_dropout(spec: RunSpec, seed: int) -> None:
    # torch.manual_seed would seed every kind of device, at 3 ms a call where there is no GPU
    torch.default_generator.manual_seed(seed)
    if spec.device == "cuda":
        torch.cuda.manual_seed(seed)


def batch_index(spec: RunSpec, rows: int, step: int) -> list[int]:
    """Return the rows of a step of a run: epochs are permutations drawn from (seed, epoch)."""
    assert spec.batch_size is not None
    if rows <= spec.batch_size:
        return list(range(rows))
    per_epoch = math.ceil(rows / spec.batch_size)
    epoch, at = divmod(step, per_epoch)
    order = _order(spec.seed, epoch, rows)
    return order[at * spec.batch_size : (at + 1) * spec.batch_size]


@lru_cache(maxsize=64)
def _order(seed: int, epoch: int, rows: int) -> list[int]:
    # RandomState's stream is frozen for ever (NEP 19); default_rng's may change with numpy
    state = np.random.RandomState(stream(seed, "order", epoch) % 2**32)
    return state.permutation(rows).tolist()


def _optimizer(spec: RunSpec, method: methods.Trainable) -> torch.optim.Optimizer:
    groups = [{**g, "peak_lr": g["lr"]} for g in method.param_groups()]
    return torch.optim.AdamW(groups, lr=spec.lr, weight_decay=spec.weight_decay, fused=True)


def _saver(
    method: methods.Trainable, optimizer: torch.optim.Optimizer, step: int, loss: float
) -> Callable[[], State]:
    def state() -> State:
        record = {f"theta/{name}": t for name, t in method.state().items()}
        for i, slots in optimizer.state_dict()["state"].items():
            record |= {f"adam/{i}/{name}": t.to("cpu", copy=True) for name, t in slots.items()}
        return record | {
            "step": torch.tensor(step),
            "loss": torch.tensor(loss, dtype=torch.float64),
        }

    return state


def _restore(saved: State, method: methods.Trainable, optimizer: torch.optim.Optimizer) -> int:
    method.load_state(
        {name.removeprefix("theta/"): t for name, t in saved.items() if name.startswith("theta/")}
    )
    slots: dict[int, dict[str, Tensor]] = {}
    for name, t in saved.items():
        if name.startswith("adam/"):
            _, i, field = name.split("/")
            slots.setdefault(int(i), {})[field] = t
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
    return int(saved["step"])


def _autocast(spec: RunSpec) -> Any:
    return torch.autocast(spec.device, torch.bfloat16, enabled=spec.dtype == "bfloat16")


def prepare_torch(spec: RunSpec) -> None:
    """Fix what decides bits: the number of threads, and deterministic kernels on a GPU."""
    torch.set_num_threads(spec.threads or recipe(spec.model).threads or cores())
    if spec.device == "cuda":
        if not torch.cuda.is_available():
            raise IdimError("--device cuda: this machine has no usable GPU; use --device cpu.")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def time_step(spec: RunSpec) -> float:
    """Measure one training step of a spec: the faster of two after a warm-up, in seconds."""
    prepare_torch(spec)
    problem = kinds.load(spec)
    model = build(spec, problem)
    method = methods.apply(spec, model, stream(spec.seed, "projection"))
    rows, optimizer = model.encode(problem.train), _optimizer(spec, method)
    seconds = []
    for step in range(3):
        started = time.perf_counter()
        _one_step(spec, model, rows, optimizer, step, 3).item()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
