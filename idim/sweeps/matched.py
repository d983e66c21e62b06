"""What two sweeps can be paired by: scores by d and seed, and which rows were right."""

from pathlib import Path

from idim.report.matched import AtSize, Rows
from idim.results import Summary
from idim.store import Store
from idim.sweeps.outcomes import outcomes, space_of
from idim.sweeps.rows import credits_of


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
    ended = outcomes(store, space)
    # of an accuracy alone a row's part is whether it was right
    right = credits_of(store, ended, summary.metric) if summary.metric == "accuracy" else None
    found: dict[int, AtSize] = {d: AtSize({}, {}) for d in rates}
    for one in ended.values():
        run, d = one.run, one.run.measure or 0
        score = one.score(summary.metric).score
        if run.stop_at is not None or score is None or rates.get(d) != run.lr:
            continue
        found[d].scores[run.seed] = score
        if right is not None and (rows := right(d, run.lr, run.seed)) is not None:
            found[d].right[run.seed] = rows
    return Rows(space.resolved["data_fingerprint"], found)
