"""d90 along a pretraining: which checkpoints count, what is left out, what is written."""

import json
import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from idim.cli import app
from idim.config import PretrainSpec, SweepSpec, TrajectorySpec, load
from idim.errors import IdimError
from idim.estimate import Smallest
from idim.pretrain import pretrain
from idim.report import trajectory as report
from idim.report import trajectory_figure as figure
from idim.results import (
    Baseline,
    Checkpoint,
    Missing,
    Reading,
    Runs,
    Series,
    Summary,
    TaskSeries,
    Trajectory,
)  # fmt: skip
from idim.studies import together, trajectory
from idim.studies.ranks import correlation

WHY = get_args(Missing)[1:]

SMALL = PretrainSpec(
    paragraphs=300, hidden_size=16, layers=1, heads=2, steps=3, batch_size=8, checkpoints=(0, 2),
    threads=1,
)  # fmt: skip


def row(steps, d, *, under=None, over=None, missing=None, ends=None):
    return Checkpoint(
        model=f"m@{steps}", steps=steps, missing=missing, metric="accuracy", D=1000, chance=0.5,
        reference=Baseline(mean=0.8, std=0.01, n=2, lr=0.1, scores=(0.79, 0.81)), line=0.72,
        d90=d, d90_under=under, d90_over=over, interval=ends,
        smallest=Smallest(d and d + 7, (d and d // 2, d and d + 7)),
        gain=Reading(line=0.77, d=d, under=under, over=over, interval=ends,
                                smallest=d and d + 7),
        runs=Runs(total=9, done=9, failed=0, diverged=0, stopped_early=0), seconds=1.0,
        out=Path("x"),
    )  # fmt: skip


ROWS = [
    row(0, None, missing="a constant answer passes"), row(100, None, over=900),
    row(1000, 300, ends=(250, 350)), row(3000, 100, ends=(None, 120)), row(9000, 120),
]  # fmt: skip
AGAIN = [*(row(r.steps, None, over=900) for r in ROWS[:3]), *ROWS[3:]]
TASK = TaskSeries(
    task="paraphrase", metric="accuracy", chance=0.5, rows=tuple(ROWS),
    correlation=correlation(ROWS), to_last=None,
)  # fmt: skip
TO_LAST = Series(rows=tuple(AGAIN), correlation=correlation(AGAIN))
RECORD = Trajectory(threshold=0.9, structure="did", projection="fastfood", tasks=(TASK,))
BOTH = replace(RECORD, lines="both", tasks=(replace(TASK, to_last=TO_LAST),))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("EleutherAI/pythia-70m@step512", 512), ("google/multiberts-seed_0-step_20k", 20_000),
        ("out/step-300", 300), ("out/step-300/", 300), ("tiny@100", 100),
    ],
)  # fmt: skip
def test_steps_are_read_off_a_name(name, steps):
    found = trajectory.checkpoints(TrajectorySpec(models=(name, "z@step7")))
    assert [s.steps for s in found] == sorted([7, steps])


def test_a_folder_of_checkpoints_stands_for_them_in_order(tmp_path):
    for n in (1000, 0, 300):
        (tmp_path / f"step-{n}").mkdir()
    found = trajectory.checkpoints(TrajectorySpec(models=(str(tmp_path),)))
    assert [s.steps for s in found] == [0, 300, 1000]


@pytest.mark.parametrize(
    ("models", "pretrained", "words"),
    [
        (("a", "b"), (), "cannot tell from 'a'"),
        (("a", "b"), (5,), "1 numbers for 2 models"),
        (("a@step5", "b@step5"), (), "both checkpoints after 5 steps"),
        (("a@step5",), (), "two checkpoints or more"),
    ],
)
def test_checkpoints_that_make_no_trajectory_are_refused(models, pretrained, words):
    with pytest.raises(IdimError, match=words):
        trajectory.checkpoints(TrajectorySpec(models=models, pretrained=pretrained))


def test_steps_that_no_name_tells_can_be_given():
    found = trajectory.checkpoints(TrajectorySpec(models=("late", "early"), pretrained=(9, 1)))
    assert [(s.model, s.steps) for s in found] == [("early", 1), ("late", 9)]


@pytest.mark.parametrize("told", [RECORD, BOTH], ids=["own", "both"])
def test_a_trajectory_is_read_back_as_it_was_written(told):
    assert Trajectory.from_json(json.loads(json.dumps(told.to_json()))) == told


def cells(line):
    return re.split(r"\s{2,}", line.strip())


