"""Where the next runs narrow the interval of a fit; pure."""

import itertools
import math
from collections.abc import Container, Sequence

from idim.estimate import Fit, Point

# d are tried inside every gap wider than this share of the interval, both in log d.
SHARE = 0.25


def tried_inside(found: Fit, points: Sequence[Point], pair: int) -> list[int]:
    """Return the d tried that bound the interval or lie in it.

    While nothing is excluded and the two d on either side of the crossing have few seeds, only
    those two: their noise is what must be known first.
    """
    ds = [p.d or 0 for p in points]
    low, high = found.ends
    if low is None and high is None:
        at = next((i for i, d in enumerate(ds) if d >= (found.at or math.inf)), len(ds) - 1)
        beside = points[max(0, at - 1) : at + 1]
        if any(p.n < pair for p in beside):
            return [p.d or 0 for p in beside]
    return [d for d in ds if (low or 1) - 1 <= d <= (high or math.inf)]


def next_d(
    found: Fit, ds: Sequence[int], coarse: Sequence[int], asked: Container[int]
) -> int | None:
    """Return a new d that may narrow the interval; None when seeds are worth more.

    Args:
        found: the fit as it stands.
        ds: those of `tried_inside`.
        coarse: every d the interval may be widened to.
        asked: every d with a run.
    """
    low, high = found.ends
    above = [d for d in coarse if d > ds[-1] and d not in asked]
    below = [d for d in coarse if d < ds[0] and d not in asked]
    if high is None and above:
        return above[0]
    if low is None and below:
        return below[-1]
    whole = math.log(ds[-1] / ds[0])
    gaps = sorted(itertools.pairwise(ds), key=lambda g: g[0] / g[1])
    for a, b in gaps:
        middle = round(math.sqrt(a * b))
        if math.log(b / a) > SHARE * whole and a < middle < b and middle not in asked:
            return middle
    return None
