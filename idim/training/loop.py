"""train(specs) -> events: the loop, of one run or of a stack.  It knows no disk and no terminal."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from idim.config import RunSpec
from idim.errors import RunFailed
from idim.methods import METHODS, Method
from idim.problems import given, kinds
from idim.problems.base import Model, Rows
from idim.problems.given import Objective, Trial
from idim.problems.tasks import Split
from idim.training.events import Diverged, Event, Result, State, Step
from idim.training.schedule import LOOK_EVERY, count_steps, last_step, per_epoch
from idim.training.single import Best, Single, outputs
from idim.training.stack import Stack
from idim.training.start import build, prepare_torch, refuse_changed


class Trainer(Protocol):
    """What takes the steps: of one run, or of a stack of runs."""

    # Any of the runs' models: they read rows alike.
    model: Model
    methods: list[Method]
    # Parameters of the model.
    D: int
    # Where the one run was best, if that is what is scored.
    best: Best | None

    def restore(self, states: Sequence[State | None]) -> int:
        """Take over the states of all runs; return their step."""
        ...

    def step(self, rows: Rows, step: int, steps: int) -> Tensor:
        """Take one step of every run; return the losses, (R,)."""
        ...

    def saver(self, r: int, step: int, loss: float) -> Callable[[], State]:
        """Return what makes the state of a run at a step."""
        ...

    def outputs(self, split: Split) -> Sequence[Tensor]:
        """Return what every run puts out on a split, (rows, ...) each."""
        ...


def train(specs: Sequence[RunSpec], resume: Sequence[State | None]) -> Iterator[Event]:
    """Train runs from the start, or from the state of a `Step`.

    Args:
        specs: of one `stack.key`, or a single run; with no open field (`config.with_recipe`) and a
            device other than "auto".
        resume: for each, what a `Step.state()` returned, all of the same step; None: the start.
            An objective has no such place.

    Yields:
        (index of the run, event): a Step every few steps, and at the end a Result, or what made
        the run fail: Diverged where the loss became NaN or infinite.

    Raises:
        IdimError: a spec does not fit the model or the data.
        RunFailed: out of memory, files that were changed since the specs were made, or what a
            user's function returned.
    """
    code = given.find(specs[0])
    if isinstance(code, Objective):
        yield 0, _measured(specs[0], code)
        return
    trains = METHODS[specs[0].method].trains
    try:
        if trains:
            yield from _trained(specs, resume)
        else:
            yield 0, _untrained(specs[0])
    except (torch.OutOfMemoryError, RuntimeError) as e:
        if "memory" not in str(e):
            raise
        size = specs[0].batch_size or 2
        raise RunFailed(
            f"out of memory at batch size {size}; try --batch-size {max(1, size // 2)}"
        ) from None


def _trained(specs: Sequence[RunSpec], resume: Sequence[State | None]) -> Iterator[Event]:
    started, spec = time.perf_counter(), specs[0]
    prepare_torch(spec)
    problem = kinds.load(spec)
    trainer: Trainer = Stack(specs, problem) if spec.stacked else Single(spec, problem)
    refuse_changed(spec, problem)
    rows = trainer.model.encode(problem.train)
    steps = count_steps(spec, len(rows))
    end = last_step(spec, steps)
    live, losses = list(range(len(specs))), [_loss(state) for state in resume]
    for done in range(trainer.restore(resume) + 1, end + 1):
        loss = trainer.step(rows, done - 1, steps)
        if trainer.best and (done % per_epoch(spec, len(rows)) == 0 or done == steps):
            trainer.best.look(done)
        if done % LOOK_EVERY and done < end:
            continue
        losses = loss.tolist()
        for r in [r for r in live if not math.isfinite(losses[r])]:
            live.remove(r)
            yield r, Diverged.at(done, losses[r], specs[r].lr)
        for r in live:
            saver = trainer.saver(r, done, losses[r])
            if trainer.best and done == end:  # afterwards the run is put back to its best
                saver = partial(dict, saver())
            yield r, Step(done, steps, done == end, losses[r], saver)
        if not live:
            return
    if trainer.best:
        trainer.best.take()
    for r in live:
        trainer.methods[r].settle()
    ends = trainer.outputs(problem.evaluation)
    held_out = problem.select
    middles = ends if held_out is None else trainer.outputs(held_out)
    seconds = (time.perf_counter() - started) / len(specs)
    for r in live:
        method = trainer.methods[r]
        try:
            found, middle = problem.answers(ends[r]), problem.answers(middles[r])
            yield r, Result(
                score=problem.judge(found, problem.evaluation.targets),
                select=None if held_out is None else problem.judge(middle, held_out.targets),
                D=trainer.D, trainable=method.trainable, steps=end, schedule=steps,
                loss=losses[r], seconds=seconds, state=method.state(), header=method.header(),
                rows=by_row(found, problem.evaluation),
                best_step=trainer.best.step or end if trainer.best else None,
            )  # fmt: skip
        except RunFailed as e:  # a prediction that is no number
            yield r, e


def _loss(state: State | None) -> float:
    return math.nan if state is None else float(state["loss"])


def _untrained(spec: RunSpec) -> Result:
    """Score a model as it is."""
    started = time.perf_counter()
    prepare_torch(spec)
    problem = kinds.load(spec)
    model = build(spec, problem)
    refuse_changed(spec, problem)
    found = problem.answers(outputs(spec, model, problem.evaluation))
    return Result(
        score=problem.judge(found, problem.evaluation.targets), select=None,
        D=sum(p.numel() for p in model.module.parameters()), trainable=0, steps=0, schedule=0,
        loss=None, seconds=time.perf_counter() - started, state={}, header=None,
        rows=by_row(found, problem.evaluation),
    )  # fmt: skip


def _measured(spec: RunSpec, objective: Objective) -> Result:
    """Have an objective train and score one run."""
    started, d = time.perf_counter(), spec.measure
    score = objective.score(Trial(d, 0.0 if d == 0 else spec.lr, spec.seed))
    return Result(
        score=score, select=None, D=objective.D,
        trainable=objective.D if d is None else d,
        steps=1, schedule=1, loss=next(reversed(score.values())),
        seconds=time.perf_counter() - started, state={}, header=None, rows={},
    )  # fmt: skip


def by_row(predictions: np.ndarray, split: Split) -> State:
    """Return predictions and targets as small tensors: a byte a row where classes are few."""
    both = {"prediction": predictions, "target": split.targets}
    return {name: _small(torch.from_numpy(np.ascontiguousarray(a))) for name, a in both.items()}


def _small(values: Tensor) -> Tensor:
    if values.is_floating_point():
        return values.float()
    return values.to(torch.uint8 if int(values.max()) < 256 else torch.int32)
