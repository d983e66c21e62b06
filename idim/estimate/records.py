"""What goes into an estimate and what comes out: scores, points, d90 with its evidence."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from idim.config import Aim
from idim.config.checks import TINY

# Two d that bound another; None is an open end.
Ends = tuple[int | None, int | None]
# A mean of floats that equals the line on paper may miss it by rounding: that is a pass.
ROUNDING = 1e-9
# What is squared in a fit of scores stays far from what a float holds: the largest float32.
LARGEST = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Score:
    """One run's outcome; `score=None` is a failed one."""

    # None: all parameters were trained, the baseline; 0: nothing was, the untrained model.
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
    """Where a curve through all points crosses a line.

    Of `d`, `under` and `over` one is a number wherever there is a curve and a line.
    """

    # Between two d that were tried, or at the larger of them.
    d: int | None
    # The smallest d tried, where it reaches the line already there: the crossing is there or below.
    under: int | None
    # The largest d tried, where it does not reach the line: the crossing is above.
    over: int | None
    # 95% interval of the crossing.  An end of None is open: below the smallest d tried, above the
    # largest.  None: there is no interval.
    interval: Ends | None
    method: str
    # The curve at each point.
    curve: tuple[float, ...]

    @property
    def at(self) -> int | None:
        """Where it is drawn: its d, or the smallest d tried."""
        return self.under if self.d is None else self.d

    @property
    def ends(self) -> Ends:
        """The interval; both ends open where there is none."""
        return (None, None) if self.interval is None else self.interval


@dataclass(frozen=True, slots=True)
class Smallest:
    """The papers' reading: the smallest d tried whose mean score reaches the line."""

    # None: none does.
    d: int | None
    # (the largest d below it, which fails, d); (d_max, None): none reaches the line;
    # (None, d_min): all do.
    bracket: Ends


@dataclass(frozen=True, slots=True)
class Reading:
    """One line across the curve, read in both ways."""

    line: float
    fit: Fit
    # The smallest d tried whose mean reaches the line; None when none does.
    smallest: int | None


@dataclass(frozen=True, slots=True)
class Success:
    """P(pass | d): how many of the seeds at each d reach the line as estimated."""

    # The smallest d at which half of the seeds pass, by a rising curve fitted to the shares.
    d: int | None
    # (d, seeds that pass, seeds)
    points: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """d90 and its evidence."""

    # A number when fixed by the user; None when every baseline run failed or none was done.
    baseline: Point | float | None
    threshold: float
    # Which line is asked for.
    target: Aim
    # The runs that train nothing; None: there are none.
    untrained: Point | None
    # What a gain counts from; None: nothing that it could is known.
    floor: float | None
    # threshold * baseline, or floor + threshold * (baseline - floor); None where that is no aim,
    # and then there is no d90.
    line: float | None
    # d90: where the curve through all points crosses the line.
    fit: Fit
    smallest: Smallest
    points: tuple[Point, ...]
    # By name, d50 to d99: the same curve against other shares of the baseline, or of its gain.
    readings: dict[str, Reading]
    # The same curve against both lines, asked for or not; None where one is no aim.
    papers: Reading | None
    gain: Reading | None
    success: Success
    # No d above the smallest that passes falls below the line again.
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


def places(ds: Iterable[int | None], letter: str = "d") -> str:
    """Name values of d, or of another method's size: "the baseline and d=10, 20".

    >>> places([20, None, 10]), places([5], "r")
    ('the baseline and d=10, 20', 'r=5')
    """
    numbers = sorted(d for d in ds if d is not None)
    listed = [f"{letter}=" + ", ".join(map(str, numbers))] if numbers else []
    return " and ".join([*(["the baseline"] if None in ds else []), *listed])


def symbol(threshold: float, letter: str = "d", target: Aim = "papers") -> str:
    """Name the smallest sufficient d: d90 at 0.9 as the papers do, or "gain d90"."""
    return f"{'gain ' * (target == 'gain')}{letter}{100 * threshold:g}"
