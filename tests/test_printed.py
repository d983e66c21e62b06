"""Numbers as they are printed: which one stands where."""

from test_report import GRID, summary

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


def test_at_most_stays_at_most():
    assert tex("d90 <= 10, score >= 0.9") == r"d90 $\le$ 10, score $\ge$ 0.9"
    assert signs("d90 &lt;= 10, score &gt;= 0.9") == "d90 ≤ 10, score ≥ 0.9"
