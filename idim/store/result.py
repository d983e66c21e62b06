"""What a run came to: `result.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idim.errors import IdimError
from idim.records import from_json
from idim.store.files import Damaged


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A run that was scored."""

    # By metric; higher is better.
    score: dict[str, float]
    # The same on the rows held out of the training set; None where there are none.
    select: dict[str, float] | None
    D: int
    # How many numbers were trained.
    trainable: int
    # Optimizer steps.
    steps: int
    # None: nothing was trained.
    loss: float | None
    seconds: float
    # Steps of the whole learning-rate schedule, where the run was stopped before its end.
    schedule: int | None = None
    # The step that was scored, where that is the best of the epochs' ends.
    best_step: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A run that would end without a score each time, and why."""

    error: str
    # Its loss was no longer a number.
    diverged: bool = False


Ended = Result | Failed


def ended(record: Any, what: str) -> Ended:
    """Read what a run came to.

    Args:
        record: of result.json.
        what: what it is called in an error.

    Raises:
        IdimError: it is not what this version writes.
    """
    is_failed = isinstance(record, dict) and "error" in record
    return from_json(Failed, record, what) if is_failed else from_json(Result, record, what)


def ended_in_1(record: Any, path: Path) -> Ended:
    """Read what a run of schema 1 came to: no checksum says that it is what was written.

    Raises:
        Damaged: it cannot have been.
    """
    try:
        found = ended(record, "it")
    except IdimError as e:
        raise Damaged(path, f"not a result: {str(e).rstrip('.')}") from None
    if isinstance(found, Result):
        scores = [*found.score.values(), *(found.select or {}).values()]
        counts = (found.D, found.trainable, found.steps, found.schedule or 0)
        # none of its metrics went beyond 1, and all its runs were trained
        if found.loss is None:
            raise Damaged(path, "not a result: it has no loss")
        if not found.score or any(abs(v) > 1 for v in scores) or min(counts) < 0:
            raise Damaged(path, "not a result: a number is out of range")
    return found
