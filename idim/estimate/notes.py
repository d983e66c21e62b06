"""What a reader must know beside d90, in sentences."""

import math
from collections.abc import Sequence
from typing import Literal

from idim.estimate.records import (
    Estimate,
    Point,
    Score,
    baseline_score,
    has_line,
    is_done,
    is_failed,
    places,
    reaches,
)

Groups = dict[int | None, list[Score]]
# What scores are of: a task's evaluation rows, or what a user's own code returns, as it is or as
# its gain over the untrained model.
Scored = Literal["rows", "own", "gain"]


def explain(
    e: Estimate, groups: Groups, chance: float | None, of: Scored = "rows"
) -> tuple[str, ...]:
    """Say in sentences what a reader of d90 must know beside it."""
    every = [*([e.baseline] if isinstance(e.baseline, Point) else []), *e.points]
    notes = [
        _missing_note(e, groups, of),
        _constant_note(groups),
        _chance_note(e.line, chance),
        _edge_note(every),
        _monotone_note(e),
        _seeds_note(every),
        _outside_note(e),
        _failed_note(e, groups),
        _evaluation_note(every, of),
    ]
    return tuple(note for note in notes if note)


def _missing_note(e: Estimate, groups: Groups, of: Scored) -> str:
    score = baseline_score(e.baseline)
    if score is None:
        what = "every baseline run failed" if groups.get(None) else "no baseline run is done"
        # a gain is over an untrained model: a number says nothing of it
        way = "" if of == "gain" else "; a fixed baseline value would give one"
        return f"No line and no d90: {what}{way}."
    if not has_line(score):
        shown = f"{score:g}" if score > 0 else f"{score:.3f}"
        return f"No line and no d90: the baseline scores {shown}, and a share of that is no aim."
    return "" if e.points else "No d90: no d has a score."


def _constant_note(groups: Groups) -> str:
    found = [[r.score for r in runs if is_done(r)] for runs in groups.values()]
    values = {value for scores in found for value in scores}
    if sum(map(bool, found)) < 2 or len(values) != 1:
        return ""
    return (
        f"Every one of {sum(map(len, found))} runs scored the same, {values.pop():.6g}: as if the "
        "score did not depend on what is trained."
    )


def _chance_note(line: float | None, chance: float | None) -> str:
    if line is None or chance is None or not reaches(chance, line):
        return ""
    return (
        f"The line {line:.3f} lies at or below chance, {chance:.3f}: "
        "a constant answer passes, so d90 says nothing here."
    )


def _edge_note(every: Sequence[Point]) -> str:
    ends = (("smallest", 0), ("largest", -1))
    at = [(word, [p.d for p in every if p.edge and p.lr == p.tried[i]]) for word, i in ends]
    if not any(ds for _, ds in at):
        return ""
    where = " and ".join(f"the {word} tried at {places(ds)}" for word, ds in at if ds)
    return f"The best learning rate is {where}: a wider grid may raise the score there."


def _monotone_note(e: Estimate) -> str:
    again = [p.d for p in e.points if e.d90 and (p.d or 0) > e.d90 and not e.passes(p)]
    return f"Not monotone: below the line again at {places(again)}." if again else ""


def _seeds_note(every: Sequence[Point]) -> str:
    most = max((p.n for p in every), default=0)
    if most == 1:
        return "One seed each, so no interval: d90 may move with the seed."
    fewer = [p.d for p in every if p.n < most]
    if not fewer:
        return ""
    return f"Fewer than {most} seeds at {places(fewer)}: the interval sees less of the noise there."


def _outside_note(e: Estimate) -> str:
    low, high = e.interval
    if low is None or low <= (e.d90 or math.inf) <= (high or math.inf):
        return ""
    return "d90 lies outside its interval: other d are within the noise of seeds of the line."


def _failed_note(e: Estimate, groups: Groups) -> str:
    lost = {d: sum(is_failed(r) for r in runs) for d, runs in groups.items()}
    lost = {d: count for d, count in lost.items() if count}
    if not lost:
        return ""
    scored = {p.d for p in e.points}
    gone = [d for d in lost if d is not None and d not in scored]
    tail = f" {places(gone)} has no score at all." if gone else ""
    runs = "1 failed run is" if sum(lost.values()) == 1 else f"{sum(lost.values())} failed runs are"
    return f"{runs} left out, at {places(lost)}.{tail}"


def _evaluation_note(every: Sequence[Point], of: Scored) -> str:
    if not any(p.on_evaluation for p in every):
        return ""
    if of != "rows":
        return "Learning rates were selected by the reported score itself, which that flatters."
    return "Learning rates were selected on the evaluation set, as the papers do."
