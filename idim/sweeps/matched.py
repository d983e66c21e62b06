"""What two sweeps can be paired by: scores by d and seed, and which rows were right."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from idim.report.matched import AtSize, Rows
from idim.results import Summary
from idim.store import Run, Store
from idim.sweeps.outcomes import outcomes, space_of

if TYPE_CHECKING:
    import numpy as np


def rows(summary: Summary, out: Path) -> Rows:
    """Read the scores of a sweep at each d, at the learning rate selected there.

    Args:
        summary: of the sweep.
        out: its folder.

    Raises:
        IdimError: the folder holds no sweep, or a damaged file.
    """
    store = Store(out)
    space = space_of(store.sweep())
    rates = {p.d: p.lr for p in summary.points}
    ended = outcomes(store, space).values()
    found: dict[int, AtSize] = {d: AtSize({}, {}) for d in rates}
    for one in ended:
        run = one.run
        score = one.score(summary.metric).score
        if run.stop_at is not None or score is None or rates.get(run.measure or 0) != run.lr:
            continue
        at = found[run.measure or 0]
        at.scores[run.seed] = score
        right = _right(store.run(run)) if summary.metric == "accuracy" else None
        # rows that do not make the score are of another try
        if right is not None and math.isclose(right.mean(), score, abs_tol=1e-9):
            at.right[run.seed] = right
    return Rows(space.resolved["data_fingerprint"], found)


def _right(run: Run) -> "np.ndarray | None":
    """Return whether each row was predicted right, None where that is not kept."""
    kept = run.rows()
    return None if kept is None else (kept["prediction"] == kept["target"]).numpy()
