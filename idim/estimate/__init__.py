"""From a table of scores to d90: the points, the line, the bracket and the interval; pure."""

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
    Success,
    baseline_score,
    has_line,
    reaches,
)

__all__ = [
    "Ends",
    "Estimate",
    "Fit",
    "Point",
    "Reading",
    "Score",
    "Scored",
    "Success",
    "Target",
    "baseline_score",
    "estimate",
    "fit",
    "has_line",
    "point",
    "reaches",
]
