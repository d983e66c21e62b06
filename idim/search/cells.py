"""What a search has asked for in subspaces, and which learning rate it takes at each d."""

import math
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import TypeVar

from idim.config import QUARTER, RunSpec
from idim.estimate import Point, Score, point
from idim.search.space import Ladder, Space

T = TypeVar("T")
# A part of a strategy: asks for runs, is sent their scores, and returns something.
Asking = Generator[list[RunSpec], list[Score], T]

# Steps on the ladder of learning rates: factors of 4 to find the place, of 2 to settle it.
FAR, FINE = 2.0, 1.0
# How often the rates at one d are widened where the best is on the edge.
EXTENSIONS = 5
# Of so many rates or more at one d, the worse half stops after a quarter of the steps.
MANY = 4


class Cells:
    """Scores by d, learning rate and seed.  A cell is (d, rung, seed)."""

    def __init__(self, space: Space, ladder: Ladder) -> None:
        self.space, self.ladder = space, ladder
        self.scores: dict[int, list[Score]] = {}
        # rates asked for, by d and rung
        self.rates: dict[int, dict[float, float]] = {}
        # The rung that every further d starts from, once settled, and the d that had a say in it.
        self.settled: float | None = None
        self.tuned: set[int] = set()

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
        """Run d once, at the rate that neighbours suggest; at several where there are none."""
        warm = self.warm(d)
        if warm is not None:
            yield from self.ask([(d, warm, 0)])
            return
        yield from self._halve(d, self.ladder.start())
        yield from self._climb(d, FAR, 1)

    def widen(self, d: int) -> Asking[None]:
        """Look for a better rate at d, in steps of 4."""
        start = self.warm(d) if self.rung(d) is None else self.rung(d)
        if start is not None:
            yield from self.ask([(d, r, 0) for r in self.ladder.near(start, FAR)])
            yield from self._climb(d, FAR, 1)

    def settle(self, d: int, seeds: int) -> Asking[None]:
        """Run a new d on a few seeds; the first of them settles the rate in steps of 2."""
        warm = self.warm(d)
        if warm is None:
            yield from self.begin(d)
            return
        yield from self.ask((d, warm, seed) for seed in range(seeds))
        if self.settled is None:
            yield from self.tune(d, seeds)

    def tune(self, d: int, seeds: int) -> Asking[None]:
        """Try the rates beside the best at d on its first seeds, and take the best from there on.

        A better one gets as many seeds as the old one had: only equals compete in an estimate.
        """
        start = self.warm(d) if self.rung(d) is None else self.rung(d)
        if start is None:
            return
        rungs = self.ladder.near(start, FINE)
        yield from self.ask((d, r, seed) for r in rungs for seed in range(seeds))
        best = yield from self._climb(d, FINE, seeds)
        self.tuned.add(d)
        if best is None or best == start:
            self.settled = start if self.settled is None else self.settled
            return
        yield from self.ask((d, best, seed) for seed in range(self.seeds(d)))
        self.settled = best

    def warm(self, d: int) -> float | None:
        """Return the rung to start from at d: the settled one, or the nearest d's best."""
        if self.settled is not None:
            return self.settled
        near = sorted(self.scores, key=lambda other: abs(math.log(other / d)))
        return next((r for r in map(self.rung, near) if r is not None), None)

    def _climb(self, d: int, step: float, seeds: int) -> Asking[float | None]:
        """Go on past the rates tried while the last is the best; return the best rung."""
        best = self._best(d, seeds)
        for _ in range(EXTENSIONS):
            tried = self.rates[d]
            if best is None:
                break
            out = [r for r in self.ladder.near(best, step) if not min(tried) <= r <= max(tried)]
            if not out:
                break
            yield from self.ask((d, r, seed) for r in out for seed in range(seeds))
            best = self._best(d, seeds)
        return best

    def _best(self, d: int, seeds: int) -> float | None:
        """Return the rung of the best mean over the first seeds; the present one if none beats it.

        None when no rate there has a score for all of these seeds.
        """
        means = {}
        for rung, lr in self.rates[d].items():
            found = [merit(s) for s in self.scores[d] if s.lr == lr and s.seed < seeds]
            means[rung] = sum(found) / len(found) if len(found) == seeds else -math.inf
        top, now = max(means.values()), self.rung(d)
        if now is not None and means.get(now) == top:
            return now
        return None if top == -math.inf else min(r for r, m in means.items() if m == top)

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
