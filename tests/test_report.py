"""The table, the CSV file and the figure of a sweep's summary."""

import csv
import io
import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_results import EVIDENCE, compare_with_golden, made, without_runs
from matplotlib.text import Text

from idim.api.summary import Summary as Shown
from idim.estimate import Score, estimate
from idim.report import table
from idim.report.document import document
from idim.report.words import answer, count, headline, short, span
from idim.results import Runs, Summary

GRID = (10, 24, 56, 133, 207, 316, 740, 1733, 4060, 9500)
RISE = (0.684, 0.69, 0.71, 0.765, 0.8, 0.812, 0.83, 0.846, 0.858, 0.866)
# Offsets of seeds from their mean: uneven, so that dots do not mirror each other.
NOISE = (0.0, 1.0, -0.8, 0.4, -0.6)


def summary(
    ds=GRID, means=RISE, *, base=0.88, noise=0.01, seeds=3, threshold=0.9, baseline="own",
    chance=0.684, lost=1.0, **facts,
) -> Summary:  # fmt: skip
    """Make the summary of a sweep with these mean scores at the best of three learning rates.

    Other rates lose shares of `lost`, the size of the scores.
    """
    rows = []
    for seed, off in enumerate(NOISE[:seeds]):
        for lr, loss in ((3e-5, 0.02), (1e-4, 0.0), (3e-4, 0.01)):
            value = base - lost * loss + 0.3 * noise * off
            rows.append(Score(None, lr, seed, 22713986, value, value))
        for (d, mean), (k, loss) in itertools.product(
            zip(ds, means, strict=True), ((1, 0.03), (4, 0.0), (16, 0.02))
        ):
            lr = 1e-4 * math.sqrt(22713986 / d) * k
            value = mean - lost * loss
            rows.append(Score(d, lr, seed, d, value, value + noise * off))
    found = estimate(rows, threshold=threshold, baseline=baseline, chance=chance)
    runs = Runs(total=len(rows), done=len(rows), failed=0, diverged=0, stopped_early=0)
    about = {"model": "../models/minilm-l6-h384", "D": 22713986, "runs": runs, "seconds": 812.4}
    return made(found, **about | {"chance": chance} | facts)


def flat(level: float) -> tuple[float, ...]:
    return tuple(level + 0.002 * i for i in range(len(GRID)))


CASES = {
    "reached": summary(),
    "five seeds": summary(seeds=5),
    "one seed": summary(seeds=1),
    "no spread": summary(noise=0.0),
    "much spread": summary(noise=0.06),
    "never reached": summary(means=flat(0.6), chance=0.55),
    "smallest passes": summary(means=flat(0.82)),
    "largest passes": summary(means=(*flat(0.7)[:-1], 0.82)),
    "second passes": summary(means=(0.7, *flat(0.82)[1:])),
    "one point": summary((100,), (0.8,)),
    "one point, failing": summary((100,), (0.7,)),
    "two points, close": summary((100, 110), (0.75, 0.8)),
    "baseline and line close": summary(threshold=0.99),
    "baseline is the line": summary(threshold=1.0),
    "chance near the line": summary(chance=0.79),
    "chance is the line": summary(chance=0.9 * 0.88),
    "all lines close": summary(threshold=0.99, chance=0.868),
    "no chance": summary(chance=None),
    "fixed baseline": summary(baseline=0.9),
    "open interval": summary(means=(*flat(0.7)[:-1], 0.794), noise=0.02),
    "toy": summary((7, 8, 9, 10, 11, 14), (0.02, 0.05, 0.17, 1, 1, 1), base=1.0, noise=0.0,
                   chance=None, D=1000, model="toy", task="toy", metric="performance"),
    "negative scores": summary(means=flat(-0.01), base=0.46, chance=0.0, metric="mcc"),
    "baseline below 0": summary(means=flat(0.0), base=-0.02, chance=0.0, metric="mcc"),
    "large numbers": summary([int(10 ** (1 + i / 4)) for i in range(25)],
                             [0.5 + 0.4 * (i > 16) for i in range(25)], D=6738415616),
    "no runs": without_runs(summary()),
    "no points": without_runs(summary(), reference=summary().reference, line=0.79),
    "no baseline": without_runs(summary(), points=summary().points),
    "own training": summary(problem="objective", task="objective", chance=None),
    "large scores": summary(means=[1e5 * m for m in RISE], base=88e3, chance=None, metric="gain",
                            problem="objective", task="objective"),
    "long names": summary(model="org/" + 120 * "m", task="/tasks/" + 60 * "t" + ".toml"),
}  # fmt: skip


