"""Whatever a spec trains: a stack of runs, a run in the loop, or a user's own training."""

import time
from collections.abc import Iterator, Sequence

from idim.config import RunSpec
from idim.problems import given
from idim.problems.given import Objective, Trial
from idim.training.loop import Diverged, Result, State, train
from idim.training.stack import Event, key, train_together


def events(specs: Sequence[RunSpec], resume: Sequence[State | None]) -> Iterator[Event]:
    """Train, and yield (index of the run, event); a run that diverges ends in an event too.

    Args:
        specs: of one `stack.key`, or a single run.
        resume: for each where it goes on; an objective has no such place.

    Raises:
        IdimError: a spec does not fit the model or the data.
        RunFailed: out of memory, or what a user's function returned.
    """
    code = given.find(specs[0])
    if key(specs[0]) is not None:
        yield from train_together(specs, resume)
    elif isinstance(code, Objective):
        yield 0, measured(specs[0], code)
    else:
        try:
            for event in train(specs[0], resume[0]):
                yield 0, event
        except Diverged as e:
            yield 0, e


def measured(spec: RunSpec, objective: Objective) -> Result:
    """Have an objective train and score one run."""
    started = time.perf_counter()
    score = objective.score(Trial(spec.d, spec.lr, spec.seed))
    return Result(
        score=score, select=None, D=objective.D,
        trainable=objective.D if spec.d is None else spec.d,
        steps=1, schedule=1, loss=next(reversed(score.values())),
        seconds=time.perf_counter() - started, state={}, header=None, rows={},
    )  # fmt: skip
