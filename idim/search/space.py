"""The runs a sweep may make, and the scale of their learning rates."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from idim.config import RunSpec, Setup, SweepSpec
from idim.estimate import (
    Asked,
    Point,
    Score,
    Target,
    baseline_score,
    floor_of,
    has_line,
    point,
    reaches,
)
from idim.methods import METHODS, ask
from idim.plain import number


@dataclass(frozen=True, slots=True)
class Space:
    """A sweep's setting with every name resolved; makes the specs of its runs."""

    # With no open field.
    spec: SweepSpec
    # Parameters the subspace spans, and how many tensors they lie in.
    D: int
    tensors: int
    # What the names of the spec stand for, by field of a run: fingerprints and what else was
    # looked up.
    resolved: dict[str, Any]
    # Whether a baseline is a row of a stack.
    full_stacked: bool = False
    # The score of the best constant answer; None where there is none.
    chance: float | None = None
    # Rows that an accuracy is counted on; None: they are not known, or the score is no accuracy.
    rows: int | None = None
    # The runs that train nothing, once they are done; None: none has a score, or none is made.
    untrained: Point | None = None

    def run(self, d: int | None, lr: float, seed: int, stop_at: float | None = None) -> RunSpec:
        """Return the spec of one run, `d` being its size; None trains all parameters."""
        shared: dict[str, Any] = self._shared()
        if d is None:
            shared["method"] = "full"
        else:
            shared[METHODS[self.spec.method].size or "d"] = d
        run = RunSpec(**shared, lr=lr, seed=seed, stop_at=stop_at)
        return replace(run, stacked=self.full_stacked if d is None else run.is_stackable)

    def alone(self, seed: int) -> RunSpec:
        """Return the spec of the run of the untrained model."""
        shared: dict[str, Any] = self._shared() | {"method": "untrained"}
        return RunSpec(**shared, seed=seed)

    def like(self, run: RunSpec) -> RunSpec:
        """Return the sweep's own run of a stored one's size, rate and seed."""
        if run.measure == 0:
            return self.alone(run.seed)
        return self.run(run.measure, run.lr, run.seed, run.stop_at)

    def _shared(self) -> dict[str, Any]:
        return {f.name: getattr(self.spec, f.name) for f in fields(Setup)} | self.resolved

    @property
    def first(self) -> list[RunSpec]:
        """The runs that come before any search: of the untrained model, where a gain needs it."""
        spec = self.spec
        if spec.target != "gain" or spec.floor != "own":
            return []
        return [self.alone(seed) for seed in range(spec.seeds)]

    def after(self, known: Mapping[str, Score]) -> "Space":
        """Return the same once its `first` runs are done.

        Args:
            known: their scores by run id, a failed one's too.
        """
        return replace(self, untrained=point([known[run.id] for run in self.first]))

    @property
    def asked(self) -> Asked:
        """What is asked for, as far as it is known before any d is tried."""
        given = None if self.spec.floor == "own" else float(self.spec.floor)
        floor = floor_of(given, self.chance, self.untrained, self.rows)
        return Asked(self.spec.target, self.spec.threshold, floor, self.rows)

    def point(self, runs: Sequence[Score]) -> Point | None:
        """Return the scores at one d at its best rate, as an estimate does; None: there are none.

        Args:
            runs: at one d.
        """
        return point(runs, self.asked.nothing)

    @property
    def target(self) -> Target:
        """The line that is asked for, as a function of the baseline's score.

        Where nothing is known that a gain could count from there is none, and `why_none` says so.
        """
        return self.asked.target(self.spec.target) or Target(self.spec.threshold)

    def why_none(self, base: Point | float | None) -> str:
        """Say why no line is worth a search, in a clause; empty: one is.

        Args:
            base: the baseline, measured or fixed.
        """
        asked, score = self.asked, baseline_score(base)
        if score is None or (asked.aim == "papers" and not has_line(score)):
            return "the baseline has no score above 0"
        if why := asked.why_none(asked.aim, base):
            return why
        goal, floor = self.target.at(score), asked.floor
        if floor is None or floor.of == "given" or not reaches(floor.score, goal):
            return ""
        what = "a constant answer" if floor.of == "constant" else "the untrained model"
        return f"the line {number(goal)} asks no more than {what} gives, {number(floor.score)}"

    def rates(self, d: int) -> tuple[float, ...]:
        """Return the learning rates of one d on the grid: those given, or the default ones."""
        return self.spec.lr or tuple(
            rounded(m * self.matched_rate(d)) for m in self.spec.lr_multiples
        )

    def matched_rate(self, d: int) -> float:
        """Return the rate whose steps are as long as full fine-tuning's.

        The anchor is the geometric middle of the full-space rates.
        """
        rates = sorted(self.spec.baseline_lr)
        anchor = (rates[0] * rates[-1]) ** 0.5
        about = anchor, d, self.D, self.tensors, self.spec
        return ask(self.spec.method, "matched_rate", *about)


@dataclass(frozen=True, slots=True)
class RateScale:
    """Learning rates by notch: one notch is one rate, the same at every d up to the transfer rule.

    Notch r at d is 2**r times the matched rate at `d_ref`, times (d_ref / d)**lr_transfer.  Rates
    that the user gave are notches 0, 1, 2, ... and hold at every d.
    """

    space: Space
    d_ref: int

    def rate(self, d: int, notch: float) -> float:
        """Return the learning rate of a notch at d."""
        if self.space.spec.lr:
            return sorted(self.space.spec.lr)[int(notch)]
        spec = self.space.spec
        moved = (self.d_ref / d) ** ask(spec.method, "transfer", spec)
        return rounded(2**notch * self.space.matched_rate(self.d_ref) * moved)

    def start(self) -> list[float]:
        """Return the notches to try where nothing is known."""
        if self.space.spec.lr:
            return [float(i) for i in range(len(self.space.spec.lr))]
        return sorted(math.log2(m) for m in self.space.spec.lr_multiples)

    def nearest(self, notch: float) -> float:
        """Return the nearest notch there is: half steps, or a rate that was given."""
        if not self.space.spec.lr:
            return round(2 * notch) / 2
        return float(min(max(round(notch), 0), len(self.space.spec.lr) - 1))

    def near(self, notch: float, step: float) -> list[float]:
        """Return the notches a step below and above, where there are such rates."""
        if not self.space.spec.lr:
            return [notch - step, notch + step]
        return [r for r in (notch - 1, notch + 1) if 0 <= r < len(self.space.spec.lr)]


def beyond(tried: Iterable[float], best: float) -> float:
    """Return the rate to try next where the best of several is the smallest or the largest.

    >>> beyond([1.0, 4.0, 16.0], 16.0), beyond([1.0, 4.0], 1.0)
    (64.0, 0.25)
    """
    rates = sorted(tried)
    inner = rates[1] if best == rates[0] else rates[-2]
    return rounded(best * best / inner)


def rounded(lr: float) -> float:
    """Round a rate to three digits, so that it can be typed."""
    return float(f"{lr:.3g}")
