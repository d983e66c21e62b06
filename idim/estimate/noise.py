"""How much a score moves with the seed, at each d: few seeds borrow from their neighbours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from idim.estimate.records import Point

# Degrees of freedom from which on own seeds are enough.  Where a run either learns a task or
# stays at chance, the few seeds at one d often agree, and by that their mean looks sure: of such
# curves ("two humps" of scripts/worlds.py, 100 runs) 4 held d90 in 2%, 12 in 88% and 16 in 90%.
ENOUGH = 16
# Of the baseline, whose runs are of another kind and succeed.
BASE_ENOUGH = 4
# Scores that agree to the last digit still have noise too small to be seen, relative to the line.
FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Noise:
    """The variance of one run's score, and the degrees of freedom it was estimated with."""

    variance: float
    dof: int


def noise(points: Sequence[Point], sizes: Sequence[float], line: float) -> list[Noise] | None:
    """Estimate the noise of every point; None when no point has two seeds.

    A d with too few seeds borrows from the nearest in log d, on either side of the line, and from
    the baseline only where no d has two; the baseline borrows from d that pass, the nearest
    first, since noise shrinks where scores saturate.

    Args:
        points: in the order of d, the baseline (size D) among them.
        sizes: what stands for d of each.
        line: the goal.
    """
    if all(p.n < 2 for p in points):
        return None
    return [_pooled(*_lenders(i, points, sizes, line), line) for i in range(len(points))]


def _lenders(
    i: int, points: Sequence[Point], sizes: Sequence[float], line: float
) -> tuple[list[Point], list[Point], int]:
    """Return whose seeds tell of a point's noise, its own first; who stands in; how many do."""
    nearest = sorted(range(len(points)), key=lambda j: (abs(math.log(sizes[j] / sizes[i])), j != i))
    order = [points[j] for j in nearest]
    if points[i].d is None:
        first = [p for p in order if p is points[i] or p.mean >= line]
        return first, [p for p in order if p.mean < line], BASE_ENOUGH
    return [p for p in order if p.d is not None], [p for p in order if p.d is None], ENOUGH


def _pooled(first: Sequence[Point], instead: Sequence[Point], enough: int, line: float) -> Noise:
    squares, dof = 0.0, 0
    for p in first if any(p.n > 1 for p in first) else instead:
        if dof >= enough:
            break
        squares += (p.n - 1) * (p.std or 0.0) ** 2
        dof += p.n - 1
    return Noise(max(squares / dof, (FLOOR * (line or 1.0)) ** 2), dof)