def test_the_table_says_what_is_known_and_what_is_not():
    text = report.text(RECORD)
    title, _, *lines = text.splitlines()
    assert title == "Each checkpoint's own line: 0.9 of its own full fine-tuning"
    assert "> 900" in lines[2]
    assert "250-350" in lines[3]
    assert "up to 120" in lines[4]
    assert lines[3].split()[-7:] == ["300", "250-350", "307", "0.500", "0.720", "300", "9"]
    assert cells(lines[1])[-4:] == ["0.500", "0.720", "9", "a constant answer passes"]
    assert "paraphrase: rank correlation of d90 with steps -0.80 (95% interval " in text
    assert "One line" not in text


def test_the_first_table_asks_the_same_of_every_checkpoint():
    title, _, head, *lines = report.text(BOTH).splitlines()
    asked = (
        "One line a task, asked of every checkpoint: 0.9 of the full fine-tuning of the last one"
    )
    assert title == asked
    assert cells(head) == ["task", "model", "steps", "full fine-tuning", "d90", "95% interval",
                           "smallest tried", "runs"]  # fmt: skip
    assert cells(lines[0]) == ["paraphrase", "m@0", "0", "0.800 ± 0.010", "> 900", "9"]
    assert cells(lines[3]) == ["paraphrase", "m@3000", "3,000", "0.800 ± 0.010", "100", "up to 120",
                               "107", "9"]  # fmt: skip
    # of 20 in all, the pairs of the first three are open (4), 100 < 120 rises (1), the rest falls
    assert " ".join(line.strip() for line in lines[6:8]).startswith(
        "paraphrase, line 0.720: rank correlation of d90 with steps -0.70 (95% interval -1.00 to "
    )
    assert "Each checkpoint's own line: 0.9 of its own full fine-tuning" in lines[6:10]


@pytest.mark.parametrize("lines", ["one", "both"])
def test_a_task_whose_last_has_no_line_says_why(lines):
    """The second table was left out in silence."""
    last = replace(ROWS[-1], missing="a constant answer passes")
    task = replace(TASK, rows=(*ROWS[:-1], last), to_last=None)
    text = report.text(replace(RECORD, lines=lines, tasks=(task,)))
    assert "paraphrase: no line: a constant answer passes at the last checkpoint, m@9000" in text


def test_a_table_of_the_gain_says_so_and_tells_the_papers_beside():
    rows = [replace(r, papers=Reading(line=0.72, d=77, under=None, over=None, interval=None,
                                      smallest=80)) for r in ROWS]  # fmt: skip
    own = replace(RECORD, target="gain", tasks=(replace(TASK, rows=tuple(rows)),))
    text = report.text(own)
    assert "0.9 of the way to its own full fine-tuning" in text
    assert cells(text.splitlines()[5])[-2:] == ["77", "9"]
    assert "gain d90: where it crosses floor + 0.9 x (full fine-tuning - floor)" in text
    assert "d90: where the fitted curve crosses 0.9 of full fine-tuning, as in the papers" in text
    one = report.text(replace(own, lines="one"))
    assert "as in the papers" not in one


def test_the_csv_has_a_row_for_each_checkpoint():
    lines = report.csv(RECORD).splitlines()
    assert lines[0].split(",") == list(report.COLUMNS)
    assert len(lines) == 1 + len(ROWS)
    assert lines[2].startswith("paraphrase,m@100,100,1000,0.5,0.8,0.01,0.72,,,900,")
    assert all(len(line.split(",")) == len(report.COLUMNS) for line in lines)
    assert lines[3].endswith(",9,1.0" + "," * 9)
    assert report.csv(BOTH).splitlines()[3].endswith(",9,1.0,0.72,,,900,,,,9,1.0")


def test_the_figure_names_each_task_and_says_what_is_missing(tmp_path):
    svg, png = (tmp_path / f"t.{kind}" for kind in ("svg", "png"))
    figure.draw(RECORD, tmp_path / "t")
    assert svg.stat().st_size > 1000
    assert png.read_bytes().startswith(b"\x89PNG")
    words = [t.get_text() for ax in figure.compose(RECORD).axes for t in ax.texts]
    assert any(w.startswith("paraphrase") and "\N{MINUS SIGN}0.80" in w for w in words)
    said = [t.get_text() for t in figure.compose(RECORD).texts]
    assert "no d90, as a constant answer passes: paraphrase at 0" in said


