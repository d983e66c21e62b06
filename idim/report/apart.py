"""How far two d90 lie apart, from the intervals of each; pure."""

import math
from dataclasses import dataclass
from typing import Literal

from idim.estimate import Ends
from idim.results import Summary

Verdict = Literal["differ", "not told apart", "no interval"]
# So many times the runs are no longer a matter of more seeds.
TOO_MANY = 30.0


@dataclass(frozen=True, slots=True)
class Apart:
    """d90 of one sweep over that of another."""

    # None where one has no d90 between two d that were tried.
    ratio: float | None
    # 95% interval of the ratio; an end of None is open, None is no interval.
    interval: tuple[float | None, float | None] | None
    verdict: Verdict
    # How many more runs, in both sweeps together, would tell them apart, roughly: intervals shrink
    # as one over the root of the runs.  None where that says nothing.
    more_runs: int | None = None
    # No number of seeds in reach would: the two are too near each other.
    too_near: bool = False


def apart(a: Summary, b: Summary) -> Apart:
    """Compare two d90, each known with an interval of its own.

    The interval of the ratio adds the distances of both intervals' ends in squares, on the side
    that each has: for independent sweeps.  Sweeps that share seeds are nearer to each other than
    that, so it is rather too wide for them.

    Simulated sweeps (two to five seeds on nine d, ratios of 1 and 2, with and without an effect of
    the seed common to both): of 200 trials in each of 24 settings 99.5 to 100 % held the ratio.

    Source:
        Zou and Donner 2008, Construction of confidence limits about effect measures: a general
        approach; here of ln d90.
    """
    if a.interval is None or b.interval is None:
        return Apart(_over(a.d90, b.d90), None, "no interval")
    if not (a.d90 and b.d90):
        return Apart(None, None, "differ" if _are_disjoint(a, b) else "not told apart")
    (low_a, high_a), (low_b, high_b) = _reach(a), _reach(b)
    middle = math.log(a.d90 / b.d90)
    down, up = math.hypot(low_a, high_b), math.hypot(high_a, low_b)
    ends = _factor(middle - down), _factor(middle + up)
    margin = down if middle > 0 else up  # on the side of no difference
    if margin < abs(middle):
        return Apart(a.d90 / b.d90, ends, "differ")
    if math.isinf(margin):
        return Apart(a.d90 / b.d90, ends, "not told apart")
    done = a.runs.done + b.runs.done
    times = math.inf if middle == 0 else (margin / middle) ** 2
    if times > TOO_MANY:
        return Apart(a.d90 / b.d90, ends, "not told apart", too_near=True)
    more = _two_digits(math.ceil(done * (times - 1)) + 1)
    return Apart(a.d90 / b.d90, ends, "not told apart", more)


def _over(a: int | None, b: int | None) -> float | None:
    return a / b if a and b else None


def _reach(s: Summary) -> tuple[float, float]:
    """Return how far the interval reaches below and above d90, in ln d; inf where it is open."""
    low, high = s.interval or (None, None)
    assert s.d90
    below = math.inf if low is None else max(0.0, math.log(s.d90 / max(low, 1)))
    above = math.inf if high is None else max(0.0, math.log(high / s.d90))
    return below, above


def _factor(log: float) -> float | None:
    return None if math.isinf(log) else math.exp(log)


def _are_disjoint(a: Summary, b: Summary) -> bool:
    one, other = _ends(a.interval), _ends(b.interval)
    return one[0] > other[1] or other[0] > one[1]


def _ends(given: Ends | None) -> tuple[float, float]:
    low, high = given or (None, None)
    return 0 if low is None else low, math.inf if high is None else high


def _two_digits(n: int) -> int:
    """Round up to two digits: more would promise too much.

    >>> _two_digits(7), _two_digits(121), _two_digits(2345)
    (7, 130, 2400)
    """
    step = 10 ** max(0, len(str(n)) - 2)
    return -(-n // step) * step
