"""The adaptive search: what it asks for, why it stops, and that a replay asks the same."""

import collections
import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outside_method import LastTensors

from idim.config import RunSpec, SweepSpec, with_recipe
from idim.estimate import Score, Target, fit, point
from idim.methods import METHODS
from idim.search import Done, Space, coarse_steps, next_runs, strategy

PRINTS = {"model_fingerprint": "m", "data_fingerprint": "r"}


def space(**given) -> Space:
    return Space(
        with_recipe(SweepSpec(**{"model": "digits-mlp", "d_min": 10, "d_max": 10_000} | given)),
        17_610,
        6,
        PRINTS,
    )


def curve(run: RunSpec, *, d90: float = 300.0, best: float = 0.5, noise: float = 0.01) -> Score:
    """Score a run on a curve that reaches 0.9 of a baseline of 1 at d90."""
    wobble = noise * math.sin(37.0 * run.seed + 11.0 * (run.d or 0))
    if run.d is None:
        off = math.log(run.lr / 0.01) ** 2
        return Score(None, run.lr, run.seed, 17_610, None, 1.0 - 0.001 * off + wobble / 3)
    off = math.log(run.lr / (best * (300 / run.d) ** 0.7)) ** 2
    value = 1 / (1 + (d90 / run.d) / 9) - 0.005 * off + wobble
    return Score(run.d, run.lr, run.seed, run.d, None, value)


def search(where: Space, answer=curve) -> tuple[dict[str, Score], list[list[RunSpec]], Done]:
    """Answer a search until it is done."""
    known: dict[str, Score] = {}
    batches = []
    while not isinstance(runs := next_runs(where, known), Done):
        assert runs
        assert not {r.id for r in runs} & known.keys()
        batches.append(runs)
        known |= {r.id: answer(r) for r in runs}
    return known, batches, runs


def test_it_stops_when_the_interval_is_narrow_and_says_so():
    known, batches, done = search(space())
    whole = [known[r.id] for b in batches for r in b if r.stop_at is None]
    base = point([s for s in whole if s.d is None])
    ds = sorted({s.d for s in whole if s.d})
    points = [p for p in (point([s for s in whole if s.d == d]) for d in ds) if p]
    low, high = fit(base, points, Target(0.9)).interval
    assert low is not None
    assert high is not None
    assert low <= 300 <= high <= 1.25 * low
    assert done.why == "the interval over seeds is narrower than a factor of 1.25"
    assert len(known) < 80


def test_a_killed_search_takes_the_same_decisions_again():
    known, batches, done = search(space())
    runs = [r for b in batches for r in b]
    for cut in range(0, len(runs), 7):
        so_far = {r.id: known[r.id] for r in runs[:cut]}
        coming = next_runs(space(), so_far)
        assert isinstance(coming, list)
        assert {r.id for r in coming} <= known.keys() - so_far.keys()
        assert coming[0].id == runs[cut].id
    assert next_runs(space(), known) == done


def test_runs_are_spent_and_no_more_and_more_of_them_go_on_from_there():
    known, _, done = search(space(max_runs=20))
    assert done.why == "all of 20 runs are spent"
    assert len({(s.d, s.lr, s.seed) for s in known.values()}) == 20
    more, _, _ = search(space(max_runs=40))
    assert known.keys() <= more.keys()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda r: curve(r, d90=1e9), "d = 10,000, the largest allowed, fails"),
        (lambda r: curve(r, d90=0.01), "d = 10, the smallest allowed, passes"),
        (lambda r: Score(r.d, r.lr, r.seed, 9, None, None), "the baseline has no score above 0"),
        (lambda r: Score(r.d, r.lr, r.seed, 9, None, -1.0), "the baseline has no score above 0"),
        (lambda r: curve(r) if r.d is None else Score(r.d, r.lr, r.seed, 9, None, None),
         "no d gave a score"),
    ],
)  # fmt: skip
def test_what_it_cannot_find_is_an_answer(answer, why):
    assert search(space(), answer)[2].why == why


def test_a_fixed_baseline_trains_no_baseline_and_no_seed_decides_alone():
    known, _, done = search(space(baseline=1.0))
    assert all(s.d is not None for s in known.values())
    assert "narrower" in done.why


def test_rates_that_were_given_are_the_only_ones():
    known, _, _ = search(space(lr=(0.1, 1.0), max_runs=60))
    assert {s.lr for s in known.values() if s.d} <= {0.1, 1.0}


def test_a_best_rate_on_the_edge_is_followed():
    """The best rate at d = 300 lies 30 times above the largest of the first rates."""
    known, _, _ = search(space(lr_multiples=(1.0, 2.0)), lambda r: curve(r, best=30.0))
    assert max(s.lr for s in known.values() if s.d and 150 < s.d < 600) > 10
    base = space(baseline_lr=(0.0001, 0.001))
    assert 0.01 in {round(s.lr, 6) for s in search(base)[0].values() if s.d is None}


def test_the_worse_half_of_the_first_rates_stops_after_a_quarter():
    _, batches, _ = search(space())
    early = [r for b in batches for r in b if r.stop_at]
    (d,) = {r.d for r in early}
    at = next(i for i, b in enumerate(batches) if early[0] in b)
    assert len(early) == 4
    assert {r.stop_at for r in early} == {0.25}
    assert {r.d for r in batches[at + 1]} == {d}
    assert len({r.lr for r in batches[at + 1]} & {r.lr for r in early}) == 2
    assert not [r for b in search(space(pruning="none"))[1] for r in b if r.stop_at]


