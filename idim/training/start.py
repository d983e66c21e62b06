"""What comes before the first step: torch's settings, theta_0, and whether the files are those."""

import os

import torch

from idim.config import RunSpec, names, recipe
from idim.errors import IdimError, Misled, RunFailed, code_error
from idim.machine import cores
from idim.methods import METHODS, Method
from idim.plain import brief
from idim.problems.base import Model, Problem
from idim.training.schedule import stream


def prepare_torch(spec: RunSpec) -> None:
    """Fix what decides bits: the number of threads, and deterministic kernels on a GPU."""
    torch.set_num_threads(spec.threads or recipe(spec.model).threads or cores())
    if spec.device == "cuda":
        if not torch.cuda.is_available():
            raise IdimError("--device cuda: this machine has no usable GPU; use --device cpu.")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def build(spec: RunSpec, problem: Problem) -> Model:
    """Build the spec's model on its device with the seed's theta_0."""
    model = problem.build(stream(spec.seed, "init"))
    model.module.to(spec.device)
    return model


def make(spec: RunSpec, model: Model) -> Method:
    """Make a model trainable as the spec says.

    Raises:
        IdimError: a size out of range for this model, SAID with too few d, no head to set apart;
            a method from outside that trains nothing.
    """
    method = METHODS[spec.method](spec, model, stream(spec.seed, "projection"))
    count = method.trainable
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise Misled(
            f"method '{spec.method}' trains {brief(count)} numbers at {spec.sized or 'any size'}; "
            "it must train 1 or more, and say how many in trainable."
        )
    if spec.method not in names.METHODS.own:
        _check_count(spec, method)
    return method


def _check_count(spec: RunSpec, method: Method) -> None:
    """Hold what is counted against what is given to the optimizer.

    Raises:
        Misled: they differ.
    """
    try:
        groups = [list(group["params"]) for group in method.param_groups()]
        count = sum(p.numel() for group in groups for p in group)
    except Exception:  # the optimizer says what is wrong with them
        return
    if count and count != method.trainable:
        raise Misled(
            f"method '{spec.method}' says that it trains {method.trainable:,} numbers, and gives "
            f"the optimizer {count:,}; its trainable must be how many are trained."
        )


def blame(spec: RunSpec, e: Exception) -> Exception:
    """Return what a run raised; where its method is from outside, as an error that names it."""
    is_known = isinstance(e, IdimError | OSError | MemoryError | torch.OutOfMemoryError)
    if is_known or "memory" in str(e) or spec.method in names.METHODS.own:
        return e
    return code_error(f"a run of method '{spec.method}'", e)


def refuse_changed(spec: RunSpec, problem: Problem) -> None:
    """Refuse a model or rows that are not those the spec was made for, once both are loaded.

    Raises:
        RunFailed: files were changed since; the run's id names what they were.
    """
    was = {"model": spec.model_fingerprint, "rows": spec.data_fingerprint}
    now = {"model": problem.model_fingerprint, "rows": lambda: problem.data_fingerprint}
    for what, then in was.items():
        if then and now[what]() != then:
            raise RunFailed(
                f"the files of the {what} were changed after this run was planned; put them back, "
                "or choose another --out"
            )
