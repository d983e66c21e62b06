"""Which runs come next: strategies from results so far to the next specs; no disk, no training."""

from idim.search.adaptive import coarse_steps
from idim.search.grid import paper_grid
from idim.search.space import Space
from idim.search.strategy import Done, Known, next_runs, strategy

__all__ = ["Done", "Known", "Space", "coarse_steps", "next_runs", "paper_grid", "strategy"]
