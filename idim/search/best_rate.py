"""The best learning rate from noisy comparisons at many d: a parabola in its logarithm; pure."""

import math
from collections.abc import Sequence

from idim.config.checks import TINY

# Share of the goal that a rate two times off loses, and how uncertain that is.  Measured: digits
# 0.004 (d = 100, 10 seeds), minilm-l3 on SST-2 about 0.003.
LOSS, LOSS_SD = 0.004, 0.002
# How far, in notches, the best rate may lie from where one looks first.
PRIOR_SD = 2.0
# What falls behind the best of its group by more than this share of the goal is counted as so
# much: a rate that diverged says where not to look, not how steep the hill is.
WORST = 0.2

# What falls behind the best by more than so many standard errors is beaten.
BEATEN = 3.0

# (notch, selection score) of the rates compared at one d and seed
Group = Sequence[tuple[float, float]]


def best_notch(groups: Sequence[Group], center: float, goal: float) -> float:
    """Return the notch where the score is expected to be best.

    The score is taken to be a_group + b x - c x^2, x in notches from `center`; b and c have normal
    priors, since a comparison of two rates by few held-out rows is mostly noise.

    Args:
        groups: selection scores that share d and seed, and so most of their noise.
        center: where the best notch would be looked for without any data.
        goal: the score to reach, which sets the scale.
    """
    import numpy as np

    if abs(goal) < TINY:  # of no score there is no share: any scale will do
        goal = 1.0
    rows, gaps = [], []
    for group in groups:
        top = max(m for _, m in group)
        if len(group) < 2 or top == -np.inf:
            continue
        x = np.array([r - center for r, _ in group])
        y = np.array([max(m, top - WORST * goal) for _, m in group])
        basis = np.stack([x, -(x**2)], axis=1)
        rows.append(basis - basis.mean(axis=0))
        gaps.append(y - y.mean())
    if not rows:
        return center
    basis, y = np.concatenate(rows), np.concatenate(gaps)
    prior = np.array([0.0, LOSS * goal])
    precision = np.array([1 / (2 * LOSS * PRIOR_SD), 1 / LOSS_SD]) ** 2 / goal**2
    free = len(y) - len(rows)
    # the noise is seen in what prior means leave over, and never less than the prior's own scale
    left = float(((y - basis @ prior) ** 2).sum()) / free
    variance = max(left, (LOSS_SD * goal) ** 2)
    normal = basis.T @ basis / variance + np.diag(precision)
    b, c = np.linalg.solve(normal, basis.T @ y / variance + precision * prior)
    best = center + b / (2 * max(c, LOSS * goal / 4))
    tried = [r for group in groups for r, _ in group]
    return float(min(max(best, min(tried) - 1), max(tried) + 1))


def beaten_notches(groups: Sequence[Group]) -> list[float]:
    """Return the notches that the best one beats beyond the noise of seeds.

    Where a wrong rate costs far more than `LOSS` the parabola takes the cost for noise, and its top
    may lie beside the best by a notch or two.

    Args:
        groups: as of `best_notch`; notches that all of them have are compared.
    """
    import numpy as np

    tables = [dict(group) for group in groups]
    notches = sorted(set.intersection(*map(set, tables))) if tables else []
    values = np.array([[table[r] for r in notches] for table in tables])
    if len(tables) < 2 or len(notches) < 2 or not np.isfinite(values).all():
        return []
    means = values.mean(axis=0)
    # what seed and rate leave over
    rest = values - means - values.mean(axis=1, keepdims=True) + values.mean()
    free = (len(tables) - 1) * (len(notches) - 1)
    error = math.sqrt(2 * float((rest**2).sum()) / free / len(tables))
    return [r for r, m in zip(notches, means, strict=True) if m < means.max() - BEATEN * error]
