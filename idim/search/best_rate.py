"""The best learning rate from noisy comparisons at many d: a parabola in its logarithm; pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from idim.config.checks import TINY

# Share of the goal that a rate two times off loses, and how uncertain that is.  Measured: digits
# 0.004 (d = 100, 10 seeds), minilm-l3 on SST-2 about 0.003.
LOSS, LOSS_SD = 0.004, 0.002
# That, and what a steep response loses.
LOSSES = (LOSS, 5 * LOSS)
# How far, in notches, the best rate may lie from where one looks first.
PRIOR_SD = 2.0
# What falls behind the best of its group by more than this share of the goal is counted as so
# much: a rate that diverged says where not to look, not how steep the hill is.
WORST = 0.2

# What falls behind the best by more than so many standard errors is beaten.
BEATEN = 3.0

# (notch, selection score) of the rates compared at one d and seed
Group = Sequence[tuple[float, float]]


def compared(runs: Iterable[tuple[object, float, float]]) -> list[Group]:
    """Return the comparisons that runs make.

    A run may fail by accident: it says nothing of a rate with which as many went well.

    Args:
        runs: what it shares with those it is compared to, its notch, its selection score.
    """
    runs = list(runs)
    fate = Counter((r, m > -math.inf) for _, r, m in runs)
    groups: dict[object, list[tuple[float, float]]] = {}
    for key, r, m in runs:
        if m > -math.inf or fate[r, True] < fate[r, False]:
            groups.setdefault(key, []).append((r, m))
    return list(groups.values())


class Hill(NamedTuple):
    """Where the score is best, and the share of the goal that a notch off loses there."""

    top: float
    loss: float


def best_notch(groups: Sequence[Group], center: float, goal: float) -> Hill:
    """Return the notch where the score is expected to be best.

    The score is taken to be a_group + b x - c x^2, x in notches from `center`; b and c have normal
    priors, since a comparison of two rates by few held-out rows is mostly noise.

    Args:
        groups: selection scores that share d and seed, and so most of their noise.
        center: where the best notch would be looked for without any data.
        goal: the score to reach, from what asks for nothing; it sets the scale.
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
        return Hill(center, LOSS)
    basis, y = np.concatenate(rows), np.concatenate(gaps)
    free = len(y) - len(rows)
    found = [_top(basis, y, free, loss * goal) for loss in LOSSES]
    # ordinary unless the scores speak for steep
    _, best, loss = max(found, key=lambda f: f[0])
    best += center
    tried = [r for group in groups for r, _ in group]
    return Hill(min(max(best, min(tried) - 1), max(tried) + 1), loss / goal)


def _top(basis: Any, y: Any, free: int, loss: float) -> tuple[float, float, float]:
    """Return the log evidence for a parabola that loses so much a notch off, and where its top is.

    Args:
        basis: (scores, 2), x and -x^2 less their groups' means.
        y: (scores,), less their groups' means.
        free: how many scores are free of their groups' means.
        loss: about what a rate two times off loses.
    """
    import numpy as np

    prior = np.array([0.0, loss])
    spread = np.array([2 * loss * PRIOR_SD, loss * LOSS_SD / LOSS]) ** 2
    left = y - basis @ prior
    # the noise is seen in what prior means leave over, and never less than the prior's own scale
    least = (LOSS_SD / LOSS * loss) ** 2
    variances = np.geomspace(least, max(least, float((left**2).sum()) / free), 9)
    best = (-math.inf, 0.0, loss)
    for variance in variances:
        normal = basis.T @ basis / variance + np.diag(1 / spread)
        at = np.linalg.solve(normal, basis.T @ left / variance)
        quadratic = float(left @ left) / variance - float(at @ normal @ at)
        evidence = -0.5 * (
            quadratic + np.linalg.slogdet(normal)[1] + np.log(spread).sum()
            + free * math.log(variance)
        )  # fmt: skip
        b, c = map(float, prior + at)
        c = max(c, loss / 4)
        best = max(best, (float(evidence), b / (2 * c), c))
    return best


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
