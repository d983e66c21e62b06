"""The metrics agree with scikit-learn and SciPy, and have a value where those warn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from idim.errors import IdimError, RunFailed
from idim.problems.tasks.metrics import METRICS, score

CLASSES = {
    "accuracy": sk.accuracy_score,
    "f1": lambda t, p: sk.f1_score(t, p, zero_division=0),
    "macro_f1": lambda t, p: sk.f1_score(t, p, average="macro", zero_division=0),
    "mcc": sk.matthews_corrcoef,
}
VALUES = {
    "pearson": lambda t, p: stats.pearsonr(t, p).statistic,
    "spearman": lambda t, p: stats.spearmanr(t, p).statistic,
}
sizes = st.integers(2, 60)
seeds = st.integers(0, 2**31 - 1)


def coded(n: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, classes, n), random.integers(0, classes, n)


def valued(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves of small integers, so that ties are common."""
    p, t = coded(n, seed, classes=9)
    return p.astype(np.float32) / 2, t.astype(np.float32) / 2


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize("metric", CLASSES)
@settings(deadline=None)
@given(n=sizes, seed=seeds)
def test_class_metrics_equal_sklearn(metric, n, seed):
    predictions, targets = coded(n, seed)
    expected = CLASSES[metric](targets, predictions)
    assert score(metric, predictions, targets) == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(deadline=None)
@given(n=sizes, seed=seeds, classes=st.integers(2, 6))
def test_mcc_and_macro_f1_of_many_classes_equal_sklearn(n, seed, classes):
    predictions, targets = coded(n, seed, classes)
    for metric in ("mcc", "macro_f1"):
        expected = CLASSES[metric](targets, predictions)
        assert score(metric, predictions, targets) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(n=sizes, seed=seeds)
def test_rmse_equals_sklearn(n, seed):
    predictions, targets = valued(n, seed)
    expected = sk.root_mean_squared_error(targets.astype(float), predictions.astype(float))
    assert score("rmse", predictions, targets) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", VALUES)
@settings(deadline=None)
@given(n=sizes, seed=seeds)
def test_correlations_equal_scipy(metric, n, seed):
    predictions, targets = valued(n, seed)
    if np.ptp(predictions) == 0 or np.ptp(targets) == 0:
        assert score(metric, predictions, targets) == 0.0
        return
    expected = VALUES[metric](targets, predictions)
    assert score(metric, predictions, targets) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None)
@given(n=sizes, seed=seeds)
def test_the_order_of_rows_does_not_matter(metric, n, seed):
    predictions, targets = coded(n, seed)
    order = np.random.default_rng(seed + 1).permutation(n)
    shuffled = score(metric, predictions[order], targets[order])
    assert shuffled == pytest.approx(score(metric, predictions, targets), abs=1e-12)


@settings(deadline=None)
@given(n=sizes, seed=seeds, classes=st.integers(2, 5))
def test_renaming_the_classes_changes_neither_accuracy_nor_mcc(n, seed, classes):
    predictions, targets = coded(n, seed, classes)
    names = np.random.default_rng(seed + 1).permutation(classes)
    for metric in ("accuracy", "mcc"):
        renamed = score(metric, names[predictions], names[targets])
        assert renamed == pytest.approx(score(metric, predictions, targets), abs=1e-12)


@settings(deadline=None)
@given(n=sizes, seed=seeds, slope=st.integers(1, 9), shift=st.integers(-9, 9))
def test_a_rising_line_changes_no_correlation_and_a_curve_not_spearman(n, seed, slope, shift):
    predictions, targets = valued(n, seed)
    for metric in VALUES:
        moved = score(metric, slope * predictions + shift, targets)
        assert moved == pytest.approx(score(metric, predictions, targets), abs=1e-6)
    curved = score("spearman", np.exp(predictions), targets)
    assert curved == pytest.approx(score("spearman", predictions, targets), abs=1e-12)


@pytest.mark.parametrize("constant", [0, 1])
def test_always_one_class_has_no_correlation_and_a_defined_f1(constant):
    targets = np.array([0, 1, 1, 1])
    predictions = np.full(4, constant)
    assert score("mcc", predictions, targets) == 0.0
    assert score("f1", predictions, targets) == pytest.approx([0.0, 6 / 7][constant])


@pytest.mark.parametrize("metric", VALUES)
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_a_constant_prediction_correlates_with_nothing(metric, n):
    # The mean of 1000 copies of float32 0.1 is not float32 0.1: rounding must not correlate.
    constant = np.full(n, 0.1, np.float32)
    assert score(metric, constant, np.arange(n, dtype=np.float32)) == 0.0
    assert score(metric, np.arange(n, dtype=np.float32), constant) == 0.0


def test_large_float32_values_do_not_overflow():
    values = np.array([1e30, 2e30, 3e30], np.float32)
    assert score("pearson", values, values) == pytest.approx(1.0)


def test_the_toys_model_outputs_its_own_performance():
    assert score("performance", np.array([0.25, 0.75]), np.zeros(2)) == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_fails_the_run(bad):
    with pytest.raises(RunFailed, match="lower the learning rate"):
        score("pearson", np.array([bad, 1.0]), np.array([0.0, 1.0]))


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(IdimError, match="did you mean 'accuracy'"):
        score("acuracy", np.zeros(1), np.zeros(1))
