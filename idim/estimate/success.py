"""The share of seeds that reach the line, at each d, and the d where it passes one half; pure."""

from collections.abc import Sequence

from idim.estimate.isotonic import cross, isotonic
from idim.estimate.records import Point, Success, reaches


def success(points: Sequence[Point], line: float | None) -> Success:
    """Count passes and find the 50% point; the line is taken as it is.

    Every seed draws its own P, so this is the probability that a random subspace of dimension d
    holds a good enough solution.  One seed a d is evidence too.

    Source:
        Larsen, Fort, Becker & Ganguli 2021 (arXiv 2107.05802): a sharp transition in d.
    """
    if line is None or not points:
        return Success(None, ())
    counts = tuple((p.d or 0, sum(bool(reaches(s, line)) for s in p.scores), p.n) for p in points)
    curve = isotonic([passed / n for _, passed, n in counts], [n for _, _, n in counts])
    d, under, _ = cross([d for d, _, _ in counts], curve, 0.5)
    return Success(under if d is None else d, counts)
