"""Reports in every format, the methods paragraph, and comparisons of sweeps."""

import itertools
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from made_results import EVIDENCE, made, without_runs

from idim.config import SweepSpec
from idim.errors import IdimError
from idim.estimate import Fit, Score, estimate
from idim.report import comparison, figure, formats, overlay, publish, table
from idim.report.document import document
from idim.report.methods import choices
from idim.results import Runs, Search, Summary
from idim.search import Done, next_runs
from idim.sweeps import plan

GOLDEN = Path(__file__).parent / "golden"
DS, RISE = (10, 30, 100, 300, 1000), (0.52, 0.6, 0.7, 0.77, 0.8)
COMMAND = "idim sweep --model toy --out again"


def summary(
    means=RISE, *, ds=DS, base=0.8, noise=0.01, seeds=3, chance: float | None = 0.5,
    baseline: Any = "own", threshold=0.9, beside=0, **facts,
) -> Summary:  # fmt: skip
    """Make a summary whose seeds lie symmetrically about these means."""
    offs = [noise * (i - (seeds - 1) / 2) for i in range(seeds)]
    rows = [Score(None, 1e-4, i, 5_000_000, None, base + off) for i, off in enumerate(offs)]
    for (d, mean), (i, off) in itertools.product(zip(ds, means, strict=True), enumerate(offs)):
        rows.append(Score(d, 0.5, i, d + beside, None, mean + off))
    found = estimate(rows, threshold=threshold, baseline=baseline, chance=chance)
    return made(found, chance=chance, **facts)


CASES = {
    "reached": summary(),
    "one seed": summary(seeds=1),
    "never reached": summary((0.5, 0.51, 0.52, 0.53, 0.54)),
    "smallest passes": summary((0.75, 0.76, 0.77, 0.78, 0.79)),
    "not monotone": summary((0.5, 0.75, 0.6, 0.78, 0.79)),
    "one point": summary((0.7,), ds=(100,)),
    "fixed baseline": summary(baseline=0.8),
    "no chance": summary(chance=None),
    "chance is the baseline": summary(chance=0.85),
    "head beside": summary(head="free", beside=770),
    "head frozen": summary(head="frozen"),
    "no runs": without_runs(summary()),
    "no baseline": without_runs(summary(), points=summary().points),
    "baseline below 0": summary((-0.1, 0, 0, 0, 0), base=-0.2, noise=0.0, metric="mcc"),
    "odd names": summary(model="a_b&c%<script>alert(1)</script>", task="x|y*z"),
}


def compare_with_golden(name: str, text: str) -> None:
    """Compare with a kept file; IDIM_GOLDEN=rewrite writes it anew."""
    path = GOLDEN / name
    if os.environ.get("IDIM_GOLDEN") == "rewrite":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# --- reports --------------------------------------------------------------------------------


def test_markdown_and_latex_are_the_golden_ones():
    doc = document(CASES["reached"], EVIDENCE, COMMAND)
    compare_with_golden("report.md", formats.markdown(doc, "curve.png"))
    compare_with_golden("report.tex", formats.latex(doc))


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_ten_choices_and_a_report_in_each_format(name: str):
    said = choices(CASES[name], EVIDENCE)
    assert len(said) == 10
    for sentence in said.values():
        assert re.match(r"[A-Z0-9t].*\.$", sentence), sentence
        assert not re.search(r"None|nan|  |\.\.", sentence), sentence
    doc = document(CASES[name], EVIDENCE, COMMAND)
    assert COMMAND in formats.markdown(doc, "curve.png")
    tex = formats.latex(doc)
    assert tex.count("{") - tex.count(r"\{") == tex.count("}") - tex.count(r"\}")
    assert not re.search(r"(?<!\\)[_%#](?![a-z{]*\$)(?!.*booktabs)", re.sub(r"\$[^$]*\$", "", tex))


