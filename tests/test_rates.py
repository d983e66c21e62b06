"""Learning rates of a search: where they start, how they move with d, and what chooses them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from test_adaptive import curve, search, space

from idim.config import SweepSpec, with_recipe
from idim.estimate import Score
from idim.problems import kinds
from idim.projection import PROJECTIONS
from idim.search import Space, next_runs, paper_grid, strategy
from idim.search.adaptive import _Search as Search
from idim.search.best_rate import (
    LOSS,
    LOSS_SD,
    PRIOR_SD,
    WORST,
    Hill,
    beaten_notches,
    best_notch,
    compared,
)
from idim.search.space import RateScale
from idim.search.tuner import Tuner, selection_score
from idim.sweeps import plan
from idim.training.single import Single


@pytest.mark.parametrize(
    ("select", "score", "value"),
    [(0.2, 0.9, 0.2), (None, 0.9, 0.9), (None, None, -math.inf), (math.nan, 0.9, -math.inf)],
)
def test_a_rate_is_chosen_by_the_rows_held_out_for_it(select, score, value):
    assert selection_score(Score(10, 0.1, 0, 10, select, score)) == value


@given(st.integers(10, 10_000), st.sampled_from([-2.0, 0.0, 0.5, 4.0]))
def test_a_notch_moves_with_d_by_the_transfer_rule(d, notch):
    """lr ~ (D/d)^0.65: fewer numbers take larger steps."""
    where = space()
    scale = RateScale(where, 300)
    expected = 2**notch * where.matched_rate(300) * (300 / d) ** 0.65
    assert scale.rate(d, notch) == pytest.approx(expected, rel=0.006)  # three digits
    assert scale.rate(300, 0.0) == pytest.approx(where.matched_rate(300), rel=0.006)


def test_notches_are_half_steps_or_the_rates_that_were_given():
    free, given_ = RateScale(space(), 300), RateScale(space(lr=(1.0, 0.1, 10.0)), 300)
    assert [free.nearest(r) for r in (1.2, 1.3, -0.8)] == [1.0, 1.5, -1.0]
    assert [given_.nearest(r) for r in (-3, 0.6, 9)] == [0.0, 1.0, 2.0]
    assert [given_.rate(d, r) for d, r in ((10, 0), (999, 1), (10, 2))] == [0.1, 1.0, 10.0]


@given(st.integers(1, 5000), st.integers(2, 10_000), st.integers(2, 60))
def test_a_thinned_grid_is_evenly_spread(low, high, points):
    whole = paper_grid(low, max(low, high), 999)
    thin = paper_grid(low, max(low, high), points)
    if points < len(whole):
        step = (len(whole) - 1) / (points - 1)
        assert [whole.index(d) for d in thin] == [round(i * step) for i in range(points)]


@pytest.mark.parametrize("lr", [(), (0.1, 1.0)])
def test_a_grids_baseline_follows_its_own_edge_whether_rates_of_subspaces_were_given(lr):
    spec = with_recipe(SweepSpec(model="digits-mlp", d=(20,), lr=lr, seeds=1, search="grid",
                                 baseline_lr=(0.01, 0.02)))  # fmt: skip
    where = Space(spec, 17_610, 6, {"model_fingerprint": "m", "data_fingerprint": "r"})

    def answer(run):
        return Score(run.d, run.lr, run.seed, 9, None, 0.5 + run.lr / 1000)

    known, _, _ = search(where, answer)
    assert {s.lr for s in known.values() if s.d is None} == {0.01, 0.02, 0.04, 0.08}
    assert (len({s.lr for s in known.values() if s.d}) > len(lr or spec.lr_multiples)) != bool(lr)


@pytest.mark.parametrize("d90", [30, 300, 2000, 9000])
def test_rates_were_compared_within_a_coarse_step_of_the_crossing(d90):
    """One step of the transfer rule is little; a d that fails five steps off may be its fault."""
    known, _, _ = search(space(max_runs=24), lambda run: curve(run, d90=d90))
    whole = [s for s in known.values() if s.d and s.score is not None]
    rates = {d: len({s.lr for s in whole if s.d == d}) for d in {s.d for s in whole}}
    assert any(n > 1 for d, n in rates.items() if d90 / 4.2 <= d <= d90 * 4.2)


def drive(asking, answer=curve):
    """Answer a part of a search until it ends."""
    batch = next(asking)
    try:
        while True:
            batch = asking.send([answer(run) for run in batch])
    except StopIteration:
        return


def test_of_the_first_rates_those_go_on_that_score_best_after_a_quarter():
    known, batches, _ = search(space())
    at = next(i for i, batch in enumerate(batches) if batch[-1].stop_at)
    early = [run for run in batches[at] if run.stop_at]
    ranked = sorted(early, key=lambda run: known[run.id].score or 0.0, reverse=True)
    assert {run.lr for run in batches[at + 1]} == {run.lr for run in ranked[:2]}


def test_a_run_that_stopped_early_is_no_score_and_no_seed():
    tuner = Tuner(space(), RateScale(space(), 300))
    drive(tuner.begin(300))
    scores = tuner.scores[300]
    assert [s.score is None for s in scores] == [s.pruned for s in scores]
    assert sum(s.pruned for s in scores) == 2
    notches = {lr: notch for notch, lr in tuner.rates[300].items()}
    stopped = next(notches[s.lr] for s in scores if s.pruned)
    assert tuner._count(300)[stopped] == 0
    drive(tuner.ask([(300, stopped, 0)], go_on=True))
    assert tuner._count(300)[stopped] == 1


@pytest.mark.parametrize(
    ("ends", "tolerance", "is_enough"),
    [
        ((9, 10), 1.16, False),  # 8 fails: (8, 10] is open
        ((9, 10), 1.25, True),
        ((10, 10), 1.01, True),  # nothing lies between 9 and 10
        ((101, 115), 1.16, True),
        ((101, 117), 1.16, False),
        ((None, 10), 1.16, True),  # the smallest allowed passes
        ((None, 40), 1.16, False),
        ((10_001, None), 1.16, True),  # the largest allowed fails
        ((632, None), 1.16, False),
    ],
)
def test_an_interval_is_narrow_from_the_last_d_that_fails(ends, tolerance, is_enough):
    assert bool(Search(space(tolerance=tolerance), 10, 10_000).enough(*ends)) is is_enough


# --- what loses beyond noise ----------------------------------------------------------------

STEEP = [[(0.0, 0.7), (2.0, 0.96), (4.0, 0.90)], [(0.0, 0.71), (2.0, 0.95), (4.0, 0.91)]]


def test_a_rate_that_loses_far_more_than_the_noise_of_seeds_is_beaten():
    assert beaten_notches(STEEP) == [0.0, 4.0]
    noisy = [[(r, v + d) for (r, v), d in zip(g, ds, strict=True)]
             for g, ds in zip(STEEP, ((0.2, 0, -0.1), (-0.2, 0, 0.1)), strict=True)]  # fmt: skip
    assert beaten_notches(noisy) == []


@pytest.mark.parametrize(
    "groups", [[], STEEP[:1], [[(1.0, 0.5)], [(1.0, 0.6)]], [[(0.0, 1.0)], [(1.0, 0.5)]]]
)
def test_what_was_not_compared_twice_is_not_beaten(groups):
    assert beaten_notches(groups) == []


def test_a_run_without_a_score_beats_nothing_and_is_not_compared():
    lost = [[(0.0, -math.inf), (1.0, 0.9)], [(0.0, 0.2), (1.0, 0.9)]]
    assert beaten_notches(lost) == []


# --- the best of noisy comparisons ----------------------------------------------------------


def parabola(top: float, loss: float, groups: int = 40):
    """Compare notches -2, 0, 2 many times: scores fall from the top by loss x^2."""
    return [[(r, 0.7 - 0.01 * k - loss * (r - top) ** 2) for r in (-2.0, 0.0, 2.0)]
            for k in range(groups)]  # fmt: skip


@pytest.mark.parametrize("top", [-1.0, 0.0, 0.6])
@pytest.mark.parametrize("line", [0.5, 1.0])
@pytest.mark.parametrize("share", [0.5, 1.0, 1.5])
def test_sure_comparisons_give_the_top_of_their_parabola(top, line, share):
    assert best_notch(parabola(top, share * LOSS * line), 0.0, line).top == pytest.approx(
        top, abs=0.15
    )


def test_the_scale_of_scores_moves_no_best_notch():
    """One comparison in which the upper notch leads: how far to go is a matter of the line."""
    at = [best_notch([[(0.0, 0.5 * s), (2.0, 0.51 * s)]], 0.0, s).top for s in (0.01, 1.0, 100.0)]
    assert at == pytest.approx([at[0]] * 3)
    assert 0 < at[0] < 2


def test_what_other_seeds_score_moves_no_best_notch():
    """A group is compared within itself: a seed that scores high all over says nothing."""
    pair = [(0.0, 0.5), (2.0, 0.51)]
    higher = [(r, m + 0.3) for r, m in pair]
    once, twice = best_notch([pair, higher], 0.0, 1.0), best_notch([pair, pair], 0.0, 1.0)
    assert tuple(once) == pytest.approx(tuple(twice))
    assert best_notch([[(1.0, 0.9)]], 0.25, 1.0) == Hill(0.25, LOSS)  # one rate is no comparison


@pytest.mark.parametrize(
    ("line", "groups"),
    [
        (1.0, [[(0.0, 0.80), (2.0, 0.83)]]),
        (0.6, [[(0.0, 0.51), (2.0, 0.55), (4.0, 0.50)], [(0.0, 0.4), (2.0, 0.41)]]),
        (0.88, STEEP),
    ],
)
def test_comparisons_are_weighed_against_what_is_known_before(line, groups):
    """By brute force: normal priors, the likeliest noise, the likelier of two steepnesses."""
    bases, gaps = [], []
    for group in groups:
        x = np.array([[r, -(r**2)] for r, _ in group])
        y = np.array([max(m, max(m for _, m in group) - WORST * line) for _, m in group])
        # an orthonormal basis of what the group's mean leaves free
        free = np.linalg.svd(np.eye(len(y)) - 1 / len(y))[0][:, : len(y) - 1].T
        bases.append(free @ x)
        gaps.append(free @ y)
    x, y = np.concatenate(bases), np.concatenate(gaps)
    found = []
    for loss in (LOSS * line, 5 * LOSS * line):
        spread = np.array([2 * loss * PRIOR_SD, loss * LOSS_SD / LOSS])
        left = y - x @ [0, loss]
        least = (loss * LOSS_SD / LOSS) ** 2
        for noise in np.geomspace(least, max(least, left @ left / len(y)), 9):
            whole = noise * np.eye(len(y)) + x @ np.diag(spread**2) @ x.T
            evidence = multivariate_normal(np.zeros(len(y)), whole).logpdf(left)
            b, c = [0, loss] + np.diag(spread**2) @ x.T @ np.linalg.solve(whole, left)
            found.append((evidence, b / (2 * max(c, loss / 4))))
    assert best_notch(groups, 0.0, line).top == pytest.approx(max(found)[1], rel=1e-6)


def test_a_steep_response_is_known_by_its_scores():
    """What loses five times as much as rates mostly do has its best where it scored best."""
    steep, mild = (best_notch(parabola(0.5, n * LOSS, 3), 2.0, 1.0) for n in (5, 1))
    assert steep.loss > 4 * mild.loss
    assert abs(steep.top - 0.5) < 0.25
    assert abs(best_notch(STEEP, 2.0, 0.88).top - 2.0) < 1


@pytest.mark.parametrize(
    ("runs", "groups"),
    [
        ([("a", 0.0, -math.inf), ("a", 1.0, 0.9)], [[(0.0, -math.inf), (1.0, 0.9)]]),
        ([("a", 0.0, -math.inf), ("a", 1.0, 0.9), ("b", 0.0, 0.8)], [[(1.0, 0.9)], [(0.0, 0.8)]]),
        ([("a", 0.0, -math.inf), ("b", 0.0, -math.inf), ("c", 0.0, 0.8)],
         [[(0.0, -math.inf)], [(0.0, -math.inf)], [(0.0, 0.8)]]),
    ],
)  # fmt: skip
def test_a_failure_speaks_against_a_rate_that_fails_more_often_than_not(runs, groups):
    assert compared(runs) == groups


def test_a_strategy_is_asked_once_for_each_run():
    runs = next_runs(space(max_runs=5), {})
    assert len({r.id for r in runs}) == len(runs) <= 5


def first_step(spec, problem):
    """How far theta goes in the first step of a run, in its own space."""
    run = Single(spec, problem)
    theta = [p for n, p in run.model.module.named_parameters() if "theta_d" not in n]
    before = [p.detach().clone() for p in theta]
    run.step(run.model.encode(problem.train), 0, 100)
    return sum((p.detach() - b).square().sum().item() for p, b in zip(theta, before, strict=True))


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("norm", ["global", "tensor"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_matched_step_is_as_long_as_full_trainings_and_no_other_is_called_so(
    optimizer, norm, projection
):
    # few d: where a tensor has fewer entries than d, the columns within it lie on each other
    few = {"train_samples": 100, "eval_samples": 50, "projection": projection}
    spec = SweepSpec(model="digits-mlp", d=(32,), optimizer=optimizer, norm=norm, **few)
    where = plan(spec).space
    full, inside = where.run(None, 0.01, 0), where.run(32, where.matched_rate(32), 0)
    full = replace(full, lr=math.sqrt(min(where.spec.baseline_lr) * max(where.spec.baseline_lr)))
    problem = kinds.load(full)
    ratio = math.sqrt(first_step(inside, problem) / first_step(full, problem))
    said = strategy(where).rates()
    assert ("the matched step length" in said) == (1 / 1.6 < ratio < 1.6), (said, ratio)
    assert ("/ sqrt(tensors)" in said) == (norm == "tensor")
    assert ("longer than full training's" in said) == (ratio > 1.6)


def test_the_rule_speaks_of_clipping_where_an_sgd_step_may_be_cut():
    said = strategy(space(optimizer="sgd", clip=1.0)).rates()
    assert said.startswith("1, 4, 16, 64 times lr_full sqrt(D/d), the matched step length of grad")
    assert "that are not clipped" in said
