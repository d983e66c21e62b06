"""The isotonic fit and its crossing against scikit-learn and against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from idim.estimate.isotonic import CRITICAL, crossing
from idim.estimate.isotonic import _prefix_fits as prefix_fits

# scores lie close together (steps down to 0.001) and are often equal
close = st.integers(0, 1000).map(lambda k: k / 1000)
steps = st.sampled_from([0.001, 0.02, 0.25])
means = st.one_of(
    st.lists(close, min_size=1, max_size=9),
    st.builds(
        lambda ups, step: [0.5 + step * u for u in ups],
        st.lists(st.integers(-2, 2), min_size=1, max_size=9),
        steps,
    ),
)
weight = st.sampled_from([0.01, 0.5, 1.0, 3.0, 1e4])
some = settings(max_examples=60, deadline=None)


@st.composite
def curves(draw, most: int = 9):
    """Draw sizes, mean scores and weights of some points."""
    m = draw(means)[:most]
    w = draw(st.lists(weight, min_size=len(m), max_size=len(m)))
    ds = draw(st.lists(st.integers(1, 10_000), min_size=len(m), max_size=len(m), unique=True))
    return sorted(ds), m, w


def sklearn_fit(m, w) -> np.ndarray:
    return IsotonicRegression().fit_transform(np.arange(len(m)), m, sample_weight=w)


@some
@given(curves())
def test_pooling_is_isotonic_regression_at_every_prefix(curve):
    _, m, w = curve
    rows = prefix_fits(m, w)
    assert len(rows) == len(m) + 1
    for c in range(1, len(m) + 1):
        assert rows[c][:c] == pytest.approx(sklearn_fit(m[:c], w[:c]), rel=1e-9, abs=1e-12)
        assert all(a <= b for a, b in itertools.pairwise(rows[c][:c]))


def partitions(k: int):
    """Yield every way to cut 0 .. k-1 into runs."""
    for cuts in itertools.product((False, True), repeat=max(0, k - 1)):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [k]
        yield list(zip([0, *ends[:-1]], ends, strict=True))


def least(m, w, split: int, line: float) -> float:
    """Return the least weighted square error of rising values that cross a line at a split.

    The best such values are level on runs, each at its mean or at the line: all are tried.
    """
    best = math.inf
    for runs in partitions(len(m)):
        values = np.empty(len(m))
        for a, b in runs:
            level = np.average(m[a:b], weights=w[a:b])
            values[a:b] = min(level, line) if b <= split else max(level, line)
        crosses = (values[:split] <= line).all() and (values[split:] >= line).all()
        if crosses and (np.diff(values) >= -1e-12).all():
            best = min(best, float((w * (values - m) ** 2).sum()))
    return best


@some
@given(
    curves(most=5),
    st.integers(0, 1000).map(lambda k: k / 1000 + 0.0004),
    st.sampled_from([0.0, 0.01, 0.3]),
    st.floats(0, 6),
)
def test_the_interval_is_what_brute_force_leaves_open(curve, line, spread, penalty):
    ds, m, w = curve[0], np.array(curve[1]), np.array(curve[2])
    lines, costs = [line - spread, line, line + spread], [penalty, 0.0, penalty]
    found = crossing(
        ds, list(m), list(w), line, lambda f: w * (f - m) ** 2, np.array(lines), np.array(costs)
    )
    total = [
        min(least(m, w, split, at) + cost for at, cost in zip(lines, costs, strict=True))
        for split in range(len(m) + 1)
    ]
    lost = np.array(total) - min(total)
    if (abs(lost - CRITICAL) < 1e-6).any():
        return  # a tie that rounding decides
    own = int((sklearn_fit(m, w) < line - 1e-9 * abs(line)).sum())
    kept = np.flatnonzero((lost <= CRITICAL) | (np.arange(len(lost)) == own))
    assert found.interval == (
        ds[kept[0] - 1] + 1 if kept[0] else None,
        ds[kept[-1]] if kept[-1] < len(m) else None,
    )


@some
@given(curves(), st.integers(-1, 1001).map(lambda k: k / 1000))
def test_the_crossing_is_the_first_d_at_which_the_fitted_curve_reaches_the_line(curve, line):
    ds, m, w = curve
    fitted = sklearn_fit(m, w)
    if (abs(fitted - line) < 1e-9).any():
        line += 1e-6
    found = crossing(ds, m, w, line, lambda f: (f - np.array(m)) ** 2, [line], [0.0])
    assert found.curve == pytest.approx(tuple(fitted), rel=1e-9, abs=1e-12)
    if fitted[-1] < line:
        assert (found.d, found.under, found.over) == (None, None, ds[-1])
        return
    if fitted[0] >= line:
        assert (found.d, found.under, found.over) == (None, ds[0], None)
        return
    assert (found.under, found.over) == (None, None)
    found = found.d
    assert found is not None

    def value(d: float) -> float:
        """Straight between two points, in log d."""
        return float(np.interp(math.log(d), np.log(ds), fitted))

    assert ds[0] < found <= ds[-1]
    # the curve is steep where two d are close together: d itself is exact to one part in 1e8
    assert value(found * (1 + 1e-8)) >= line - 1e-9
    assert value((found - 1) * (1 - 1e-8)) < line + 1e-9
    assert value(found - 1) < value(found) + 1e-12


def test_a_value_on_the_line_reaches_it():
    for line, at in ((0.5, (None, 10)), (0.7, (20, None)), (math.nextafter(0.7, 1), (20, None))):
        found = crossing(
            [10, 20, 40], [0.5, 0.7, 0.9], [1.0] * 3, line,
            lambda f: 0 * f, [line], [0.0],
        )  # fmt: skip
        assert (found.d, found.under) == at


def test_half_way_in_score_is_half_way_in_log_d():
    found = crossing([10, 1000], [0.4, 0.8], [1.0, 1.0], 0.6, lambda f: 0 * f, [0.6], [0.0])
    assert found.d == 100


def test_the_two_points_that_pool_weigh_as_much_as_their_weights():
    assert prefix_fits([0.9, 0.3], [1.0, 3.0])[2] == pytest.approx([0.45, 0.45])
    # a dip of a hundredth is a dip
    assert prefix_fits([0.51, 0.5], [1.0, 1.0])[2] == pytest.approx([0.505, 0.505])
