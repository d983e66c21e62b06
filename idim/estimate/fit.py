"""d at a line, with an interval that carries the noise of the baseline too; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from idim.estimate.isotonic import METHOD, crossing
from idim.estimate.noise import Noise, noise
from idim.estimate.records import Fit, Point, Reading, baseline_score, has_line, reaches
from idim.estimate.rows import RowsNoise, Seen, rows_noise

ALONE = "none: one seed each"
AND_ROWS = "; and over evaluation rows, which all runs share"
UNDEFINED = "none: no line or no scores"
# How far the line may lie from its estimate, in standard errors: 4.6 loses all the deviance that
# an interval grants already with three seeds.
REACH, NODES = 5.0, 41
SHARES = (0.5, 0.75, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Target:
    """A goal for the score: floor + share * (baseline - floor)."""

    share: float
    # 0, or the score of chance.
    floor: float = 0.0

    def at(self, score: float) -> float:
        """Return the goal for a baseline score."""
        return self.floor + self.share * (score - self.floor)

    def above(self, score: float) -> float:
        """Return how far that goal lies above the floor: the scale of scores, wherever their 0."""
        return self.share * (score - self.floor)


def fit(
    base: Point | float | None, points: Sequence[Point], target: Target, seen: Seen | None = None
) -> Fit:
    """Fit the curve of mean scores and find where it crosses a line.

    Args:
        base: the baseline, measured or fixed.
        points: one a d, in the order of d.
        target: the goal as a function of the baseline's score.
        seen: the runs' credits by row, if the interval is to hold the choice of rows too.
    """
    score = baseline_score(base)
    if score is None or not points:
        return Fit(None, None, None, None, UNDEFINED, ())
    goal = target.at(score)
    every = [*points, *([base] if isinstance(base, Point) else [])]
    # a line at 0 lies between a floor below it and the baseline: there any scale will do
    known = noise(every, [p.d or p.trainable or 1 for p in every], goal)
    spread = known or [Noise(goal**2 or 1.0, 1)] * len(every)
    found = _cross(base, points, target, spread, None)
    if not known:
        return replace(found, interval=None, method=ALONE)
    pair = beside(found, points)
    own = isinstance(base, Point)
    rows = rows_noise(pair, seen, target.share, own=own) if seen and pair else None
    if rows is None:
        return found
    return replace(_cross(base, points, target, spread, rows), method=f"{METHOD}{AND_ROWS}")


def beside(found: Fit, points: Sequence[Point]) -> list[int]:
    """Return the d tried on either side of a crossing; one where it lies beyond all."""
    ds = [p.d or 0 for p in points]
    at = next((i for i, d in enumerate(ds) if d >= (found.at or math.inf)), len(ds))
    return ds[max(0, at - 1) : at + 1]


def read(
    base: Point | float | None, points: Sequence[Point], target: Target, seen: Seen | None = None
) -> Reading | None:
    """Read d off the points and off the fitted curve; None where the line asks for nothing."""
    score = baseline_score(base)
    if score is None or not has_line(score - target.floor):
        return None
    goal = target.at(score)
    first = next((p.d for p in points if reaches(p.mean, goal)), None)
    return Reading(goal, fit(base, points, target, seen), first)


def _cross(
    base: Point | float | None,
    points: Sequence[Point],
    target: Target,
    spread: Sequence[Noise],
    rows: RowsNoise | None,
) -> Fit:
    import numpy as np

    means = [p.mean for p in points]
    weights = [p.n / s.variance for p, s in zip(points, spread, strict=False)]
    dof = np.array([s.dof for s in spread[: len(points)]])

    def deviance(fitted: np.ndarray) -> np.ndarray:
        return _student(np.asarray(weights) * (fitted - np.asarray(means)) ** 2, dof)

    score, lines, penalty = baseline_score(base), np.zeros(1), np.zeros(1)
    assert score is not None
    parts = [] if rows is None else [(rows.variance, rows.dof)]
    if isinstance(base, Point):
        parts.append((target.share**2 * spread[-1].variance / base.n, spread[-1].dof))
    variance = sum(v for v, _ in parts)
    if variance:
        lines = np.linspace(-REACH, REACH, NODES)
        # Welch and Satterthwaite's, of one variance that is the sum of two
        free = variance**2 / sum(v**2 / f for v, f in parts)
        penalty, lines = _student(lines**2, np.array(free)), lines * variance**0.5
    goal = target.at(score)
    return crossing(
        [p.d or 0 for p in points], means, weights, goal, deviance, goal + lines, penalty
    )


def _student(squares, dof):  # type: ignore[no-untyped-def]
    """Return the deviance of squared standardised errors whose variance was itself estimated.

    Source:
        Wallace 1959, Bounds on normal approximations to Student's and the chi-square
        distributions: t with f degrees of freedom as a normal deviate.
    """
    import numpy as np

    shrink = ((8 * dof + 1) / (8 * dof + 3)) ** 2
    return shrink * dof * np.log1p(squares / dof)
