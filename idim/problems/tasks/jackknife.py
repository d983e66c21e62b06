"""What each evaluation row adds to a score: jackknife pseudo-values, without a loop over rows.

Any metric so becomes a mean over rows, whose spread tells how far another draw of rows would move
it.  Each form here is the exact score without one row, from sums over all of them.
"""

from collections.abc import Callable

import numpy as np

from idim.errors import unknown
from idim.problems.tasks.metrics import OF_CLASSES, OF_VALUES, pearson, ranks, score, unit

# A row with more than this share of a sum of squares is left out by adding up the others, since
# what a difference leaves of it is rounding.  Of three rows or more at most one has as much.
_MOST = 0.9


def credits(metric: str, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return each row's part in a score: n S - (n - 1) S_i, S_i being the score without row i.

    For accuracy that is 1 where the row is right and 0 elsewhere, and the mean is the score.  For
    the other metrics the mean is the score less its jackknife estimate of bias, of order 1/n.  The
    variance of the mean estimates that of the score over draws of rows.

    Args:
        metric: one whose score comes from rows: in `OF_CLASSES` or `OF_VALUES`.
        predictions: (N,), class codes, or values for regression.
        targets: (N,), the same kind.

    Returns:
        (N,) float64; one row alone has the score itself.

    Raises:
        IdimError: no such metric.
        RunFailed: a prediction is NaN or infinite.

    Source:
        Tukey 1958; Efron & Stein 1981, The jackknife estimate of variance.

    >>> credits("accuracy", np.array([0, 1, 1]), np.array([0, 1, 0]))
    array([1., 1., 0.])
    """
    if metric not in WITHOUT:
        raise unknown("metric of rows", metric, WITHOUT)
    whole, n = score(metric, predictions, targets), len(targets)
    if metric == "accuracy":
        return (predictions == targets).astype(np.float64)
    if n == 1:
        return np.array([whole])
    return n * whole - (n - 1) * WITHOUT[metric](predictions, targets)


def _accuracy(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    right = predictions == targets
    return (right.sum() - right) / (len(right) - 1)


def _f1(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    p, t = predictions == 1, targets == 1
    hits = np.sum(p & t) - (p & t)
    return _share(hits, p.sum() + t.sum() - p - t.astype(int))


def _macro_f1(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    p, t, k = _codes(predictions, targets)
    hit = p == t
    hits = np.bincount(p[hit], minlength=k)
    sizes = np.bincount(p, minlength=k) + np.bincount(t, minlength=k)
    f1 = _share(hits, sizes)
    # The row leaves the class it was predicted as, and the other that it is of.
    left, others = sizes[p] - 1 - hit, np.where(hit, sizes[t], sizes[t] - 1)
    total = f1.sum() - f1[p] + _share(hits[p] - hit, left)
    total += np.where(hit, 0.0, _share(hits[t], others) - f1[t])
    return total / (k - (left == 0) - (others == 0))


def _mcc(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    p, t, k = _codes(predictions, targets)
    hit, n = p == t, len(t) - 1
    of_p, of_t = np.bincount(p, minlength=k), np.bincount(t, minlength=k)
    both = of_p @ of_t - of_t[p] - of_p[t] + hit
    in_p = n * n - (of_p @ of_p - 2 * of_p[p] + 1)
    in_t = n * n - (of_t @ of_t - 2 * of_t[t] + 1)
    norm = np.sqrt(in_p.astype(np.float64) * in_t)
    found = n * (hit.sum() - hit) - both
    return np.divide(found, norm, out=np.zeros(len(t)), where=norm > 0)


def _pearson(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if np.ptp(predictions) == 0 or np.ptp(targets) == 0:
        return np.zeros(len(targets))
    p, t = unit(predictions), unit(targets)
    n = len(t)
    # Without a row the means move too, which is the factor n / (n - 1).
    in_p, in_t = p * p * n / (n - 1), t * t * n / (n - 1)
    alone = np.flatnonzero((in_p > _MOST) | (in_t > _MOST))
    in_p[alone] = in_t[alone] = 0
    found = (p @ t - p * t * n / (n - 1)) / np.sqrt((1 - in_p) * (1 - in_t))
    found = np.clip(found, -1.0, 1.0)
    for i in alone:
        found[i] = pearson(np.delete(predictions, i), np.delete(targets, i))
    return found


def _spearman(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rank again without each row: with the ranks kept, high correlations look too certain."""
    p, t = ranks(predictions), ranks(targets)
    n = len(t) - 1
    # A rank falls by 1 where the row that leaves is below, by 1/2 where it is equal.
    fallen = _above(predictions, t) + _above(targets, p) - _above_in_both(predictions, targets)
    both = p @ t - p * t - fallen - n * (n + 1) ** 2 / 4
    norm = np.sqrt(_ranked(predictions) * _ranked(targets))
    found = np.divide(both, norm, out=np.zeros(len(t)), where=norm > 0)
    return np.clip(found, -1.0, 1.0)


def _rmse(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    errors = predictions.astype(np.float64) - targets.astype(np.float64)
    squares = errors * errors
    rest, most = squares.sum() - squares, squares.argmax()
    rest[most] = np.delete(squares, most).sum()
    return np.sqrt(np.maximum(rest, 0) / (len(squares) - 1))


# The score without each row, (N,), of two rows or more.
WITHOUT: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "mcc": _mcc,
    "pearson": _pearson,
    "spearman": _spearman,
    "rmse": _rmse,
}
assert WITHOUT.keys() == OF_CLASSES | OF_VALUES


def _share(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return F1 from true positives and rows predicted plus rows wanted; 0 without any."""
    return np.divide(2 * hits, sizes, out=np.zeros(len(sizes)), where=sizes > 0)


def _codes(predictions: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the classes that are predicted or wanted from 0; return how many there are too."""
    classes = np.union1d(predictions, targets)
    p, t = np.searchsorted(classes, predictions), np.searchsorted(classes, targets)
    return p, t, len(classes)


def _above(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Add up for each row the weights of rows of greater x, and half of those of equal x."""
    _, place = np.unique(x, return_inverse=True)
    sums = np.bincount(place, weights)
    greater = sums.sum() - np.cumsum(sums)
    return greater[place] + (sums[place] - weights) / 2


def _ranked(x: np.ndarray) -> np.ndarray:
    """Return the sum of squares about their mean of the ranks without each row."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ties = counts[place].astype(np.float64)
    n, c = len(x) - 1.0, ties - 1
    of_ties = np.sum(counts.astype(np.float64) ** 3 - counts) - (ties**3 - ties) + (c**3 - c)
    return (n**3 - n - of_ties) / 12


def _above_in_both(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count for each row the others of greater x and y: half where one is equal, 1/4 where both.

    Ties are broken by the order of rows, and by its reverse, in x and in y: the mean over these
    is that count.
    """
    of_x, of_y = _orders(x), _orders(y)
    found = [_above_in_order(a, b) for a in of_x for b in of_y]
    return np.mean(found, axis=0)


def _orders(x: np.ndarray) -> list[np.ndarray]:
    """Return the place of each row in the order of x, from 0, with ties broken both ways."""
    n = len(x)
    up = np.argsort(np.argsort(x, kind="stable"))
    if len(np.unique(x)) == n:
        return [up]
    return [up, np.argsort(np.argsort(x[::-1], kind="stable"))[::-1]]


def _above_in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Count for each row those of greater a and b, which are two orders; N log^2 N operations.

    In blocks of 2, 4, 8, ... rows in the order of a: for each row of a first half, those of the
    second half with a greater b.
    """
    n = len(a)
    by_a = np.argsort(a)
    down, place = n - 1 - b[by_a], np.arange(n)
    found = np.zeros(n, np.int64)
    for half in (1 << bit for bit in range((n - 1).bit_length())):
        block = place // (2 * half)
        at = np.argsort(block * n + down)
        second = (place[at] // half) % 2
        before = block[at] * half  # every earlier block is full
        found[at] += np.where(second, 0, np.cumsum(second) - before)
    return found[a]
