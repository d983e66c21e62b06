"""From a name to a pretrained transformer: a hub id, a local folder, or a shipped model."""

from pathlib import Path

from idim import hub
from idim.builtin import weights
from idim.config import SMALL_NETS
from idim.problems.base import Model, seeded
from idim.problems.models.reading import quiet_transformers
from idim.problems.models.transformer import transformer
from idim.problems.tasks import TaskData

__all__ = [
    "build",
    "fingerprint",
    "quiet_transformers",
    "source",
]


def source(name: str) -> Path:
    """Return the local folder of a model; a hub id is fetched once."""
    if weights.is_shipped(name):
        return weights.folder(name)
    return hub.resolve_model(name, [*SMALL_NETS, *weights.families()])


def fingerprint(name: str, folder: Path) -> str:
    """Hash what decides theta_0 before any seed: config, weights and tokenizer."""
    places = {folder, weights.shared(folder)}
    return hub.fingerprint(p for place in places for p in hub.deciding(place, name))


def build(
    name: str,
    folder: Path,
    task: TaskData,
    *,
    max_length: int,
    seed: int,
    keep_head: bool = False,
) -> Model:
    """Build the module with theta_0: pretrained weights, and a head drawn from `seed`.

    Args:
        name: what the user called it.
        folder: `source(name)`.
        task: loaded data; gives the classes.
        max_length: tokens kept of each text row.
        seed: fixes every weight that is not read from a file.
        keep_head: read the head too, which a fine-tuned model stores.

    Raises:
        IdimError: an unreadable model, one that does not fit the task, or one without a head to
            keep.
    """
    with seeded(seed):
        return transformer(name, folder, task, max_length, keep_head=keep_head)
