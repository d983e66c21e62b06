"""d90 from tables of scores: every defined answer, and what must not change it."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest

from idim.errors import IdimError
from idim.estimate import Estimate, Score, Smallest, estimate
from idim.records import to_json
from idim.results import Baseline, Summary, parts

D = 5000


def row(d: int | None, score: float | None, seed: int = 0, lr: float = 0.1, select=None) -> Score:
    return Score(d, lr, seed, D if d is None else d, select, score, None if score else "nan loss")


def table(baseline: list[float], points: dict[int, list[float]]) -> list[Score]:
    rows = [row(None, s, i) for i, s in enumerate(baseline)]
    return rows + [row(d, s, i) for d, scores in points.items() for i, s in enumerate(scores)]


def noted(found: Estimate, words: str) -> bool:
    return any(words in note for note in found.notes)


# --- d90, and the smallest d that passes -----------------------------------------------------


def answer(found: Estimate) -> tuple[int | None, int | None, int | None]:
    return found.fit.d, found.fit.under, found.fit.over


def test_d90_is_where_the_curve_reaches_the_line_beside_the_smallest_d_that_passes():
    found = estimate(table([0.9], {10: [0.5], 20: [0.81], 40: [0.85]}))
    assert answer(found) == (20, None, None)
    assert found.smallest == Smallest(20, (10, 20))
    assert found.line == pytest.approx(0.81)
    assert found.monotone


def test_a_mean_on_the_line_passes_whatever_the_rounding():
    just_below = math.nextafter(0.9, 0.0)
    found = estimate(table([1.0], {10: [just_below]}))
    assert (found.smallest.d, *answer(found)) == (10, None, 10, None)
    found = estimate(table([1.0], {10: [0.8999]}))
    assert (found.smallest.d, *answer(found)) == (None, None, None, 10)


def test_never_reached_is_above_the_largest_d():
    found = estimate(table([0.9], {10: [0.5], 20: [0.6]}))
    assert answer(found) == (None, None, 20)
    assert found.smallest == Smallest(None, (20, None))


def test_when_the_smallest_d_passes_nothing_bounds_d90_below():
    found = estimate(table([0.9], {10: [0.9], 20: [0.9]}))
    assert answer(found) == (None, 10, None)
    assert found.smallest == Smallest(10, (None, 10))


def test_a_larger_d_that_fails_again_is_said():
    """The curve rises: it pools 20 and 40, which are worth 0.875, and crosses above them."""
    found = estimate(table([1.0], {10: [0.5], 20: [0.95], 40: [0.8], 80: [0.96]}))
    assert (found.smallest, found.monotone) == (Smallest(20, (10, 20)), False)
    assert found.fit.curve == pytest.approx((0.5, 0.875, 0.875, 0.96))
    # 40 * 2 ** (0.025 / 0.085) = 49.04
    assert answer(found) == (50, None, None)
    assert noted(found, "Not monotone: below the line again at d=40.")


def test_a_fixed_baseline_leaves_baseline_runs_out():
    rows = [row(None, None, 9), *table([0.1], {10: [0.5], 20: [0.75]})]
    found = estimate(rows, baseline=0.8)
    assert (found.baseline, found.smallest.d) == (0.8, 20)
    # 10 * 2 ** (0.22 / 0.25) = 18.4
    assert answer(found) == (19, None, None)
    assert not noted(found, "failed")
    assert found.line == pytest.approx(0.72)


def test_the_toy_of_li_et_al_has_d90_of_10():
    found = estimate(table([1.0], {8: [0.0476], 9: [0.165], 10: [0.9998]}), threshold=0.9)
    assert answer(found) == (10, None, None)
    assert found.smallest == Smallest(10, (9, 10))


# --- missing things -------------------------------------------------------------------------


def test_no_scores_at_all_is_an_answer():
    found = estimate([])
    assert (found.baseline, found.line, found.points) == (None, None, ())
    assert answer(found) == (None, None, None)
    assert (found.fit.interval, found.smallest) == (None, Smallest(None, (None, None)))
    assert noted(found, "no baseline run is done")


def test_a_baseline_whose_runs_all_failed_gives_no_d90():
    found = estimate([row(None, None), row(10, 0.5)])
    assert (found.line, *answer(found)) == (None, None, None, None)
    assert noted(found, "every baseline run failed")
    assert found.passes(found.points[0]) is None


def test_several_d_whose_runs_all_failed_have_no_score():
    found = estimate([row(None, 0.9), row(10, None), row(15, None), row(20, 0.9)])
    assert noted(found, "left out, at d=10, 15. d=10, 15 have no score at all.")


def test_no_points_is_an_answer():
    found = estimate([row(None, 0.9)])
    assert answer(found) == (None, None, None)
    assert found.smallest == Smallest(None, (None, None))
    assert noted(found, "no d has a score")


@pytest.mark.parametrize("level", [0.0, -0.2])
def test_a_baseline_at_or_below_0_has_no_line(level: float):
    found = estimate(table([level, level], {10: [0.0, 0.1]}))
    assert (found.line, found.fit.interval, *answer(found)) == (None, None, None, None, None)
    assert noted(found, f"the baseline scores {level:.3f}")


def test_a_d_whose_runs_all_failed_is_absent_and_said():
    found = estimate([row(None, 0.9), row(10, None), row(20, 0.9)])
    assert [p.d for p in found.points] == [20]
    assert found.smallest.bracket == (None, 20)
    assert noted(found, "1 failed run is left out, at d=10. d=10 has no score at all.")


@pytest.mark.parametrize("lost", [None, math.nan, math.inf])
def test_a_missing_score_is_missing_and_never_0(lost: float | None):
    found = estimate([row(None, 0.9), row(10, 0.8, 0), row(10, lost, 1), row(10, 0.9, 2)])
    (point,) = found.points
    assert (point.scores, point.n, point.failed) == ((0.8, 0.9), 2, 1)
    assert point.mean == pytest.approx(0.85)


# --- the learning rate ----------------------------------------------------------------------


def test_the_learning_rate_is_chosen_by_the_selection_score_not_the_reported_one():
    rows = [row(10, 0.9, lr=0.1, select=0.6), row(10, 0.7, lr=0.2, select=0.8)]
    (point,) = estimate(rows, baseline=1.0).points
    assert (point.lr, point.mean, point.on_evaluation) == (0.2, 0.7, False)


def test_without_selection_scores_the_evaluation_chooses_and_that_is_said():
    found = estimate([row(10, 0.9, lr=0.1), row(10, 0.7, lr=0.2)], baseline=1.0)
    assert (found.points[0].lr, found.points[0].on_evaluation) == (0.1, True)
    assert noted(found, "selected on the evaluation set")


def test_one_learning_rate_is_no_selection():
    assert not noted(estimate([row(10, 0.9)], baseline=1.0), "selected")


def test_of_equal_learning_rates_the_smaller_is_taken():
    rows = [row(10, s, i, lr) for lr in (0.4, 0.1, 0.2) for i, s in enumerate((0.5, 0.7))]
    assert estimate(rows, baseline=1.0).points[0].lr == 0.1


def test_a_learning_rate_that_lost_a_seed_cannot_beat_one_that_kept_all():
    safe = [row(10, 0.6, seed, 0.1) for seed in range(3)]
    wild = [row(10, 0.9, 0, 0.4), row(10, 0.9, 1, 0.4), row(10, None, 2, 0.4)]
    (point,) = estimate(safe + wild, baseline=1.0).points
    assert (point.lr, point.n, point.failed) == (0.1, 3, 1)


FAILURES = [
    # by learning rate its seeds' scores (None: failed), and the rate that is taken
    ({0.1: [0.30] * 3, 0.4: [0.95, 0.95, None]}, 0.4),  # hopeless against lost once
    ({0.1: [0.60] * 3, 0.4: [0.90, 0.90, None]}, 0.1),
    ({0.1: [0.60] * 3, 0.4: [0.95, None, None]}, 0.1),
    ({0.1: [0.80] * 3, 0.4: [0.95, 0.95]}, 0.1),  # a seed that was not run is none that learned
    ({0.1: [0.80] * 3, 0.4: [0.95, None]}, 0.1),
    ({0.1: [0.30] * 3, 0.4: [0.95, 0.95]}, 0.4),
    ({0.1: [0.80] * 3, 0.4: [0.90, None, None, None]}, 0.1),
    ({0.1: [None] * 3, 0.4: [0.20, None, None]}, 0.4),
    ({0.1: [-0.20] * 3, 0.4: [0.30, 0.30, None]}, 0.4),
    ({0.1: [-0.20] * 3, 0.4: [-0.19, -0.19, None]}, 0.4),  # never worse than the worst seen
    ({0.1: [0.10] * 3, 0.4: [0.10, 0.10, 0.10]}, 0.1),
]


@pytest.mark.parametrize(("scores", "taken"), FAILURES)
@pytest.mark.parametrize("selected", [False, True])
def test_a_failed_seed_counts_as_nothing_learned(scores, taken, selected):
    rows = [
        row(10, s, i, lr, select=s if selected else None)
        for lr, found in scores.items() for i, s in enumerate(found)
    ]  # fmt: skip
    (point,) = estimate(rows, baseline=1.0).points
    kept = [s for s in scores[taken] if s is not None]
    assert (point.lr, point.scores) == (taken, tuple(kept))
    # one more failure of a rate never makes it the one that is taken
    for lr in scores:
        (again,) = estimate([*rows, row(10, None, 9, lr)], baseline=1.0).points
        assert again.lr == taken or lr == taken


def test_where_every_learning_rate_lost_a_seed_those_with_the_most_left_compete():
    rows = [row(10, 0.6, 0, 0.1), row(10, 0.6, 1, 0.1), row(10, None, 2, 0.1)]
    rows += [row(10, 0.9, 0, 0.4), row(10, None, 1, 0.4), row(10, None, 2, 0.4)]
    (point,) = estimate(rows, baseline=1.0).points
    assert (point.lr, point.n, point.failed) == (0.1, 2, 3)


def test_a_learning_rate_whose_runs_all_failed_still_counts_as_tried():
    rows = [row(10, 0.5, lr=0.1), row(10, 0.6, lr=0.2), row(10, None, lr=0.4)]
    (point,) = estimate(rows, baseline=1.0).points
    assert (point.lr, point.edge, point.tried) == (0.2, False, (0.1, 0.2, 0.4))


def test_a_best_learning_rate_on_the_edge_is_said_for_each_place():
    rows = [row(None, s, lr=lr) for lr, s in ((0.1, 0.9), (0.2, 0.8))]
    rows += [row(10, s, lr=lr) for lr, s in ((0.1, 0.5), (0.2, 0.6))]
    found = estimate(rows)
    assert found.points[0].edge
    assert noted(found, "the smallest tried at the baseline and the largest tried at d=10")


def test_the_only_learning_rate_is_no_edge():
    assert not estimate([row(10, 0.9)], baseline=1.0).points[0].edge


def test_two_results_for_one_run_are_refused():
    with pytest.raises(IdimError, match="one sweep at a time"):
        estimate([row(10, 0.9), row(10, 0.8)], baseline=1.0)


def test_a_failed_attempt_beside_a_finished_one_is_no_failure():
    for rows in ([row(10, None), row(10, 0.9)], [row(10, 0.9), row(10, None)]):
        (point,) = estimate(rows, baseline=1.0).points
        assert (point.n, point.failed) == (1, 0)


# --- spread, interval, notes ----------------------------------------------------------------


def test_a_point_has_mean_and_sample_deviation_in_seed_order():
    (point,) = estimate([row(10, 0.7, 1), row(10, 0.5, 0)], baseline=1.0).points
    assert point.scores == (0.5, 0.7)
    assert point.std == pytest.approx(0.2 / math.sqrt(2))


def test_one_seed_has_neither_deviation_nor_interval():
    found = estimate(table([0.9], {10: [0.5], 20: [0.85]}))
    assert found.points[0].std is None
    assert (found.fit.interval, found.fit.method) == (None, "none: one seed each")
    assert noted(found, "One seed each, so no interval")


def test_a_d_with_fewer_seeds_is_named():
    found = estimate(table([0.9] * 3, {10: [0.5], 20: [0.85] * 3}))
    assert noted(found, "Fewer than 3 seeds at d=10")


def test_a_line_at_or_below_chance_is_said():
    rows = table([0.7], {10: [0.68]})
    assert noted(estimate(rows, chance=0.68), "at or below chance, 0.680")
    assert not noted(estimate(rows, chance=0.5), "chance")


def test_a_line_that_asks_for_less_than_half_of_the_way_from_chance_is_said():
    """As where full fine-tuning hardly beats a constant answer: 0.63 lies 0.03 of 0.1 above 0.6."""
    rows = table([0.7], {10: [0.68]})
    assert noted(estimate(rows, chance=0.6), "The line 0.630 asks for 30% of the way from chance")
    assert not noted(estimate(rows, chance=0.56), "asks for")


def test_seeds_that_lie_far_apart_are_told_of():
    """A run succeeds or stays at chance, here 0.5: a quarter of the way to the baseline is 0.1."""
    rows = table([0.9, 0.9], {10: [0.5, 0.61], 20: [0.85, 0.86], 40: [0.6, 0.69]})
    assert noted(
        estimate(rows, chance=0.5), "Seeds lie far apart at d=10, as where some runs learn"
    )
    assert not noted(estimate(rows, chance=0.1), "far apart")
    # without a score of chance that of nothing learned, 0, stands for it
    assert not noted(estimate(rows), "far apart")
    assert noted(estimate(table([0.4, 0.4], {10: [0.5, 0.61]})), "far apart at d=10,")


def test_the_size_of_another_method_has_its_own_name_in_the_notes():
    rows = [row(None, 0.9), row(10, None), row(10, 0.9, 1), row(20, 0.7, 1), row(20, 0.6, 2)]
    found = estimate(rows, threshold=0.8, letter="r")
    assert noted(found, "left out, at r=10")
    assert noted(found, "seeds at the baseline and r=10:")
    assert noted(found, "below the line again at r=20.")
    assert not any("d=" in note or "d8" in note or "d9" in note for note in found.notes)
    assert noted(estimate([row(None, 0.9)], threshold=0.8, letter="r"), "No r80: no r has a score.")


def test_the_summary_part_is_json_with_the_promised_keys():
    rows = [*table([0.9, 0.8], {10: [0.5, 0.6], 20: [0.85, 0.8]}), row(10, 0.4, lr=0.4)]
    part = to_json(parts(estimate(rows)))
    assert json.loads(json.dumps(part, allow_nan=False)) == part
    assert set(part) < {f.name for f in fields(Summary)}
    assert set(part["reference"]) == {"mean", "std", "n", "lr", "scores", "lrs", "failed"}
    first = part["points"][0]
    assert list(first) == ["d", "trainable", "lr", "lrs", "mean", "std", "n", "scores", "fitted",
                           "passes", "failed"]  # fmt: skip
    assert (first["lrs"], first["passes"], first["fitted"]) == ([0.1, 0.4], False, 0.55)
    assert (part["d90"], part["d90_under"], part["d90_over"]) == (18, None, None)
    assert part["smallest"] == {"d": 20, "bracket": [10, 20]}


def test_the_summary_part_of_a_fixed_or_missing_baseline_has_no_runs():
    for baseline, mean in ((0.8, 0.8), ("own", None)):
        part = parts(estimate([row(10, 0.9)], baseline=baseline))
        assert part["reference"] == Baseline(mean=mean, std=None, n=0, lr=None, scores=())


# --- numbers that nobody means ---------------------------------------------------------------

SCALES = [5e-324, 1e-320, 1e-200, 1e-160, 1e-40, 9e-31, 1e-30, 1e-9, 0.9, 1e9, 1e30, 3e38]


@pytest.mark.parametrize("chance", [None, 0.0, -1.0, 1e-320, 0.5])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("scale", [*SCALES, 0.0, *(-s for s in SCALES)])
def test_a_baseline_of_any_size_has_d90_or_one_line_that_says_why_not(scale, fixed, seeds, chance):
    """Scores in proportion to the baseline: d90 is the same whatever their scale."""
    rows = table([] if fixed else [scale] * seeds, {
        d: [share * scale] * seeds for d, share in ((10, 0.2), (20, 0.95), (40, 1.0))
    })  # fmt: skip
    found = estimate(rows, baseline=scale if fixed else "own", chance=chance)
    if scale < 1e-30:
        assert (found.line, found.smallest.d, found.readings) == (None, None, {})
        assert noted(found, "a share of that is no aim")
        assert not noted(found, "baseline scores 0.000,") or scale == 0
    else:
        assert (found.smallest.d, found.fit.d, len(found.readings)) == (20, 20, 6)


@pytest.mark.parametrize("scores", [(1e308, 0.5), (0.5, -1e39), (1e308, 1e308)])
def test_scores_that_no_square_holds_are_refused(scores):
    with pytest.raises(IdimError, match=r"a score of -?1e\+\d+ is out of range; at most 3.4e\+38"):
        estimate(table([scores[0]] * 2, {10: [scores[1]] * 2}))
    with pytest.raises(IdimError, match="is out of range"):
        estimate(table([], {10: [0.5]}), baseline=scores[0] * scores[1] * 1e300)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -1e300])
@pytest.mark.parametrize("name", ["baseline", "floor", "chance"])
def test_a_given_score_that_is_no_number_is_refused(name, score):
    """A line beyond numbers would lie below every d, or above all."""
    rows = table([0.9] * 2, {10: [0.5] * 2, 20: [0.88] * 2})
    with pytest.raises(IdimError, match="is out of range"):
        estimate(rows, target="gain", **{name: score})


@pytest.mark.parametrize("d", [-1, -3])
def test_a_d_below_0_is_refused(d):
    """0 is the untrained model."""
    with pytest.raises(IdimError, match=f"d must be 0 .the untrained model. or more, got {d}"):
        estimate(table([1.0], {d: [0.5], 10: [0.95]}))


def test_counts_are_plain_numbers_whatever_the_scores_are():
    rows = table([np.float64(1.0)] * 2, {10: [np.float64(0.95)] * 2})
    json.dumps(to_json(parts(estimate(rows))), allow_nan=False)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.0000001, 1.5, math.nan, math.inf])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(IdimError, match=r"^threshold must be (above 0|at most 1), got .*\.$"):
        estimate(table([0.9], {10: [0.5]}), threshold=threshold)


# --- the fitted curve -----------------------------------------------------------------------

SURE = {10: [0.5, 0.51], 20: [0.7, 0.69], 40: [0.95, 0.96], 80: [0.97, 0.98]}


def test_the_fit_crosses_between_two_d_and_its_interval_is_what_they_leave_open():
    found = estimate(table([1.0, 1.0], SURE)).fit
    # linear in log d from 0.695 at 20 to 0.955 at 40: 20 * 2 ** (0.205 / 0.26) = 34.5
    assert (found.d, found.interval) == (35, (21, 40))
    assert "isotonic" in found.method


@pytest.mark.parametrize(("seeds", "high"), [(3, None), (17, 10)])
def test_a_cliff_between_neighbouring_d_leaves_one_answer_where_enough_seeds_say_so(seeds, high):
    """The toy: at d = 9 one seed in several passes by luck, at d = 10 all do.

    That three do may be luck too, as it is once at d = 9.
    """
    lucky = [0.99, 0.0, 0.2, 0.6, 0.1, 0.0]
    found = estimate(table([1.0] * 3, {8: [0.0, 0.1], 9: lucky, 10: [1.0] * seeds, 12: [1.0] * 3}))
    assert (found.smallest.d, found.fit.d, found.fit.interval) == (10, 10, (10, high))


def test_a_dip_is_pooled_with_its_neighbours_and_widens_the_interval():
    rows = table([1.0] * 3, {10: [0.49, 0.5, 0.51], 20: [0.94, 0.93, 0.95], 30: [0.87, 0.88, 0.86]})
    rows += table([], {40: [0.97, 0.96, 0.98]})
    found = estimate(rows)
    assert (found.smallest.d, found.monotone) == (20, False)
    # pooled, 20 and 30 are worth 0.905; that the crossing lies above 30 is not excluded
    assert (found.fit.d, found.fit.interval) == (20, (11, 40))


def test_a_noisy_baseline_widens_the_interval_of_the_fit_too():
    points = {d: [s - 0.005, s, s + 0.005] for d, s in ((10, 0.5), (20, 0.75), (40, 0.79), (80, 1))}
    sure, unsure = ([0.86 - a, 0.86, 0.86 + a] for a in (0.001, 0.08))
    assert estimate(table(sure, points)).fit.interval == (21, 40)
    assert estimate(table(unsure, points)).fit.interval == (11, 80)


@pytest.mark.parametrize(
    ("baseline", "points", "d", "interval"),
    [
        # never reached
        ([1.0] * 3, {10: [0.5] * 3, 20: [0.6] * 3}, (None, None, 20), (21, None)),
        # reached at once
        ([1.0] * 3, {10: [0.95] * 3, 20: [0.96] * 3}, (None, 10, None), (None, 10)),
        # so much noise that nothing is excluded
        ([1.0] * 2, {10: [0.2, 0.9], 20: [0.6, 1.2]}, (20, None, None), (None, None)),
        # one seed: no noise is known
        ([1.0], {10: [0.5], 20: [0.96]}, (19, None, None), None),
        # two seeds speak for the rest
        ([1.0], {10: [0.5, 0.501], 20: [0.96]}, (19, None, None), (11, 20)),
        # a line that asks for nothing
        ([0.0, 0.0], {10: [0.5, 0.5]}, (None, None, None), None),
        # no baseline
        ([], {10: [0.5, 0.5]}, (None, None, None), None),
        # no points
        ([1.0] * 2, {}, (None, None, None), None),
    ],
)
def test_the_fit_has_an_answer_to_everything(baseline, points, d, interval):
    found = estimate(table(baseline, points))
    assert answer(found) == d
    assert found.fit.interval == interval


def test_failed_runs_are_absent_from_the_fit():
    rows = table([1.0, 1.0], SURE)
    lost = [row(20, None, 7), row(40, None, 7), row(30, None, 0)]
    assert estimate([*rows, *lost]).fit == estimate(rows).fit


def test_other_thresholds_are_read_off_the_same_curve():
    found = estimate(table([1.0, 1.0], SURE))
    assert list(found.readings) == ["d50", "d75", "d80", "d90", "d95", "d99"]
    assert [r.smallest for r in found.readings.values()] == [10, 40, 40, 40, 40, None]
    assert found.readings["d90"].fit == found.fit
    assert found.readings["d99"].fit.interval[1] is None


def test_the_line_above_chance_is_a_share_of_the_way_up_from_it():
    rows = table([1.0, 1.0], SURE)
    adjusted = estimate(rows, chance=0.68).gain
    assert adjusted is not None
    assert adjusted.line == pytest.approx(0.68 + 0.9 * 0.32)
    # 40 * 2 ** (0.013 / 0.02) = 62.8
    assert (adjusted.smallest, adjusted.fit.d) == (80, 63)
    assert estimate(rows).gain is None
    assert estimate(rows, chance=1.0).gain is None


def test_success_is_the_share_of_seeds_that_pass_and_half_of_them_is_a_d():
    rows = table([1.0], {10: [0.5] * 8, 20: [0.95] * 2 + [0.5] * 6, 40: [0.95] * 6 + [0.5] * 2})
    found = estimate(rows).success
    assert found.points == ((10, 0, 8), (20, 2, 8), (40, 6, 8))
    # half way, in log d, between a quarter and three quarters
    assert found.d == 29
    assert estimate([]).success.points == ()


def test_a_run_stopped_early_was_tried_and_neither_scored_nor_failed():
    rows = [row(10, 0.9, lr=0.2), row(10, 0.8, lr=0.1)]
    rows += [Score(10, 0.4, 0, 10, None, None, pruned=True)]
    found = estimate(rows, baseline=1.0)
    (point,) = found.points
    assert (point.lr, point.edge, point.failed, point.tried) == (0.2, False, 0, (0.1, 0.2, 0.4))
    assert not noted(found, "failed")
