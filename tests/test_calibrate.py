"""The calibration: worlds whose truth is true, trials that a kill does not lose, and a table."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import calibrate
import cells
import worlds
from worlds import CONTROLS, WORLDS, Luck, Trial

from idim.search import Space

TRIALS = 7
EVERY_TRUTH = [(name, truth) for name in WORLDS for truth in Trial(name, 0).truths]


@pytest.fixture(scope="module")
def controls():
    """Trials by world and budget."""
    counts = {"100": TRIALS, "grid 3": 4, "paper": 1}
    return {
        (name, budget): [calibrate.measure(name, budget, i) for i in range(n)]
        for name in CONTROLS
        for budget, n in counts.items()
    }


# --- the truth ------------------------------------------------------------------------------


def small(name):
    """Return a trial whose curve crosses the line where one step of d is many standard errors."""
    trial = Trial(name, 5)
    trial.__dict__["crossing"] = 12.3
    return trial


def mean_score(trial, d, redraw_rows, count):
    """Return the mean of many scores at the best learning rate, and its standard error."""
    world, draw = trial.world, np.random.default_rng([count, d or 0])
    if redraw_rows:
        trial.__dict__["hard"] = draw.standard_normal((count, world.rows))
    rows = draw.standard_normal((count, trial.hard.shape[-1]))
    luck = Luck(*draw.standard_normal((5, count)), rows)
    score, _ = world.outcome(trial, d, world.baseline if d is None else trial.mean(d), luck)
    return score.mean(), score.std() / count**0.5


@pytest.mark.parametrize(("name", "truth"), EVERY_TRUTH)
def test_the_truth_is_the_smallest_d_whose_mean_score_reaches_the_line(name, truth):
    trial = small(name)
    d, redraw = trial.truths[truth], truth == "all rows"
    count = 20_000 if not trial.hard.size else 4_000
    base, error = mean_score(trial, None, redraw, count)
    line = 0.9 * trial.world.settings.get("baseline", base)
    if d == math.inf:
        mean, _ = mean_score(trial, worlds.D, redraw, count)
        assert mean < line - 0.01
        return
    d = int(d)
    (at, error_at), (below, error_below) = (mean_score(trial, k, redraw, count) for k in (d, d - 1))
    slack = 3 * math.hypot(max(error_at, error_below), 0.9 * error)
    assert slack < (at - below) / 2  # so that a step off would be seen
    assert at > line - slack
    assert below < line + slack


def test_a_truth_is_the_first_crossing_of_a_curve_that_falls_again():
    trial = small("dip")
    after = trial.mean(np.arange(trial.truths[""], 40 * trial.truths[""]))
    assert np.diff(after).min() < 0
    assert after.min() < trial.world.line + 0.001


def test_a_plateau_lies_within_two_standard_deviations_of_the_line():
    world = WORLDS["plateau"]
    u = np.linspace(-math.log(8), -0.11, 50)
    gap = world.line - world.curve(u)
    assert (gap > 0).all()
    assert (gap < 2 * world.noise).all()


# --- one run --------------------------------------------------------------------------------


def scored(name, d, off=0.0, seeds=250, part="score"):
    """Return scores of many seeds at a rate e^off times the best."""
    trial = small(name)
    space = calibrate.space(trial.world, calibrate.BUDGETS["24"])
    lr = trial.best_lr(d) * math.exp(off)
    found = [trial.score(space.run(d, lr, seed)) for seed in range(seeds)]
    return np.array([math.nan if (x := getattr(s, part)) is None else x for s in found])


@pytest.mark.parametrize("d", [None, 20])
@pytest.mark.parametrize("name", WORLDS)
def test_runs_scatter_about_the_expected_score_as_the_world_says(name, d):
    trial, world = small(name), WORLDS[name]
    found = scored(name, d)
    found = found[np.isfinite(found)]
    mean = world.baseline if d is None else float(trial.mean(d))
    if trial.hard.size:
        mean = float(world.on_rows(trial, mean).mean())
    assert abs(found.mean() - mean) < 4 * found.std() / len(found) ** 0.5
    if type(world) is worlds.World:
        noise = math.hypot(world.scatter(trial, d), world.common)
        assert found.std() == pytest.approx(noise, rel=0.15)


def test_two_humps_have_nothing_between():
    world, found = WORLDS["two humps"], scored("two humps", 10)
    high = abs(found - world.top) < 5 * world.noise
    low = abs(found - world.floor) < 5 * world.noise
    assert (high | low).all()
    assert high.any()
    assert low.any()
    assert (scored("two humps", 10, part="select")[high] > 0.8).all()


def test_two_rates_share_a_seeds_luck_and_two_d_only_where_the_world_says_so():
    def together(name, other, off=0.0):
        return np.corrcoef(scored(name, 20), scored(name, other, off))[0, 1]

    assert together("digits", 20, off=0.1) == pytest.approx(worlds.SHARED**2, abs=0.1)
    assert abs(together("digits", 21)) < 0.2
    assert together("seed effects", 21) == pytest.approx(0.5, abs=0.15)
    assert together("seed effects", None) > 0.5


def test_runs_fail_by_accident_and_more_at_high_rates():
    low, best, high = (np.isnan(scored("failures", 20, off)).mean() for off in (-2.0, 0.0, 2.0))
    assert low == pytest.approx(0.05, abs=0.04)
    assert best == pytest.approx(0.05, abs=0.04)
    assert high == pytest.approx(0.55, abs=0.1)


# --- trials ---------------------------------------------------------------------------------


def test_a_trial_is_the_same_each_time_and_another_by_number_and_world():
    one, again = (calibrate.measure("noisy", "24", 3) for _ in range(2))
    assert one == again
    crossings = {Trial(name, i).crossing for name in WORLDS for i in range(20)}
    assert len(crossings) == 20 * len(WORLDS)


@pytest.mark.parametrize("budget", ["24", "grid 3"])
def test_runs_that_are_checked_once_are_the_searchs_own(budget, monkeypatch):
    quick = calibrate.measure("failures", budget, 1)
    monkeypatch.setattr(calibrate, "Quick", Space)
    assert calibrate.measure("failures", budget, 1) == quick


def test_a_killed_calibration_goes_on_where_it_was(tmp_path, monkeypatch):
    asked = (("digits", "two humps"), ("14",), range(4))
    whole = list(calibrate.trials(tmp_path / "whole.jsonl", *asked))
    lines = (tmp_path / "whole.jsonl").read_text().splitlines()
    other = json.loads(lines[4]) | {"code": "another", "d90": 1}
    (tmp_path / "cut.jsonl").write_text(
        "\n".join([*lines[:3], json.dumps(other), lines[5], lines[6][:40]])
    )
    measured = []
    measure = calibrate.measure
    monkeypatch.setattr(calibrate, "measure", lambda *key: measured.append(key) or measure(*key))
    assert list(calibrate.trials(tmp_path / "cut.jsonl", *asked)) == whole
    assert [(world, number) for world, _, number in measured] == [
        ("digits", 3), ("two humps", 0), ("two humps", 2), ("two humps", 3)
    ]  # fmt: skip
    assert list(calibrate.trials(tmp_path / "cut.jsonl", *asked, jobs=2)) == whole
    assert len(measured) == 4


# --- the table ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "truth", "held"),
    [
        ((10, 20), 10, True), ((10, 20), 20, True), ((10, 20), 21, False), ((11, 20), 10, False),
        ((None, 20), 1, True), ((10, None), math.inf, True), ((10, 20), math.inf, False),
        ((None, None), 7, True),
    ],
)  # fmt: skip
def test_an_interval_covers_with_its_ends_and_beyond_an_open_one(ends, truth, held):
    assert cells.covers(ends, truth) is held


def made_up(**other):
    trial = {
        "world": "digits", "budget": "24", "number": 0, "runs": 24.0, "ds": 4, "d90": 100,
        "smallest": 200, "truths": {"": 100.0}, "why": "the interval over seeds is narrower than 2",
        "interval": [50, 200], "notes": ["Fewer than 2 seeds at 3."],
    }  # fmt: skip
    return trial | other


def test_a_cell_is_the_trials_arithmetic():
    found = [
        made_up(),
        made_up(d90=None, smallest=None, interval=None),
        made_up(why="all of 24 runs are spent", interval=[101, 400]),
        made_up(notes=["The scores have two humps."], truths={"": None}),
    ]
    (row,) = cells.summaries(found)
    assert row["covers"] == pytest.approx(1 / 3)
    assert row["width"] == 4.0
    assert row["d90"]["bias"] == pytest.approx(math.log(100) / 3)
    assert row["smallest"]["rms"] == pytest.approx(
        ((2 * math.log(2) ** 2 + math.log(100) ** 2) / 3) ** 0.5
    )
    assert row["none"] == 0.25
    assert row["narrower"] == {"share": 0.5, "covers": 0.5}
    assert row["spent"] == {"share": 0.25, "covers": 0.0}
    assert row["warned"] == 0.25
    assert "0.333*" in cells.line(row)
    (asked,) = cells.summaries(found, lambda note: note.startswith("Fewer"))
    assert asked["warned"] == 0.75


def test_the_table_has_a_line_for_each_truth():
    rows = cells.summaries([calibrate.measure("shared rows", "14", 0)])
    assert [row["truth"] for row in rows] == ["these rows", "all rows"]


def test_the_figure_is_drawn_where_some_have_no_error(controls, tmp_path):
    never = [calibrate.measure("never reached", "14", 0)]
    known = [controls["digits", budget] for budget in ("100", "grid 3")]
    rows = [row for found in [*known, never] for row in cells.summaries(found)]
    cells.draw(rows, tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000


# --- the controls at small size -------------------------------------------------------------


def test_no_note_of_a_control_is_a_warning(controls):
    assert not [n for found in controls.values() for t in found for n in t["notes"]
                if cells.warns(n)]  # fmt: skip


def test_intervals_cover_the_truth(controls):
    """Of 28 intervals that cover 95% each, fewer than 22 would happen once in 2,700 times."""
    rows = [cells.summaries(controls[name, "100"])[0] for name in CONTROLS]
    assert sum(row["covers"] * TRIALS for row in rows) >= 22


@pytest.mark.parametrize("name", CONTROLS)
def test_a_search_costs_an_eighth_of_the_papers_grid(name, controls):
    ours, grid = (np.mean([t["runs"] for t in controls[name, b]]) for b in ("100", "paper"))
    assert ours <= grid / 8


def test_a_search_errs_no_more_than_the_papers_reading_of_a_grid(controls):
    """The flat case is left out: so few trials say nothing of errors that large."""
    ours, grid = (
        sum(cells.summaries(controls[name, budget])[0][kind]["rms"]
            for name in ("digits", "noisy", "shallow"))
        for budget, kind in (("100", "d90"), ("grid 3", "smallest"))
    )  # fmt: skip
    assert ours < grid


def test_few_runs_are_spent_where_the_crossing_is():
    """24 runs in the control world: five d and more, and an interval within a factor of 2.5."""
    trials = [calibrate.measure("digits", "24", i) for i in range(24)]
    widths = [cells.width(t["interval"]) for t in trials]
    assert np.median(widths) <= 2.5
    assert np.median([t["ds"] for t in trials]) >= 5
    assert np.mean([cells.covers(t["interval"], t["truths"][""]) for t in trials]) >= 0.85
    near = [abs(math.log(t["d90"] / t["truths"][""])) for t in trials]
    assert np.median(near) < 0.1
