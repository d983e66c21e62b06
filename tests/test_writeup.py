"""Reports in every format, the methods paragraph, and comparisons of sweeps."""

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_results import EVIDENCE, compare_with_golden, made, without_runs

from idim.config import SweepSpec
from idim.estimate import Score, estimate
from idim.report import figure, formats, publish, table
from idim.report.document import document
from idim.report.methods import choices
from idim.results import Runs, Search, Summary
from idim.search import Done, next_runs
from idim.sweeps import plan

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
        ("reached", "baseline", "The line 0.9 of the way from a constant answer to the baseline"),
        ("fixed baseline", "baseline", "a fixed accuracy of 0.8, not a training"),
        ("no baseline", "baseline", "no score yet"),
        ("reached", "values of d", "from a grid; 100 fails and 300 passes."),
        ("never reached", "values of d", "; none passes."),
        ("reached", "replicates", "3 seeds at its learning rate"),
        ("reached", "replicates", "; 1 failed run left out."),
        ("reached", "learning rates", "held out from the training set: 1, 4 times lr_full"),
        ("not monotone", "monotonicity", "above 30, d = 100 fell below the line again"),
        ("reached", "monotonicity", "above 300 every d tried passes too"),
        ("one seed", "monotonicity", "without an interval"),
        ("reached", "bits", "9,600 bits at the smallest d tried that passes, and log2 1 = 0 more"),
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
    names.append("curve.pdf")
    assert [path.name for path in paths[0]] == names
    assert sorted(f.name for f in folders[1].iterdir()) == sorted(names)
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
    # the page is headed by what was measured, and its figure has no headings: d90 stands in its
    # title, in the first finding and at the curve, not at the top of each
    html = paths[0][0].read_text()
    assert "<h1>bert_tiny on mrpc" in html
    assert "<!-- d90 = 137 of D = 5 M -->" not in html
    assert "<!-- d90 = 137 of D = 5 M -->" in (folders[0] / "curve.svg").read_text()
