"""How much a score moves with the seed, at each d: few seeds borrow from their neighbours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from idim.estimate.records import Point

# A variance of fewer degrees of freedom is worth little; own seeds come first, then the nearest.
ENOUGH = 4
# Scores that agree to the last digit still have noise too small to be seen, relative to the line.
FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Noise:
    """The variance of one run's score, and the degrees of freedom it was estimated with."""

    variance: float
    dof: int


def noise(points: Sequence[Point], sizes: Sequence[float], line: float) -> list[Noise] | None:
    """Estimate the noise of every point; None when no point has two seeds.

    A point with too few seeds borrows from the nearest in log d, first from those on its own side
    of the line: noise shrinks where scores saturate, and a cliff in the curve is a cliff in it.

    Args:
        points: in the order of d, the baseline (size D) among them.
        sizes: what stands for d of each.
        line: the goal.
    """
    if all(p.n < 2 for p in points):
        return None
    return [_pooled(i, points, sizes, line) for i in range(len(points))]


def _pooled(i: int, points: Sequence[Point], sizes: Sequence[float], line: float) -> Noise:
    def far(j: int) -> tuple[bool, float]:
        other_side = (points[j].mean >= line) != (points[i].mean >= line)
        return other_side and j != i, abs(math.log(sizes[j] / sizes[i]))

    squares, dof, before = 0.0, 0, False
    for j in sorted(range(len(points)), key=far):
        # the other side speaks only where this one is silent
        crossed = far(j)[0]
        if dof >= ENOUGH or (crossed and not before and dof):
            break
        before = crossed
        squares += (points[j].n - 1) * (points[j].std or 0.0) ** 2
        dof += points[j].n - 1
    return Noise(max(squares / dof, (FLOOR * (line or 1.0)) ** 2), dof)
