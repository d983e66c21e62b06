"""The best learning rate from noisy comparisons at many d: a parabola in its logarithm; pure."""

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