# --- text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["reached", "never reached", "one seed", "fixed baseline", "no runs", "toy"]
)
def test_the_table_is_the_golden_one(name: str):
    compare_with_golden(f"table-{name.replace(' ', '-')}.txt", table.text(CASES[name]))


def test_the_csv_is_the_golden_one():
    compare_with_golden("points.csv", table.csv(CASES["reached"]))


@pytest.mark.parametrize("name", CASES)
def test_every_line_but_the_verdict_fits_a_terminal(name: str):
    lines = table.text(CASES[name]).splitlines()
    words = max(len(w) for w in " ".join(lines).split())
    for line in lines:
        assert len(line) <= max(table.WIDTH, words) or line == table.verdict(CASES[name])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reached", "d90 = 186 (95% interval 134-316 over 3 seeds; line 0.9 x 0.880 = 0.792)"),
        ("never reached", "d90 > 9,500 (95% interval above 9,500 over 3 seeds; best 0.619 at d=9,"),
        ("smallest passes", "d90 <= 10 (95% interval up to 10 over 3 seeds"),
        ("one seed", "d90 = 188 (no interval over 1 seed; line"),
        ("baseline is the line", "d100 > 9,500"),
        ("open interval", "95% interval 4,061 to above 9,500 over 3 seeds"),
        ("fixed baseline", "line 0.9 x 0.900 (fixed) = 0.810)"),
        ("no runs", "d90 is not defined"),
        ("baseline below 0", "d90 is not defined"),
    ],
)
def test_the_verdict_says_what_is_known(name: str, words: str):
    assert words in table.verdict(CASES[name])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reached", "smallest d tried that passes, as the papers read d90: 207 (133 fails)"),
        ("never reached", "as the papers read d90: none up to 9,500"),
        ("smallest passes", "as the papers read d90: 10 (the smallest of all)"),
    ],
)
def test_the_papers_reading_stands_beside_d90(name: str, words: str):
    assert words in table.text(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_what_to_quote_is_said_where_there_is_something_to_quote(name: str):
    told = CASES[name]
    is_sure = told.d90 is not None and told.interval is not None
    assert ("quote d" in table.text(told)) == is_sure
    assert ("as the papers read" in table.text(told)) == bool(told.line and told.points)


def test_a_d_that_passes_below_others_that_fail_is_no_contradiction():
    """The curve rises: it pools what passes with what fails again, and may miss the line."""
    told = summary((50, 300, 2000), (0.5, 0.8, 0.6))
    assert "d90 > 2,000" in table.verdict(told)
    assert "d=300 passes, and larger d fail again" in table.verdict(told)
    assert "best" not in table.verdict(told)


def test_an_interval_that_excludes_nothing_is_not_to_be_quoted():
    told = table.text(summary((50, 300), (0.75, 0.82), noise=0.3, seeds=2))
    assert "95% interval open at both ends" in told
    assert "quote nothing yet: within the noise of seeds d90 may be any d" in told
    assert "quote d90" not in told


@pytest.mark.parametrize("name", CASES)
def test_the_json_says_what_the_terminal_says(name: str):
    """Every figure of the verdict is a key, and every key that is known is in the verdict."""
    told, line = CASES[name], table.verdict(CASES[name]).replace(",", "")
    record = json.loads(json.dumps(told.to_json()))
    found = re.match(r"d[0-9]+ (= |<= |> |is not defined)([0-9]*)", line)
    assert found is not None
    key = {"= ": "d90", "<= ": "d90_under", "> ": "d90_over"}.get(found[1])
    given = {k: record[k] for k in ("d90", "d90_under", "d90_over") if record[k] is not None}
    assert given == ({key: int(found[2])} if key else {})
    ends = [end for end in record["interval"] or [] if end is not None]
    largest = told.points[-1].d if told.points else 0
    assert all(str(end) in line for end in ends if end <= largest)
    assert ("no interval" in line) == (record["interval"] is None and key is not None)


def test_an_unfinished_sweep_says_what_is_left():
    some = summary(runs=Runs(total=99, done=90, failed=2, diverged=1, stopped_early=0))
    assert "incomplete: 7 of 99 runs are still to do" in table.text(some)
    assert "incomplete" not in table.text(summary())


def test_the_csv_gives_back_every_score():
    told = summary()
    rows = list(csv.DictReader(table.csv(told).splitlines()))
    assert [row["d"] for row in rows] == ["", *map(str, GRID)]
    for row, point in zip(rows, [told.reference, *told.points], strict=True):
        assert [float(s) for s in row["scores"].split(";")] == list(point.scores)
        assert float(row["mean"]) == point.mean
    assert [row["passes"] for row in rows[4:6]] == ["false", "true"]


def test_a_missing_baseline_is_an_empty_row():
    rows = list(csv.DictReader(table.csv(CASES["no baseline"]).splitlines()))
    assert set(rows[0].values()) == {"", "0"}


@pytest.mark.parametrize(
    ("n", "words"),
    [(7, "7"), (44426, "44,426"), (999_999, "999,999"), (1_000_000, "1 M"), (22713986, "22.7 M"),
     (355361794, "355 M"), (6738415616, "6.74 B")],
)  # fmt: skip
def test_a_count_keeps_three_digits_from_a_million_on(n: int, words: str):
    assert count(n) == words


def test_names_lose_folders_owners_and_endings():
    names = ["roberta-base", "org/model", "../models/minilm/", "/tasks/mine.toml"]
    assert [short(name) for name in names] == ["roberta-base", "model", "minilm", "mine"]


def test_an_open_interval_says_how_far_was_looked():
    told = summary((100, 1000), (0.7, 0.75), interval=(155, None))
    assert span(told) == "155 to above 1,000"
    assert span(replace(told, interval=(1001, None))) == "above 1,000"
    assert span(replace(told, interval=(None, 250))) == "up to 250"
    assert span(replace(told, interval=(None, None))) == "open at both ends"
    assert span(replace(told, interval=None)) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"d90": 207}, "d90 = 207"),
        ({"d90": None, "d90_under": 10}, "d90 <= 10"),
        ({"d90": None, "d90_over": 1000, "threshold": 0.95}, "d95 > 1,000"),
        ({"d90": None}, "d90 is not defined"),
    ],
)
def test_the_headline_is_the_symbol_and_the_answer(facts, words):
    told = replace(summary(), **facts)
    assert headline(told) == words
    assert words.removeprefix("d90 ").removeprefix("d95 ").removeprefix("= ") == answer(told)


