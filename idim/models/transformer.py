"""A transformers model of a local folder: pretrained weights under a new head."""

from pathlib import Path

from torch import Tensor

from idim import weights
from idim.models.base import Batch, Model, Rows, cross_entropy, squared_error
from idim.models.loading import load
from idim.models.reading import read_tokenizer
from idim.models.texts import Texts, positions
from idim.tasks import Split, TaskInfo


def transformer(
    name: str, folder: Path, info: TaskInfo, max_length: int, *, keep_head: bool = False
) -> Model:
    """Load a model of a local folder under a head for the task."""
    loaded = load(name, folder, max(1, len(info.labels)), keep_head=keep_head)
    module = loaded.module
    tokenizer = read_tokenizer(name, weights.shared(folder), module)
    if tokenizer.pad_token is None:  # decoders such as GPT-2 have none
        tokenizer.pad_token = tokenizer.eos_token
    module.config.pad_token_id = tokenizer.pad_token_id
    longest = min(max_length, tokenizer.model_max_length, positions(module))

    def encode(split: Split) -> Rows:
        return Texts(split, tokenizer, longest, next(module.parameters()).device)

    def outputs(batch: Batch) -> Tensor:
        return module(**{k: v for k, v in batch.items() if k != "targets"}).logits

    loss = cross_entropy if info.labels else squared_error
    return Model(module, loaded.head, encode, outputs, loss, loaded.changed, loaded.notes)
