"""A transformers model of a local folder: pretrained weights under a new head."""

from pathlib import Path
from typing import Any

import torch

from idim import weights
from idim.errors import IdimError
from idim.models.base import Model, cross_entropy, squared_error
from idim.models.company import reading
from idim.tasks import TaskData


def transformer(name: str, folder: Path, task: TaskData, max_length: int) -> Model:
    """Load a model of a local folder under a head for the task."""
    info = task.info
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
    head = tuple(
        n for n, part in module.named_children()
        if n != module.base_model_prefix and any(True for _ in part.parameters())
    )  # fmt: skip

    read = reading(name, module, tokenizer, shared, task, max_length)
    return Model(
        module, head, read.encode, read.outputs, cross_entropy if info.labels else squared_error,
        changed=read.changed, notes=read.notes,
    )  # fmt: skip


def quiet_transformers() -> Any:
    """Import transformers without its progress bars and load reports on the user's terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
