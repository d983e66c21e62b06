"""Made-up worlds with a known d90: a curve over d, its noise, and how real runs spoil it.

A world answers a search's runs with scores.  Its expected score rises in log d and crosses the
line at a d that each trial draws; a wrong learning rate lowers it, seeds move it.  What a world
holds beyond that is a behaviour of real runs that an estimate may take for something else.

The truth is the smallest d whose expected score, at the best learning rate, reaches 0.9 of the
baseline's, unless the world says otherwise; inf where no d does.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from idim.config import RunSpec
from idim.estimate import Score

D, D_MIN, D_MAX = 17_610, 10, 10_000
THRESHOLD = 0.9
BASE_LR = 0.03
# d at which a curve crosses the line: between these, evenly in log d.
CROSSINGS = (30, 3_000)
# What all rates at one d and seed share of a run's noise, and what is a run's own.
SHARED = 0.9
OWN = math.sqrt(1 - SHARED**2)

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Luck:
    """Standard normal draws that decide a run: numbers, or arrays for many runs."""

    # Of the seed, of the seed at one d, of the run; of the rows that choose its learning rate.
    seed: Any
    shared: Any
    own: Any
    held_out: Any
    # Of what happens to one run whatever it has learned.
    fate: Any
    # (..., rows): whether an evaluation row is answered.
    rows: Any = None

    @property
    def all(self) -> Any:
        """The run's whole noise, of unit variance."""
        return SHARED * self.shared + OWN * self.own


@dataclass(frozen=True, kw_only=True)
class World:
    """A kind of curve, its noise and its learning rates; on its own, a world without surprise."""

    about: str
    # Scores of chance, of the curve's upper end and of full fine-tuning.
    floor: float = 0.2
    top: float = 0.965
    baseline: float = 0.979
    # Of the logistic curve in ln d: the wider, the flatter.
    width: float = 0.6
    # Standard deviation of one run's score over seeds, in subspaces and of the baseline.
    noise: float = 0.0101
    base_noise: float = 0.0038
    # Standard deviation of what chooses the learning rate, beyond what all rates at a seed share;
    # half of it for the baseline, which errs on fewer of the held-out rows.
    select_noise: float = 0.025
    # Score lost at a learning rate e times too high or too low; by the baseline, if not the same.
    loss: float = 0.007
    base_loss: float | None = None
    # The best rate falls as (D/d)^transfer; the search believes in `lr_transfer`, 0.65.
    transfer: float = 0.65
    # Where the logistic curve is at d = the trial's crossing times e^u; u itself: no bend.
    bend: Callable[[Array], Array] = field(default=lambda u: u)
    # What is taken off the score there.
    dip: Callable[[Array], Array] = field(default=np.zeros_like)
    # How many times its noise a score has there.
    unrest: Callable[[Array], Array] = field(default=np.ones_like)
    # Standard deviation of a seed's effect on all its runs, the baseline's too.
    common: float = 0.0
    # Share of the runs that fail by accident.
    accidents: float = 0.0
    # Half of the runs diverge at a rate e to this power times the best: hardly any at a third of
    # that rate, nearly all at three times it.
    diverges: float = math.inf
    # Settings of the sweep.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> float:
        """0.9 of the baseline's expected score."""
        return THRESHOLD * self.baseline

    def curve(self, u: Any) -> Any:
        """Return the expected score at the best rate and d = crossing * e^u, at u = 0 the line.

        A curve whose top lies below the line is at 0.95 of the way there instead.
        """
        u = np.asarray(u, float)
        share = min((self.line - self.floor) / (self.top - self.floor), 0.95)
        z = math.log(share / (1 - share)) + self.bend(u) / self.width
        return self.floor + (self.top - self.floor) / (1 + np.exp(-z)) - self.dip(u)

    def lost(self, d: int | None, off: float) -> float:
        """Return the score that a rate e^off times the best loses."""
        is_other = d is None and self.base_loss is not None
        return (self.base_loss if is_other else self.loss) * off**2  # type: ignore[operator]

    def truths(self, here: "Trial") -> dict[str, float]:
        """Return the d that an interval is meant to hold, by the name of each meaning."""
        return {"": first_reaching(here.mean, self.line)}

    def outcome(self, here: "Trial", d: int | None, mean: Any, luck: Luck) -> tuple[Any, Any]:
        """Return what a run scores, and its score on the rows that choose the learning rate.

        Args:
            here: the trial.
            d: None for the baseline.
            mean: the expected score at d and the run's learning rate.
            luck: the run's.
        """
        noise = self.scatter(here, d)
        level = mean + noise * SHARED * luck.shared + self.common * luck.seed
        return level + noise * OWN * luck.own, level + self.select(d, luck)

    def scatter(self, here: "Trial", d: int | None) -> Any:
        """Return the standard deviation of one run's score over seeds, without `common`."""
        if d is None:
            return self.base_noise
        return self.noise * self.unrest(np.asarray(math.log(d / here.crossing)))

    def select(self, d: int | None, luck: Luck) -> Any:
        """Return what the held-out rows add to what a run has learned."""
        return (0.5 if d is None else 1.0) * self.select_noise * luck.held_out

    def fails(self, off: float, fate: float) -> str | None:
        """Say why a run fails at a rate e^off times the best; None where it does not."""
        share = ndtr(fate)
        if share < self.accidents:
            return "the machine went away"
        return "diverged" if 1 - share < ndtr(2 * (off - self.diverges)) else None


