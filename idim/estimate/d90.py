"""The estimate itself: line, d90 and bracket, put together with interval and notes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from idim.config.checks import SHARE
from idim.errors import IdimError
from idim.estimate.bootstrap import seed_interval
from idim.estimate.fit import SHARES, Target, fit, read
from idim.estimate.notes import Scored, explain
from idim.estimate.points import by_d, point
from idim.estimate.records import (
    LARGEST,
    Ends,
    Estimate,
    Point,
    Reading,
    Score,
    baseline_score,
    has_line,
    is_done,
    reaches,
)
from idim.estimate.success import success


def estimate(
    scores: Iterable[Score],
    *,
    threshold: float = 0.9,
    baseline: Literal["own"] | float = "own",
    chance: float | None = None,
    of: Scored = "rows",
) -> Estimate:
    """Estimate d90: the smallest d tried whose mean score is at least threshold * baseline.

    The learning rate is selected at each d, and for the baseline, as the one with the highest
    mean `select` over seeds (mean `score` when any finished run there has no `select`); ties go
    to the smaller.  Only the learning rates with the most finished seeds compete, so one that
    lost a seed can win only where no other kept them all: a failed run is never rewarded.
    Failed runs, and scores that are not finite, are absent from means, never 0.

    The interval is a 95% percentile bootstrap: the seeds of the baseline and of each d are
    resampled on their own, and line and d90 computed anew.  The selected learning rates are
    kept, so the interval holds the noise of seeds, not that of the selection.

    Beside this, the papers' protocol, the fit reads the same line off a monotone curve through
    all points, with an interval that does not depend on which d happened to be tried first.

    Args:
        scores: one entry a run, in any order.
        threshold: share of the baseline that counts as solved.
        baseline: "own" for the mean of the runs with `d=None`, or a fixed score.
        chance: score of the best constant prediction, to warn of a line that it reaches.
        of: what the scores are of, for the notes.

    Raises:
        IdimError: two different results for one d, learning rate and seed; a threshold that is no
            share; scores beyond what a float32 holds, whose squares no float does.

    Source:
        Aghajanyan et al. 2020 (the rule); the code of Li et al. 2018 (bootstrap over runs).

    >>> runs = [Score(None, 0.1, 0, 1000, None, 0.9), Score(10, 0.1, 0, 10, None, 0.6)]
    >>> found = estimate([*runs, Score(20, 0.1, 0, 20, None, 0.85)])
    >>> found.d90, found.bracket, found.interval
    (20, (10, 20), (None, None))
    """
    scores = list(scores)
    _refuse_beyond(scores, threshold, baseline)
    groups = by_d(scores)
    if baseline == "own":
        base = point(groups.get(None, []))
    else:
        base = float(baseline)
        groups.pop(None, None)
    found = (point(groups[d]) for d in sorted(d for d in groups if d is not None))
    points = tuple(p for p in found if p is not None)
    line = _line(baseline_score(base), threshold)
    d90, over, bracket, monotone = _smallest(points, line)
    interval, method = seed_interval(base, points, threshold, line)
    partial = Estimate(
        baseline=base, threshold=threshold, line=line, d90=d90, d90_over=over, bracket=bracket,
        interval=interval, interval_method=method, points=points, monotone=monotone, notes=(),
        fit=fit(base if line is not None else None, points, Target(threshold)),
        readings=_readings(base, points),
        chance_adjusted=None if chance is None else read(base, points, Target(threshold, chance)),
        success=success(points, line),
    )  # fmt: skip
    return replace(partial, notes=explain(partial, groups, chance, of))


def _refuse_beyond(scores: list[Score], threshold: float, baseline: str | float) -> None:
    if problem := SHARE.problem("threshold", threshold):
        raise IdimError(f"{problem}.")
    found = [s.score for s in scores if s.score is not None and is_done(s)]
    for value in (*found, *(() if baseline == "own" else (float(baseline),))):
        if not abs(value) <= LARGEST:
            raise IdimError(f"a score of {value:g} is out of range; at most {LARGEST:.2g}.")


def _readings(base: Point | float | None, points: Sequence[Point]) -> dict[str, Reading]:
    found = {f"d{100 * share:g}": read(base, points, Target(share)) for share in SHARES}
    return {name: reading for name, reading in found.items() if reading is not None}


def _line(reference: float | None, threshold: float) -> float | None:
    # A share of a score at or below 0 is no harder to reach than that score: it asks for nothing.
    return threshold * reference if reference is not None and has_line(reference) else None


def _smallest(
    points: Sequence[Point], line: float | None
) -> tuple[int | None, int | None, Ends, bool]:
    """Return d90, d90_over, the bracket, and whether every larger d passes too."""
    if line is None or not points:
        return None, None, (None, None), True
    ds = [p.d for p in points]
    passed = [reaches(p.mean, line) for p in points]
    if not any(passed):
        return None, ds[-1], (ds[-1], None), True
    first = passed.index(True)
    return ds[first], None, (ds[first - 1] if first else None, ds[first]), all(passed[first:])
