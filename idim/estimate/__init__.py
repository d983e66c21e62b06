"""From a table of scores to d90: the points, the line, the bracket and the interval; pure."""

from idim.estimate.d90 import estimate, to_summary_part
from idim.estimate.fit import Line, fit
from idim.estimate.points import point
from idim.estimate.records import Estimate, Fit, Point, Score, level, reaches

__all__ = [
    "Estimate",
    "Fit",
    "Line",
    "Point",
    "Score",
    "estimate",
    "fit",
    "level",
    "point",
    "reaches",
    "to_summary_part",
]
