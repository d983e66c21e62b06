"""Which score is asked for: the papers' share of full training, or a share of its gain; pure."""

import math
from dataclasses import dataclass
from typing import Literal

from idim.config import Aim
from idim.estimate.fit import Target
from idim.estimate.records import Point, baseline_score, has_line
from idim.plain import number

# What a gain counts from is a constant answer, the untrained model, or a score that was given.
Source = Literal["constant", "untrained", "given"]
# Full training must lie so many standard errors above what a gain counts from.
SURE = 2.0


@dataclass(frozen=True, slots=True)
class Floor:
    """What a gain counts from."""

    score: float
    of: Source
    # Of the score, over seeds and over evaluation rows.
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and what is known of it before any d is tried."""

    aim: Aim
    share: float
    # None: nothing that a gain could count from is known.
    floor: Floor | None
    # Rows that an accuracy was counted on; None: they are not known, or the score is no accuracy.
    rows: int | None = None

    @property
    def nothing(self) -> float:
        """The score of a run that has learned nothing: 0, or the floor where that is less."""
        return 0.0 if self.floor is None else min(0.0, self.floor.score)

    def target(self, aim: Aim) -> Target | None:
        """Return a line as a function of the baseline's score; None: there is no floor for it."""
        if aim == "papers":
            return Target(self.share)
        return None if self.floor is None else Target(self.share, self.floor.score)

    def line(self, aim: Aim, base: Point | float | None) -> float | None:
        """Return the score that is asked for; None where it is no aim, as `why_none` says."""
        score, target = baseline_score(base), self.target(aim)
        if score is None or target is None or self.why_none(aim, base):
            return None
        return target.at(score)

    def why_none(self, aim: Aim, base: Point | float | None) -> str:
        """Say why there is no such line, in a clause; empty: there is one, or no baseline yet."""
        score = baseline_score(base)
        if score is None:
            return ""
        if aim == "papers":
            shown = number(score)
            why = f"the baseline scores {shown}, and a share of that is no aim"
            return "" if has_line(score) else why
        if self.floor is None:
            return "neither a constant answer's score nor the untrained model's is known"
        gain, error = (
            score - self.floor.score,
            math.hypot(error_of(base, self.rows), self.floor.error),
        )
        # a score and one that it is compared with may differ by rounding alone
        if has_line(gain) and gain > SURE * error:
            return ""
        return (
            f"the baseline, {number(score)}, is not {SURE:g} standard errors "
            f"(of {number(error, score)}) above "
            f"{named(self.floor)}"
        )


def floor_of(
    given: float | None, chance: float | None, untrained: Point | None, rows: int | None = None
) -> Floor | None:
    """Return what a gain counts from: a score that was given, or the better of two that are known.

    Args:
        given: by the user; None: nothing was.
        chance: score of the best constant answer.
        untrained: the runs that train nothing.
        rows: as of `Asked`.
    """
    if given is not None:
        return Floor(given, "given")
    known = [] if chance is None else [Floor(chance, "constant")]
    if untrained is not None:
        known.append(Floor(untrained.mean, "untrained", error_of(untrained, rows)))
    return max(known, key=lambda floor: floor.score, default=None)


def error_of(base: Point | float | None, rows: int | None) -> float:
    """Return the standard error of a mean score: of its seeds, and of the rows of an accuracy.

    All seeds are scored on the same rows, so more of them do not make the rows' part smaller; 0 of
    a score that was given.
    """
    if not isinstance(base, Point):
        return 0.0
    seeds = (base.std or 0.0) / math.sqrt(base.n)
    p = min(max(base.mean, 0.0), 1.0)
    return math.hypot(seeds, math.sqrt(p * (1 - p) / rows) if rows else 0.0)


def named(floor: Floor) -> str:
    """Name what a gain counts from with its score: "a constant answer, 0.500"."""
    what = {
        "constant": "a constant answer",
        "untrained": "the untrained model",
        "given": "the floor",
    }
    return f"{what[floor.of]}, {number(floor.score)}"
