"""Rows of text as the module reads them: batches, and the company a row may keep in them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from idim.problems.base import Batch
from idim.problems.models.tokens import Encoded

Side = Literal["left", "right"]
# With whom a row goes through the module: padded to the longest of a batch, with rows of its own
# length, or by itself.
Company = Literal["padded", "equal", "alone"]
# What the module is told of which of two texts a token belongs to: what the tokenizer says,
# nothing, or that all is one text.
Types = Literal["told", "left out", "zero"]


@dataclass(frozen=True, slots=True)
class Padding:
    """What fills a batch up, and on which side."""

    id: int
    type: int
    side: Side


class Texts:
    """A split of token ids; batches are padded to their longest row."""

    def __init__(
        self, encoded: Encoded, targets: np.ndarray, padding: Padding, device: torch.device
    ) -> None:
        self.encoded, self.padding, self.device = encoded, padding, device
        self.targets = torch.as_tensor(targets)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int], multiple: int = 8) -> Batch:
        """Return the rows at `index` as tensors on the module's device."""
        bounds = [(self.encoded.starts[i], self.encoded.starts[i + 1]) for i in index]
        # multiples of 8 keep the number of shapes, and so of compiled kernels, small
        width = -(-max(b - a for a, b in bounds) // multiple) * multiple
        parts = {"input_ids": (self.encoded.ids, self.padding.id)}
        if self.encoded.types is not None:
            parts["token_type_ids"] = (self.encoded.types, self.padding.type)
        batch = {k: self._filled(flat, bounds, width, pad) for k, (flat, pad) in parts.items()}
        ones = np.broadcast_to(np.int8(1), self.encoded.ids.shape)
        batch["attention_mask"] = self._filled(ones, bounds, width, 0)
        batch["targets"] = self.targets[torch.as_tensor(index)]
        return {k: v.to(self.device) for k, v in batch.items()}

    def _filled(
        self, flat: np.ndarray, bounds: list[tuple[int, int]], width: int, pad: int
    ) -> Tensor:
        out = np.full((len(bounds), width), pad, np.int64)
        for row, (a, b) in zip(out, bounds, strict=True):
            where = slice(width - (b - a), width) if self.padding.side == "left" else slice(b - a)
            row[where] = flat[a:b]
        return torch.from_numpy(out)


@dataclass(frozen=True, slots=True)
class Reader:
    """A module's logits for a batch of rows, which do not depend on what else is in the batch."""

    module: nn.Module
    side: Side
    company: Company = "padded"
    types: Types = "told"

    def __call__(self, batch: Batch) -> Tensor:
        """Return logits, (N, classes)."""
        keys = self._keys(batch)
        if len(set(keys)) == 1 and self.company == "padded":
            return self._logits(batch)
        groups: dict[Any, list[int]] = {}
        for i, key in enumerate(keys):
            groups.setdefault(key, []).append(i)
        parts = [self._logits(self._part(batch, rows)) for rows in groups.values()]
        order = torch.tensor([i for rows in groups.values() for i in rows])
        return torch.cat(parts)[torch.argsort(order).to(parts[0].device)]

    def _keys(self, batch: Batch) -> list[Any]:
        """Return for each row what those that it may go with have in common."""
        keys: list[Any] = [()] * len(batch["input_ids"])
        config: Any = self.module.config
        if config.is_encoder_decoder and isinstance(config.eos_token_id, int):
            # these classify at the last end of a text, and want as many ends in every row
            ends = (batch["input_ids"] == config.eos_token_id) & (batch["attention_mask"] > 0)
            keys = ends.sum(1).tolist()
        if self.company == "padded":
            return keys
        if self.company == "alone":
            return list(range(len(keys)))
        return list(zip(keys, batch["attention_mask"].sum(1).tolist(), strict=True))

    def _part(self, batch: Batch, rows: list[int]) -> Batch:
        """Return some rows, of equal length without their padding."""
        at = torch.tensor(rows, device=batch["input_ids"].device)
        part = {k: v[at] for k, v in batch.items() if k != "targets"}
        if self.company == "padded":
            return part
        n = int(part["attention_mask"][0].sum())
        where = slice(-n, None) if self.side == "left" else slice(n)
        return {k: v[:, where] for k, v in part.items()}

    def _logits(self, batch: Batch) -> Tensor:
        takes = _takes(type(self.module))
        inputs = {k: v for k, v in batch.items() if k in takes}
        if self.types == "left out":
            inputs.pop("token_type_ids", None)
        elif self.types == "zero" and "token_type_ids" in takes:
            inputs["token_type_ids"] = torch.zeros_like(batch["input_ids"])
        return self.module(**inputs).logits


@lru_cache
def _takes(kind: type[nn.Module]) -> frozenset[str]:
    """Return which of a batch's tensors a module's forward has a place for."""
    known = frozenset(("input_ids", "attention_mask", "token_type_ids"))
    found = inspect.signature(kind.forward).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())
    return known if takes_all else known & set(found)
