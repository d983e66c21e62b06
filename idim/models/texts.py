"""Rows of text as the module reads them: tokens, batches, lengths."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from idim.models.base import Batch
from idim.tasks import Split


def positions(module: nn.Module) -> int:
    """How many tokens the position table serves; RoBERTa's first two rows are for padding."""
    config: Any = module.config
    limit = getattr(config, "max_position_embeddings", None) or 1 << 30
    return limit - 2 if "roberta" in config.model_type else limit


class Texts:
    """A split of tokenised text; batches are padded to their longest row."""

    def __init__(self, split: Split, tokenizer: Any, max_length: int, device: torch.device) -> None:
        columns = [list(column) for column in zip(*split.inputs, strict=True)]
        self.encoded = tokenizer(*columns, truncation=True, max_length=max_length)
        self.targets = torch.as_tensor(split.targets)
        self.pad, self.device = tokenizer.pad, device

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int]) -> Batch:
        """Return the rows at `index` as tensors on the module's device."""
        rows = {k: [v[i] for i in index] for k, v in self.encoded.items()}
        # multiples of 8 keep the number of shapes, and so of compiled kernels, small
        batch = dict(self.pad(rows, pad_to_multiple_of=8, return_tensors="pt"))
        batch["targets"] = self.targets[torch.as_tensor(index)]
        return {k: v.to(self.device) for k, v in batch.items()}