def test_the_figure_says_for_each_checkpoint_why_it_has_no_d90():
    """A missing baseline was called a constant answer that passes."""
    rows = (row(0, None, missing="no baseline"), *ROWS[1:4], row(9000, None, missing=WHY[0]))
    told = replace(RECORD, tasks=(replace(TASK, rows=rows),))
    (line,) = (t.get_text() for t in figure.compose(told).texts if "no d90" in t.get_text())
    assert "as full fine-tuning has no score: paraphrase at 0" in line
    assert "as a constant answer passes: paraphrase at 9,000" in line


def test_the_figure_has_a_panel_for_the_second_line():
    assert len(figure.compose(RECORD).axes) == 2
    drawn = figure.compose(BOTH)
    own, one, _ = drawn.axes
    dots = [[line for line in ax.lines if line.get_marker() == "o"] for ax in (own, one)]
    assert list(map(len, dots)) == [1 + 4, 1 + 5]  # the line of all, and a mark for each
    said = [t.get_text() for t in drawn.texts]
    assert "d90, by the fitted curve: 0.9 of the last checkpoint's full fine-tuning" in said


BOUNDS = (
    row(0, None, over=900, ends=(400, None)), row(100, None, over=500, ends=(None, None)),
    row(1000, None, over=900, ends=(901, None)), row(3000, 900, ends=(None, None)),
    row(9000, None, under=20, ends=(None, 60)),
)  # fmt: skip


def test_what_is_beyond_every_d_tried_is_drawn_beyond_every_d_that_is_known():
    """An open mark stood at the largest d tried, as if that were d90, or 20 % above it."""
    (ax, _) = figure.compose(replace(RECORD, tasks=(replace(TASK, rows=BOUNDS),))).axes
    ticks = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    line, *marks = (line for line in ax.lines if line.get_marker() == "o")
    low, high = ax.spines["left"].get_bounds()
    heights = [float(y) for y in np.asarray(line.get_ydata())]
    assert [y > high for y in heights] == [True, True, True, False, False]
    assert [y < low for y in heights] == [False, False, False, False, True]
    assert heights[3] == pytest.approx(high)
    assert len(set(heights[:3])) == 1  # one row of the band: nothing is larger than another
    assert [m.get_markerfacecolor() == "white" for m in marks] == [True, True, True, False, True]
    assert ticks["> 900"] > high
    assert ticks["\N{LESS-THAN OR EQUAL TO} 20"] < low
    (odd,) = (t for t in ax.texts if t.get_text() == "> 500")
    assert odd.xy[1] == heights[1]


def test_an_open_end_of_an_interval_is_an_arrow_also_where_both_are_open():
    (ax, _) = figure.compose(replace(RECORD, tasks=(replace(TASK, rows=BOUNDS),))).axes
    arrows = [line.get_marker() for line in ax.lines if line.get_marker() in ("v", "^")]
    # one for each end of BOUNDS that is None, those of both ends and of 901 or above too
    ends = [end for r in BOUNDS for end in r.interval]
    assert len(arrows) == ends.count(None)
    assert (arrows.count("^"), arrows.count("v")) == (4, 3)


@pytest.mark.parametrize("largest", [900, 1000, 1050, 9990, 10_100])
def test_no_d_is_written_over_the_word_of_a_band(largest):
    rows = (row(0, None, over=largest), row(100, 100), row(1000, None, under=10))
    drawn = figure.compose(replace(RECORD, tasks=(replace(TASK, rows=rows),)))
    drawn.canvas.draw()
    boxes = sorted((t.get_window_extent() for t in drawn.axes[0].get_yticklabels()),
                   key=lambda box: box.y0)  # fmt: skip
    assert len(boxes) >= 3
    assert all(one.y1 <= other.y0 for one, other in pairwise(boxes))


def test_a_figure_for_a_paper_has_captions_of_panels_and_no_headings(tmp_path):
    drawn = figure.compose(BOTH, titled=False)
    said = [t.get_text() for t in drawn.texts]
    assert [words.partition(",")[0].partition(":")[0] for words in said] == [
        "d90", "d90", "full fine-tuning",
    ]  # fmt: skip
    (path,) = figure.draw(BOTH, tmp_path / "t.pdf", titled=False)
    assert path.read_bytes().startswith(b"%PDF")


