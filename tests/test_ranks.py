"""Rank correlations of d90 with steps: what is only a bound, and an interval that covers."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr
from test_trajectory import ROWS, row

from idim.studies.ranks import _fisher, correlation


def rows(*found):
    """Make checkpoints of d90: a number, or a bound as ">900" or "<50"."""
    made = []
    for i, d in enumerate(found):
        over = int(d[1:]) if str(d).startswith(">") else None
        under = int(d[1:]) if str(d).startswith("<") else None
        exact = None if isinstance(d, str) else d
        ends = (exact, exact) if exact else (under and None, under) if under else (over, None)
        made.append(row(i, exact, under=under, over=over, ends=ends))
    return made


@pytest.mark.parametrize("order", [*permutations((10, 20, 30, 40))])
def test_of_numbers_it_is_spearmans(order):
    assert correlation(rows(*order)).spearman == pytest.approx(spearmanr(range(4), order)[0])


BOUNDS = [
    ((10, 20, 30), 1.0),
    ((">900", 300, 100, 120), -0.8),
    # which of two above is larger is not known: neither rises nor falls
    ((">900", ">900", 100), -0.75),
    # 500 is surely less than what is above 900, and not surely less than what is above 100
    ((500, ">900", ">950"), 0.75),
    ((500, ">100", ">950"), 0.5),
    ((20, 30, "<50"), 0.25),
    (("<50", "<50", 60), 0.75),
    ((">900", ">900", ">900"), None),
    ((50, 50, 50), None),
    ((50, 60), None),
]


@pytest.mark.parametrize(("found", "rho"), BOUNDS)
def test_a_bound_is_no_value(found, rho):
    assert correlation(rows(*found)).spearman == rho


def test_what_has_no_d90_is_left_out():
    assert correlation(ROWS).n == 4
    assert correlation(ROWS[:3]).spearman is None


def test_three_checkpoints_leave_all_open():
    assert correlation(rows(10, 20, 30)).interval == (-1.0, 1.0)


def test_an_interval_carries_those_of_d90():
    """It holds the correlation, and the wider every d90's interval is the wider it is."""
    sure = correlation(rows(60, 50, 40, 30, 20, 10))
    wide = [row(i, d, ends=(d - 5, d + 15)) for i, d in enumerate((60, 50, 40, 30, 20, 10))]
    none = [row(i, d) for i, d in enumerate((60, 50, 40, 30, 20, 10))]
    one = correlation(wide)
    assert sure.spearman == one.spearman == -1.0
    assert sure.interval[0] == one.interval[0] == -1.0
    assert -0.8 < sure.interval[1] < one.interval[1] < 1.0
    # without intervals of their own nothing is known of the order
    assert correlation(none).interval == (-1.0, 1.0)
    for found in (sure, one, correlation(ROWS)):
        assert found.interval[0] <= found.spearman <= found.interval[1]


@pytest.mark.parametrize("n", [4, 5, 7, 10])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_the_interval_covers(n, rho):
    """In normal samples whose own correlation of ranks is known; 1,500 trials, so within 0.013."""
    rng = np.random.default_rng(n)
    r = 2 * np.sin(np.pi * rho / 6)  # Pearson's of a normal pair with this Spearman's
    x, e = rng.standard_normal((2, 1500, n))
    ranks = [a.argsort(1).argsort(1) for a in (x, r * x + np.sqrt(1 - r * r) * e)]
    found = 1 - 6 * ((ranks[0] - ranks[1]) ** 2).sum(1) / (n * (n * n - 1))
    ends = {s: _fisher(float(s), n) for s in np.unique(found)}
    held = np.mean([ends[s][0] <= rho <= ends[s][1] for s in found])
    assert held >= 0.92
