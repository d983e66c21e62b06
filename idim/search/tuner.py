"""What a search has asked for in subspaces, and which learning rate it takes at each d."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from idim.config import QUARTER
from idim.estimate import Point, Score
from idim.search.best_rate import LOSS, Hill, best_notch, compared
from idim.search.space import RateScale, Space
from idim.search.strategy import Asking

# Rates are compared a factor of 4 apart: nearer ones differ by less than their noise.
FAR = 2.0
# A notch that loses no more than this share of the goal stands for the best.
NEAR = 0.004
# How often rates further out are tried at one d.
EXTENSIONS = 5
# Seeds of a new d, and of a comparison of rates.
PAIR = 2
# Of so many rates or more at one d, the worse half stops after a quarter of the steps.
MANY = 4


class Tuner:
    """Holds the scores by d, learning rate and seed, and asks for those a rate is chosen by."""

    def __init__(self, space: Space, scale: RateScale) -> None:
        self.space, self.scale = space, scale
        # How far the goal lies above nothing learned, which is the scale of scores; set when the
        # baseline is known.
        self.goal = 1.0
        self.scores: dict[int, list[Score]] = {}
        # rates asked for, by d and notch
        self.rates: dict[int, dict[float, float]] = {}
        # The notch of every further d, once settled; how often rates were compared at a d.
        self.settled: float | None = None
        self.tuned: dict[int, int] = {}
        # Where the best notch is, by all comparisons so far.
        self.hill = Hill(self.center, LOSS)

    @property
    def center(self) -> float:
        """The notch where the best one is looked for without any comparison."""
        start = self.scale.start()
        return (start[0] + start[-1]) / 2 if self.settled is None else self.settled

    def point(self, d: int) -> Point | None:
        """Return the scores at d at its best rate; None when there are none."""
        return self.space.point(self.scores.get(d, []))

    def points(self) -> list[Point]:
        """Return every d that has a score, in order."""
        found = (self.point(d) for d in sorted(self.scores))
        return [p for p in found if p is not None]

    def notch(self, d: int) -> float | None:
        """Return the best notch at d; None when nothing there has a score."""
        best = self.point(d)
        return self._notches(d).get(best.lr) if best else None

    def held(self, d: int) -> float:
        """Return the notch whose scores are to stand for d.

        All d together know the best rate better than one does from its own few held-out rows, so
        it is the one of d nearest to theirs, or theirs where d has none near.
        """
        best = self.best()
        near = min(self.rates.get(d, ()), key=lambda r: abs(r - best), default=best)
        return near if self.hill.loss * (near - best) ** 2 <= NEAR else best

    def seeds(self, d: int) -> int:
        """Return how many seeds were asked for at the held rate of d, failed ones too."""
        return self._count(d).get(self.held(d), 0)

    def rivals(self, d: int) -> int:
        """Return the most seeds that any other rate of d has.

        An estimate takes the rate with the most seeds, and the best of them where several have.
        """
        held = self.held(d)
        return max((n for r, n in self._count(d).items() if r != held), default=0)

    def _notches(self, d: int) -> dict[float, float]:
        return {lr: notch for notch, lr in self.rates.get(d, {}).items()}

    def _count(self, d: int) -> dict[float, int]:
        notches = self._notches(d)
        return Counter(notches[s.lr] for s in self.scores.get(d, ()) if not s.pruned)

    def ask(self, wanted: Iterable[tuple[int, float, int]], *, go_on: bool = False) -> Asking[None]:
        """Ask for the (d, notch, seed) that were not asked for yet.

        A run that stopped early goes on to its end only with `go_on`.
        """
        batch = [(d, self._rate(d, r), seed) for d, r, seed in wanted]
        every = ((d, s) for d in self.scores for s in self.scores[d])
        known = {(d, s.lr, s.seed) for d, s in every if not (go_on and s.pruned)}
        batch = [run for run in dict.fromkeys(batch) if run not in known]
        if batch:
            found = yield [self.space.run(*run) for run in batch]
            for (d, _, _), score in zip(batch, found, strict=True):
                self.scores.setdefault(d, []).append(score)
            self._compare()

    def begin(self, d: int) -> Asking[None]:
        """Run d once, at the rate that is known to be good; the first d at several."""
        if self.scores:
            yield from self.ask([(d, self.best(), 0)])
        else:
            yield from self._halve(d, self.scale.start())

    def widen(self, d: int) -> Asking[None]:
        """Look for a better rate at d, in steps of 4, as long as the last one is the best."""
        start = self.notch(d)
        start = self.best() if start is None else start
        for _ in range(EXTENSIONS):
            before = len(self.scores[d])
            yield from self.ask([(d, r, 0) for r in self.scale.near(start, FAR)])
            now = self.notch(d)
            if len(self.scores[d]) == before or now is None or now == start:
                return
            start = now

    def tune(self, d: int, seeds: int) -> Asking[None]:
        """Try rates on either side of the one in use at d, and go by all comparisons so far.

        The rate that is then held gets one seed more than the others: their comparison at one d is
        mostly noise, and must not choose again.
        """
        used = self.held(d)
        notches = sorted([used, *self.scale.near(used, FAR)])
        yield from self.ask((d, r, seed) for r in notches for seed in range(seeds))
        self.settled = self.scale.nearest(self.hill.top)
        self.tuned[d] = EXTENSIONS if self.held(d) == used else self.tuned.get(d, 0) + 1
        yield from self.more({d: seeds})

    def more(self, seeds: Mapping[int, int]) -> Asking[None]:
        """Bring the held rate of each d to so many seeds, and in any case to more than rivals."""
        wanted = [
            (d, self.held(d), seed)
            for d, n in seeds.items()
            for seed in range(max(n, self.rivals(d) + 1))
        ]
        yield from self.ask(wanted, go_on=True)

    def is_tuned(self, d: int) -> bool:
        """Say whether rates on either side were tried at d and lost."""
        return self.tuned.get(d, 0) >= EXTENSIONS

    def best(self) -> float:
        """Return the notch to use at a further d."""
        return self.scale.nearest(self.hill.top) if self.settled is None else self.settled

    def _compare(self) -> None:
        """Look again where the best notch is, by all comparisons so far."""
        runs = []
        for d, scores in self.scores.items():
            notches = self._notches(d)
            whole = (s for s in scores if not s.pruned)
            runs += [((d, s.seed), notches[s.lr], selection_score(s)) for s in whole]
        self.hill = best_notch(compared(runs), self.center, self.goal)

    def _halve(self, d: int, notches: list[float]) -> Asking[None]:
        """Train many rates for a quarter of the steps, and the better half of them to the end."""
        if self.space.spec.pruning == "halving" and len(notches) >= MANY:
            runs = [self.space.run(d, self._rate(d, r), 0, QUARTER) for r in notches]
            found = yield runs
            ranked = sorted(
                zip(notches, found, strict=True), key=lambda f: selection_score(f[1]), reverse=True
            )
            notches = sorted(r for r, _ in ranked[: len(notches) // 2])
            for r, score in ranked:
                if r not in notches:
                    stopped = replace(score, select=None, score=None, pruned=True)
                    self.scores.setdefault(d, []).append(stopped)
        yield from self.ask((d, r, 0) for r in notches)

    def _rate(self, d: int, notch: float) -> float:
        return self.rates.setdefault(d, {}).setdefault(notch, self.scale.rate(d, notch))


def selection_score(run: Score) -> float:
    """Return what a learning rate is chosen by; a failed run is worse than any."""
    value = run.score if run.select is None else run.select
    return -math.inf if value is None or not math.isfinite(value) else value
