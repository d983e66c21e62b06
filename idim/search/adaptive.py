"""The adaptive search: baseline, bracket by coarse steps, then noisy bisection on log d."""

import math
from collections import Counter
from collections.abc import Iterable

from idim.config import SweepSpec
from idim.estimate import (
    Fit,
    Point,
    Score,
    baseline_score,
    beside,
    fit,
    is_failed,
    reaches,
)
from idim.methods import METHODS, ask
from idim.search.best_rate import beaten_notches, best_notch, compared
from idim.search.interval import next_ds, tried_inside
from idim.search.space import RateScale, Space, beyond
from idim.search.strategy import Asking, Strategy, together
from idim.search.tuner import MANY, PAIR, Tuner, selection_score

# Coarse steps of d are at most this factor.
COARSE = 4.0
# How often the baseline's learning rates are widened where the best is on the edge, and the seeds
# of the last comparison of them.
EXTENSIONS, BASE_SEEDS = 2, 4
# Below such a factor between an interval's ends rates are compared again before seeds are added.
FINE = 2.0


class Adaptive(Strategy):
    """Search for d90 until its interval is narrower than the tolerance, or the runs are spent.

    First the baseline, and several rates at one d.  Then a bracket: coarse steps of d, one seed
    each.  Then the interval of `estimate.fit`, which is of seeds alone, is narrowed: by new d
    beside the crossing, beyond an open end and in wide gaps, then by seeds where the decision is
    open, and by comparing rates again.  All follows from the scores that were asked for.
    """

    called = "an adaptive search"
    heeds = ("tolerance", "max_runs", "lr_transfer", "pruning")

    @classmethod
    def suits(cls, spec: SweepSpec) -> bool:
        """Where no d is given."""
        return not (spec.d or spec.points)

    @classmethod
    def contradictions(cls, spec: SweepSpec) -> Iterable[str]:
        """Values of d, which it chooses."""
        if spec.d or spec.points:
            yield "an adaptive search chooses d itself; give d_min and d_max, or search grid"

    @property
    def bound(self) -> int | None:
        """As the settings say."""
        return self.spec.max_runs

    def runs(self) -> Asking[str]:
        """Yield the next runs, as `Strategy` says."""
        going, most = _Search(self.space, *self.ends).stages(), self.bound
        has_score = False  # of any d
        asked: set[tuple[int | None, float, int]] = set()  # a run and its first quarter are one
        try:
            batch = next(going)
            while True:
                kept = []
                for run in batch:
                    key = (run.measure, run.lr, run.seed)
                    if key in asked or most is None or len(asked) < most:
                        asked.add(key)
                        kept.append(run)
                scores = (yield kept) if kept else []
                has_score = has_score or any(
                    run.measure and run.stop_at is None and score.score is not None
                    for run, score in zip(kept, scores, strict=True)
                )
                if len(kept) < len(batch):
                    few = "" if has_score or most is None else self._few(most)
                    spent = f"all of {most} runs are spent" if most != 1 else "its one run is spent"
                    return f"{spent}{few}"
                batch = going.send(scores)
        except StopIteration as stop:
            return stop.value

    def warnings(self) -> list[str]:
        """Say that the runs are too few for any d, or may be."""
        most = self.bound
        least, enough = self.runs_before_a_score()
        if most is None or most >= enough:
            return []
        are = "are" if most < least else "may be"
        return [f"max_runs {most} {are} too few{self._few(most)}"]

    def runs_before_a_score(self) -> tuple[int, int]:
        """Return how many runs it takes until a d has a score, at least and at most."""
        spec, rates = self.spec, len(self.spec.baseline_lr)
        first = len(RateScale(self.space, self.ends[0]).start())
        least = first if spec.pruning == "halving" and first >= MANY else 1
        if spec.baseline != "own":
            return least, first
        # of several, its rate gets one seed more than its rivals
        base = rates + 1 if rates > 1 else min(PAIR, spec.seeds)
        return base + least, base + first + (0 if rates == 1 else EXTENSIONS)

    def _few(self, most: int) -> str:
        """Say how many runs would do where so many are too few for any d; empty: they may do."""
        enough = self.runs_before_a_score()[1]
        letter = METHODS[self.spec.method].symbol
        more = f": no {letter} gets a score; give max_runs {enough} or more"
        return more if most < enough else ""

    def lines(self) -> list[str]:
        """Say from where to where d goes, and when it ends."""
        return [f"{line}, until the interval is within {self.spec.tolerance:g}x"
                for line in super().lines()]  # fmt: skip

    def seeds(self) -> str:
        """Say which d have all seeds."""
        letter, pair = METHODS[self.spec.method].symbol, min(PAIR, self.spec.seeds)
        which = f"the baseline and each {letter} beside the crossing"
        more = f", {self.spec.seeds} where runs allow" if self.spec.seeds > pair else ""
        return f"at least {pair} for {which}{more}"

    def rates(self) -> str:
        """Say how the first d's rates are carried to the others."""
        method = self.spec.method
        letter, exponent = METHODS[method].symbol, ask(method, "transfer", self.spec)
        moved = f"lr ~ (D/d)^{exponent:g}" if exponent else "the same"
        return (
            f"{super().rates()}, at the first {letter}; from there {moved}, "
            f"compared again, in steps of 4, near the line"
        )


