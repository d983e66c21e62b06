"""How far the line may lie from a curve by the choice of evaluation rows, which all runs share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# (d, lr, seed) of a finished run -> what each evaluation row adds to its score: (rows,), of mean
# the score; None where it is not known.  d None is the baseline.
Credits = Callable[[int | None, float, int], Any]
# d -> the credits of its finished runs, (runs, rows); None where a run's are not known
Seen = Callable[[int | None], Any]


@dataclass(frozen=True, slots=True)
class RowsNoise:
    """The variance, over evaluation rows, of a curve's height above the line."""

    variance: float
    dof: int


def rows_noise(ds: Sequence[int], seen: Seen, share: float, *, own: bool) -> RowsNoise | None:
    """Estimate what another draw of evaluation rows would move, beside the crossing.

    All runs answer the same rows: a row that is hard for each lowers a score at d and the line
    together, and only their difference counts.  What seeds move at each row is taken off, since
    the noise of seeds holds it already.

    Args:
        ds: those beside the crossing.
        seen: as `Seen`.
        share: of the baseline's score, that the line asks for.
        own: the line comes from a baseline that was scored on these rows too.

    Returns:
        None where the rows of some run are not known, or not finite.
    """
    import numpy as np

    found = [seen(d) for d in ds]
    base = [seen(None)] if own else []
    if not found or any(part is None for part in (*found, *base)):
        return None
    rows = found[0].shape[1]
    if rows < 2 or any(part.shape[1] != rows for part in (*found, *base)):
        return None
    line = share * base[0].mean(axis=0) if own else np.zeros(rows)
    every = []
    for part in found:
        total = (part.mean(axis=0) - line).var(ddof=1)
        every.append(total - _seeds(part) - sum(share**2 * _seeds(b) for b in base))
    moved = float(np.mean(every))
    return RowsNoise(max(moved, 0.0) / rows, rows - 1) if math.isfinite(moved) else None


def _seeds(part: Any) -> float:
    """Return the variance of a mean over seeds, at one row; one seed does not tell."""
    runs = len(part)
    return float(part.var(axis=0, ddof=1).mean()) / runs if runs > 1 else 0.0
