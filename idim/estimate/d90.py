"""The estimate itself: line, d90 with its interval, the papers' reading, notes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from idim.config.checks import refuse_no_share
from idim.errors import IdimError
from idim.estimate.fit import SHARES, Target, fit, read
from idim.estimate.notes import Scored, explain
from idim.estimate.points import by_d, point
from idim.estimate.records import (
    LARGEST,
    Estimate,
    Point,
    Reading,
    Score,
    Smallest,
    baseline_score,
    has_line,
    is_done,
    reaches,
)
from idim.estimate.rows import Credits, Seen
from idim.estimate.success import success


def estimate(
    scores: Iterable[Score],
    *,
    threshold: float = 0.9,
    baseline: Literal["own"] | float = "own",
    chance: float | None = None,
    of: Scored = "rows",
    letter: str = "d",
    credits: Credits | None = None,
) -> Estimate:
    """Estimate d90: where the curve of mean scores crosses threshold * baseline.

    The learning rate is selected at each d, and for the baseline, as the one with the highest
    mean `select` over seeds (mean `score` when any finished run there has no `select`); ties go
    to the smaller.  Only the learning rates with the most finished seeds compete, so one that
    lost a seed can win only where no other kept them all: a failed run is never rewarded.
    Failed runs, and scores that are not finite, are absent from means, never 0.

    The curve is the rising one that fits all points best (`fit`), its 95% interval holds the noise
    of seeds, of the baseline's too; the selected learning rates are kept, so it does not hold that
    of the selection.  Beside it stands the papers' reading, the smallest d tried that passes: it
    depends on which d were tried, and noise draws it up or down by a whole step of them.

    Args:
        scores: one entry a run, in any order.
        threshold: share of the baseline that counts as solved.
        baseline: "own" for the mean of the runs with `d=None`, or a fixed score.
        chance: score of the best constant prediction, to warn of a line that it reaches.
        of: what the scores are of, for the notes.
        letter: what the size of the method is called there.
        credits: what each evaluation row adds to a run's score, by (d, lr, seed): (rows,), of
            mean the score; None where it is not known.  With it the interval is of d90 on other
            rows of the same kind, without it of d90 on these.

    Raises:
        IdimError: two different results for one d, learning rate and seed; a threshold that is no
            share; scores beyond what a float32 holds, whose squares no float does.

    Source:
        Aghajanyan et al. 2020 (the line, and the smallest d that reaches it).

    >>> runs = [Score(None, 0.1, 0, 1000, None, 0.9), Score(10, 0.1, 0, 10, None, 0.6)]
    >>> found = estimate([*runs, Score(20, 0.1, 0, 20, None, 0.85)])
    >>> found.fit.d, found.fit.interval, found.smallest
    (18, None, Smallest(d=20, bracket=(10, 20)))
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
    seen = None if credits is None else _seen(groups, (base, *points), credits)
    smallest, monotone = _smallest(points, line)
    partial = Estimate(
        baseline=base, threshold=threshold, line=line, points=points, notes=(),
        fit=fit(base if line is not None else None, points, Target(threshold), seen),
        smallest=smallest, monotone=monotone,
        readings=_readings(base, points, seen),
        chance_adjusted=None
        if chance is None
        else read(base, points, Target(threshold, chance), seen),
        success=success(points, line),
    )  # fmt: skip
    return replace(partial, notes=explain(partial, groups, chance, of, letter))


def _refuse_beyond(scores: list[Score], threshold: float, baseline: str | float) -> None:
    refuse_no_share(threshold)
    if small := [s.d for s in scores if s.d is not None and s.d < 1]:
        raise IdimError(f"d must be 1 or more, got {small[0]}.")
    found = [s.score for s in scores if s.score is not None and is_done(s)]
    for value in (*found, *(() if baseline == "own" else (float(baseline),))):
        if not abs(value) <= LARGEST:
            raise IdimError(f"a score of {value:g} is out of range; at most {LARGEST:.2g}.")


def _seen(
    groups: dict[int | None, list[Score]], every: Iterable[Point | float | None], credits: Credits
) -> Seen:
    chosen = {p.d: p.lr for p in every if isinstance(p, Point)}

    @cache
    def seen(d: int | None) -> Any:
        import numpy as np

        runs = [r for r in groups.get(d, ()) if r.lr == chosen.get(d) and is_done(r)]
        found = [credits(r.d, r.lr, r.seed) for r in runs]
        known = [c for c in found if c is not None]
        if not found or len(known) < len(found) or len({len(c) for c in known}) > 1:
            return None
        return np.stack(known)

    return seen


def _readings(
    base: Point | float | None, points: Sequence[Point], seen: Seen | None
) -> dict[str, Reading]:
    found = {f"d{100 * share:g}": read(base, points, Target(share), seen) for share in SHARES}
    return {name: reading for name, reading in found.items() if reading is not None}


def _line(reference: float | None, threshold: float) -> float | None:
    # A share of a score at or below 0 is no harder to reach than that score: it asks for nothing.
    return threshold * reference if reference is not None and has_line(reference) else None


def _smallest(points: Sequence[Point], line: float | None) -> tuple[Smallest, bool]:
    """Return the smallest d that passes, and whether every larger one passes too."""
    if line is None or not points:
        return Smallest(None, (None, None)), True
    ds = [p.d for p in points]
    passed = [reaches(p.mean, line) for p in points]
    if not any(passed):
        return Smallest(None, (ds[-1], None)), True
    first = passed.index(True)
    bracket = (ds[first - 1] if first else None, ds[first])
    return Smallest(ds[first], bracket), all(passed[first:])
