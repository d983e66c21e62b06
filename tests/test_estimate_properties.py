"""What must not change d90, and what must hold of every estimate."""

import math
import random
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from idim.estimate import Point, Score, Smallest, estimate

D = 5000


def row(d: int | None, score: float | None, seed: int = 0, lr: float = 0.1, select=None) -> Score:
    return Score(d, lr, seed, D if d is None else d, select, score, None if score else "nan loss")


def table(baseline: list[float], points: dict[int, list[float]]) -> list[Score]:
    rows = [row(None, s, i) for i, s in enumerate(baseline)]
    return rows + [row(d, s, i) for d, scores in points.items() for i, s in enumerate(scores)]


scores = st.lists(st.integers(1, 1000).map(lambda k: k / 1000), min_size=1, max_size=3)
tables = st.builds(
    table, scores, st.dictionaries(st.integers(1, 10**6), scores, min_size=1, max_size=5)
)
few = settings(max_examples=60, deadline=None)


@few
@given(rows=tables, seed=st.integers(0, 99))
def test_the_order_of_rows_is_irrelevant(rows: list[Score], seed: int):
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert estimate(shuffled) == estimate(rows)


@few
@given(rows=tables, scale=st.floats(0.01, 100))
def test_scaling_all_scores_leaves_d90_and_its_interval(rows: list[Score], scale: float):
    scaled = [row(r.d, scale * (r.score or 0), r.seed, r.lr) for r in rows]
    a, b = estimate(rows), estimate(scaled)
    assert a.smallest == b.smallest
    assert replace(a.fit, curve=()) == replace(b.fit, curve=())


@few
@given(rows=tables)
def test_a_larger_d_that_passes_leaves_the_smallest_already_found(rows: list[Score]):
    before = estimate(rows)
    after = estimate([*rows, row(10**7, 1.0), row(10**7, 1.0, 1)])
    if before.smallest.d is None:
        assert after.smallest == Smallest(10**7, (before.smallest.bracket[0], 10**7))
    else:
        assert after.smallest == before.smallest


@few
@given(rows=tables)
@example(rows=table([0.001, 0.001], {1: [0.002], 2: [0.001]}))  # a dip that is all but sure
def test_every_bound_is_of_a_d_that_was_tried_and_ends_are_in_order(rows: list[Score]):
    found = estimate(rows)
    fit, tried = found.fit, [p.d for p in found.points]
    low, high = fit.ends
    for d in (fit.under, fit.over, found.smallest.d, *found.smallest.bracket, high):
        assert d is None or d in tried
    assert low is None or low - 1 in tried
    assert (low or 1) <= (high or math.inf)
    assert [fit.d, fit.under, fit.over].count(None) == 2
    # the interval holds what it is of
    at = math.inf if fit.over is not None else fit.at
    assert (low or 1) <= (at or 1) <= (high or math.inf)


@few
@given(rows=tables)
def test_a_higher_threshold_never_lowers_d90(rows: list[Score]):
    low, high = (estimate(rows, threshold=t) for t in (0.5, 0.9))
    assert (low.fit.at or math.inf) <= (high.fit.at or math.inf)
    assert (low.smallest.d or math.inf) <= (high.smallest.d or math.inf)


@few
@given(rows=tables)
def test_points_hold_exactly_the_scores_given(rows: list[Score]):
    found = estimate(rows)
    assert isinstance(found.baseline, Point)
    for point in (found.baseline, *found.points):
        assert sorted(point.scores) == sorted(r.score for r in rows if r.d == point.d)
        assert min(point.scores) - 1e-12 <= point.mean <= max(point.scores) + 1e-12