class TwoHumps(World):
    """A run succeeds, near the curve's top, or learns nothing; the more d the more succeed.

    So it is where a model must find a rule to leave chance (paraphrase, entailment).  The expected
    score is the curve's: P(success) is its share of the way from floor to top.
    """

    def outcome(self, here: "Trial", d: int | None, mean: Any, luck: Luck) -> tuple[Any, Any]:
        """Return the score of a success or of a failure, and the same on the held-out rows."""
        if d is None:
            return super().outcome(here, d, mean, luck)
        share = np.clip((mean - self.floor) / (self.top - self.floor), 0, 1)
        level = np.where(ndtr(luck.all) < share, self.top, self.floor)
        return level + self.noise * luck.fate, level + self.select(d, luck)


@dataclass(frozen=True, kw_only=True)
class SharedRows(World):
    """All runs are scored on the same few rows, of which some are hard for every run.

    A run answers row r with probability Phi(a - b_r): a is what it has learned, b_r how hard the
    row is.  So a score moves by its seed, and beyond that all scores by the rows.  Two truths: the
    d that the mean over seeds reaches on these rows, and the one it reaches on all rows there are.
    """

    rows: int = 400
    # Standard deviation of b: at the line scores then move by 0.0102 with the seed, as digits',
    # and by 0.0126 with the rows.
    spread: float = 2.5

    def truths(self, here: "Trial") -> dict[str, float]:
        """Return d90 on the trial's rows and on all rows."""
        fixed = self.settings.get("baseline")
        line = THRESHOLD * (fixed or self.on_rows(here, self.baseline).mean())
        there = first_reaching(lambda ds: self.on_rows(here, here.mean(ds)).mean(-1), line)
        return {"these rows": there, "all rows": first_reaching(here.mean, self.line)}

    def outcome(self, here: "Trial", d: int | None, mean: Any, luck: Luck) -> tuple[Any, Any]:
        """Return the share of the trial's rows that a run answers, and of the held-out ones."""
        level = mean + self.scatter(here, d) * SHARED * luck.shared
        return self.right(here, mean, luck).mean(-1), level + self.select(d, luck)

    def right(self, here: "Trial", mean: Any, luck: Luck) -> Array:
        """Return which of the trial's rows a run answers, (..., rows)."""
        return ndtr(luck.rows) < self.on_rows(here, mean)

    def on_rows(self, here: "Trial", mean: Any) -> Array:
        """Return P(right), (..., rows), where the expected score over all rows is `mean`."""
        able = ndtri(np.clip(mean, 1e-6, 1 - 1e-6)) * math.hypot(1, self.spread)
        return ndtr(np.asarray(able)[..., None] - self.spread * here.hard)


