"""Comparisons of sweeps: which differ, in what, the table and the figure."""

import itertools
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_results import EVIDENCE, compare_with_golden, without_runs
from test_writeup import DS, RISE, summary

from idim.errors import IdimError
from idim.report import comparison, overlay
from idim.results import Runs, Summary
from idim.search import Space

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
        ((20, 10, 30), (50, 30, 70), "not told apart"),
        ((20, 10, 90), (50, 30, 70), "not told apart"),
        ((20, None, 30), (50, 31, None), "differ"),
        ((20, 10, None), (50, 31, 70), "not told apart"),
        ((20, None, 40), (50, 31, 70), "not told apart"),
        ((20, None, None), (50, 31, 70), "not told apart"),
    ],
)
def test_two_sweeps_differ_where_their_intervals_share_no_d(one, other, verdict):
    found = compared([fitted("a", *one), fitted("b", *other)])
    (pair,) = found.to_json()["pairs"]
    assert pair == {"a": "a", "b": "b", "ratio": one[0] / other[0], "verdict": verdict}
    words = comparison.text(found)
    assert ("A and B differ" in words) == (verdict == "differ")


def test_real_curves_far_apart_differ_and_equal_ones_do_not():
    found = compared([sweep("a"), sweep("b", LATE), sweep("c")])
    verdicts = {(p.a.name, p.b.name): p.verdict for p in found.pairs}
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
