"""What goes into an estimate and what comes out: scores, points, d90 with its evidence."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from idim.config.checks import TINY

# Two d that bound another; None is an open end.
Ends = tuple[int | None, int | None]
# A mean of floats that equals the line on paper may miss it by rounding: that is a pass.
ROUNDING = 1e-9
# What is squared in a fit of scores stays far from what a float holds: the largest float32.
LARGEST = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Score:
    """One run's outcome; `d=None` is a baseline run, `score=None` a failed one."""

    d: int | None
    lr: float
    seed: int
    trainable: int
    # Score on the rows that choose the learning rate; None when those are the evaluation rows.
    select: float | None
    score: float | None
    error: str | None = None
    # Stopped early because another learning rate was better: tried, neither a score nor a failure.
    pruned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """The scores at one d (None: the baseline), at the learning rate selected there."""

    d: int | None
    trainable: int
    lr: float
    mean: float
    # Sample standard deviation over seeds; one seed has none.
    std: float | None
    n: int
    # In seed order; a failed run is absent.
    scores: tuple[float, ...]
    # The best learning rate is the smallest or the largest tried, and better than the next one.
    edge: bool
    tried: tuple[float, ...]
    # Failed runs at this d, whatever their learning rate.
    failed: int
    # Several learning rates were compared by the very scores that are reported.
    on_evaluation: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """The d of a fitted curve; both ends None where there is no interval.

    A low end of None alone is not bounded by the smallest d tried; a high end of None alone lies
    above the largest.
    """

    d: int | None = field(metadata={"key": "d90"})
    interval: Ends
    method: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One line across the curve, read in both ways."""

    line: float
    # The smallest d tried whose mean reaches the line; None when none does.
    d: int | None
    fit: Fit


@dataclass(frozen=True, slots=True)
class Success:
    """P(pass | d): how many of the seeds at each d reach the line as estimated."""

    # The smallest d at which half of the seeds pass, by the fitted curve.
    d: int | None
    interval: Ends
    # (d, seeds that pass, seeds)
    points: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """d90 and its evidence."""

    # A number when fixed by the user; None when every baseline run failed or none was done.
    baseline: Point | float | None
    threshold: float
    # threshold * baseline; None without a baseline above 0, and then there is no d90.
    line: float | None
    d90: int | None
    # The largest d tried, when none reaches the line.
    d90_over: int | None
    # (largest failing d below d90, d90); (d_max, None): not reached; (None, d_min): all pass.
    bracket: Ends
    # Ends are d that were tried.  Beyond the largest one an upper end is None and a lower end is
    # that largest d, as in the bracket; (None, None): no interval.
    interval: Ends
    interval_method: str
    points: tuple[Point, ...]
    # The line across a fitted curve instead of the points.
    fit: Fit
    # By name, d50 to d99: the same curve against other shares of the baseline.
    readings: dict[str, Reading]
    # The line a share of the way from chance to the baseline; None when chance is not known.
    chance_adjusted: Reading | None
    success: Success
    # No d above d90 falls below the line again.
    monotone: bool
    notes: tuple[str, ...]

    def passes(self, point: Point) -> bool | None:
        """Say whether a point reaches the line; None when there is no line."""
        return None if self.line is None else reaches(point.mean, self.line)


def is_done(run: Score) -> bool:
    """Say whether a run has a score; a score that is not finite is a failure."""
    return run.score is not None and math.isfinite(run.score)


def is_failed(run: Score) -> bool:
    """Say whether a run was meant to give a score and gave none."""
    return not run.pruned and not is_done(run)


def has_line(baseline: float | None) -> bool:
    """Say whether a share of a baseline's score is an aim: of nothing, or less, it asks for none.

    So does a share of a score that float32 would take for nothing, as a fixed one is refused.
    """
    return baseline is not None and baseline >= TINY


def reaches(value: float, goal: float) -> bool:
    """Say whether a value is at least the goal, up to rounding."""
    return value >= goal - ROUNDING * abs(goal)


def baseline_score(baseline: Point | float | None) -> float | None:
    """Return the baseline's score, measured or fixed; None when there is none."""
    return baseline.mean if isinstance(baseline, Point) else baseline


def places(ds: Iterable[int | None]) -> str:
    """Name values of d: "the baseline and d=10, 20".

    >>> places([20, None, 10]), places([5])
    ('the baseline and d=10, 20', 'd=5')
    """
    numbers = sorted(d for d in ds if d is not None)
    listed = ["d=" + ", ".join(map(str, numbers))] if numbers else []
    return " and ".join([*(["the baseline"] if None in ds else []), *listed])
