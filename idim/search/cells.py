"""What a search has asked for in subspaces, and which learning rate it takes at each d."""

import math
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import TypeVar

from idim.config import QUARTER, RunSpec
from idim.estimate import Point, Score, point
from idim.search.peak import peak
from idim.search.space import Ladder, Space

T = TypeVar("T")
# A part of a strategy: asks for runs, is sent their scores, and returns something.
Asking = Generator[list[RunSpec], list[Score], T]

# Rates are compared a factor of 4 apart: nearer ones differ by less than their noise.
FAR = 2.0
# Rungs this close need no comparison.
NEAR = 0.75
# How often rates further out are tried at one d.
EXTENSIONS = 5
# Seeds of a new d, and of the first comparison of rates.
PAIR, FIRST = 2, 4
# Of so many rates or more at one d, the worse half stops after a quarter of the steps.
MANY = 4


class Cells:
    """Scores by d, learning rate and seed.  A cell is (d, rung, seed)."""

    def __init__(self, space: Space, ladder: Ladder) -> None:
        self.space, self.ladder = space, ladder
        # The goal, which is the scale of merits; set when the baseline is known.
        self.line = 1.0
        self.scores: dict[int, list[Score]] = {}
        # rates asked for, by d and rung
        self.rates: dict[int, dict[float, float]] = {}
        # The rung of every further d, once settled; how often rates were compared at a d.
        self.settled: float | None = None
        self.tuned: dict[int, int] = {}

    def point(self, d: int) -> Point | None:
        """Return the scores at d at its best rate; None when there are none."""
        return point(self.scores.get(d, []))

    def points(self) -> list[Point]:
        """Return every d that has a score, in order."""
        found = (self.point(d) for d in sorted(self.scores))
        return [p for p in found if p is not None]

    def rung(self, d: int) -> float | None:
        """Return the best rung at d; None when nothing there has a score."""
        best = self.point(d)
        return next((r for r, lr in self.rates[d].items() if lr == best.lr), None) if best else None

    def seeds(self, d: int) -> int:
        """Return how many seeds were asked for at the best rate of d, failed ones too."""
        best = self.point(d)
        return len([s for s in self.scores[d] if s.lr == best.lr]) if best else 0

    def ask(self, cells: Iterable[tuple[int, float, int]]) -> Asking[None]:
        """Ask for the cells that were not asked for yet."""
        batch = [(d, self._rate(d, r), seed) for d, r, seed in cells]
        known = {(d, s.lr, s.seed) for d in self.scores for s in self.scores[d]}
        batch = [cell for cell in dict.fromkeys(batch) if cell not in known]
        if batch:
            found = yield [self.space.run(*cell) for cell in batch]
            for (d, _, _), score in zip(batch, found, strict=True):
                self.scores.setdefault(d, []).append(score)

    def begin(self, d: int) -> Asking[None]:
        """Run d once, at the rate that is known to be good; the first d at several."""
        if self.scores:
            yield from self.ask([(d, self.best(), 0)])
        else:
            yield from self._halve(d, self.ladder.start())

    def widen(self, d: int) -> Asking[None]:
        """Look for a better rate at d, in steps of 4, as long as the last one is the best."""
        start = self.rung(d)
        start = self.best() if start is None else start
        for _ in range(EXTENSIONS):
            before = len(self.scores[d])
            yield from self.ask([(d, r, 0) for r in self.ladder.near(start, FAR)])
            now = self.rung(d)
            if len(self.scores[d]) == before or now is None or now == start:
                return
            start = now

    def settle(self, d: int) -> Asking[None]:
        """Run a new d on a few seeds; the first of them settles the rate for all."""
        yield from self.ask((d, self.best(), seed) for seed in range(PAIR))
        if self.settled is None:
            yield from self.tune(d, FIRST)

    def tune(self, d: int, seeds: int) -> Asking[None]:
        """Try rates on either side of the one in use at d, and go by all comparisons so far.

        Where the best is then another, d gets as many seeds of it: only equals compete in an
        estimate.
        """
        used = self.rung(d)
        used = self.best() if used is None else used
        rungs = sorted([used, *self.ladder.near(used, FAR)])
        yield from self.ask((d, r, seed) for r in rungs for seed in range(seeds))
        self.settled = self._peak()
        self.tuned[d] = self.tuned.get(d, 0) + 1
        if abs(self.settled - used) > NEAR:
            n = max(self.seeds(d), seeds)
            yield from self.ask((d, self.settled, seed) for seed in range(n))
        else:
            self.tuned[d] = EXTENSIONS

    def is_tuned(self, d: int) -> bool:
        """Say whether rates on either side were tried at d and lost."""
        return self.tuned.get(d, 0) >= EXTENSIONS

    def best(self) -> float:
        """Return the rung to use at a further d."""
        return self._peak() if self.settled is None else self.settled

    def _peak(self) -> float:
        start = self.ladder.start()
        groups: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for d, scores in self.scores.items():
            rungs = {lr: rung for rung, lr in self.rates[d].items()}
            for s in scores:
                if not s.pruned:
                    groups.setdefault((d, s.seed), []).append((rungs[s.lr], merit(s)))
        center = (start[0] + start[-1]) / 2 if self.settled is None else self.settled
        return self.ladder.nearest(peak(list(groups.values()), center, self.line))

    def _halve(self, d: int, rungs: list[float]) -> Asking[None]:
        """Train many rates for a quarter of the steps, and the better half of them to the end."""
        if self.space.spec.pruning == "halving" and len(rungs) >= MANY:
            runs = [self.space.run(d, self._rate(d, r), 0, QUARTER) for r in rungs]
            found = yield runs
            ranked = sorted(zip(rungs, found, strict=True), key=lambda f: merit(f[1]), reverse=True)
            rungs = sorted(r for r, _ in ranked[: len(rungs) // 2])
            for r, score in ranked:
                if r not in rungs:
                    stopped = replace(score, select=None, score=None, pruned=True)
                    self.scores.setdefault(d, []).append(stopped)
        yield from self.ask((d, r, 0) for r in rungs)

    def _rate(self, d: int, rung: float) -> float:
        return self.rates.setdefault(d, {}).setdefault(rung, self.ladder.rate(d, rung))


def merit(run: Score) -> float:
    """Return what a learning rate is chosen by; a failed run is worse than any."""
    value = run.score if run.select is None else run.select
    return -math.inf if value is None or not math.isfinite(value) else value
