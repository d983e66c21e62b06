"""The estimate itself: line, d90 with its interval, the papers' reading, notes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

from idim.config import Aim
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
    is_done,
    reaches,
)
from idim.estimate.rows import Credits, Seen
from idim.estimate.success import success
from idim.estimate.target import Asked, floor_of


def estimate(
    scores: Iterable[Score],
    *,
    threshold: float = 0.9,
    baseline: Literal["own"] | float = "own",
    target: Aim = "papers",
    floor: Literal["own"] | float = "own",
    chance: float | None = None,
    rows: int | None = None,
    of: Scored = "rows",
    letter: str = "d",
    credits: Credits | None = None,
) -> Estimate:
    """Estimate d90: where the curve of mean scores crosses a line.

    The line is threshold * baseline, as the papers ask, or as far of the baseline's gain: floor +
    threshold * (baseline - floor), where the floor is the better of the best constant answer and
    the untrained model.  A gain is an aim only where the baseline lies above the floor by more than
    two standard errors.

    The learning rate is selected at each d, and for the baseline, as the one with the highest
    mean `select` over seeds (mean `score` when any finished run there has no `select`); ties go
    to the smaller.  There a failed run, a score that is not finite and a seed that another rate
    has finished count as nothing learned, 0 or the floor where that is less: no failure is
    rewarded, and yet a rate that learns beats one that does not.
    From the mean at the selected rate failed runs are absent, never 0.

    The curve is the rising one that fits all points best (`fit`), its 95% interval holds the noise
    of seeds, of the baseline's too; the selected learning rates are kept, so it does not hold that
    of the selection, nor the floor's, of which a line moves by 1 - threshold.  Beside it stands the
    papers' reading, the smallest d tried that passes: it depends on which d were tried, and noise
    draws it up or down by a whole step of them.

    Args:
        scores: one entry a run, in any order.
        threshold: share of the baseline, or of its gain, that counts as solved.
        baseline: "own" for the mean of the runs with `d=None`, or a fixed score.
        target: which line.
        floor: "own" for the better of `chance` and the mean of the runs with `d=0`, or a score.
        chance: score of the best constant prediction, to warn of a line that it reaches.
        rows: how many evaluation rows an accuracy was counted on.
        of: what the scores are of, for the notes.
        letter: what the size of the method is called there.
        credits: what each evaluation row adds to a run's score, by (d, lr, seed): (rows,), of
            mean the score; None where it is not known.  With it the interval is of d90 on other
            rows of the same kind, without it of d90 on these.

    Raises:
        IdimError: two different results for one d, learning rate and seed; a threshold that is no
            share; scores beyond what a float32 holds, whose squares no float does.

    Source:
        Aghajanyan et al. 2020 (the papers' line, and the smallest d that reaches it).

    >>> runs = [Score(None, 0.1, 0, 1000, None, 0.9), Score(10, 0.1, 0, 10, None, 0.6)]
    >>> found = estimate([*runs, Score(20, 0.1, 0, 20, None, 0.85)])
    >>> found.fit.d, found.fit.interval, found.smallest
    (18, None, Smallest(d=20, bracket=(10, 20)))
    """
    scores = list(scores)
    _refuse_beyond(scores, threshold, (baseline, floor, "own" if chance is None else chance))
    groups = by_d(scores)
    untrained = point(groups.pop(0, []))
    given = None if floor == "own" else float(floor)
    asked = Asked(target, threshold, floor_of(given, chance, untrained, rows), rows)
    if baseline == "own":
        base = point(groups.get(None, []), asked.nothing)
    else:
        base = float(baseline)
        groups.pop(None, None)
    every = (point(groups[d], asked.nothing) for d in sorted(d for d in groups if d is not None))
    points = tuple(p for p in every if p is not None)
    line, goal = asked.line(target, base), asked.target(target)
    seen = None if credits is None else _seen(groups, (base, *points), credits)
    smallest, monotone = _smallest(points, line)
    read_at = partial(_reading, asked, base, points, seen)
    found = Estimate(
        baseline=base, threshold=threshold, target=target, untrained=untrained,
        floor=asked.floor and asked.floor.score, line=line, points=points, notes=(),
        fit=fit(None if line is None else base, points, goal or Target(threshold), seen),
        smallest=smallest, monotone=monotone,
        readings={} if line is None or goal is None else _readings(base, points, goal, seen),
        papers=read_at("papers"), gain=read_at("gain"),
        success=success(points, line),
    )  # fmt: skip
    return replace(found, notes=explain(found, groups, asked, chance, of, letter))


def _refuse_beyond(scores: list[Score], threshold: float, given: Iterable[str | float]) -> None:
    refuse_no_share(threshold)
    if small := [s.d for s in scores if s.d is not None and s.d < 0]:
        raise IdimError(f"d must be 0 (the untrained model) or more, got {small[0]}.")
    found = [s.score for s in scores if s.score is not None and is_done(s)]
    for value in (*found, *(float(value) for value in given if value != "own")):
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
    base: Point | float | None, points: Sequence[Point], goal: Target, seen: Seen | None
) -> dict[str, Reading]:
    found = {f"d{100 * s:g}": read(base, points, replace(goal, share=s), seen) for s in SHARES}
    return {name: reading for name, reading in found.items() if reading is not None}


def _reading(
    asked: Asked, base: Point | float | None, points: Sequence[Point], seen: Seen | None, aim: Aim
) -> Reading | None:
    goal = asked.target(aim)
    return None if goal is None or asked.line(aim, base) is None else read(base, points, goal, seen)


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