def test_the_same_is_asked_of_every_checkpoint_and_then_each_of_itself(tmp_path):
    """One line a task, read again at another; then both lines in the same folder."""

    def done(*words, out=tmp_path / "out"):
        command = [
            "trajectory", "--models", "tiny@6000,tiny@10000", "--tasks", "sentiment", "--out",
            str(out), "--d", "10", "--seeds", "1", "--steps", "15", "--lr", "0.1", "--baseline-lr",
            "0.002", "--train-samples", "400", "--eval-samples", "64", "--threshold", "1",
            "--target", "papers", "--jobs", "1", "--device", "cpu", "--json", *words,
        ]  # fmt: skip
        found = CliRunner().invoke(app, command, prog_name="idim")
        assert found.exit_code == 0, found.stderr
        return found

    def read(*words):
        words = ["estimate", str(tmp_path / "out"), *words, "--json"]
        return CliRunner().invoke(app, words, prog_name="idim")

    first = done()
    assert "[1/2] sentiment, tiny@6000, full fine-tuning\n" in first.stderr
    assert "[1/1] sentiment, tiny@6000 to the line of the last\n" in first.stderr
    record = json.loads(first.stdout)
    assert (record["lines"], record["tasks"][0]["to_last"]) == ("one", None)
    early, last = rows_of(record)
    assert early["line"] == last["line"] == last["baseline"]["mean"]
    # its own full fine-tuning is told, and counted, beside the d that reaches the last one's line
    assert early["baseline"]["n"] == 1
    assert [r["runs"]["done"] for r in (early, last)] == [2, 2]
    assert early["out"].endswith("step-6000-last")
    assert read().stdout == first.stdout
    less = json.loads(read("--threshold", "0.8").stdout)
    assert [r["line"] for r in rows_of(less)] == [pytest.approx(0.8 * last["line"])] * 2
    half = json.loads(read("--threshold", "0.5").stdout)  # which a constant answer passes
    assert [r["missing"] for r in rows_of(half)] == [WHY[-1], WHY[0]]
    assert rows_of(half)[0]["line"] is None
    gain = json.loads(read("--threshold", "0.9", "--target", "gain").stdout)
    line = last["chance"] + 0.9 * (last["line"] - last["chance"])
    assert all(r["line"] in (None, pytest.approx(line)) for r in rows_of(gain))
    fixed = read("--baseline", "0.9")
    assert "one line a task is that of the last checkpoint" in fixed.stderr
    both = done("--lines", "both")
    part = json.loads(both.stdout)["tasks"][0]
    assert [r["line"] for r in part["to_last"]["rows"]] == [last["line"]] * 2
    assert part["to_last"]["rows"][-1] == part["rows"][-1]
    assert part["rows"][0]["line"] == part["rows"][0]["baseline"]["mean"]
    assert read().stdout == both.stdout
    assert done("--lines", "both").stdout == both.stdout
    assert (tmp_path / "out" / "sentiment" / "step-6000-last" / "summary.json").exists()


def test_a_last_checkpoint_without_a_line_gives_none_to_the_others(tmp_path):
    sweeps = [trajectory.CheckpointSweep("t", trajectory.Pretrained("m", n), None) for n in (0, 5)]
    own = {"t": [row(0, 9), row(5, None, missing="a constant answer passes")]}
    assert trajectory.to_last(sweeps, own) == []


def rows_of(record):
    return record["tasks"][0]["rows"]


def test_a_dry_run_lists_the_sweeps_and_does_none(tmp_path):
    pretrain(SMALL, tmp_path / "made")
    command = [
        "trajectory", "--models", str(tmp_path / "made"), "--tasks", "acceptability,sentiment",
        "--out", str(tmp_path / "out"), "--steps", "2", "--max-runs", "9", "--device", "cpu",
        "--train-samples", "64", "--eval-samples", "32", "--baseline-lr", "0.001", "--dry-run",
    ]  # fmt: skip
    done = CliRunner().invoke(app, command, prog_name="idim")
    assert done.exit_code == 0, done.stderr
    head, *rows, _, total = done.stdout.splitlines()
    assert head.split() == ["task", "model", "runs", "at", "most"]
    # the last sweeps to its own line; the others run full fine-tuning and sweep to that line
    assert [row.split()[2] for row in rows] == ["13", "13", "11"] * 2
    assert total.startswith("6 sweeps of at most 74 runs, at most ")
    assert not (tmp_path / "out").exists()


