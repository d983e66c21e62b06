"""What a training tells of: looks at the loss, and its end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from idim.errors import RunFailed

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
    # None: nothing was trained.
    loss: float | None
    seconds: float
    state: State
    # Metadata under which `state` is a file of `Subspace.save`; None: it is not kept.
    header: dict[str, str] | None
    # `prediction` and `target` by row of the evaluation set: what an estimate of the rows' own
    # noise needs.
    rows: State
    # Step that was scored, where that is the best of the epochs' ends.
    best_step: int | None = None


class Diverged(RunFailed):
    """The loss is no longer a number: the same spec would always end so."""

    @classmethod
    def at(cls, step: int, loss: float, lr: float) -> Self:
        """Say where."""
        return cls(f"the loss became {loss} by step {step} at lr {lr:g}")


# (index of the run, what happened)
Event = tuple[int, Step | Result | RunFailed]
