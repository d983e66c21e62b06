"""What was found, as it is written to JSON and read again."""

from idim.results.evidence import Evidence, LeftOut, Source
from idim.results.summary import (
    Baseline,
    PointRow,
    Problem,
    Protocol,
    Reading,
    Runs,
    Search,
    Summary,
    parts,
)
from idim.results.trajectory import (
    Checkpoint,
    Correlation,
    Missing,
    Series,
    TaskSeries,
    Trajectory,
)

__all__ = [
    "Baseline",
    "Checkpoint",
    "Correlation",
    "Evidence",
    "LeftOut",
    "Missing",
    "PointRow",
    "Problem",
    "Protocol",
    "Reading",
    "Runs",
    "Search",
    "Series",
    "Source",
    "Summary",
    "TaskSeries",
    "Trajectory",
    "parts",
]
