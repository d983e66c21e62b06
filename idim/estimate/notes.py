"""What a reader must know beside d90, in sentences."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal, Self

from idim.estimate.records import (
    Estimate,
    Point,
    Score,
    baseline_score,
    is_done,
    is_failed,
    places,
    reaches,
    symbol,
)
from idim.estimate.target import Asked
from idim.plain import number

Groups = dict[int | None, list[Score]]
# Names sizes.
At = Callable[[Iterable[int | None]], str]
# Seeds at one d this share of the way from chance to the baseline apart are told of.
APART = 0.25
# A line that asks for less of the way from chance, or the untrained model, to the baseline is told
# of.
HALF = 0.5
# What scores are of: a task's evaluation rows, or what a user's own code returns, as it is or as
# its gain over the untrained model.
Scored = Literal["rows", "own", "gain"]


class Usual(str):
    """A note that most sweeps have, and what a table says of it in a few words.

    It is a plain text to whatever writes it down.
    """

    short: str

    def __new__(cls, text: str, short: str) -> Self:
        """Make it of both."""
        made = super().__new__(cls, text)
        made.short = short
        return made


def explain(
    e: Estimate, groups: Groups, asked: Asked, chance: float | None, of: Scored, letter: str
) -> tuple[str, ...]:
    """Say in sentences what a reader of d90 must know beside it; `letter` is a size's name."""
    name, at = symbol(e.threshold, letter, e.target), partial(places, letter=letter)
    every = [*([e.baseline] if isinstance(e.baseline, Point) else []), *e.points]
    notes = [
        _missing_note(e, groups, asked, of, name, letter),
        _constant_note(groups),
        _floor_note(e, asked, name),
        _edge_note(every, at),
        _monotone_note(e, at),
        _seeds_note(every, name, at),
        _humps_note(e, chance, at),
        _failed_note(e, groups, at),
        _evaluation_note(every, of),
    ]
    return tuple(note for note in notes if note)


def _missing_note(
    e: Estimate, groups: Groups, asked: Asked, of: Scored, name: str, letter: str
) -> str:
    score = baseline_score(e.baseline)
    if score is None:
        what = "every baseline run failed" if groups.get(None) else "no baseline run is done"
        # a gain is over an untrained model: a number says nothing of it
        way = "" if of == "gain" else "; a fixed baseline value would give one"
        return f"No line and no {name}: {what}{way}."
    if why := asked.why_none(e.target, e.baseline):
        return f"No line and no {name}: {why}."
    return "" if e.points else f"No {name}: no {letter} has a score."


def _constant_note(groups: Groups) -> str:
    found = [[r.score for r in runs if is_done(r)] for runs in groups.values()]
    values = {value for scores in found for value in scores}
    if sum(map(bool, found)) < 2 or len(values) != 1:
        return ""
    return (
        f"Every one of {sum(map(len, found))} runs scored the same, {values.pop():.6g}: as if the "
        "score did not depend on what is trained."
    )


def _floor_note(e: Estimate, asked: Asked, name: str) -> str:
    """Tell of a papers' line that lies near what needs no training; a gain's never does."""
    score, floor = baseline_score(e.baseline), asked.floor
    if e.target == "gain" or e.line is None or score is None or floor is None:
        return ""
    if floor.of == "given":
        return ""
    is_constant = floor.of == "constant"
    line, full = number(e.line, score), number(score)
    what = f"{'chance' if is_constant else 'the untrained model'}, {number(floor.score, score)}"
    if reaches(floor.score, e.line):
        who = "a constant answer passes" if is_constant else "it passes without training"
        return f"The line {line} lies at or below {what}: {who}, so {name} says nothing here."
    if why := asked.why_none("gain", e.baseline):
        return f"Full training gains nothing that is sure: {why}."
    share = (e.line - floor.score) / (score - floor.score)
    if share >= HALF:
        return ""
    return (
        f"The line {line} asks for {share:.0%} of the way from {what}, to the baseline, "
        f"{full}: {name} is of a small part of what fine-tuning does; target gain asks for "
        f"{e.threshold:.0%}."
    )


def _edge_note(every: Sequence[Point], at: At) -> str:
    ends = (("smallest", 0), ("largest", -1))
    where = [(word, [p.d for p in every if p.edge and p.lr == p.tried[i]]) for word, i in ends]
    if not any(ds for _, ds in where):
        return ""
    said = " and ".join(f"the {word} tried at {at(ds)}" for word, ds in where if ds)
    return Usual(
        f"The best learning rate is {said}: a wider grid may raise the score there.",
        short=f"best learning rate the {said.removeprefix('the ')}",
    )


def _monotone_note(e: Estimate, at: At) -> str:
    first = e.smallest.d
    again = [p.d for p in e.points if first and (p.d or 0) > first and not e.passes(p)]
    return f"Not monotone: below the line again at {at(again)}." if again else ""


def _seeds_note(every: Sequence[Point], name: str, at: At) -> str:
    most = max((p.n for p in every), default=0)
    if most == 1:
        return f"One seed each, so no interval: {name} may move with the seed."
    fewer = [p.d for p in every if p.n < most]
    if not fewer:
        return ""
    few = f"ewer than {most} seeds at {at(fewer)}"
    return Usual(f"F{few}: the interval sees less of the noise there.", short=f"f{few}")


def _humps_note(e: Estimate, chance: float | None, at: At) -> str:
    """Tell of seeds that succeed beside others that fail; a few that agree then say too little."""
    score = baseline_score(e.baseline)
    scores = [s for p in e.points for s in p.scores]
    if e.line is None or score is None or not scores:
        return ""
    # no score of chance is known: of losses, gains and the like nothing learned is 0
    way = score - (min(0.0, *scores) if chance is None else chance)
    apart = [p.d for p in e.points if max(p.scores) - min(p.scores) >= APART * way > 0]
    if not apart:
        return ""
    return (
        f"Seeds lie far apart at {at(apart)}, as where some runs learn what others do not: with "
        "few seeds the interval may then be too narrow."
    )


def _failed_note(e: Estimate, groups: Groups, at: At) -> str:
    lost = {d: sum(is_failed(r) for r in runs) for d, runs in groups.items()}
    lost = {d: count for d, count in lost.items() if count}
    if not lost:
        return ""
    scored = {p.d for p in e.points}
    gone = [d for d in lost if d is not None and d not in scored]
    tail = f" {at(gone)} {'has' if len(gone) == 1 else 'have'} no score at all." if gone else ""
    runs = "1 failed run is" if sum(lost.values()) == 1 else f"{sum(lost.values())} failed runs are"
    return f"{runs} left out, at {at(lost)}.{tail}"


def _evaluation_note(every: Sequence[Point], of: Scored) -> str:
    if not any(p.on_evaluation for p in every):
        return ""
    if of != "rows":
        return "Learning rates were selected by the reported score itself, which that flatters."
    return "Learning rates were selected on the evaluation set, as the papers do."