def test_a_trajectory_from_pretraining_to_table(tmp_path):
    pretrain(SMALL, tmp_path / "made")
    command = [
        "trajectory", "--models", str(tmp_path / "made"), "--tasks", "acceptability",
        "--out", str(tmp_path / "out"), "--d", "5,10", "--seeds", "1", "--steps", "2",
        "--lr", "0.1",
        "--baseline-lr", "0.001", "--train-samples", "64", "--eval-samples", "32", "--jobs", "1",
        "--device", "cpu", "--lines", "own", "--target", "papers",
    ]  # fmt: skip
    first = CliRunner().invoke(app, command, prog_name="idim")
    assert first.exit_code == 0, first.stderr
    assert "[3/3] acceptability" in first.stderr
    again = CliRunner().invoke(app, [*command, "--json"], prog_name="idim")
    assert "3 of 3 runs were done before" in again.stderr
    record = json.loads(again.stdout)
    assert Trajectory.from_json(record).to_json() == record
    for path in (tmp_path / "out").rglob("summary.json"):
        summary = json.loads(path.read_text())
        assert Summary.from_json(summary).to_json() == summary
    rows = record["tasks"][0]["rows"]
    assert [r["steps"] for r in rows] == [0, 2, 3]
    assert all(r["runs"]["done"] == 3 for r in rows)
    assert record == json.loads((tmp_path / "out" / "trajectory.json").read_text())
    told = CliRunner().invoke(app, ["estimate", str(tmp_path / "out"), "--json"], prog_name="idim")
    assert json.loads(told.stdout) == record
    words = CliRunner().invoke(app, ["estimate", str(tmp_path / "out")], prog_name="idim").stdout
    assert words == first.stdout
    half = ["estimate", str(tmp_path / "out"), "--threshold", "0.5", "--json"]
    half = json.loads(CliRunner().invoke(app, half, prog_name="idim").stdout)
    assert half["threshold"] == 0.5
    for row, whole in zip(half["tasks"][0]["rows"], rows_of(record), strict=True):
        assert row["line"] == pytest.approx(whole["line"] * 5 / 9)
    picture = (tmp_path / "out" / "trajectory.png").read_bytes()
    drawn = ["plot", str(tmp_path / "out"), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(app, drawn, prog_name="idim").exit_code == 0
    assert (tmp_path / "again.png").read_bytes() == picture
    for words in (["report", str(tmp_path / "out")], ["compare", str(tmp_path / "out"), "x"]):
        refused = CliRunner().invoke(app, words, prog_name="idim")
        assert refused.exit_code == 2
        assert "holds a trajectory; give one of its sweeps" in refused.stderr
    dry = CliRunner().invoke(app, [*command, "--dry-run", "--json"], prog_name="idim")
    coming = json.loads(dry.stdout)["sweeps"]
    assert [(c["steps"], c["runs"], c["already"]) for c in coming] == [(n, 3, 3) for n in (0, 2, 3)]
    assert {p.suffix for p in (tmp_path / "out").glob("trajectory.*")} == {
        ".json", ".csv", ".png", ".svg", ".log",
    }  # fmt: skip
    log = (tmp_path / "out" / "trajectory.log").read_text()
    assert log.count("3 of 3 runs were done before") == 3
    quiet = CliRunner().invoke(app, [*command, "-q"], prog_name="idim")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert quiet.stdout == "\n".join(report.correlations(together.read(tmp_path / "out"))) + "\n"
    assert (tmp_path / "out" / "acceptability" / "step-2" / "summary.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--models", "nope@step1,nope@step2"], "nope"),
        (["model=toy"], "unknown key 'model'; did you mean 'models'?"),
        (["--tasks", "sentimnt"], "did you mean 'sentiment'"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--lines", "both", "--baseline", "0.8"], "not with baseline=0.8"),
        (["--baseline", "0.8"], "lines=one compares with full fine-tuning"),
        (["--lines", "last"], "lines"),
    ],
)
def test_bad_input_is_one_line(tmp_path, words, says):
    result = CliRunner().invoke(
        app, ["trajectory", *words, "--out", str(tmp_path / "out")], prog_name="idim"
    )
    assert result.exit_code in (1, 2)
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_each_sweep_differs_in_model_and_task_alone():
    spec = TrajectorySpec(seeds=2, d_max=70)
    sweep = spec.sweep("tiny@0", "sentiment")
    assert (sweep.model, sweep.task, sweep.seeds, sweep.d_max) == ("tiny@0", "sentiment", 2, 70)
    assert (sweep.tolerance, sweep.max_runs) == (spec.tolerance, spec.max_runs)


def test_no_setting_of_a_trajectory_is_there_to_be_refused(tmp_path):
    """A sweep's file has one model; a trajectory that took it would ignore it in silence."""
    names = [f.name for f in fields(TrajectorySpec)]
    assert {"model", "task"}.isdisjoint(names)
    of_a_sweep = [f.name for f in fields(SweepSpec) if f.name not in ("model", "task")]
    assert names[: len(of_a_sweep)] == of_a_sweep
    file = tmp_path / "sweep.toml"
    file.write_text('model = "toy"\n')
    with pytest.raises(IdimError, match="unknown key 'model'; did you mean 'models'"):
        load(TrajectorySpec, file, {})
