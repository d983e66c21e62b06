"""Problems whose rows are a task's: what all of them share, whatever reads the rows."""

from collections.abc import Callable
from functools import partial

import numpy as np

from idim.problems.base import Model, Problem, classes
from idim.problems.tasks import TaskData
from idim.problems.tasks.metrics import score


def rowed(
    data: TaskData, build: Callable[[int], Model], model_fingerprint: Callable[[], str]
) -> Problem:
    """Return the problem of a model on the rows of a task.

    Args:
        data: loaded rows.
        build: makes the model with theta_0 from a seed.
        model_fingerprint: hashes what decides theta_0 before any seed.
    """
    return Problem(
        train=data.train,
        select=data.select,
        evaluation=data.evaluation,
        build=build,
        answers=partial(classes, data.info),
        judge=partial(judge, data.info.metrics),
        metrics=data.info.metrics,
        chance=data.chance,
        data_fingerprint=data.fingerprint,
        model_fingerprint=model_fingerprint,
        notes=data.notes,
    )


def judge(
    metrics: tuple[str, ...], predictions: np.ndarray, targets: np.ndarray
) -> dict[str, float]:
    """Return every metric for predictions, (N,), of targets, (N,).

    Raises:
        RunFailed: NaN or infinity among them.
    """
    return {m: score(m, predictions, targets) for m in metrics}
