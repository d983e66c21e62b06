"""The metrics of the tasks, with a defined value where a formula divides by zero.

A random subspace of small d often predicts one class for every row.  Libraries disagree there (NaN,
a warning, -0.01); here a constant prediction has correlation 0, and F1 without true positives is 0.
"""

from collections.abc import Callable

import numpy as np

from idim.errors import RunFailed, unknown


def score(metric: str, predictions: np.ndarray, targets: np.ndarray) -> float:
    """Score predictions against targets; higher is better, but for `rmse`.

    Args:
        metric: a name in `METRICS`.
        predictions: (N,), class codes, or values for regression and the toy.
        targets: (N,), the same kind.

    Raises:
        IdimError: an unknown metric.
        RunFailed: a prediction is NaN or infinite.

    >>> score("accuracy", np.array([0, 1, 1]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    assert predictions.shape == targets.shape == (len(targets),)
    assert len(targets) > 0
    if not np.isfinite(predictions).all():
        raise RunFailed("the model predicts NaN or infinity; lower the learning rate.")
    return float(METRICS[metric](predictions, targets))


def accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Share of rows whose class is right."""
    return float(np.mean(predictions == targets))


def f1(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Harmonic mean of precision and recall of class 1; 0 where there is no true positive."""
    hits = int(np.sum((predictions == 1) & (targets == 1)))
    return 2 * hits / (int(np.sum(predictions == 1)) + int(np.sum(targets == 1))) if hits else 0.0


def macro_f1(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes that are predicted or wanted of each one's F1."""
    classes = np.union1d(predictions, targets)
    return float(np.mean([f1(predictions == c, targets == c) for c in classes]))


def mcc(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Matthews correlation of any number of classes; 0 where either side is constant.

    Source:
        Gorodkin 2004, the R_K statistic; two classes give the usual phi coefficient.
    """
    classes = np.union1d(predictions, targets)
    p = (predictions[:, None] == classes).astype(np.float64)
    t = (targets[:, None] == classes).astype(np.float64)
    p -= p.mean(axis=0)
    t -= t.mean(axis=0)
    norm = np.sqrt(np.sum(p * p) * np.sum(t * t))
    return float(np.sum(p * t) / norm) if norm > 0 else 0.0


def pearson(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Linear correlation; 0 where either side is constant."""
    # Asked before centring: the mean of equal floats need not equal them, and noise correlates.
    if np.ptp(predictions) == 0 or np.ptp(targets) == 0:
        return 0.0
    p, t = unit(predictions), unit(targets)
    return float(np.clip(p @ t, -1.0, 1.0))


def spearman(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Correlation of the ranks, ties sharing their mean rank; 0 where either side is constant."""
    return pearson(ranks(predictions), ranks(targets))


def rmse(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Root of the mean squared error: the one metric that falls as a model gets better."""
    errors = predictions.astype(np.float64) - targets.astype(np.float64)
    return float(np.sqrt(np.mean(errors * errors)))


def performance(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean of the predictions: the toy's model outputs its own performance."""
    return float(np.mean(predictions))


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "mcc": mcc,
    "pearson": pearson,
    "spearman": spearman,
    "rmse": rmse,
    "performance": performance,
}
OF_CLASSES = {"accuracy", "f1", "macro_f1", "mcc"}
OF_VALUES = {"pearson", "spearman", "rmse"}


def unit(x: np.ndarray) -> np.ndarray:
    """Centre and scale to unit length, in float64; the first scaling keeps squares in range."""
    x = x.astype(np.float64)
    x = x - x.mean()
    x = x / np.abs(x).max()
    return x / np.linalg.norm(x)


def ranks(x: np.ndarray) -> np.ndarray:
    """Rank values from 1; ties share their mean rank."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