@pytest.mark.parametrize(
    ("name", "topic", "words"),
    [
        ("reached", "projection", "5,000,000 parameters in 41 tensors by a block Fastfood P"),
        ("reached", "scales", "(DID)"),
        ("reached", "head", "inside the subspace and is counted in d"),
        ("head beside", "head", "(770 numbers) at the learning rate 0.001 and is not counted in d"),
        ("head beside", "checks", "d numbers and those of the head"),
        ("reached", "baseline", "accuracy 0.800 (standard deviation 0.010) over 3 seeds"),
        ("reached", "baseline", "class scores 0.500. d = 300 is the smallest that reaches the"),
        ("fixed baseline", "baseline", "a fixed accuracy of 0.8, not a training"),
        ("no baseline", "baseline", "no score yet"),
        ("reached", "values of d", "100 fails and 300 passes, so d is resolved to a factor 3."),
        ("never reached", "values of d", "the line was not crossed"),
        ("reached", "replicates", "3 seeds at its learning rate"),
        ("reached", "replicates", "; 1 failed run left out."),
        ("reached", "learning rates", "held out from the training set: 1, 4 times lr_full"),
        ("not monotone", "monotonicity", "above d90, d = 100 fell below the line again"),
        ("reached", "monotonicity", "above d90 every d tried passes too"),
        ("one seed", "monotonicity", "without an interval"),
        ("reached", "bits", "32 x 300 = 9,600 bits at d90, and log2 1 = 0 more"),
        ("never reached", "bits", "no d reaches the line"),
    ],
)  # fmt: skip
def test_the_methods_say_what_was_done(name: str, topic: str, words: str):
    assert words in choices(CASES[name], EVIDENCE)[topic]


# a count of one before a noun of many, a verb that does not fit it, or the half of one
WRONG = re.compile(
    r"(?<![\w.,%])1 (\w+ )?(runs|seeds|steps|rows|values|numbers|epochs|rates)\b(?! (were|of))"
    r"|\b1 of [\d,]+ runs are\b|all of 1\b|from ([\d,]+) to \4 "
)


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("points", [1, 2, 5])
@pytest.mark.parametrize("problem", ["task", "objective"])
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("lr", [(), (0.5,), (0.5, 1.0)])
def test_prose_that_counts_is_true_of_one_as_of_many(seeds, points, problem, count, lr):
    runs = Runs(total=count + 1, done=count, failed=0, diverged=0, stopped_early=0)
    search = [
        Search(strategy=name, done=True, why=None, steps=count, steps_saved=0)
        for name in ("grid", "adaptive")
    ]
    evidence = replace(EVIDENCE, setting=replace(EVIDENCE.setting, lr=lr))
    for one in search:
        found = summary(
            RISE[-points:], ds=DS[-points:], seeds=seeds, runs=runs, search=one, problem=problem
        )
        methods = choices(found, evidence)
        said = " ".join([*methods.values(), *table.state(found), table.verdict(found)])
        assert not WRONG.search(said), (WRONG.search(said), said)
        assert ("was 0.5" in said) == (lr == (0.5,))
        if problem == "task":
            assert ("Half of the seeds" in said) == (seeds > 1)
            assert ("The seed passes from" in said) == (seeds == 1)
            assert ("on the mean over seeds" in said) == (seeds > 1)


def test_a_searchs_words_count_its_runs():
    words = {"model": "toy", "steps": 1, "lr": (0.1,), "baseline": 1.0, "d": (5,), "seeds": 1}
    said = plan(SweepSpec(**words)).lines()
    assert said[0].endswith("  1 run  lr 0.1  1 seed")
    assert said[-1].startswith("1 run of 1 step, about ")
    one = SweepSpec(**{k: v for k, v in words.items() if k != "d"} | {"max_runs": 1})
    known = {run.id: Score(run.d, run.lr, 0, 5, None, 0.5) for run in plan(one).specs}
    done = next_runs(plan(one).space, known)
    assert isinstance(done, Done)
    assert done.why == "its one run is spent"


