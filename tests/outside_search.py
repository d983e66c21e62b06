"""A strategy as a user would write it: not of the package, entered in its table.

tests/test_search_outside.py enters it, and installs this file as another package's.
"""

import math

from idim.search import STRATEGIES, Asking, Strategy


class Bisection(Strategy):
    """Halve the gap between a d that fails and one that passes; one seed and one rate a d."""

    called = "a bisection"

    def runs(self) -> Asking[str]:
        """Yield the baseline, then one d after the other."""
        line = self.spec.baseline
        if isinstance(line, str):
            (base,) = yield [self.space.run(None, self.spec.baseline_lr[0], 0)]
            line = base.score or 0.0
        low, high = self.ends
        while low < high:
            d = (low + high) // 2
            (found,) = yield [self.space.run(d, self.space.rates(d)[-1], 0)]
            passes = found.score is not None and found.score >= self.spec.threshold * line
            low, high = (low, d) if passes else (d + 1, high)
        return f"nothing lies between {high - 1} and {high}"

    @property
    def bound(self) -> int:
        """As often as the ends can be halved, and the baseline."""
        low, high = self.ends
        return 1 + math.ceil(math.log2(high - low + 1))


def enter() -> None:
    """As a program's first lines would."""
    STRATEGIES["bisection"] = Bisection
