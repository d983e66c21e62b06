"""Which parameters of a model the rows of a task reach."""

import warnings

import numpy as np
import torch
from torch import Tensor

from idim.errors import IdimError, RunFailed
from idim.problems.base import Model
from idim.problems.models.heads import covering
from idim.problems.models.stored import one_line
from idim.problems.tasks import Split

# As many parts are named as fit on a line.
NAMED = 4


def unreached(name: str, model: Model, train: Split) -> list[str]:
    """Say which parameters get no gradient from the first rows, though D counts them.

    One forward and one backward pass over two rows, in evaluation mode, which drops no layer by
    chance.  Each gradient is freed as soon as it is made; modes and torch's generator are as
    before.

    Args:
        name: what the user called the model.
        model: without gradients.
        train: rows of the task.

    Returns:
        No sentence or one, for `Model.notes`.

    Raises:
        IdimError: the model cannot read these rows.
        RunFailed: there is no memory for it.
    """
    module = model.module
    trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
    missed = set(trained)
    modes = {part: part.training for part in module.modules()}
    hooks = [p.register_post_accumulate_grad_hook(_Tick(n, missed)) for n, p in trained.items()]
    module.eval()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = model.encode(train.take(np.arange(min(2, len(train))))).batch(
                range(min(2, len(train)))
            )
            model.loss(model.outputs(batch), batch).backward()
    except IdimError:
        raise
    except Exception as e:
        if isinstance(e, MemoryError) or "memory" in str(e):
            raise RunFailed(f"out of memory in the first step of model '{name}'.") from None
        raise IdimError(
            f"model '{name}' cannot read the first rows of the task: {one_line(e)}."
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
        for part, was in modes.items():
            part.training = was
        for p in trained.values():
            p.grad = None
    return _sentence(model, {n: trained[n] for n in missed})


class _Tick:
    """Cross a parameter off and free its gradient."""

    def __init__(self, name: str, missed: set[str]) -> None:
        self.name, self.missed = name, missed

    def __call__(self, parameter: Tensor) -> None:
        self.missed.discard(self.name)
        parameter.grad = None


def _sentence(model: Model, missed: dict[str, Tensor]) -> list[str]:
    if not missed:
        return []
    parts = covering(model.module, missed)
    said = []
    for part in parts[:NAMED]:
        inside = [p.numel() for n, p in missed.items() if n == part or n.startswith(f"{part}.")]
        name = part if part in missed else f"{part}.*"
        tensors = f"{len(inside)} tensor{'s' if len(inside) > 1 else ''}"
        said.append(f"{name} ({tensors}, {sum(inside):,} numbers)")
    more = f" and {len(parts) - NAMED} parts more" if len(parts) > NAMED else ""
    return [f"The first batch reaches none of {', '.join(said)}{more}: D counts them all the same."]