# --- figure ---------------------------------------------------------------------------------


def texts_of(told: Summary) -> list[Text]:
    from idim.report.figure import compose

    figure = compose(told)
    figure.canvas.draw()
    ticks = [
        t for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for t in axis.get_ticklabels()
    ]
    every = [*figure.texts, *(t for ax in figure.axes for t in (*ax.texts, ax.xaxis.label)), *ticks]
    return [t for t in every if t.get_visible() and t.get_text()]


@pytest.mark.parametrize("name", CASES)
def test_no_two_texts_of_the_figure_overlap_and_none_leaves_it(name: str):
    texts = texts_of(CASES[name])
    boxes = [t.get_window_extent() for t in texts]
    width, height = texts[0].figure.bbox.size
    for text, box in zip(texts, boxes, strict=True):
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    for (a, box_a), (b, box_b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        assert not box_a.overlaps(box_b), (a, b)
    (ax,) = texts[0].figure.axes
    assert len(ax.get_xticks()) >= 2
    assert len(ax.get_yticks()) >= 2


@pytest.mark.parametrize("name", [*CASES, "interval above all"])
def test_the_interval_lies_within_the_axes(name: str):
    """Where all d fail its lower end may lie beyond the largest, and beyond the axis."""
    from idim.report.figure import compose

    told = CASES.get(name) or replace(CASES["never reached"], interval=(90_000, None))
    (ax,) = compose(told).axes
    low, high = ax.get_xlim()
    data = ax.get_xaxis_transform()
    for line in (line for line in ax.lines if line.get_transform() == data):
        assert all(low <= x <= high for x in np.asarray(line.get_xdata(), float)), name


@pytest.mark.parametrize("name", CASES)
def test_page_figure_and_repr_have_one_title(name: str):
    told = CASES[name]
    joint = "for" if "not defined" in headline(told) else "of"
    title = f"{headline(told)} {joint} D = {count(told.D)}"
    page = document(told, EVIDENCE, "again").title
    (drawn, *_) = (t.get_text() for t in texts_of(told))
    shown = drawn.replace("\N{LESS-THAN OR EQUAL TO}", "<=").replace("\N{EN DASH}", "-")
    assert (page, shown) == (title, title)
    assert repr(Shown.of(told)).startswith(f"<{title}: ")


def test_the_figure_says_the_answer_and_names_its_lines():
    words = [t.get_text() for t in texts_of(CASES["reached"])]
    title = headline(CASES["reached"]) + " of D = 22.7 M"
    for expected in (
        title,
        "smallest d tried that passes: 207",
        "95% interval 134\N{EN DASH}316",
        "0.684 chance",
    ):
        assert expected in words
    assert {"10", "100", "1,000", "10,000"} <= set(words)


@pytest.mark.parametrize(
    ("problem", "words"),
    [("task", "full fine-tuning"), ("module", "full training"), ("objective", "full training")],
)
def test_the_baseline_is_called_what_it_is(problem, words):
    """A task file that is called "objective" is still a task: no name of one says what it is."""
    said = [t.get_text() for t in texts_of(summary(problem=problem, task="objective"))]
    assert f"0.880 {words}" in said
    assert not any("fine-tuning" in word for word in said if words == "full training")


def test_every_seed_has_its_dot():
    from idim.report.figure import compose

    (ax,) = compose(CASES["reached"]).axes
    (dots,) = [c for c in ax.collections if len(c.get_offsets()) > 1]
    told = [[p.d, s] for p in CASES["reached"].points for s in p.scores]
    assert sorted(dots.get_offsets().tolist()) == sorted(told)


def test_nothing_hides_a_seed():
    """At the d that pass the ring and the diamond of d90 lay over the seeds and their mean."""
    from idim.report.figure import compose

    (ax,) = compose(CASES["reached"]).axes
    (seeds,) = [c for c in ax.collections if len(c.get_offsets()) > 1]
    above = [a for a in (*ax.lines, *ax.patches) if a.get_zorder() >= seeds.get_zorder()]
    assert above == []


def test_the_vertical_axis_is_named_by_its_metric():
    upright = [t.get_text() for t in texts_of(CASES["negative scores"]) if t.get_rotation() == 90]
    assert upright == ["mcc"]


@pytest.mark.parametrize("name", ["reached", "never reached", "negative scores", "long names"])
def test_a_figure_for_a_paper_has_no_headings(name: str):
    from idim.report.figure import compose

    bare = compose(CASES[name], titled=False)
    bare.canvas.draw()
    assert bare.texts == []
    assert bare.get_figheight() < compose(CASES[name]).get_figheight()
    boxes = [t.get_window_extent() for t in (*bare.axes[0].texts, bare.axes[0].xaxis.label)]
    assert all(box.y0 >= 0 and box.y1 <= bare.bbox.height for box in boxes)
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_a_pdf_has_truetype_fonts_and_no_date():
    from idim.report.figure import render

    (first, second) = (render(CASES["toy"], ("pdf",))["pdf"] for _ in range(2))
    assert first == second
    assert b"/FontFile2" in first
    assert b"/Type3" not in first
    assert b"Date" not in first


def test_a_figure_is_opaque_so_that_its_words_are_read_on_any_ground():
    from matplotlib.image import imread

    from idim.report.figure import render

    made = render(CASES["toy"])
    assert (imread(io.BytesIO(made["png"]), format="png")[:, :, 3] == 1).all()
    assert b"fill: #ffffff" in made["svg"].partition(b"axes_1")[0]


def test_the_files_are_written_whole_and_the_same_each_time(tmp_path: Path):
    from idim.report.figure import draw

    folders = [tmp_path / "a", tmp_path / "b 'quoted'"]
    for folder in folders:
        folder.mkdir()
        draw(CASES["reached"], folder / "curve")
    assert sorted(f.name for f in folders[0].iterdir()) == ["curve.png", "curve.svg"]
    for name in ("curve.png", "curve.svg"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
    assert first[:5] == b"<?xml"
    ElementTree.fromstring(first)
    assert b"<dc:date>" not in first
    assert (folders[0] / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_a_users_matplotlib_settings_do_not_change_the_figure():
    import matplotlib

    from idim.report.figure import render

    plain = render(CASES["toy"])
    with matplotlib.rc_context({"font.size": 20.0, "lines.linewidth": 9.0, "axes.grid": True}):
        assert render(CASES["toy"]) == plain
        assert matplotlib.rcParams["font.size"] == 20.0
