"""Where the next runs narrow the interval of a fit; pure."""

import itertools
import math
from collections.abc import Container, Sequence

from idim.estimate import Fit, Point, beside

# d are tried inside every gap wider than this share of the interval, both in log d.
SHARE = 0.25
# Beside the crossing two d are tried in a gap wider than this factor, one in a narrower one.
WIDE, NARROW = 2.5, 1.5


def tried_inside(found: Fit, points: Sequence[Point]) -> list[int]:
    """Return the d tried that bound the interval or lie in it."""
    low, high = found.ends
    return [p.d or 0 for p in points if (low or 1) - 1 <= (p.d or 0) <= (high or math.inf)]


def next_ds(
    found: Fit, points: Sequence[Point], coarse: Sequence[int], asked: Container[int]
) -> list[int]:
    """Return new d that may narrow the interval; none when seeds are worth more.

    Args:
        found: the fit as it stands.
        points: every d with a score.
        coarse: every d the interval may be widened to.
        asked: every d with a run.
    """
    pair, ds = beside(found, points), tried_inside(found, points)
    if len(pair) == 2:
        a, b = pair
        parts = 3 if b > WIDE * a else 2 if b > NARROW * a else 1
        new = [round(a * (b / a) ** (i / parts)) for i in range(1, parts)]
        new = [d for d in dict.fromkeys(new) if a < d < b and d not in asked]
        if new:
            return new
    low, high = found.ends
    above = [d for d in coarse if d > ds[-1] and d not in asked]
    below = [d for d in coarse if d < ds[0] and d not in asked]
    outside = [*(below[-1:] if low is None else ()), *(above[:1] if high is None else ())]
    if outside:
        return outside
    whole = math.log(ds[-1] / ds[0])
    gaps = sorted(itertools.pairwise(ds), key=lambda g: g[0] / g[1])
    for a, b in gaps:
        middle = round(math.sqrt(a * b))
        if math.log(b / a) > SHARE * whole and a < middle < b and middle not in asked:
            return [middle]
    return []
