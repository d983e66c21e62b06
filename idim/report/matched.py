"""Two sweeps at one d, paired by the seeds and by the evaluation rows that both have; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Share of a symmetric 95% interval below its upper end.
_UPPER = 0.975


@dataclass(frozen=True, slots=True)
class AtSize:
    """The runs of a sweep at one d, at the learning rate that was selected there."""

    # By seed.
    scores: dict[int, float]
    # By seed, whether each evaluation row was right; empty where the score is no mean over rows.
    right: dict[int, "np.ndarray"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a sweep's runs were trained and scored on, and their scores by d."""

    # Of the training and the evaluation rows.
    fingerprint: str
    by_d: Mapping[int, AtSize]


@dataclass(frozen=True, slots=True)
class Difference:
    """The score of one sweep less that of another, at one d."""

    d: int
    # Mean over the seeds that both have.
    difference: float
    seeds: int
    # 95% interval over seeds (paired t); None with one seed.
    over_seeds: tuple[float, float] | None
    rows: int | None
    # 95% interval over evaluation rows of these trained models (paired, normal); None where the
    # score is no mean over rows.
    over_rows: tuple[float, float] | None


def matched(a: Rows, b: Rows) -> tuple[Difference, ...]:
    """Compare two sweeps of the same rows at every d that both have with a seed in common."""
    if not a.fingerprint or a.fingerprint != b.fingerprint:
        return ()
    found = []
    for d in sorted(a.by_d.keys() & b.by_d.keys()):
        one, other = a.by_d[d], b.by_d[d]
        if seeds := sorted(one.scores.keys() & other.scores.keys()):
            found.append(_difference(d, one, other, seeds))
    return tuple(found)


def nearest(found: Sequence[Difference], ds: Sequence[int], most: int) -> list[Difference]:
    """Return the differences at the d nearest to some others, in the order of their d."""
    middle = sum(map(math.log, ds)) / len(ds)
    chosen = sorted(found, key=lambda one: abs(math.log(one.d) - middle))[:most]
    return sorted(chosen, key=lambda one: one.d)


def _difference(d: int, a: AtSize, b: AtSize, seeds: list[int]) -> Difference:
    import numpy as np
    from scipy.stats import norm, t

    by_seed = np.array([a.scores[seed] - b.scores[seed] for seed in seeds])
    mean, n = float(by_seed.mean()), len(seeds)
    over_seeds = _around(by_seed, float(t.ppf(_UPPER, n - 1))) if n > 1 else None
    shared = [s for s in seeds if s in a.right and s in b.right]
    if len(shared) < n or any(len(a.right[s]) != len(b.right[s]) for s in shared):
        return Difference(d, mean, n, over_seeds, None, None)
    by_row = np.mean([a.right[s].astype(float) - b.right[s] for s in shared], axis=0)
    return Difference(d, mean, n, over_seeds, len(by_row), _around(by_row, float(norm.ppf(_UPPER))))


def _around(values: "np.ndarray", quantile: float) -> tuple[float, float]:
    mean, half = float(values.mean()), quantile * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean - half, mean + half
