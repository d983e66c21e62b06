"""Numbers as they are printed: which one stands where."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report import GRID, RISE, summary

from idim.plain import number
from idim.report import table
from idim.report.formats import _html_table as html_table
from idim.report.formats import _signs as signs
from idim.report.formats import _tex as tex
from idim.results import Runs, Search


def test_steps_saved_are_told_of_all_that_would_have_been_done():
    told = summary(
        search=Search(strategy="adaptive", done=True, why="spent", steps=3820, steps_saved=260),
        runs=Runs(total=24, done=22, failed=0, diverged=0, stopped_early=2),
    )
    words = "search: 22 runs and 2 stopped early, which saved 260 of 4,080 steps; spent"
    assert words in table.state(told)


def test_the_best_of_those_that_fail_is_the_best_and_not_the_last():
    means = [0.6] * len(GRID)
    means[4] = 0.7
    assert "best 0.700 at d=207" in table.verdict(summary(means=means, chance=0.5, seeds=1))


def test_the_row_that_is_marked_is_the_one_of_d90():
    rows = (("d",), ("baseline",), ("10",), ("207",), ("316",))
    lines = html_table(rows, "points", 3).splitlines()
    assert [line for line in lines if "found" in line] == ['<tr class="found"><td>207</td></tr>']


@given(st.floats(1e-320, 1e300), st.sampled_from([1, -1]))
def test_a_number_is_as_exact_whatever_its_size(size, sign):
    said = float(number(sign * size).replace(",", ""))
    assert math.isclose(said, sign * size, rel_tol=0.006)
    # one scale, one exactness: of two numbers the larger is never written as the smaller
    assert float(number(size / 2, size).replace(",", "")) <= abs(said)


@given(st.floats(-9.999, 9.999), st.floats(0.1, 9.999))
def test_scores_of_a_usual_scale_have_three_digits(value, scale):
    assert number(value, scale) == f"{value:.3f}"


@pytest.mark.parametrize("size", [1e-9, 1e-5, 1e-3, 1.0, 1e3, 1e5, 1e9])
def test_what_is_printed_of_a_sweep_is_the_same_at_any_scale_of_its_scores(size):
    """No score of another size than 1 is printed as 0.000, and none by a dozen digits."""
    found = summary(means=[size * m for m in RISE], base=size * 0.88, noise=size * 0.01,
                    lost=size, chance=size * 0.684)  # fmt: skip
    plain = table.text(summary())
    said = table.text(found)
    assert [len(row) for row in table.rows(found)] == [6] * 12
    means = [row[3] for row in table.rows(found)[1:]]
    assert len({len(m) for m in means}) == 1
    values = [float(m.split(" ± ")[0].replace(",", "")) for m in means]
    assert values == pytest.approx([size * m for m in (0.88, *RISE)], rel=2e-3)
    assert not re.search(r"[0-9.,]{11}", said.replace("22,713,986", ""))
    assert said.count("\n") == plain.count("\n")


def test_at_most_stays_at_most():
    assert tex("d90 <= 10, score >= 0.9") == r"d90 $\le$ 10, score $\ge$ 0.9"
    assert signs("d90 &lt;= 10, score &gt;= 0.9") == "d90 ≤ 10, score ≥ 0.9"
