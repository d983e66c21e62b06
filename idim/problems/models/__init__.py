"""From a name to a trainable module: hub id, local folder, or a built-in net."""

from pathlib import Path

import torch

from idim import hub
from idim.builtin import weights
from idim.config import SMALL_NETS
from idim.errors import IdimError, unknown
from idim.problems.models.base import Batch, Model, Rows
from idim.problems.models.nets import small_net
from idim.problems.models.reach import unreached
from idim.problems.models.reading import quiet_transformers
from idim.problems.models.transformer import transformer
from idim.problems.tasks import TaskData, TaskInfo

__all__ = [
    "Batch",
    "Model",
    "Rows",
    "build",
    "check_fits",
    "fingerprint",
    "quiet_transformers",
    "source",
    "unreached",
]


def source(name: str) -> Path | None:
    """Return the local folder of a model (fetching a hub id once), None for a built-in net."""
    if name in SMALL_NETS:
        return None
    if weights.is_shipped(name):
        return weights.folder(name)
    return hub.resolve_model(name, [*SMALL_NETS, *weights.families()])


def fingerprint(name: str, folder: Path | None) -> str:
    """Hash what decides theta_0 before any seed: config, weights and tokenizer."""
    if folder is None:
        return f"builtin:{name}:1"
    places = {folder, weights.shared(folder)}
    return hub.fingerprint(p for place in places for p in hub.deciding(place, name))


def check_fits(name: str, info: TaskInfo) -> None:
    """Refuse a model that cannot read the task's inputs.

    Raises:
        IdimError: naming the kinds of both and a model or task that would fit.
    """
    reads = {
        "toy": ("toy",),
        "digits-mlp": ("vector",),
        "mnist-fc": ("image",),
        "lenet": ("image",),
    }
    for_kind = {
        "toy": "--model toy", "vector": "--model digits-mlp", "image": "--model mnist-fc or lenet",
        "text": "--model tiny, a hub id such as --model roberta-base, or a model folder",
    }  # fmt: skip
    if name not in reads and info.kind != "text" and not weights.is_shipped(name):
        raise unknown("model", name, reads, f"Task '{info.name}' needs {for_kind[info.kind]}.")
    if info.kind not in reads.get(name, ("text",)):
        raise IdimError(
            f"model '{name}' cannot read task '{info.name}' ({info.kind}); "
            f"use {for_kind[info.kind]}."
        )


def build(
    name: str,
    folder: Path | None,
    task: TaskData,
    *,
    max_length: int,
    seed: int,
    keep_head: bool = False,
) -> Model:
    """Build the module with theta_0: pretrained weights, and a head (or net) drawn from `seed`.

    Args:
        name: what the user called it.
        folder: `source(name)`.
        task: loaded data; gives classes and shapes.
        max_length: tokens kept of each text row.
        seed: fixes every weight that is not read from a file.
        keep_head: read the head too, which a fine-tuned model stores.

    Raises:
        IdimError: an unknown or unreadable model, one that does not fit the task, or one without
            a head to keep.
    """
    check_fits(name, task.info)
    with torch.random.fork_rng(devices=[]):
        # weights are drawn on the CPU; torch.manual_seed takes 3 ms to seed devices too
        torch.default_generator.manual_seed(seed)
        if folder is not None:
            return transformer(name, folder, task, max_length, keep_head=keep_head)
        if keep_head:
            raise IdimError(f"model '{name}' has no stored head to keep; drop --keep-head.")
        return small_net(name, task)
