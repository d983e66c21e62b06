"""The parts of an interval against statistics: noise, deviance, the line."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from idim.estimate import Point, Score, Target, estimate, fit, point
from idim.estimate.fit import _student as student
from idim.estimate.isotonic import CRITICAL
from idim.estimate.noise import noise

D = 5000


def at(d: int | None, scores, lr: float = 0.1) -> Point:
    size = D if d is None else d
    found = point([Score(d, lr, k, size, None, s) for k, s in enumerate(scores)])
    assert found is not None
    return found


def spread(mean: float, std: float, n: int) -> list[float]:
    """Return n scores of this mean and sample deviation."""
    x = np.linspace(-1, 1, n)
    return list(mean + std * x / x.std(ddof=1))


# --- deviance -------------------------------------------------------------------------------


def test_the_bound_is_the_95_percent_point_of_chi_squared():
    assert pytest.approx(stats.chi2.ppf(0.95, df=1), abs=1e-3) == CRITICAL


@pytest.mark.parametrize("dof", [2, 3, 4, 8, 30])
def test_the_deviance_of_an_error_is_the_square_of_the_normal_deviate_as_rare(dof):
    """Wallace's formula is within 3% from two degrees of freedom on; a plain t would be far off."""
    for t in (0.5, 1.0, 2.0, 4.0, 8.0):
        z = stats.norm.isf(stats.t.sf(t, dof))
        assert math.sqrt(student(t**2, np.array(dof))) == pytest.approx(z, rel=0.03)


# --- noise ----------------------------------------------------------------------------------


def variance(points: list[Point], i: int, line: float) -> tuple[float, int]:
    found = noise(points, [p.d or p.trainable for p in points], line)
    assert found is not None
    return found[i].variance, found[i].dof


def test_enough_seeds_speak_for_themselves():
    points = [at(10, spread(0.2, 0.5, 3)), at(20, spread(0.3, 0.1, 5)), at(40, spread(0.4, 0.5, 3))]
    assert variance(points, 1, 0.9) == (pytest.approx(0.01), 4)


def test_few_seeds_borrow_from_the_nearest_in_log_d_until_there_are_four_degrees_of_freedom():
    points = [
        at(10, spread(0.2, 0.3, 2)),
        at(100, spread(0.3, 0.1, 3)),
        at(999, spread(0.4, 0.2, 3)),
    ]
    # 2 of its own and 2 of the nearest: 1000 / 100 is nearer than 100 / 10 in log d
    assert variance(points, 1, 0.9) == (pytest.approx((2 * 0.01 + 2 * 0.04) / 4), 4)
    # 1, then 2, then 2
    pooled = (0.09 + 2 * 0.01 + 2 * 0.04) / 5
    assert variance(points, 0, 0.9) == (pytest.approx(pooled), 5)


def test_the_other_side_of_the_line_speaks_only_where_the_own_is_silent():
    points = [at(10, spread(0.2, 0.1, 2)), at(20, [0.3]), at(21, spread(0.95, 0.4, 3))]
    assert variance(points, 1, 0.9) == (pytest.approx(0.01), 1)
    alone = [at(10, [0.2]), at(20, [0.3]), at(40, spread(0.95, 0.4, 3))]
    assert variance(alone, 0, 0.9) == (pytest.approx(0.16), 2)


def test_seeds_that_agree_still_have_a_millionth_of_the_line_as_noise():
    points = [at(10, [0.5] * 5), at(20, [0.6] * 5)]
    assert variance(points, 0, 0.8) == (pytest.approx((1e-6 * 0.8) ** 2), 4)


# --- the line -------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("n", [5, 17])
@pytest.mark.parametrize("std", [0.01, 0.04])
def test_the_interval_reaches_as_far_as_the_lines_own_standard_error(share, n, std):
    """Where the points are sure, the crossings left open are those of the lines left open.

    A line is left open within share * std / sqrt(n) times the error whose deviance is the bound.
    """
    base = at(None, spread(0.8, std, n))
    goal, error = share * 0.8, share * std / math.sqrt(n)
    z = float(stats.t.isf(stats.norm.sf(math.sqrt(CRITICAL)), n - 1))
    # half a standard error inside and outside of what is left open, on both sides
    offs = [-z - 0.5, -z + 0.5, z - 0.5, z + 0.5]
    points = [at(10 * 2**k, spread(goal + off * error, 1e-9, 5)) for k, off in enumerate(offs)]
    found = fit(base, points, Target(share))
    assert found.interval == (11, 80)


@pytest.mark.parametrize("n", [5, 20])
def test_a_point_is_as_sure_as_its_seeds_are_many(n):
    """One d below and one above a fixed line: how far below counts in its own standard errors."""
    z = float(stats.t.isf(stats.norm.sf(math.sqrt(CRITICAL)), n - 1))
    for off, low in ((z - 0.3, None), (z + 0.3, 11)):
        below = at(10, spread(0.9 - off * 0.02 / math.sqrt(n), 0.02, n))
        sure = at(20, spread(0.99, 0.001, n))
        assert fit(1.0, [below, sure], Target(0.9)).interval == (low, 20)


few_scores = st.lists(st.integers(50, 100).map(lambda k: k / 100), min_size=2, max_size=3)


# --- one line, read in every way ------------------------------------------------------------


def test_a_score_on_the_line_reaches_it_in_every_reading():
    just_below = math.nextafter(0.9, 0.0)
    rows = [Score(None, 0.1, 0, D, None, 1.0), Score(10, 0.1, 0, 10, None, 0.5)]
    found = estimate([*rows, *(Score(20, 0.1, k, 20, None, just_below) for k in range(2))])
    assert (found.smallest.d, found.fit.d) == (20, 20)
    assert found.readings["d90"].smallest == 20
    assert found.success.points == ((10, 0, 1), (20, 2, 2))


@settings(max_examples=60, deadline=None)
@given(
    few_scores,
    st.lists(few_scores, min_size=1, max_size=4),
    st.sampled_from([0.5, 0.75, 0.8, 0.95, 0.99]),
)
def test_the_threshold_of_an_estimate_is_that_of_its_fit_and_of_its_reading(base, points, share):
    rows = [Score(None, 0.1, k, D, None, s) for k, s in enumerate(base)]
    rows += [Score(10 + i, 0.1, k, 10 + i, None, s)
             for i, scores in enumerate(points) for k, s in enumerate(scores)]  # fmt: skip
    found = estimate(rows, threshold=share)
    reading = found.readings[f"d{100 * share:g}"]
    assert (reading.line, reading.smallest) == (found.line, found.smallest.d)
    assert reading.fit == found.fit
    counts = [(p.d, sum(s >= (found.line or 0) - 1e-9 for s in p.scores), p.n)
              for p in found.points]  # fmt: skip
    assert list(found.success.points) == counts


def test_one_run_without_a_selection_score_leaves_the_choice_to_the_evaluation_for_all():
    """Scores on two kinds of rows do not compare."""
    rows = [Score(10, 0.1, 0, 10, 0.9, 0.6), Score(10, 0.2, 0, 10, None, 0.7)]
    for lost in (None, math.nan):
        (found,) = estimate([rows[0], Score(10, 0.2, 0, 10, lost, 0.7)], baseline=1.0).points
        assert (found.lr, found.on_evaluation) == (0.2, True)
