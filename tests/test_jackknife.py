"""Each row's part in a score is that of the delete-one loop, and its spread that of a bootstrap."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idim.errors import IdimError, RunFailed
from idim.problems.tasks.jackknife import WITHOUT, credits
from idim.problems.tasks.metrics import METRICS, OF_CLASSES, score

ROWED = sorted(WITHOUT)


def one_by_one(metric, predictions, targets):
    """The definition, as it is written."""
    n, whole = len(targets), score(metric, predictions, targets)
    left = [np.delete(predictions, i) for i in range(n)], [np.delete(targets, i) for i in range(n)]
    return np.array([n * whole - (n - 1) * score(metric, p, t) for p, t in zip(*left, strict=True)])


def made(metric, n, seed, kinds):
    """Few kinds of values: ties, constant sides, and sides that one row keeps from being so."""
    random = np.random.default_rng(seed)
    t, noise = random.integers(0, kinds, n), random.integers(0, kinds, n)
    p = np.where(random.random(n) < 0.6, t, noise)
    if metric in OF_CLASSES:
        return p.astype(np.uint8), t.astype(np.uint8)
    return p.astype(np.float32) / 3, t.astype(np.float32) / 3


@pytest.mark.parametrize("metric", ROWED)
@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 30), seed=st.integers(0, 2**31 - 1), kinds=st.integers(1, 6))
def test_it_is_the_score_less_the_score_without_the_row(metric, n, seed, kinds):
    p, t = made(metric, n, seed, kinds)
    assert credits(metric, p, t) == pytest.approx(one_by_one(metric, p, t), abs=1e-9)


SIDES = {
    "constant predictions": ([1, 1, 1, 1], [0, 1, 2, 1]),
    "constant targets": ([0, 1, 2, 1], [1, 1, 1, 1]),
    "one class": ([1, 1, 1], [1, 1, 1]),
    "all wrong": ([1, 1, 0], [0, 0, 1]),
    "one row differs": ([0, 0, 0, 2], [0, 1, 1, 0]),
    "two rows": ([0, 1], [0, 1]),
    "one row towers": ([0.1, 0.2, 0.4, 1e30], [3, 1, 2, 5]),
    "a row is far off": ([0.1, 0.2, 0.4, 0.3], [0.1, 0.3, 0.2, 1e9]),
}


@pytest.mark.parametrize("metric", ROWED)
@pytest.mark.parametrize("case", SIDES)
def test_what_has_no_spread_with_or_without_a_row_is_told_the_same(metric, case):
    p, t = (np.array(side, np.float32) for side in SIDES[case])
    assert credits(metric, p, t) == pytest.approx(one_by_one(metric, p, t), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("metric", ROWED)
def test_one_row_has_the_whole_score(metric):
    p, t = np.array([1]), np.array([1])
    assert credits(metric, p, t).tolist() == [score(metric, p, t)]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 300), seed=st.integers(0, 2**31 - 1))
def test_a_row_has_1_in_accuracy_where_it_is_right(n, seed):
    p, t = made("accuracy", n, seed, 3)
    found = credits("accuracy", p, t)
    assert found.tolist() == (p == t).tolist()
    assert found.mean() == pytest.approx(score("accuracy", p, t), abs=1e-15)


def spread(metric, n, seed):
    """Rows as runs have them: half right of three classes, or a correlation of 0.97."""
    random = np.random.default_rng(seed)
    if metric in OF_CLASSES:
        t = random.choice(3, n, p=(0.5, 0.3, 0.2))
        return np.where(random.random(n) < 0.5, t, random.integers(0, 3, n)), t
    t = random.normal(size=n)
    return 0.97 * t + 0.0591**0.5 * random.normal(size=n), t


@pytest.mark.parametrize("metric", ROWED)
def test_its_spread_is_that_of_the_score_over_draws_of_rows(metric):
    p, t = spread(metric, 400, seed=5)
    draws = np.random.default_rng(6).integers(0, 400, (2000, 400))
    bootstrap = np.var([score(metric, p[rows], t[rows]) for rows in draws])
    found = credits(metric, p, t)
    assert found.var(ddof=1) / 400 == pytest.approx(bootstrap, rel=0.15)
    # the bias of a score is of order 1/n, well below its spread
    assert abs(found.mean() - score(metric, p, t)) < bootstrap**0.5 / 3


@pytest.mark.parametrize("metric", ROWED)
def test_ten_thousand_rows_take_a_moment(metric):
    """A loop over rows would take half a minute for spearman."""
    p, t = spread(metric, 10_000, seed=7)
    p = np.round(p, 2)  # ties take longer

    def seconds():
        started = time.process_time()
        credits(metric, p, t)
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 0.5


def test_what_is_no_score_of_rows_is_refused():
    assert METRICS.keys() - WITHOUT.keys() == {"performance"}
    with pytest.raises(IdimError, match="accuracy"):
        credits("performance", np.ones(2), np.ones(2))
    with pytest.raises(RunFailed, match="lower the learning rate"):
        credits("rmse", np.array([np.nan, 1.0]), np.ones(2))