def test_the_methods_name_saids_lambdas_and_a_net_without_pretraining():
    changed = {"structure": "said", "said_groups": "block", "model": "digits-mlp"}
    evidence = replace(EVIDENCE, setting=replace(EVIDENCE.setting, **changed))
    said = choices(CASES["reached"], evidence)
    assert "One scale lambda a block" in said["scales"]
    assert "no pretrained model" in said["head"]


class Page(HTMLParser):
    """Collects what a page would fetch or run, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object", "embed", "img", "base", "form"):
            self.fetched.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "srcset", "action"):
                self.fetched.append(name)
            if name.endswith("href") and not (value or "").startswith("#"):
                self.fetched.append(f"{name}={value}")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["reached", "odd names", "no runs"])
def test_the_page_needs_no_other_file_and_runs_nothing(name: str):
    svg = figure.render(CASES[name])["svg"].decode()
    text = formats.page(document(CASES[name], EVIDENCE, COMMAND), svg)
    page = Page(text)
    assert page.fetched == []
    assert page.open == []
    addresses = re.findall(r"(\S*)https?://", text)
    assert all(before.startswith("xmlns") for before in addresses)
    assert "@import" not in text
    assert "<svg" in text
    assert "failed: out of memory &lt;|&gt;" in text
    assert "<td>300</td><td>2</td><td>0, 2</td>" in text


def test_the_files_of_a_report_are_whole_and_the_same_each_time(tmp_path: Path):
    folders = [tmp_path / "a", tmp_path / "not there" / "b 'quoted'"]
    paths = [publish.publish(CASES["reached"], EVIDENCE, COMMAND, f) for f in folders]
    names = ["report.html", "report.md", "report.tex", "points.csv", "curve.png", "curve.svg"]
    assert [path.name for path in paths[0]] == names
    assert sorted(f.name for f in folders[1].iterdir()) == sorted(names)
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


# --- comparisons ----------------------------------------------------------------------------

LATE = (0.5, 0.51, 0.55, 0.6, 0.79)


def compared(sweeps: list[Summary], **settings) -> comparison.Comparison:
    """Compare; `settings` are those of the last."""
    last = replace(EVIDENCE, setting=replace(EVIDENCE.setting, **settings))
    return comparison.compare(sweeps, [*([EVIDENCE] * (len(sweeps) - 1)), last])


def sweep(out: str, means=RISE, **facts) -> Summary:
    return summary(means, out=Path(out), **facts)


def fitted(out: str, d: int, low: int | None, high: int | None) -> Summary:
    """Make a summary with this fit."""
    return sweep(out, fit=Fit(d, (low, high), "made"))


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
        ((20, None, None), (50, 31, 70), "no interval"),
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
    other = replace(EVIDENCE, **{f"{kind}_fingerprint": "1234" * 4})
    what = {"model": "weights", "data": "rows"}[kind]
    found = comparison.compare([sweep("a"), sweep("b")], [EVIDENCE, other]).to_json()
    first = {"model": "f", "data": "0"}[kind] * 12
    assert found["differences"] == [
        {"setting": f"{what} of one name", "values": (first, "123412341234")}
    ]
    name = {"model": "model", "data": "task"}[kind]
    named = sweep("b", **{name: "another"})
    assert comparison.compare([sweep("a"), named], [EVIDENCE, other]).differences == ()
    # two task files of one name are two files all the same
    elsewhere = replace(other, setting=replace(other.setting, **{name: "elsewhere"}))
    assert comparison.compare([sweep("a"), sweep("b")], [EVIDENCE, elsewhere]).differences != ()


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
    assert len(curves) == 2
    for ys in curves:
        assert ys == pytest.approx([m / 0.8 for m in RISE])


def test_the_comparison_is_drawn_the_same_each_time():
    from idim.report.canvas import files

    found = compared([sweep("a"), sweep("b", LATE)])
    first, second = (files(overlay.compose(found), "t") for _ in range(2))
    assert first == second
    ElementTree.fromstring(first["svg"])
