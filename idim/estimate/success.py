"""The share of seeds that reach the line, at each d, and the d where it passes one half; pure."""

import math
from collections.abc import Sequence

from idim.estimate.isotonic import crossing
from idim.estimate.records import Point, Success, reaches


def success(points: Sequence[Point], line: float | None) -> Success:
    """Count passes and find the 50% point, with a 95% likelihood-ratio interval.

    Every seed draws its own P, so this is the probability that a random subspace of dimension d
    holds a good enough solution.  One seed a d is evidence too.  The line is taken as it is.

    Source:
        Larsen, Fort, Becker & Ganguli 2021 (arXiv 2107.05802): a sharp transition in d.
    """
    if line is None or not points:
        return Success(None, (None, None), ())
    counts = tuple((p.d or 0, sum(reaches(s, line) for s in p.scores), p.n) for p in points)
    shares = [passed / n for _, passed, n in counts]
    sizes = [n for _, _, n in counts]

    def deviance(fitted):  # type: ignore[no-untyped-def]
        """Twice the binomial log-likelihood lost against each d's own share."""
        import numpy as np

        p, n = np.asarray(shares), np.asarray(sizes)
        q = np.clip(fitted, 1e-9, 1 - 1e-9)
        own = [sum(x * math.log(x) for x in (s, 1 - s) if x) for s in shares]
        return 2 * n * (np.asarray(own) - p * np.log(q) - (1 - p) * np.log1p(-q))

    found = crossing([d for d, _, _ in counts], shares, sizes, 0.5, deviance, [0.5], [0.0])
    return Success(found.d, found.interval, counts)
