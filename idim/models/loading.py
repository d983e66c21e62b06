"""A folder's module and tokenizer, as transformers reads them."""

from pathlib import Path
from typing import Any

import torch

from idim import weights
from idim.errors import IdimError


def load(name: str, folder: Path, classes: int) -> tuple[Any, Any]:
    """Read the module and the tokenizer of a model folder.

    Raises:
        IdimError: transformers cannot load it.
    """
    transformers = quiet_transformers()
    shared = weights.shared(folder)
    try:
        config = transformers.AutoConfig.from_pretrained(
            shared, num_labels=classes, local_files_only=True, trust_remote_code=False,
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
    return module, tokenizer


def quiet_transformers() -> Any:
    """Import transformers without its progress bars and load reports on the user's terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
