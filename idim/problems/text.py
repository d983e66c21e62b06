"""Texts, read by a pretrained transformer under a new head: classification and regression."""

from functools import partial

from idim.config import Setup
from idim.problems import models, tasks
from idim.problems.base import Model, Problem
from idim.problems.rowed import rowed
from idim.problems.tasks import TaskInfo


def text(setup: Setup, _: TaskInfo) -> Problem:
    """Return the problem of a transformer on a text task; a hub id is fetched once.

    Raises:
        IdimError: an unknown model, or bad rows.
        OffLine: a model or data set that is neither on this machine nor reachable.
    """
    folder = models.source(setup.model)
    data = tasks.load(setup)

    def build(seed: int) -> Model:
        return models.build(
            setup.model, folder, data,
            max_length=setup.max_length, seed=seed, keep_head=setup.keep_head,
        )  # fmt: skip

    return rowed(data, build, partial(models.fingerprint, setup.model, folder))
