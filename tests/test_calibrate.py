"""The calibration script at small size: intervals that cover, at an eighth of the grid's cost."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import calibrate

TRIALS = 12


@pytest.fixture(scope="module")
def rows():
    return {(r["case"], r["search"]): r for r in calibrate.calibrate(TRIALS)}


def test_intervals_cover_the_truth(rows):
    """Of 48 intervals that cover 95% each, fewer than 41 would happen once in 500 times."""
    covered = [rows[case, "adaptive"]["coverage"][0] * TRIALS for case in calibrate.CASES]
    assert sum(covered) >= 41


@pytest.mark.parametrize("case", calibrate.CASES)
def test_a_search_costs_an_eighth_of_the_grid(case, rows):
    assert rows[case, "adaptive"]["runs"] <= rows[case, "grid"]["runs"] / 8


def test_a_search_errs_no_more_than_the_papers_reading_of_the_grid(rows):
    """The flat case is left out: so few trials say nothing of errors that large."""
    ours, grid = (
        sum(rows[case, name]["rms"][column] for case in ("digits", "noisy", "shallow"))
        for name, column in (("adaptive", 0), ("grid", 1))
    )
    assert ours < grid


def test_the_same_trial_gives_the_same_search():
    one, two = (calibrate.trial("digits", "adaptive", 3, {}) for _ in range(2))
    assert one == two


def test_the_plot_is_drawn(rows, tmp_path):
    calibrate.draw(list(rows.values()), tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000
