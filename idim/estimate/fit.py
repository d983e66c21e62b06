"""d at a line, with an interval that carries the noise of the baseline too; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from idim.estimate.isotonic import crossing
from idim.estimate.noise import Noise, noise
from idim.estimate.records import Fit, Point, Reading, baseline_score, has_line, reaches

ALONE = "none: one seed each"
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


def fit(base: Point | float | None, points: Sequence[Point], target: Target) -> Fit:
    """Fit the curve of mean scores and find where it crosses a line.

    Args:
        base: the baseline, measured or fixed.
        points: one a d, in the order of d.
        target: the goal as a function of the baseline's score.
    """
    score = baseline_score(base)
    if score is None or not points:
        return Fit(None, None, None, None, UNDEFINED, ())
    goal = target.at(score)
    seen = [*points, *([base] if isinstance(base, Point) else [])]
    # a line at 0 lies between a floor below it and the baseline: there any scale will do
    known = noise(seen, [p.d or p.trainable for p in seen], goal)
    spread = known or [Noise(goal**2 or 1.0, 1)] * len(seen)
    found = _cross(base, points, target, spread)
    return found if known else replace(found, interval=None, method=ALONE)


def read(base: Point | float | None, points: Sequence[Point], target: Target) -> Reading | None:
    """Read d off the points and off the fitted curve; None where the line asks for nothing."""
    score = baseline_score(base)
    if score is None or not has_line(score - target.floor):
        return None
    goal = target.at(score)
    first = next((p.d for p in points if reaches(p.mean, goal)), None)
    return Reading(goal, fit(base, points, target), first)


def _cross(
    base: Point | float | None, points: Sequence[Point], target: Target, spread: Sequence[Noise]
) -> Fit:
    import numpy as np

    means = [p.mean for p in points]
    weights = [p.n / s.variance for p, s in zip(points, spread, strict=False)]
    dof = np.array([s.dof for s in spread[: len(points)]])

    def deviance(fitted: np.ndarray) -> np.ndarray:
        return _student(np.asarray(weights) * (fitted - np.asarray(means)) ** 2, dof)

    score, lines, penalty = baseline_score(base), np.zeros(1), np.zeros(1)
    assert score is not None
    if isinstance(base, Point):
        lines = np.linspace(-REACH, REACH, NODES)
        penalty = _student(lines**2, np.array(spread[-1].dof))
        lines = lines * target.share * (spread[-1].variance / base.n) ** 0.5
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