def test_failed_runs_do_not_stop_it():
    def unlucky(run: RunSpec) -> Score:
        lost = run.d is not None and (run.seed + run.d) % 5 == 0
        return Score(run.d, run.lr, run.seed, 9, None, None) if lost else curve(run)

    assert search(space(), unlucky)[2].why


@settings(max_examples=30, deadline=None)
@given(st.floats(5, 20_000), st.integers(2, 60), st.floats(0, 0.1))
def test_every_search_ends_within_its_runs(d90, max_runs, noise):
    known, _, _ = search(space(max_runs=max_runs), lambda r: curve(r, d90=d90, noise=noise))
    assert len({(s.d, s.lr, s.seed) for s in known.values()}) <= max_runs


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_coarse_steps_keep_their_ends_and_are_at_most_a_factor_of_4(a, b):
    steps = coarse_steps(min(a, b), max(a, b))
    assert (steps[0], steps[-1]) == (min(a, b), max(a, b))
    assert all(high / low <= 4.5 for low, high in itertools.pairwise(steps))


@pytest.mark.parametrize("baseline", ["own", 0.55])
def test_it_ends_where_a_constant_answer_passes(baseline):
    where = dataclasses.replace(space(baseline=baseline), chance=0.5)

    def poor(run):
        assert run.d is None, "a run of a subspace can say nothing here"
        return Score(None, run.lr, run.seed, 17_610, None, 0.55)

    *_, done = search(where, poor)
    assert done.why == "the line 0.495 asks no more than a constant answer gives, 0.500"


def test_it_goes_on_where_the_line_is_above_chance():
    *_, done = search(dataclasses.replace(space(), chance=0.5))
    assert done.why == "the interval over seeds is narrower than a factor of 1.25"


def test_the_rate_that_stands_for_a_d_has_more_seeds_than_any_other_tried_there():
    """What few held-out rows say at one d must not choose among rates again."""

    def misled(run):
        found = curve(run)
        luck = 0.05 * math.sin(1e4 * run.lr + run.seed + (run.d or 0))
        return dataclasses.replace(found, select=found.score + luck)

    known, _, done = search(space(tolerance=1.4), misled)
    assert "narrower" in done.why
    whole = [s for s in known.values() if s.score is not None]
    by_d = {d: [s for s in whole if s.d == d] for d in {s.d for s in whole}}
    points = [point(by_d[d]) for d in sorted(d for d in by_d if d)]
    low, high = fit(point(by_d[None]), points, Target(0.9)).interval
    several = []
    for d in [None, *(p.d for p in points if low - 1 <= p.d <= high)]:
        counts = collections.Counter(s.lr for s in by_d[d]).most_common(2)
        several += [counts] if len(counts) > 1 else []
    assert len(several) > 1
    assert all(first > second for (_, first), (_, second) in several)


FEW = [
    {}, {"seeds": 1}, {"seeds": 5}, {"pruning": "none"}, {"lr": (0.1, 1.0)}, {"baseline": 0.9},
    {"baseline_lr": (0.01,)}, {"baseline_lr": (0.01,), "seeds": 1, "lr": (0.5,)},
    {"baseline_lr": (1e-4, 0.01)}, {"baseline_lr": (1e-5, 1e-4), "seeds": 1},
]  # fmt: skip


def spent(n: int) -> str:
    return f"all of {n} runs are spent" if n > 1 else "its one run is spent"


@pytest.mark.parametrize("given", FEW, ids=str)
def test_too_few_runs_for_any_d_are_told_before_and_after_with_a_number_that_does(given):
    def scored(n: int) -> tuple[bool, str, list[str]]:
        where = space(max_runs=n, **given)
        known, batches, done = search(where)
        whole = {r.d for b in batches for r in b if r.stop_at is None and known[r.id].score}
        return bool(whole - {None}), done.why, strategy(where).warnings()

    least, enough = strategy(space(**given)).runs_before_a_score()
    assert 1 <= least <= enough
    said = f": no d gets a score; give max_runs {enough} or more"
    assert scored(enough)[0]
    for n in {1, least - 1} - {0} if least > 1 else ():
        has, why, warned = scored(n)
        assert not has
        assert why == f"{spent(n)}{said}"
        assert warned == [f"max_runs {n} are too few{said}"]
    for n in {least, max(least, enough - 1)} - {enough}:
        has, why, warned = scored(n)
        assert warned == [f"max_runs {n} may be too few{said}"]
        assert why == f"{spent(n)}{'' if has else said}"


@pytest.mark.parametrize("method", ["subspace", "last_tensors"])
def test_what_it_says_is_said_of_the_method_s_own_size(method):
    METHODS["last_tensors"] = LastTensors
    try:
        where = space(method=method, max_runs=60)
        letter = METHODS[method].symbol
        here = strategy(where)
        told = [*here.lines(), here.seeds(), here.rates(), *strategy(space(max_runs=1)).warnings()]
        assert f"chooses {letter} from 10 to 10,000" in here.lines()[0]
        beside = f"the baseline and each {letter} beside the crossing"
        assert here.seeds() == f"at least 2 for {beside}, 3 where runs allow"
        assert all("\n" not in line for line in told)
        few = strategy(space(method=method, max_runs=1)).warnings()
        assert few[0].startswith(f"max_runs 1 are too few: no {letter} gets a score; give")
        narrow = space(method=method, d_min=10, d_max=20)
        for score, why in ((1.0, "= 10, the smallest allowed, passes"), (0.1, "= 20, the largest")):
            _, _, done = search(
                narrow,
                lambda r, score=score: dataclasses.replace(
                    curve(r), d=r.measure, score=1.0 if r.method == "full" else score
                ),
            )
            assert done.why.startswith(f"{letter} {why}")
    finally:
        del METHODS["last_tensors"]
