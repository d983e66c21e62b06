"""Which runs come next: strategies from results so far to the next specs; no disk, no training."""

from idim.config.names import STRATEGIES
from idim.search.adaptive import coarse_steps
from idim.search.asked import next_runs
from idim.search.grid import paper_grid
from idim.search.space import Space
from idim.search.strategy import Asking, Done, Known, Strategy, Tally, ask, named, strategy

__all__ = [
    "STRATEGIES",
    "Asking",
    "Done",
    "Known",
    "Space",
    "Strategy",
    "Tally",
    "ask",
    "coarse_steps",
    "named",
    "next_runs",
    "paper_grid",
    "strategy",
]
