"""From a spec to its problem: one entry a kind."""

from idim.builtin import weights
from idim.config import SMALL_NETS, Setup
from idim.errors import IdimError, unknown
from idim.problems import given, tasks
from idim.problems.base import Kind, Problem
from idim.problems.small import small
from idim.problems.tasks import TaskInfo
from idim.problems.text import text
from idim.problems.toy import toy

# By what the rows of a task are (`TaskInfo.kind`).
KINDS: dict[str, Kind] = {
    "toy": Kind(toy, ("toy",), "--model toy"),
    "vector": Kind(small, ("digits-mlp",), "--model digits-mlp"),
    "image": Kind(small, ("mnist-fc", "lenet"), "--model mnist-fc or lenet"),
    "text": Kind(
        text, None,
        "--model tiny, a hub id such as --model roberta-base, or a model folder",
    ),
}  # fmt: skip


def load(setup: Setup) -> Problem:
    """Return the problem that a spec names.

    Raises:
        IdimError: an unknown task or model, a model that cannot read the task, bad rows or files.
        OffLine: something that is neither on this machine nor reachable.
    """
    if isinstance(code := given.find(setup), given.Own):
        return given.own_problem(code, setup)
    info = tasks.info(setup.task)
    check_fits(setup.model, info)
    return KINDS[info.kind].make(setup, info)


def check_fits(model: str, info: TaskInfo) -> None:
    """Refuse a model that cannot read the task's inputs.

    Raises:
        IdimError: naming the kinds of both and a model or task that would fit.
    """
    kind = KINDS[info.kind]
    if kind.reads(model, SMALL_NETS):
        return
    if kind.nets and model not in SMALL_NETS and not weights.is_shipped(model):
        raise unknown("model", model, SMALL_NETS, f"Task '{info.name}' needs {kind.models}.")
    raise IdimError(
        f"model '{model}' cannot read task '{info.name}' ({info.kind}); use {kind.models}."
    )
