"""Comparisons of sweeps: which differ, in what, the table and the figure."""

import itertools
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_results import EVIDENCE, compare_with_golden, made, without_runs
from test_writeup import DS, RISE, summary

from idim.errors import IdimError
from idim.estimate import Score, estimate
from idim.report import comparison, overlay
from idim.report.apart import apart
from idim.report.matched import AtSize, Rows, matched
from idim.results import Runs, Summary
from idim.search import Space

TWO = [summary(out=Path(name)) for name in "ab"]
LATE = (0.5, 0.51, 0.55, 0.6, 0.79)


SPACE = Space(
    EVIDENCE.setting, 5_000_000, 41, {"model_fingerprint": "f" * 16, "data_fingerprint": "0" * 16}
)


def compared(sweeps: list[Summary], **settings) -> comparison.Comparison:
    """Compare; `settings` are those of the last."""
    last = replace(SPACE, spec=replace(SPACE.spec, **settings))
    return comparison.compare(sweeps, [*([SPACE] * (len(sweeps) - 1)), last])


def sweep(out: str, means=RISE, **facts) -> Summary:
    return summary(means, out=Path(out), **facts)


def fitted(out: str, d: int, low: int | None, high: int | None) -> Summary:
    """Make a summary with this d90."""
    return sweep(out, d90=d, interval=(low, high))


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ((20, 10, 30), (50, 31, 70), "differ"),
        ((50, 31, 70), (20, 10, 30), "differ"),
        # the ends of both touch, which two independent errors seldom do at once
        ((20, 10, 30), (50, 30, 70), "differ"),
        ((20, 10, 45), (50, 20, 70), "not told apart"),
        ((20, 10, 90), (50, 30, 70), "not told apart"),
        ((20, None, 30), (50, 31, None), "differ"),
        ((20, 10, None), (50, 31, 70), "not told apart"),
        ((20, None, 40), (50, 31, 70), "differ"),
        ((20, None, 45), (50, 31, 70), "not told apart"),
        ((20, None, None), (50, 31, 70), "not told apart"),
    ],
)
def test_two_sweeps_differ_where_the_interval_of_their_ratio_leaves_out_1(one, other, verdict):
    found = compared([fitted("a", *one), fitted("b", *other)])
    (pair,) = found.to_json()["pairs"]
    assert (pair["a"], pair["b"]) == ("a", "b")
    assert (pair["ratio"], pair["verdict"]) == (one[0] / other[0], verdict)
    low, high = pair["ratio_interval"]
    leaves_out = (low is not None and low > 1) or (high is not None and high < 1)
    assert leaves_out == (verdict == "differ")
    words = comparison.text(found)
    assert ("A and B: differ" in words) == leaves_out


def test_the_interval_of_a_ratio_adds_what_each_may_be_off():
    """Of two sweeps known within a factor of e^3 and e^4: within e^5, on either side."""
    found = apart(fitted("a", 10_000, 498, 545_982), fitted("b", 10_000, 183, 200_855))
    low, high = found.interval
    # ln: a from -3 to 4, b from -4 to 3
    assert np.log([low, high]) == pytest.approx([-math.hypot(3, 3), math.hypot(4, 4)], abs=1e-3)
    other = apart(fitted("b", 10_000, 183, 200_855), fitted("a", 10_000, 498, 545_982))
    assert other.interval == pytest.approx((1 / high, 1 / low))


def test_the_interval_of_a_ratio_holds_the_true_one_where_each_sweeps_own_does():
    """Of two exact 95% intervals, at a ratio of 1 and of 3, and of unlike widths."""
    random = np.random.default_rng(3)
    for ratio, wide in ((1, 0.5), (3, 0.5), (3, 0.1)):
        held = 0
        for a, b in random.standard_normal((400, 2)):
            logs = math.log(1e6 * ratio) + 0.5 * a, math.log(1e6) + wide * b
            ends = [[math.exp(at + k * 1.96 * s) for k in (0, -1, 1)]
                    for at, s in zip(logs, (0.5, wide), strict=True)]  # fmt: skip
            found = apart(*(replace(TWO[0], d90=round(d), interval=(round(low), round(high)))
                            for d, low, high in ends))  # fmt: skip
            low, high = found.interval
            held += low <= ratio <= high
        assert 0.92 < held / 400 < 0.98, (ratio, wide)


