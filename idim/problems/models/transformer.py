"""A transformers model of a local folder: pretrained weights under a new head."""

from pathlib import Path

from idim.builtin import weights
from idim.problems.base import Model, cross_entropy, squared_error
from idim.problems.models.company import reading
from idim.problems.models.loading import load
from idim.problems.models.reading import read_tokenizer
from idim.problems.tasks import TaskData


def transformer(
    name: str, folder: Path, task: TaskData, max_length: int, *, keep_head: bool = False
) -> Model:
    """Load a model of a local folder under a head for the task."""
    loaded = load(name, folder, max(1, len(task.info.labels)), keep_head=keep_head)
    shared = weights.shared(folder)
    tokenizer = read_tokenizer(name, shared, loaded.module)
    read = reading(name, loaded.module, tokenizer, shared, task, max_length)
    return Model(
        loaded.module, loaded.head, read.encode, read.outputs,
        cross_entropy if task.info.labels else squared_error,
        changed=(*loaded.changed, *read.changed), notes=(*loaded.notes, *read.notes),
    )  # fmt: skip
