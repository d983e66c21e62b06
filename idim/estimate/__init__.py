"""From a table of scores to d90: the points, the line, the bracket and the interval; pure."""

from idim.estimate.d90 import estimate, to_summary_part
from idim.estimate.records import Estimate, Point, Score

__all__ = ["Estimate", "Point", "Score", "estimate", "to_summary_part"]