def coarse_steps(d_min: int, d_max: int) -> list[int]:
    """Return d from d_min to d_max in equal factors of at most `COARSE`.

    >>> coarse_steps(10, 10_000), coarse_steps(5, 5)
    ([10, 40, 158, 631, 2512, 10000], [5])
    """
    steps = math.ceil(math.log(d_max / d_min) / math.log(COARSE)) or 1
    return sorted({round(d_min * (d_max / d_min) ** (i / steps)) for i in range(steps + 1)})


def is_fine(found: Fit) -> bool:
    """Say whether an interval is so narrow that a poor learning rate would move d90 out of it."""
    low, high = found.ends
    return low is not None and high is not None and high <= FINE * low


class _Search:
    """One search's state."""

    def __init__(self, space: Space, d_min: int, d_max: int) -> None:
        self.space, self.spec, self.target = space, space.spec, space.target
        self.letter = METHODS[self.spec.method].symbol
        self.coarse = coarse_steps(d_min, d_max)
        self.tuner = Tuner(space, RateScale(space, self.coarse[len(self.coarse) // 2]))
        self.base_runs: list[Score] = []
        self.base: Point | float | None = None
        self.base_lr: float | None = None
        self.is_base_tuned = False

    def stages(self) -> Asking[str]:
        """Do one stage after the other; return why the search is over."""
        if self.spec.baseline == "own":
            yield from self.baseline()
        else:
            self.base = float(self.spec.baseline)
        if why := self.space.why_none(self.base):
            return why
        self.tuner.goal = self.target.above(baseline_score(self.base) or 0.0)
        begin = self.tuner.begin(self.coarse[len(self.coarse) // 2])
        yield from together(self.settle_base(PAIR), begin)
        yield from self.bracket()
        return (yield from self.refine())

    # --- the baseline -----------------------------------------------------------------------

    def baseline(self) -> Asking[None]:
        """Try the learning rates of full fine-tuning, a seed each; a single one has more."""
        rates = self.spec.baseline_lr
        seeds = min(PAIR, self.spec.seeds) if len(rates) == 1 else 1
        yield from self.ask_base([(lr, seed) for lr in rates for seed in range(seeds)])
        # one failure may be an accident
        yield from self.ask_base([(s.lr, s.seed + 1) for s in self.base_runs if is_failed(s)])
        for _ in range(EXTENSIONS):
            if isinstance(self.base, Point) and self.base.edge:
                further = beyond(self.base.tried, self.base.lr)
                yield from self.ask_base([(further, 0)])

    def settle_base(self, seeds: int) -> Asking[None]:
        """Choose the rate where all comparisons put the top, and give it the most seeds."""
        if isinstance(self.base, Point):
            shared = {s.seed for s in self.base_runs if s.lr != self.base_lr}
            groups = compared(
                (s.seed, math.log2(s.lr), selection_score(s))
                for s in self.base_runs
                if s.seed in shared
            )
            notch = best_notch(
                groups, math.log2(self.base.lr), self.target.above(self.base.mean)
            ).top
            beaten = beaten_notches(groups)
            lrs = {s.lr for s in self.base_runs if s.score is not None}
            lrs = {lr for lr in lrs if math.log2(lr) not in beaten} or lrs
            self.base_lr = min(lrs, key=lambda lr: abs(math.log2(lr) - notch))
            rivals = Counter(s.lr for s in self.base_runs if s.lr != self.base_lr).values()
            # one seed more than any other rate has, so that an estimate takes this one
            least = min(seeds, self.spec.seeds)
            yield from self.more_base(max(least, max(rivals, default=0) + 1))

    def tune_base(self) -> Asking[bool]:
        """Compare the rates beside the baseline's own on more seeds; say whether there are any.

        A line drawn at a poor rate of full fine-tuning lies too low, and d90 with it.
        """
        tried = sorted({s.lr for s in self.base_runs})
        if self.base_lr is None or len(tried) < 2 or self.is_base_tuned:
            return False
        at = tried.index(self.base_lr)
        near = tried[max(0, at - 1) : at + 2]
        yield from self.ask_base([(lr, seed) for lr in near for seed in range(BASE_SEEDS)])
        yield from self.settle_base(self.spec.seeds)
        self.is_base_tuned = True
        return True

    def more_base(self, seeds: int) -> Asking[None]:
        """Give the baseline's rate at least so many seeds."""
        if self.base_lr is not None:
            yield from self.ask_base([(self.base_lr, seed) for seed in range(seeds)])

    def ask_base(self, wanted: list[tuple[float, int]]) -> Asking[None]:
        """Ask for the baseline runs that were not asked for yet."""
        known = {(s.lr, s.seed) for s in self.base_runs}
        batch = [self.space.run(None, *w) for w in wanted if w not in known]
        if batch:
            self.base_runs += yield batch
            self.base = self.space.point(self.base_runs)

    # --- the bracket ------------------------------------------------------------------------

    def bracket(self) -> Asking[None]:
        """Look for the coarse step in which the score crosses the line, two d at a time."""
        low, high, first = -1, len(self.coarse), len(self.coarse) // 2
        if not self.passes(self.coarse[first]):  # a failure may be the rate's fault
            yield from self.tuner.widen(self.coarse[first])
        low, high = (low, first) if self.passes(self.coarse[first]) else (first, high)
        while high - low > 1:
            between = range(low + 1, high)
            # the middle and the one beside it, towards the d that is known
            at = len(between) // 2 - (high == len(self.coarse))
            tried = between[max(at, 0) : max(at, 0) + 2]
            yield from together(*(self.tuner.begin(self.coarse[i]) for i in tried))
            passed = [i for i in tried if self.passes(self.coarse[i])]
            high = min(passed, default=high)
            low = max((i for i in tried if i < high), default=low)

    def passes(self, d: int) -> bool:
        """Say whether the mean score at d reaches the line as it stands."""
        here, score = self.tuner.point(d), baseline_score(self.base)
        return here is not None and score is not None and reaches(here.mean, self.target.at(score))

    # --- the interval -----------------------------------------------------------------------

    def refine(self) -> Asking[str]:
        """Try d and add seeds until the interval is narrow enough."""
        while True:
            points = self.tuner.points()
            if not points:
                return f"no {self.letter} gave a score"
            found = fit(self.base, points, self.target)
            ds, pair = tried_inside(found, points), beside(found, points)
            why = self.enough(*found.ends)
            few = dict.fromkeys(ds, self.spec.seeds) if why else dict.fromkeys(pair, PAIR)
            short = [d for d, n in few.items() if self.lacks(d, n)]
            new = next_ds(found, points, self.coarse, self.tuner.scores)
            if short:
                yield from self.tuner.more({d: few[d] for d in short})
            elif self.tuner.settled is None and self.is_far(pair):
                yield from self.tuner.tune(pair[0], 1)
            elif why and (last := self.last_failing(found, points)) is not None:
                # what bounds d90 from below may fail by its learning rate alone
                yield from self.tuner.tune(last, PAIR)
            elif why:
                if not (yield from self.tune_base()):
                    return why
            elif new:
                yield from self.tuner.more(dict.fromkeys(new, 1))
            elif not is_fine(found) and any(self.lacks(d, self.spec.seeds) for d in pair):
                yield from self.decide(ds)
            elif (last := self.last_failing(found, points)) is not None:
                # seeds at a poor rate would only make its failure sure
                yield from self.tuner.tune(last, PAIR)
            elif not (yield from self.tune_base()):
                yield from self.decide(ds)

    def lacks(self, d: int, seeds: int) -> bool:
        """Say whether the held rate of d has fewer seeds than that, or than another rate's."""
        return self.tuner.seeds(d) < max(seeds, self.tuner.rivals(d) + 1)

    def is_far(self, pair: list[int]) -> bool:
        """Say whether no rates were compared within a coarse step of the crossing."""
        compared = [d for d, rates in self.tuner.rates.items() if len(rates) > 1]
        reach = COARSE * 1.1  # steps are rounded
        return not any(pair[0] / reach <= d <= pair[-1] * reach for d in compared)

    def last_failing(self, found: Fit, points: list[Point]) -> int | None:
        """Return the largest d below the crossing, unless its rate was tuned already."""
        below = [p.d for p in points if p.d and (found.at is None or p.d < found.at)]
        return below[-1] if below and not self.tuner.is_tuned(below[-1]) else None

    def enough(self, low: int | None, high: int | None) -> str:
        """Say why the interval is good enough; nothing when it is not."""
        if high is None and low is not None and low > self.coarse[-1]:
            return f"{self.letter} = {self.coarse[-1]:,}, the largest allowed, fails"
        if low is None and high == self.coarse[0]:
            return f"{self.letter} = {self.coarse[0]:,}, the smallest allowed, passes"
        if low is None or high is None:
            return ""
        # as a grid's bracket, from the last d that fails: [9, 10] leaves (8, 10] open
        if low < high and high > self.spec.tolerance * (low - 1):
            return ""
        return f"the interval over seeds is narrower than a factor of {self.spec.tolerance:g}"

    def decide(self, ds: list[int]) -> Asking[None]:
        """Give one more seed to every d inside the interval, and the baseline as many as any."""
        inside = ds[1:-1] or ds
        yield from self.more_base(1 + max(self.tuner.seeds(d) for d in inside))
        yield from self.tuner.more({d: self.tuner.seeds(d) + 1 for d in inside})
