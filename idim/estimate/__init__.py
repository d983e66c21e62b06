"""From a table of scores to d90 and its interval: the points, the line, the curve; pure."""

from idim.estimate.d90 import estimate
from idim.estimate.fit import Target, fit
from idim.estimate.notes import Scored
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
    reaches,
    symbol,
)
from idim.estimate.target import Asked, Floor, floor_of

__all__ = [
    "Asked",
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
    "baseline_score",
    "estimate",
    "fit",
    "floor_of",
    "has_line",
    "point",
    "reaches",
    "symbol",
]
