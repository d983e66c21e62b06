"""Which score is asked for: the papers' share of full training, or of its gain over a floor."""

import math

import pytest

from idim.estimate import Estimate, Score, estimate
from idim.results import parts

RISE = {10: [0.55, 0.57], 40: [0.69, 0.71], 160: [0.79, 0.81], 640: [0.87, 0.89]}
FULL = [0.89, 0.91]


def table(
    full: list[float], points: dict[int, list[float]], untrained: list[float | None] = ()
) -> list[Score]:
    """Make the scores of a sweep; `untrained` are those of runs that train nothing."""
    rows = [Score(None, 0.1, i, 5000, None, s) for i, s in enumerate(full)]
    rows += [Score(0, 0.001, i, 0, None, s) for i, s in enumerate(untrained)]
    return rows + [
        Score(d, 0.1, i, d, None, s) for d, ss in points.items() for i, s in enumerate(ss)
    ]


def noted(found: Estimate, words: str) -> bool:
    return any(words in note for note in found.notes)


LINES = [
    # chance, untrained, given, floor, the papers' line, the gain's line at full = 0.9
    (None, [], "own", None, 0.81, None),
    (0.5, [], "own", 0.5, 0.81, 0.86),
    (0.5, [0.48, 0.50], "own", 0.5, 0.81, 0.86),
    (0.5, [0.60, 0.60], "own", 0.6, 0.81, 0.87),
    (None, [0.60, 0.60], "own", 0.6, 0.81, 0.87),
    (0.5, [None, 0.60], "own", 0.6, 0.81, 0.87),
    (0.5, [None, None], "own", 0.5, 0.81, 0.86),
    (0.5, [0.60, 0.60], 0.7, 0.7, 0.81, 0.88),
    (-0.1, [], "own", -0.1, 0.81, 0.80),
]


@pytest.mark.parametrize(("chance", "untrained", "given", "floor", "papers", "gain"), LINES)
@pytest.mark.parametrize("target", ["papers", "gain"])
def test_a_line_lies_where_it_is_defined(chance, untrained, given, floor, papers, gain, target):
    """A table of floors: the better of what is known, or what was given."""
    found = estimate(table(FULL, RISE, untrained), target=target, floor=given, chance=chance)
    near = pytest.approx
    assert found.floor == (None if floor is None else near(floor))
    assert found.papers.line == near(papers)
    assert (found.gain and found.gain.line) == (None if gain is None else near(gain))
    assert found.line == (None if target == "gain" and gain is None else near(
        papers if target == "papers" else gain))  # fmt: skip
    # the asked one is the same reading as beside it, and 90% is among the shares
    beside = found.papers if target == "papers" else found.gain
    if found.line is None:
        assert found.readings == {}
        assert noted(found, "No line and no gain d90: neither a constant answer's score nor the")
    else:
        assert beside.fit == found.fit == found.readings["d90"].fit
        assert beside.smallest == found.smallest.d


def test_both_lines_are_told_whichever_is_asked_for():
    by = {t: estimate(table(FULL, RISE), target=t, chance=0.5) for t in ("papers", "gain")}
    assert by["papers"].gain == by["gain"].gain
    assert by["papers"].papers == by["gain"].papers
    told = {t: parts(found) for t, found in by.items()}
    # of a papers' sweep its line is the summary's own
    assert (told["papers"]["papers"], told["gain"]["papers"].d) == (None, told["papers"]["d90"])
    assert told["papers"]["gain"].d == told["gain"]["d90"]


def test_a_gain_does_not_change_with_where_scores_begin():
    """The property by which it is one line: scores + c over a floor + c cross at the same d."""
    found = []
    for shift in (0.0, -0.3, 0.05):
        moved = {d: [s + shift for s in ss] for d, ss in RISE.items()}
        full = [s + shift for s in FULL]
        told = estimate(table(full, moved), target="gain", chance=0.5 + shift)
        found.append((told.fit.d, told.fit.interval))
    # 0.86 is three quarters of the way from 0.80 to 0.88, in log d
    assert found == [(math.ceil(160 * 4**0.75), found[0][1])] * 3


SURE = [
    # full, chance, untrained, rows, whether the gain is more than two standard errors
    ([0.52, 0.52], 0.5, [], None, True),
    ([0.50, 0.54], 0.5, [], None, False),  # seeds: 0.020
    ([0.52, 0.52], 0.5, [], 2000, False),  # rows: 0.011
    ([0.53, 0.53], 0.5, [], 2000, True),
    ([0.53, 0.53], 0.5, [], 400, False),
    ([0.56, 0.56], 0.5, [0.53, 0.53], 4000, True),
    ([0.55, 0.55], 0.5, [0.53, 0.53], 4000, False),  # rows of both: 0.011
    ([0.60, 0.60], 0.5, [0.50, 0.60], None, False),  # seeds of the untrained: 0.050
    ([0.50, 0.50], 0.5, [], None, False),
    ([0.45, 0.45], 0.5, [], None, False),
]


@pytest.mark.parametrize(("full", "chance", "untrained", "rows", "is_sure"), SURE)
def test_a_gain_within_two_standard_errors_is_no_aim(full, chance, untrained, rows, is_sure):
    points = {10: [full[0] - 0.01, full[1]], 20: full}
    scores = table(full, points, untrained)
    found = estimate(scores, target="gain", chance=chance, rows=rows)
    assert (found.line is not None) == is_sure
    assert (found.fit.at is not None) == is_sure
    assert noted(found, "No line and no gain d90: the baseline, ") != is_sure
    told = estimate(scores, chance=chance, rows=rows)
    assert (told.gain is not None) == is_sure
    assert told.line is not None


def test_a_fixed_baseline_gains_over_the_floor_without_an_error_of_its_own():
    scores = table([], RISE)
    found = estimate(scores, baseline=0.93, target="gain", threshold=0.8, chance=0.5, rows=10)
    assert found.line == pytest.approx(0.5 + 0.8 * 0.43)
    assert estimate(scores, baseline=0.5, target="gain", chance=0.5).line is None


WARNED = [
    # chance, untrained, the note of a papers' sweep whose full scores 0.9, line 0.81
    (0.5, [], ""),
    (0.71, [], ""),
    (0.73, [], "The line 0.810 asks for 47% of the way from chance, 0.730, to the baseline, 0.900"),
    (0.5, [0.8, 0.8], "asks for 10% of the way from the untrained model, 0.800, to the baseline"),
    (0.5, [0.8, 0.8], "d90 is of a small part of what fine-tuning does; target gain asks for 90%."),
    (0.82, [], "lies at or below chance, 0.820: a constant answer passes"),
    (0.5, [0.82, 0.82], "lies at or below the untrained model, 0.820: it passes without training"),
]


@pytest.mark.parametrize(("chance", "untrained", "words"), WARNED)
def test_a_papers_line_near_what_needs_no_training_is_told(chance, untrained, words):
    found = estimate(table(FULL, RISE, untrained), chance=chance)
    assert noted(found, words) if words else not noted(found, "asks for")
    asked = estimate(table(FULL, RISE, untrained), chance=chance, target="gain")
    assert not noted(asked, "asks for")
    assert not noted(asked, "passes")