def test_two_real_sweeps_of_one_curve_are_seldom_told_apart_and_their_ratio_is_held():
    random = np.random.default_rng(5)
    held, differ = 0, 0
    for _ in range(30):
        two = []
        for _ in range(2):
            rows = [Score(None, 1e-4, s, 10**6, None, 0.8 + 0.01 * random.standard_normal())
                    for s in range(3)]  # fmt: skip
            rows += [Score(d, 0.5, s, d, None, mean + 0.01 * random.standard_normal())
                     for d, mean in zip(DS, RISE, strict=True) for s in range(3)]  # fmt: skip
            two.append(made(estimate(rows, threshold=0.9, chance=0.5)))
        found = apart(*two)
        differ += found.verdict == "differ"
        low, high = found.interval
        held += (low or 0) <= 1 <= (high or math.inf)
    assert held >= 27
    assert differ <= 2


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ((10, 5, 20), (50, 41, 61), "differ; d90 of B is 5.0 times A's (95% 2.4-10)"),
        ((50, 41, 61), (10, 5, 20), "differ; d90 of A is 5.0 times B's (95% 2.4-10)"),
        ((10, None, 20), (50, 41, 61), "differ; d90 of B is 5.0 times A's (95% 2.4 or above)"),
        ((10, None, 20), (50, 41, None), "differ; d90 of B is 5.0 times A's (95% 2.4 or above)"),
        ((10, None, None), (50, 41, 61),
         "not told apart: an interval is open; d90 of B is 5.0 times A's (95% open at both ends)"),
        ((10, 5, 20), (11, 5, 20), "cannot be told apart by seeds alone: too near; d90 of B is"),
        ((10, 5, 20), (10, 5, 20), "cannot be told apart by seeds alone: too near; d90 of A is"),
    ],
)  # fmt: skip
def test_it_is_said_which_d90_is_how_many_times_which(one, other, words):
    said = comparison.text(compared([fitted("a", *one), fitted("b", *other)]))
    assert f"A and B: {words}" in said


def test_more_runs_are_asked_for_as_many_as_shrink_the_interval_to_the_difference():
    a, b = fitted("a", 100, 50, 200), fitted("b", 200, 100, 400)  # half an interval is ln 2 sqrt 2
    found = apart(a, b)
    done = a.runs.done + b.runs.done
    assert found.more_runs == done + 1  # twice the runs: half the square, and one to be beyond
    shrunk = 2 ** (1 / math.sqrt((done + found.more_runs) / done))
    ends = [(d, d / shrunk, d * shrunk) for d in (100_000, 200_000)]
    narrow = [fitted(name, d, round(low), round(high)) for name, (d, low, high) in zip("ab", ends)]  # noqa: B905
    assert apart(*narrow).verdict == "differ"
    words = "not told apart; d90 of B is 2.0 times A's (95% 0.75-5.3); "
    words += f"some {found.more_runs} more runs might tell"
    assert words in comparison.text(compared([a, b]))


@pytest.mark.parametrize(
    ("one", "other", "larger"), [((None, 10), (1001, None), "B"), ((1001, None), (None, 10), "A")]
)
def test_where_there_is_no_ratio_the_larger_is_named(one, other, larger):
    found = [sweep(n, d90=None, interval=ends) for n, ends in (("a", one), ("b", other))]
    assert f"A and B: differ: d90 of {larger} is the larger" in comparison.text(compared(found))


# 20 rows, of which a gets 14 and 16 right and b 12 and 12, both of the seeds 3 and 4
RIGHT_A = {3: np.arange(20) < 14, 4: np.arange(20) < 16}
RIGHT_B = {3: np.arange(20) < 12, 4: np.arange(20) >= 8}


def at(right) -> AtSize:
    return AtSize({seed: float(r.mean()) for seed, r in right.items()}, right)


def test_scores_at_one_d_are_paired_by_the_seeds_and_by_the_rows_of_both():
    from scipy.stats import ttest_1samp, ttest_rel

    a = Rows("same", {30: at({**RIGHT_A, 9: RIGHT_A[3]}), 10: at(RIGHT_A)})
    b = Rows("same", {30: at(RIGHT_B), 300: at(RIGHT_B)})
    (found,) = matched(a, b)
    assert (found.d, found.seeds, found.rows) == (30, 2, 20)
    assert found.difference == pytest.approx(0.15)
    t = ttest_rel([0.7, 0.8], [0.6, 0.6]).confidence_interval(0.95)
    assert found.over_seeds == pytest.approx((t.low, t.high))
    by_row = sum(RIGHT_A[s].astype(float) - RIGHT_B[s] for s in (3, 4)) / 2
    error = ttest_1samp(by_row, 0.0)
    half = 1.959964 * abs(by_row.mean() / error.statistic)
    assert found.over_rows == pytest.approx((0.15 - half, 0.15 + half))