def flat_below(u: Array) -> Array:
    """Bend a curve to be all but flat from d90/8.8 to d90/1.1, 0.016 below the digits' line."""
    edge, length, slope = -0.1, math.log(8), 0.02
    flat = edge + slope * (np.maximum(u, edge - length) - edge)
    return np.where(u >= edge, u, flat + np.minimum(u - (edge - length), 0))


def hollow(u: Array) -> Array:
    """Take a score back down to the digits' line at 2.2 times d90."""
    return 0.06 * np.exp(-(((u - 0.8) / 0.3) ** 2) / 2)


def restless(u: Array) -> Array:
    """Make scores scatter more the lower they are, as digits' do: 1.4 times at d90/1.4."""
    return np.clip(np.exp(-u), 1 / 3, 5)


@dataclass(frozen=True)
class Trial:
    """One world with one crossing, its seeds those of its name and number."""

    name: str
    number: int

    @property
    def world(self) -> World:
        """The kind of curve."""
        return WORLDS[self.name]

    def generator(self, *key: int) -> np.random.Generator:
        """Return the draws of one part of the trial: they depend on nothing but the key."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), self.number, *key])

    @cached_property
    def crossing(self) -> float:
        """Where the curve crosses the line."""
        low, high = map(math.log, CROSSINGS)
        return math.exp(self.generator().uniform(low, high))

    @cached_property
    def hard(self) -> Array:
        """How hard each evaluation row is, in units of the spread."""
        return self.generator(2**32 - 1).standard_normal(getattr(self.world, "rows", 0))

    @cached_property
    def truths(self) -> dict[str, float]:
        """As the world says."""
        return self.world.truths(self)

    def mean(self, ds: Any) -> Any:
        """Return the expected score of finished runs at d and the best learning rate."""
        return self.world.curve(np.log(ds) - math.log(self.crossing))

    def best_lr(self, d: int | None) -> float:
        """Return the best learning rate at d, or of the baseline."""
        return BASE_LR if d is None else 0.8 * (100 / d) ** self.world.transfer

    def expected(self, d: int | None, lr: float) -> Any:
        """Return the expected score of finished runs."""
        off = math.log(lr / self.best_lr(d))
        return (self.world.baseline if d is None else self.mean(d)) - self.world.lost(d, off)

    def credits(self, d: int | None, lr: float, seed: int) -> Array | None:
        """Return which rows a run answers, (rows,); None where a world has none."""
        if not isinstance(self.world, SharedRows):
            return None
        right = self.world.right(self, self.expected(d, lr), self.luck(d, lr, seed))
        return right.astype(float)

    def score(self, run: RunSpec) -> Score:
        """Score one run."""
        world, d, size = self.world, run.d, run.d or D
        off, mean = math.log(run.lr / self.best_lr(d)), self.expected(d, run.lr)
        luck = self.luck(d, run.lr, run.seed)
        if error := world.fails(off, luck.fate):
            return Score(d, run.lr, run.seed, size, None, None, error)
        score, select = world.outcome(self, d, mean, luck)
        return Score(d, run.lr, run.seed, size, float(select), float(score))

    def luck(self, d: int | None, lr: float, of: int) -> Luck:
        """Draw the luck of one run, its seed `of`."""
        place = (1 + (d or 0), of)
        shared = self.generator(*place).standard_normal()
        seed = self.generator(0, of).standard_normal() if self.world.common else 0.0
        alone = self.generator(*place, 1 + hash(lr) % 2**31)
        own, held_out, fate = alone.standard_normal(3)
        return Luck(seed, shared, own, held_out, fate, alone.standard_normal(len(self.hard)))


def first_reaching(mean: Callable[[Array], Array], line: float) -> float:
    """Return the smallest whole d up to D at which a mean reaches a line; inf where none does.

    Means that rise and fall do so over more than a twentieth of d.
    """
    coarse = np.unique(np.geomspace(1, D, 200).round())
    passed = mean(coarse) >= line
    if not passed.any():
        return math.inf
    i = int(passed.argmax())
    fine = np.arange(coarse[max(i - 1, 0)], coarse[i] + 1)
    return float(fine[(mean(fine) >= line).argmax()])


# Noise and slope as measured: digits-mlp on digits (D = 17,610, fastfood, 10 seeds a d, best of
# five rates a factor of 2 apart): standard deviation over seeds 0.0152 at d = 75, 0.0101 at 100,
# 0.0095 at 140; baseline 0.979 with 0.0038; from 0.844 to 0.891 between d = 75 and 100, 0.16 by a
# unit of ln d; the held-out tenth (144 rows) moves by 0.02 to 0.036 between two rates at one seed,
# sqrt(2) times 0.025; the score at d = 100 falls by 0.007 a unit of ln lr squared.
DIGITS = World(about="as digits-mlp on digits")
CONTROLS = {
    "digits": DIGITS,
    "noisy": replace(
        DIGITS, about="digits with three times its noise", noise=0.03, base_noise=0.0114
    ),
    "shallow": replace(DIGITS, about="half the slope of digits", width=1.2),
    # minilm-l3-h384 on 4,000 sentences of SST-2, one seed: 0.714 at d = 300, 0.742 at 1,000,
    # 0.760 at 3,000, 0.02 by a unit of ln d; a rate 4 times off loses up to 0.047 (d = 100),
    # mostly 0.01: 0.005 by a unit of ln lr squared.  With so flat a curve no search is sharp.
    "flat": World(
        about="as minilm-l3 on SST-2", width=1.8, noise=0.008, base_noise=0.006, floor=0.5,
        top=0.76, baseline=0.80, select_noise=0.015, loss=0.005,
    ),
}  # fmt: skip
# Worlds that can break an estimate: each is digits in all but what it is about.
BROKEN = {
    # Paraphrase by a small encoder: a run finds the rule or stays at chance.  Truth: the d where
    # the expected score, P(success) of the way up, reaches the line; 11 % of the runs fail there.
    "two humps": TwoHumps(about="a run succeeds or stays at chance"),
    # Any test set of a few hundred rows.  Truths: on these rows, and on all rows there are.
    "shared rows": SharedRows(about="all runs scored on 400 rows, the baseline too"),
    # The same, with somebody's published baseline, which these rows do not move.
    "rows, fixed": SharedRows(
        about="400 rows, and a baseline that is a given number", settings={"baseline": 0.979}
    ),
    # Machines that go away, and full rates that make training diverge.  Truth: of finished runs.
    "failures": replace(
        DIGITS, about="runs fail: 5 % by accident, more at high rates", accidents=0.05,
        diverges=2.0,
    ),
    # A model that learns most of a task from few parameters, and the rest of it from many.
    "plateau": replace(DIGITS, about="flat for a factor of 8 just below the line", bend=flat_below),
    # A d at which P, padded to a power of two, or the learning rate is worse.  Truth: the first
    # crossing, though the mean touches the line again above it.
    "dip": replace(DIGITS, about="falls back to the line above d90", dip=hollow),
    # A large model: a rate that is two times off fails.
    "narrow rates": replace(DIGITS, about="five times the loss at a wrong rate", loss=0.035),
    # The same in subspaces alone: the line is as in digits.
    "narrow in d": replace(
        DIGITS, about="five times the loss in subspaces", loss=0.035, base_loss=0.007
    ),
    # lr_transfer as it was not measured: P of another kind, another optimizer.
    "rates fall less": replace(DIGITS, about="best rate ~ (D/d)^0.2", transfer=0.2),
    "rates fall more": replace(DIGITS, about="best rate ~ (D/d)^1.1", transfer=1.1),
    # Data order and head come from the seed, at every d and for the baseline.
    "seed effects": replace(DIGITS, about="a seed moves all its runs", common=0.0101),
    # Scores far below the line scatter more than those at it: of no use as its neighbours' noise.
    "uneven noise": replace(DIGITS, about="scores scatter more below the line", unrest=restless),
    # A subspace that never gets there.  Truth: above every d, held by an interval that is open.
    "never reached": replace(DIGITS, about="the curve's top lies below the line", top=0.865),
}  # fmt: skip
WORLDS: dict[str, World] = CONTROLS | BROKEN
