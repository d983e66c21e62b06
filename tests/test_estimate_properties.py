"""What must not change d90, and what must hold of every estimate."""

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from idim.estimate import Estimate, Point, Score, estimate

D = 5000


def row(d: int | None, score: float | None, seed: int = 0, lr: float = 0.1, select=None) -> Score:
    return Score(d, lr, seed, D if d is None else d, select, score, None if score else "nan loss")


def table(baseline: list[float], points: dict[int, list[float]]) -> list[Score]:
    rows = [row(None, s, i) for i, s in enumerate(baseline)]
    return rows + [row(d, s, i) for d, scores in points.items() for i, s in enumerate(scores)]


def noted(found: Estimate, words: str) -> bool:
    return any(words in note for note in found.notes)


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
    assert (a.d90, a.d90_over, a.bracket, a.interval) == (b.d90, b.d90_over, b.bracket, b.interval)


@few
@given(rows=tables)
def test_a_larger_d_that_passes_leaves_a_d90_already_found(rows: list[Score]):
    before = estimate(rows)
    after = estimate([*rows, row(10**7, 1.0), row(10**7, 1.0, 1)])
    if before.d90 is None:
        assert (after.d90, after.bracket) == (10**7, (before.d90_over, 10**7))
    else:
        assert (after.d90, after.bracket) == (before.d90, before.bracket)


@few
@given(rows=tables)
def test_every_answer_is_a_d_that_was_tried_and_ends_are_in_order(rows: list[Score]):
    found = estimate(rows)
    tried = [p.d for p in found.points]
    low, high = found.interval
    for d in (found.d90, found.d90_over, *found.bracket, low, high):
        assert d is None or d in tried
    assert low is None or high is None or low <= high
    assert (found.d90 is None) != (found.d90_over is None)
    inside = low is None or low <= (found.d90 or math.inf) <= (high or math.inf)
    assert inside != noted(found, "outside its interval")


@few
@given(rows=tables)
def test_a_higher_threshold_never_lowers_d90(rows: list[Score]):
    low, high = (estimate(rows, threshold=t).d90 or math.inf for t in (0.5, 0.9))
    assert low <= high


@few
@given(rows=tables)
def test_points_hold_exactly_the_scores_given(rows: list[Score]):
    found = estimate(rows)
    assert isinstance(found.baseline, Point)
    for point in (found.baseline, *found.points):
        assert sorted(point.scores) == sorted(r.score for r in rows if r.d == point.d)
        assert min(point.scores) - 1e-12 <= point.mean <= max(point.scores) + 1e-12