def test_sweeps_of_other_rows_or_seeds_are_not_paired():
    a = Rows("same", {30: at(RIGHT_A)})
    assert matched(a, Rows("other", {30: at(RIGHT_B)})) == ()
    assert matched(a, Rows("same", {30: at({7: RIGHT_B[3]})})) == ()
    assert matched(Rows("", {30: at(RIGHT_A)}), Rows("", {30: at(RIGHT_A)})) == ()
    scores = AtSize({3: 0.5, 4: 0.5}, {})
    (found,) = matched(a, Rows("same", {30: scores}))
    assert (found.rows, found.over_rows) == (None, None)


def test_the_pairs_are_said_at_the_d_nearest_to_d90():
    rows = {"a": Rows("same", {d: at(RIGHT_A) for d in DS}),
            "b": Rows("same", {d: at(RIGHT_B) for d in DS})}  # fmt: skip
    two = [sweep("a", d90=100), sweep("b", d90=110)]
    found = comparison.compare(two, [SPACE, SPACE], lambda s: rows[s.out.name])
    lines = [line for line in comparison.text(found).splitlines() if line.startswith("  at d")]
    assert [line.partition(",")[0] for line in lines] == [
        "  at d = 30", "  at d = 100", "  at d = 300",
    ]  # fmt: skip
    said = "+0.150 (by 2 seeds -0.485 to +0.785; by 20 rows -0.026 to +0.326)"
    assert lines[0] == f"  at d = 30, A - B: {said}"
    assert "95% intervals by the seeds of both (paired t)" in comparison.text(found)
    assert len(found.to_json()["pairs"][0]["matched"]) == len(DS)


def test_real_curves_far_apart_differ_and_equal_ones_do_not():
    found = compared([sweep("a"), sweep("b", LATE), sweep("c")])
    verdicts = {(p.a.name, p.b.name): p.apart.verdict for p in found.pairs}
    assert verdicts == {
        ("a", "b"): "differ", ("a", "c"): "not told apart", ("b", "c"): "differ",
    }  # fmt: skip


def test_the_comparison_is_the_golden_one():
    three = [
        sweep("a"),
        sweep("b", LATE, projection="dense"),
        sweep("c", (0.5, 0.51, 0.52, 0.53, 0.54), projection="dense", structure="said"),
        sweep(
            "d",
            seeds=1,
            structure="said",
            runs=Runs(total=9, done=3, failed=1, diverged=1, stopped_early=1),
        ),
    ]
    compare_with_golden("compare.txt", comparison.text(compared(three)))


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ([{}, {}], ["a", "b"]),
        ([{}, {"task": "data/rte.toml"}], ["mrpc", "rte"]),
        ([{}, {"structure": "said", "norm": "tensor"}], ["DID, global norm", "SAID, tensor norm"]),
        ([{"head": "free"}, {"model": "org/big"}], ["bert_tiny, head free", "big, head subspace"]),
        ([{"out": "x/s"}, {"out": "y/s"}], ["x/s", "y/s"]),
        ([{}, {"task": "rte"}, {}], ["a", "b", "c"]),
    ],
)
def test_sweeps_are_named_by_what_tells_them_apart(facts, names):
    given = [sweep(**({"out": out} | fact)) for out, fact in zip("abc", facts, strict=False)]
    assert [s.name for s in compared(given).sweeps] == names


def test_what_else_was_set_otherwise_is_said():
    sweeps = [sweep("a"), sweep("b"), sweep("c")]
    assert "They differ in more" not in comparison.text(compared(sweeps))
    # where a search looks is not what it measures
    assert compared(sweeps, d_max=70, threads=1, data="there").differences == ()
    changed = {"optimizer": "sgd", "lr": (0.1, 0.01), "epochs": 2.0, "keep_head": True}
    words = comparison.text(compared(sweeps, **changed))
    assert words.splitlines()[-5:] == [
        "They differ in more than the names say:", "  keep_head: no (A, B), yes (C)",
        "  epochs: none (A, B), 2 (C)", "  optimizer: adamw (A, B), sgd (C)",
        "  lr: by default (A, B), 0.1 0.01 (C)",
    ]  # fmt: skip


def test_a_setting_that_does_nothing_is_no_difference():
    net = replace(SPACE.spec, model="digits-mlp", max_length=48, structure="did", said_lr=0.5)
    two = [sweep("a"), sweep("b", model="digits-mlp")]
    found = comparison.compare(two, [SPACE, replace(SPACE, spec=net)])
    assert found.differences == ()
    sgd = [replace(SPACE.spec, optimizer="sgd", momentum=m) for m in (0.5, 0.7)]
    spaces = [SPACE, *(replace(SPACE, spec=spec) for spec in sgd)]
    said = comparison.text(comparison.compare([sweep("a"), sweep("b"), sweep("c")], spaces))
    assert said.splitlines()[-2:] == [
        "  optimizer: adamw (A), sgd (B, C)", "  momentum: of no use (A), 0.5 (B), 0.7 (C)",
    ]  # fmt: skip


