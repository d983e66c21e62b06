"""A transformers model of a local folder: pretrained weights under a new head."""

from pathlib import Path

from torch import Tensor

from idim.errors import IdimError
from idim.models.base import Batch, Model, Rows, cross_entropy, squared_error
from idim.models.loading import load
from idim.models.texts import Texts, positions
from idim.tasks import Split, TaskInfo


def transformer(name: str, folder: Path, info: TaskInfo, max_length: int) -> Model:
    """Load a model of a local folder under a head for the task."""
    module, tokenizer = load(name, folder, max(1, len(info.labels)))
    if tokenizer.pad_token is None:  # decoders such as GPT-2 have none
        tokenizer.pad_token = tokenizer.eos_token
    module.config.pad_token_id = tokenizer.pad_token_id
    if len(tokenizer) > module.get_input_embeddings().num_embeddings:
        raise IdimError(
            f"the tokenizer of '{name}' has {len(tokenizer)} tokens but its model only "
            f"{module.get_input_embeddings().num_embeddings}; they do not belong together."
        )
    longest = min(max_length, tokenizer.model_max_length, positions(module))
    head = tuple(
        n for n, part in module.named_children()
        if n != module.base_model_prefix and any(True for _ in part.parameters())
    )  # fmt: skip

    def encode(split: Split) -> Rows:
        return Texts(split, tokenizer, longest, next(module.parameters()).device)

    def outputs(batch: Batch) -> Tensor:
        return module(**{k: v for k, v in batch.items() if k != "targets"}).logits

    return Model(module, head, encode, outputs, cross_entropy if info.labels else squared_error)
