"""What a trajectory has found: the object of `idim trajectory --json`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from idim.config import Aim, Lines
from idim.estimate import Ends, Smallest
from idim.methods import METHODS
from idim.records import Written
from idim.results.summary import Baseline, Reading, Runs, Summary

# Why a checkpoint has no d90 that means anything.
Missing = Literal[
    "no baseline", "a constant answer passes", "no d gave a score", "no sure gain",
    "no line of the last",
]  # fmt: skip

_OF_A_SUMMARY = (
    "metric", "D", "chance", "reference", "line", "d90", "d90_under", "d90_over", "interval",
    "smallest", "gain", "papers", "floor", "runs", "seconds", "out",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What the sweep of one checkpoint has found."""

    model: str
    # Of pretraining.
    steps: int
    missing: Missing | None
    metric: str
    D: int
    chance: float | None
    reference: Baseline = field(metadata={"key": "baseline"})
    line: float | None
    d90: int | None
    d90_under: int | None
    d90_over: int | None
    interval: Ends | None
    smallest: Smallest
    gain: Reading | None = field(metadata={"key": "chance_adjusted"})
    runs: Runs
    seconds: float
    out: Path

    # What a gain counts from; None: nothing that it could is known.
    floor: float | None = None
    # At the papers' line, where the gain's is asked for.
    papers: Reading | None = None

    @classmethod
    def of(cls, model: str, steps: int, summary: Summary) -> Self:
        """Return what a sweep says of its checkpoint."""
        own: dict[str, Any] = {name: getattr(summary, name) for name in _OF_A_SUMMARY}
        return cls(model=model, steps=steps, missing=_missing(summary), **own)


@dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """Spearman's rank correlation of d90 with the steps of pretraining, over `n` checkpoints."""

    spearman: float | None
    n: int
    # 95%; None where there is no correlation.
    interval: tuple[float, float] | None = None
    # How both were found.
    method: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Checkpoints in the order of their steps."""

    rows: tuple[Checkpoint, ...]
    correlation: Correlation


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSeries:
    """Every checkpoint on one task."""

    task: str
    metric: str
    chance: float | None
    # Each to its own line; of a trajectory to one line a task, to the last one's.
    rows: tuple[Checkpoint, ...]
    correlation: Correlation
    # The same to the last one's line, where both were asked for and the last one has a line.
    to_last: Series | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory(Written):
    """d90 along a pretraining: the object of `idim trajectory --json`."""

    threshold: float
    target: Aim = "papers"
    # Whose line: one a task, that of the last checkpoint; each checkpoint's own; or both.
    lines: Lines = "own"
    method: str = "subspace"
    structure: str
    projection: str
    tasks: tuple[TaskSeries, ...]

    @property
    def letter(self) -> str:
        """How the size of its method is called: d in a subspace."""
        return METHODS[self.method].symbol


def _missing(summary: Summary) -> Missing | None:
    """Say why a checkpoint has no d90 that means anything; None when it has.

    Source:
        Aghajanyan et al. 2020, section 5.1: points whose full fine-tuning does not beat the
        majority class are left out.
    """
    if summary.line is None:
        has_score = summary.target == "gain" and summary.reference.mean is not None
        return "no sure gain" if has_score else "no baseline"
    if summary.chance is not None and summary.line <= summary.chance:
        return "a constant answer passes"
    return None if summary.points else "no d gave a score"
