"""What each evaluation row adds to the scores of a sweep's runs, from its store."""

import math
from functools import cache

import numpy as np

from idim.errors import RunFailed
from idim.estimate import Credits
from idim.problems.tasks.jackknife import WITHOUT, credits
from idim.problems.tasks.metrics import score
from idim.store import Result, Store
from idim.sweeps.outcomes import Outcome

# What a score may differ by when it is made again on another machine.
_ROUNDING = 1e-9


def credits_of(store: Store, ended: dict[str, Outcome], metric: str) -> Credits:
    """Return what finds each evaluation row's part in a run's score.

    A run's file is read when it is first asked for.  All runs of a sweep have the same rows in the
    same order: the fingerprint of the rows is in their ids.

    Args:
        store: of the sweep.
        ended: its runs, from `outcomes`.
        metric: the sweep's.

    Returns:
        a function of a run's (d, lr, seed), d being its size and None the baseline, whose result
        is (rows,) float64, as of `credits`: of accuracy the mean is the score.  None where it is
        not known: no such run ended with a score, an older version kept no rows of it, or the
        score is none of rows (the toy's, an objective's, a module's own).  The function raises
        `Damaged` where the file is not what was written, and RunFailed for two runs that were
        scored on different rows.
    """
    runs = {
        (o.run.measure, o.run.lr, o.run.seed): o
        for o in ended.values()
        if o.run.stop_at is None and isinstance(o.result, Result)
    }
    first: list[tuple[str, np.ndarray]] = []

    @cache
    def found(d: int | None, lr: float, seed: int) -> np.ndarray | None:
        outcome = runs.get((d, lr, seed))
        if outcome is None or metric not in WITHOUT:
            return None
        sides = _sides(store, outcome, metric)
        if sides is None:
            return None
        if not first:
            first.append((outcome.run.id, sides[1]))
        if not np.array_equal(first[0][1], sides[1]):
            raise RunFailed(
                f"the runs '{first[0][0]}' and '{outcome.run.id}' of one sweep were scored on "
                "different rows; sweep into a new --out."
            )
        return credits(metric, *sides)

    return found


def _sides(store: Store, outcome: Outcome, metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a run's predictions and targets, (rows,) each, None where they are not kept.

    A try that goes on from an older version's finished run may have been killed between its rows
    and its result: those are not the rows of the score.
    """
    rows = store.run(outcome.run).rows()
    if rows is None:
        return None
    predictions, targets = rows["prediction"].numpy(), rows["target"].numpy()
    assert isinstance(outcome.result, Result)
    now, then = score(metric, predictions, targets), outcome.result.score[metric]
    same = math.isclose(now, then, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return (predictions, targets) if same else None
