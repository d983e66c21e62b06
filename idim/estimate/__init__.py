"""From a table of scores to d90 and its interval: the points, the line, the curve; pure."""

from idim.estimate.d90 import estimate
from idim.estimate.fit import AND_ROWS, Target, beside, fit
from idim.estimate.notes import Scored, Usual
from idim.estimate.points import point
from idim.estimate.records import (
    Ends,
    Estimate,
    Fit,
    Point,
    Reading,
    Score,
    Smallest,
    Success,
    baseline_score,
    has_line,
    is_failed,
    reaches,
    symbol,
)
from idim.estimate.rows import Credits
from idim.estimate.target import Asked, Floor, floor_of

__all__ = [
    "AND_ROWS",
    "Asked",
    "Credits",
    "Ends",
    "Estimate",
    "Fit",
    "Floor",
    "Point",
    "Reading",
    "Score",
    "Scored",
    "Smallest",
    "Success",
    "Target",
    "Usual",
    "baseline_score",
    "beside",
    "estimate",
    "fit",
    "floor_of",
    "has_line",
    "is_failed",
    "point",
    "reaches",
    "symbol",
]
