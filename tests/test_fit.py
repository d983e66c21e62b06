"""The parts of an interval against statistics: noise, deviance, the line."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from idim.estimate import Point, Score, Target, estimate, fit, point
from idim.estimate.fit import _student as student
from idim.estimate.isotonic import CRITICAL
from idim.estimate.noise import noise
from idim.estimate.rows import rows_noise

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
    few = [at(d, spread(0.2, 0.5, 3)) for d in (10, 40)]
    points = [few[0], at(20, spread(0.3, 0.1, 17)), few[1]]
    assert variance(points, 1, 0.9) == (pytest.approx(0.01), 16)


def test_few_seeds_borrow_from_the_nearest_in_log_d_until_there_are_enough():
    points = [
        at(10, spread(0.2, 0.3, 2)),
        at(100, spread(0.3, 0.1, 9)),
        at(999, spread(0.4, 0.2, 9)),
    ]
    # 8 of its own and 8 of the nearest: 1000 / 100 is nearer than 100 / 10 in log d
    assert variance(points, 1, 0.9) == (pytest.approx((8 * 0.01 + 8 * 0.04) / 16), 16)
    # 1, then 8, then 8
    pooled = (0.09 + 8 * 0.01 + 8 * 0.04) / 17
    assert variance(points, 0, 0.9) == (pytest.approx(pooled), 17)


def test_a_d_whose_seeds_all_succeed_hears_of_the_failures_beside_it():
    points = [at(10, [0.2, 0.95]), at(20, [0.95, 0.96]), at(40, [0.95, 0.2, 0.96])]
    alone, _ = variance(points[1:2], 0, 0.8)
    assert alone < 1e-4
    for i, one in enumerate(points):
        found = variance(points, i, 0.8)
        pooled = sum((p.n - 1) * (p.std or 0) ** 2 for p in points) / 4
        assert found == (pytest.approx(pooled), 4), one.d


def test_the_baseline_lends_only_where_no_d_has_two_seeds():
    base = at(None, spread(0.99, 0.4, 4))
    assert variance([at(10, spread(0.2, 0.1, 2)), at(20, [0.3]), base], 1, 0.9) == (
        pytest.approx(0.01), 1
    )  # fmt: skip
    assert variance([at(10, [0.2]), at(20, [0.3]), base], 0, 0.9) == (pytest.approx(0.16), 3)


def test_the_baseline_borrows_across_the_line_only_where_its_own_side_is_silent():
    base, fails = at(None, [0.99]), at(10, spread(0.2, 0.3, 2))
    passes = at(20, spread(0.95, 0.1, 2))
    assert variance([fails, passes, base], 2, 0.9) == (pytest.approx(0.01), 1)
    assert variance([fails, at(20, [0.95]), base], 2, 0.9) == (pytest.approx(0.09), 1)


def test_seeds_that_agree_still_have_a_millionth_of_the_line_as_noise():
    points = [at(10, [0.5] * 5), at(20, [0.6] * 5)]
    assert variance(points, 0, 0.8) == (pytest.approx((1e-6 * 0.8) ** 2), 8)


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


@pytest.mark.parametrize("n", [17, 30])
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


# --- the choice of evaluation rows ----------------------------------------------------------


def answered(share_here: float, share_base: float, *, rows: int = 4000, runs: int = 20, luck=0.0):
    """Credits at two d and of the baseline: rows differ in how hard they are for every run."""
    draws = np.random.default_rng(0)
    hard = draws.random(rows)

    def right(share: float) -> np.ndarray:
        moved = hard + luck * draws.standard_normal((runs, rows))
        return (moved <= np.quantile(moved, share)).astype(float)

    table = {1: right(share_here), 2: right(share_here), None: right(share_base)}
    return table.get


def test_rows_that_are_hard_for_all_runs_move_curve_and_line_together():
    """With nothing but the rows' hardness a share p of right rows has variance p (1 - p) / rows."""
    seen = answered(0.9, 1.0)
    alone = rows_noise([1], seen, 0.9, own=False)
    assert alone.variance == pytest.approx(0.9 * 0.1 / 4000, rel=0.01)
    assert alone.dof == 3999
    # every row of the baseline is right: the line is the same on any rows
    assert rows_noise([1], seen, 0.9, own=True).variance == pytest.approx(alone.variance)
    # what is right here is right there: of the difference little is left
    alike = answered(0.8, 0.8)
    assert rows_noise([1], alike, 1.0, own=True).variance == 0
    assert rows_noise([1, 2], alike, 0.9, own=True).variance < 0.02 * 0.16 / 4000


def test_what_moves_with_the_seed_is_not_the_rows():
    """Answers at random have no hard rows: seeds alone tell of them."""
    seen = answered(0.9, 0.9, luck=1e6)
    assert rows_noise([1], seen, 0.9, own=False).variance < 0.05 * 0.09 / 4000
    one = {1: seen(1)[:1], None: seen(None)}.get  # a single seed cannot tell the two apart
    assert rows_noise([1], one, 0.9, own=False).variance == pytest.approx(0.09 / 4000, rel=0.1)


@pytest.mark.parametrize("lost", [1, None])
def test_rows_that_are_not_known_of_every_run_say_nothing(lost):
    seen = answered(0.9, 1.0)
    assert rows_noise([1], lambda d: None if d == lost else seen(d), 0.9, own=True) is None
    assert rows_noise([1], {1: seen(1), None: seen(None)[:, :9]}.get, 0.9, own=True) is None
    assert rows_noise([], seen, 0.9, own=True) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rows_that_are_not_finite_leave_the_interval_to_the_seeds(value):
    points = [at(d, [d / 80, d / 80 + 0.01]) for d in (10, 40, 70, 80)]
    base = at(None, [0.99, 0.991])
    with np.errstate(invalid="ignore"):
        found = fit(base, points, Target(0.9), lambda _: np.full((2, 50), value))
    assert found == fit(base, points, Target(0.9))


def test_a_baseline_that_does_not_say_what_it_trains_is_a_baseline():
    base, points = at(None, [0.99, 0.991]), [at(d, [d / 80, d / 80]) for d in (10, 40, 80)]
    found = fit(replace(base, trainable=0), points, Target(0.9))
    assert found.d == fit(base, points, Target(0.9)).d


def test_an_interval_that_holds_the_rows_is_wider_and_says_so():
    scores = [0.90, 0.902, 0.898]
    points = [at(d, [s + more for s in scores])
              for d, more in ((10, -0.03), (20, 0), (40, 0.03), (80, 0.05))]  # fmt: skip
    base = at(None, [0.99, 0.991, 0.989])
    few = {d: np.tile(np.arange(100.0) < 88, (3, 1)).astype(float) for d in (10, 20, 40)}
    few[None] = np.ones((3, 100))
    alone, carried = (fit(base, points, Target(0.9), seen) for seen in (None, few.get))
    assert (alone.d, alone.curve) == (carried.d, carried.curve)
    assert alone.interval == (11, 20)
    assert carried.interval == (None, 80)
    assert "over evaluation rows" in carried.method
    assert "rows" not in alone.method