def test_an_objective_has_code_and_no_weights():
    other = replace(SPACE, resolved=SPACE.resolved | {"model_fingerprint": "1234" * 4})
    two = [sweep(name, problem="objective") for name in "ab"]
    (found,) = comparison.compare(two, [SPACE, other]).differences
    assert found.setting == "code of one name"


@pytest.mark.parametrize("kind", ["model", "data"])
def test_weights_and_rows_of_one_name_that_are_not_the_same_are_said(kind):
    other = replace(SPACE, resolved=SPACE.resolved | {f"{kind}_fingerprint": "1234" * 4})
    what = {"model": "weights", "data": "rows"}[kind]
    found = comparison.compare([sweep("a"), sweep("b")], [SPACE, other]).to_json()
    first = {"model": "f", "data": "0"}[kind] * 12
    assert found["differences"] == [
        {"setting": f"{what} of one name", "values": (first, "123412341234")}
    ]
    name = {"model": "model", "data": "task"}[kind]
    named = sweep("b", **{name: "another"})
    assert comparison.compare([sweep("a"), named], [SPACE, other]).differences == ()
    # two task files of one name are two files all the same
    elsewhere = replace(other, spec=replace(other.spec, **{name: "elsewhere"}))
    assert comparison.compare([sweep("a"), sweep("b")], [SPACE, elsewhere]).differences != ()


@pytest.mark.parametrize(
    ("others", "line"),
    [
        ([], "one sweep has nothing to be compared with; give two folders or more."),
        ([sweep("b", metric="f1")], "'a' is scored by accuracy and 'b' by f1; compare sweeps of"),
        ([sweep("b", method="full")], "'a' is of the method subspace and 'b' of full, whose sizes"),
        ([sweep("b", threshold=0.8)], "'a' is read at 0.9 of its baseline and 'b' at 0.8; give"),
        ([without_runs(sweep("b"))], "'b' has no baseline above 0 yet"),
        ([sweep("./a")], "one folder is given twice"),
    ],
)
def test_what_cannot_be_compared_is_one_line(others, line):
    with pytest.raises(IdimError) as caught:
        compared([sweep("a"), *others])
    assert str(caught.value).startswith(line)


MANY = [
    sweep(f"s{i}", tuple(0.5 + (m - 0.5) * (1 - 0.02 * i) for m in RISE), projection=f"kind-{i}")
    for i in range(12)
]


@pytest.mark.parametrize(
    "sweeps",
    [
        [sweep("a"), sweep("b")],
        [sweep("a"), sweep("b", LATE), sweep("c", seeds=1)],
        [sweep("a", ds=(300,), means=(0.75,)), sweep("b", ds=(310,), means=(0.5,))],
        [sweep("a", model=90 * "m"), sweep("b", model=120 * "n")],
        MANY,
    ],
    ids=["equal", "three", "close", "long names", "many"],
)
def test_no_two_texts_of_the_comparison_overlap_and_none_leaves_it(sweeps):
    drawn = overlay.compose(compared(sweeps))
    drawn.canvas.draw()
    ticks = [t for ax in drawn.axes for axis in (ax.xaxis, ax.yaxis) for t in axis.get_ticklabels()]
    every = [*drawn.texts, *(t for ax in drawn.axes for t in (*ax.texts, ax.xaxis.label)), *ticks]
    boxes = [(t, t.get_window_extent()) for t in every if t.get_visible() and t.get_text()]
    width, height = drawn.bbox.size
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        assert not box_a.overlaps(box_b), (a, b)


def test_the_figure_of_a_comparison_shows_scores_over_each_own_baseline():
    two = compared([sweep("a"), sweep("b", tuple(m / 2 for m in RISE), base=0.4)])
    top = overlay.compose(two).axes[0]
    drawn = [np.asarray(line.get_ydata()) for line in top.lines]
    curves = [ys for ys in drawn if len(ys) == len(DS)]
    assert len(curves) == 4  # the curve of each, and its means, which rise here
    for ys in curves:
        assert ys == pytest.approx([m / 0.8 for m in RISE])


def test_the_comparison_is_drawn_the_same_each_time():
    from idim.report.canvas import files

    found = compared([sweep("a"), sweep("b", LATE)])
    first, second = (files(overlay.compose(found), "t") for _ in range(2))
    assert first == second
    ElementTree.fromstring(first["svg"])
