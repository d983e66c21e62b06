"""What a sweep has found: the object of `idim sweep --json`, whose keys docs/json.md explains."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from idim.config import Aim
from idim.estimate import Ends, Estimate, Point, Smallest, Success
from idim.estimate import Reading as Read
from idim.methods import METHODS
from idim.records import Written

# What the runs trained: a model on the rows of a task, or of `idim.measure` a user's module on its
# own loss, or whatever the user's objective trains.
Problem = Literal["task", "module", "objective"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Full training, or a fixed score, whose `n` is 0; a mean of None: no run of it has a score."""

    mean: float | None
    # Sample standard deviation over seeds; one seed has none.
    std: float | None
    n: int
    lr: float | None
    scores: tuple[float, ...]
    # Every rate that was tried, ascending; none of a fixed score.
    lrs: tuple[float, ...] = ()
    # Runs of it without a score, at any rate; None: an older summary does not say.
    failed: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PointRow:
    """One d, at the learning rate that was selected there."""

    d: int
    # How many numbers a run trains: more than d where the head is trained beside it.
    trainable: int
    lr: float
    # Every rate that was tried, ascending.
    lrs: tuple[float, ...]
    mean: float
    std: float | None
    n: int
    # In seed order.
    scores: tuple[float, ...]
    # The fitted curve there; None where it has no scores to stand on.
    fitted: float | None
    # None: there is no line.
    passes: bool | None
    # Runs of this d without a score, at any rate; None: an older summary does not say.
    failed: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The curve against another line; the keys as of the summary itself."""

    line: float
    d: int | None
    under: int | None
    over: int | None
    interval: Ends | None
    # The smallest d tried that passes.
    smallest: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How the numbers were made, in words for a reader."""

    baseline: str
    criterion: str
    selection: str
    checkpoint: str
    seeds: str
    training: str
    lr: str
    head: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How far the search is."""

    strategy: str
    done: bool
    # Why it stopped; None: it goes on.
    why: str | None
    # Optimizer steps that were done, and those that stopping early has saved.
    steps: int
    steps_saved: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """How many runs there are, and what became of them."""

    total: int
    done: int
    # Without a score.
    failed: int
    # Of those that failed, the ones whose loss was no longer a number.
    diverged: int
    stopped_early: int

    @property
    def to_do(self) -> int:
        """Runs that are asked for and have not ended."""
        return self.total - self.done - self.failed - self.stopped_early

    @property
    def lost(self) -> int:
        """Runs that failed otherwise than by a learning rate too high for their d: a finding."""
        return self.failed - self.diverged


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(Written):
    """d90 of one sweep with its evidence: the object of `idim sweep --json`."""

    model: str
    task: str
    problem: Problem
    metric: str
    # How many numbers full training chooses.
    D: int
    method: str = "subspace"
    structure: str
    projection: str
    norm: str
    head: str
    # The score of the best constant answer; None where there is none.
    chance: float | None
    # What d90 is a share of.
    reference: Baseline = field(metadata={"key": "baseline"})
    threshold: float
    # Which line is asked for: a share of the baseline, or of its gain over the floor.
    target: Aim = "papers"
    # What a gain counts from: the better of a constant answer and the untrained model, where that
    # was scored; None: nothing that it could is known.
    floor: float | None = None
    # The runs that train nothing; None: there are none.
    untrained: Baseline | None = None
    # The score that d90 reaches: the threshold times the baseline, or floor + threshold *
    # (baseline - floor).
    line: float | None
    # Where the fitted curve crosses the line, between two d that were tried; None: it does not.
    d90: int | None
    # The smallest d tried, where the curve reaches the line already there.
    d90_under: int | None
    # The largest d tried, where it does not reach the line.
    d90_over: int | None
    # 95% interval of d90; an end of None is open, None is no interval.
    interval: Ends | None
    # How d90 and its interval were found.
    estimator: str
    # As the papers read d90.
    smallest: Smallest
    # By name, d50 to d99: other shares of the baseline, or of its gain.
    thresholds: dict[str, Reading]
    # The same curve at the gain's line, asked for or not.
    gain: Reading | None = field(metadata={"key": "chance_adjusted"})
    # And at the papers' line, where the gain's is asked for.
    papers: Reading | None = None
    success: Success
    points: tuple[PointRow, ...]
    # What a reader of d90 must know, one sentence each.
    notes: tuple[str, ...]
    protocol: Protocol
    # Whether learning rates were chosen on rows held out of the training set.
    held_out: bool
    search: Search
    runs: Runs
    # Of training, summed over runs.
    seconds: float
    # The folder of the runs.
    out: Path

    @property
    def letter(self) -> str:
        """How the size of its method is called: d in a subspace."""
        return METHODS[self.method].symbol

    @property
    def baseline(self) -> float | None:
        """Mean score of full training, or the fixed one; None where there is none."""
        return self.reference.mean


def parts(found: Estimate) -> dict[str, Any]:
    """Return the fields of a summary that come from its estimate."""
    base, alone = found.baseline, found.untrained
    if isinstance(base, Point):
        about = replace(_scores(base), lr=base.lr, lrs=base.tried)
    else:
        about = Baseline(mean=base, std=None, n=0, lr=None, scores=())
    return {
        "reference": about,
        "target": found.target,
        "floor": found.floor,
        "untrained": None if alone is None else _scores(alone),
        "threshold": found.threshold,
        "line": found.line,
        "d90": found.fit.d,
        "d90_under": found.fit.under,
        "d90_over": found.fit.over,
        "interval": found.fit.interval,
        "estimator": found.fit.method,
        "smallest": found.smallest,
        "thresholds": {name: _reading(r) for name, r in found.readings.items()},
        "gain": None if found.gain is None else _reading(found.gain),
        "papers": None
        if found.target == "papers" or found.papers is None
        else _reading(found.papers),
        "success": found.success,
        "points": tuple(_rows(found)),
        "notes": found.notes,
    }


def _scores(p: Point) -> Baseline:
    """Return the scores of a point; no learning rate moves the untrained model."""
    return Baseline(mean=p.mean, std=p.std, n=p.n, lr=None, scores=p.scores, failed=p.failed)


def _reading(r: Read) -> Reading:
    return Reading(
        line=r.line, d=r.fit.d, under=r.fit.under, over=r.fit.over, interval=r.fit.interval,
        smallest=r.smallest,
    )  # fmt: skip


def _rows(found: Estimate) -> Iterator[PointRow]:
    curve = found.fit.curve or (None,) * len(found.points)
    for p, fitted in zip(found.points, curve, strict=True):
        assert p.d is not None
        yield PointRow(
            d=p.d, trainable=p.trainable, lr=p.lr, lrs=p.tried, mean=p.mean, std=p.std, n=p.n,
            scores=p.scores, fitted=fitted, passes=found.passes(p), failed=p.failed,
        )  # fmt: skip
