"""An interval for d90: a percentile bootstrap over seeds."""

import math
from collections.abc import Sequence
from typing import Any

from idim.estimate.records import ROUNDING, Point

RESAMPLES = 2000
BOOTSTRAP_SEED = 20201222
# Below this many seeds a percentile bootstrap is known to be too narrow.
FEW_SEEDS = 5


def seed_interval(
    base: Point | float | None, points: Sequence[Point], threshold: float, line: float | None
) -> tuple[tuple[int | None, int | None], str]:
    """Bootstrap d90 over seeds; an end above d_max is None, or d_max for the lower end."""
    seeds = [p.n for p in (base, *points) if isinstance(p, Point)]
    if line is None or not points:
        return (None, None), "none: d90 is not defined"
    if max(seeds) < 2:
        return (None, None), "none: one seed each"
    import numpy as np

    goal = np.full(RESAMPLES, line)
    if isinstance(base, Point):
        goal = threshold * _resampled(base)
        # A resampled baseline at or below 0 has no line; inf puts its d90 above every d.
        goal[goal <= 0] = np.inf
    means = np.stack([_resampled(p) for p in points], axis=1)  # (RESAMPLES, points)
    passed = np.column_stack([means >= goal.reshape(-1, 1) * (1 - ROUNDING), np.ones(RESAMPLES)])
    first = np.sort(passed.argmax(axis=1))  # index of the first d that passes; len(points): none
    low, high = (int(first[math.ceil(RESAMPLES * q) - 1]) for q in (0.025, 0.975))
    ds = [p.d for p in points]
    ends = (ds[min(low, len(ds) - 1)], ds[high] if high < len(ds) else None)
    caution = "" if max(seeds) >= FEW_SEEDS else f" (too narrow with fewer than {FEW_SEEDS} seeds)"
    return ends, f"95% percentile bootstrap over seeds, {RESAMPLES} resamples{caution}"


def _resampled(p: Point) -> Any:
    """Draw RESAMPLES means of n scores, with replacement; the draws depend on d alone."""
    import numpy as np

    # Raw bits, because numpy promises their stream for ever and not that of its distributions.
    bits = np.random.PCG64([BOOTSTRAP_SEED, p.d or 0]).random_raw(RESAMPLES * p.n)
    return np.asarray(p.scores)[(bits % p.n).astype(np.int64)].reshape(RESAMPLES, p.n).mean(axis=1)
