"""Where a rising curve, seen through noise, crosses a line: isotonic fit and likelihood ratio."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from idim.estimate.records import Fit, reaches

METHOD = (
    "isotonic regression on log d; 95% likelihood-ratio interval over the seeds of each d and of "
    "the baseline"
)
# 95% point of chi-squared with one degree of freedom.  Where many d with few seeds each lie close
# together the exact value falls to 2.29 (Banerjee & Wellner 2001): this is the careful one.
CRITICAL = 3.841

# (points, fitted values (lines, splits, points)) -> deviance of each point, same shape
Deviance = Callable[[Any], Any]


def crossing(
    ds: Sequence[int],
    means: Sequence[float],
    weights: Sequence[float],
    line: float,
    deviance: Deviance,
    lines: Any,
    penalty: Any,
) -> Fit:
    """Find the crossing by isotonic regression, and its 95% likelihood-ratio interval.

    The only assumption is that the true mean never falls as d grows.  A crossing between two
    neighbouring d is excluded when the best monotone curve that crosses there, whatever the line
    within its own uncertainty, fits worse than the best of all by more than `CRITICAL`.  The d
    between two neighbours cannot be told apart, so the ends are d + 1 above a d that was tried,
    and a d that was tried.  The crossing of the curve itself is never excluded.

    Args:
        ds: (points,), rising.
        means: (points,), the mean score at each.
        weights: (points,), inverse variances of the means.
        line: where the line is estimated to be.
        deviance: twice the log-likelihood lost by fitted values.
        lines: (lines,), values the line may have; `line` is one of them.
        penalty: (lines,), the deviance of each, from the runs the line comes from.

    Source:
        Banerjee & Wellner 2001, Likelihood ratio tests for monotone functions.
    """
    import numpy as np

    up, down = _prefix_fits(means, weights), _prefix_fits([-m for m in means[::-1]], weights[::-1])
    k = len(ds)
    fits = np.where(np.tri(k + 1, k, -1, dtype=bool), up, -np.asarray(down)[::-1, ::-1])
    at = np.asarray(lines).reshape(-1, 1, 1)
    is_left = np.tri(k + 1, k, -1, dtype=bool)
    # an isotonic fit below (above) a bound is the isotonic fit cut off there
    bounded = np.where(is_left, np.minimum(fits, at), np.maximum(fits, at))
    total = deviance(bounded).sum(axis=2) + np.asarray(penalty).reshape(-1, 1)
    lost = total.min(axis=0) - total.min()
    # the curve itself is of least squares: where a dip is sure it need not lose least deviance
    own = sum(not reaches(value, line) for value in up[k])
    kept = [c for c in range(k + 1) if lost[c] <= CRITICAL or c == own]
    low = ds[kept[0] - 1] + 1 if kept[0] else None
    high = ds[kept[-1]] if kept[-1] < k else None
    return Fit(*cross(ds, up[k], line), (low, high), METHOD, tuple(up[k]))


def isotonic(means: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the rising curve that fits weighted means best, by least squares."""
    return _prefix_fits(means, weights)[-1]


def _prefix_fits(means: Sequence[float], weights: Sequence[float]) -> list[list[float]]:
    """Fit every prefix by pooling adjacent violators: row c holds the c fitted values, then 0."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, points
    rows = [[0.0] * len(means)]
    for m, w in zip(means, weights, strict=True):
        blocks.append((m, w, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, w1, n1), (m2, w2, n2) = blocks[-2:]
            blocks[-2:] = [((m1 * w1 + m2 * w2) / (w1 + w2), w1 + w2, n1 + n2)]
        row = [m for m, _, n in blocks for _ in range(n)]
        rows.append(row + [0.0] * (len(means) - len(row)))
    return rows


def cross(
    ds: Sequence[int], curve: Sequence[float], line: float
) -> tuple[int | None, int | None, int | None]:
    """Return where a rising curve reaches a line, linear in log d between two points.

    Returns:
        `d`, `under` and `over` of `records.Fit`.

    >>> cross([10, 1000], [0.5, 0.9], 0.7), cross([10], [0.9], 0.7), cross([10], [0.5], 0.7)
    ((100, None, None), (None, 10, None), (None, None, 10))
    """
    i = next((i for i, value in enumerate(curve) if reaches(value, line)), None)
    if i is None:
        return None, None, ds[-1]
    if i == 0:
        return None, ds[0], None
    share = (line - curve[i - 1]) / (curve[i] - curve[i - 1])
    x = math.log(ds[i - 1]) + share * math.log(ds[i] / ds[i - 1])
    return min(max(math.ceil(math.exp(x) - 1e-9), ds[i - 1] + 1), ds[i]), None, None
