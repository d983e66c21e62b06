"""The toy: a problem of known answer, with no rows."""

from functools import partial

import numpy as np
from torch import Tensor

from idim.builtin.nets import Toy
from idim.config import Setup
from idim.problems.base import Model, Problem
from idim.problems.rowed import judge
from idim.problems.small import Arrays, refuse_kept_head
from idim.problems.tasks import Split, TaskInfo
from idim.problems.tasks.data import fingerprint


def toy(setup: Setup, info: TaskInfo) -> Problem:
    """Return the toy; its one row stands for none.

    Raises:
        IdimError: a head to keep: it has none.
    """
    refuse_kept_head(setup)
    nothing = Split.nothing()
    return Problem(
        train=nothing,
        select=None,
        evaluation=nothing,
        build=_build,
        answers=_performance,
        judge=partial(judge, info.metrics),
        metrics=info.metrics,
        chance=dict.fromkeys(info.metrics, 0.0),
        data_fingerprint=fingerprint(info, (nothing, None, nothing)),
        model_fingerprint=lambda: f"builtin:{setup.model}:1",
    )


def _build(_: int) -> Model:
    net = Toy()
    return Model(net, (), Arrays.of(net), lambda _: net(), lambda loss, _: loss.sum())


def _performance(outputs: Tensor) -> np.ndarray:
    """Li et al.'s exp(-loss), for which it is 1 where every sum is right."""
    return np.exp(-outputs.numpy())
