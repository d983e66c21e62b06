"""A transformers model of a local folder: pretrained weights under a new head."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from idim import weights
from idim.errors import IdimError
from idim.models.base import Batch, Model, Rows, cross_entropy, squared_error
from idim.models.texts import Texts, positions
from idim.tasks import Split, TaskInfo


def transformer(name: str, folder: Path, info: TaskInfo, max_length: int) -> Model:
    """Load a model of a local folder under a head for the task."""
    transformers = quiet_transformers()
    shared = weights.shared(folder)
    try:
        config = transformers.AutoConfig.from_pretrained(
            shared, num_labels=max(1, len(info.labels)), local_files_only=True,
            trust_remote_code=False,
        )  # fmt: skip
        module = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=torch.float32, local_files_only=True,
            use_safetensors=True, trust_remote_code=False,
        )  # fmt: skip
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            shared, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as e:
        reason = str(e).strip().splitlines()[0]
        raise IdimError(f"model '{name}' cannot be loaded from {folder}: {reason}") from None
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


def quiet_transformers() -> Any:
    """Import transformers without its progress bars and load reports on the user's terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
