"""How a module reads the rows of a task, found by trying, and with whom a row may share a batch.

What it is told of pairs and how long a row may be is tried first.  Then a few rows of the task, the
shortest and the longest among them, go through the module by themselves and together, in eval mode;
where their logits differ, padding on the other side, rows of equal length, and rows by themselves
are tried in turn.  Nothing is read off a model's name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from idim.errors import IdimError
from idim.problems.base import Rows
from idim.problems.models.sample import Row, cut, packed, sample
from idim.problems.models.texts import Company, Padding, Reader, Side, Texts, Types
from idim.problems.models.tokens import NO_LIMIT, Tokens, tokens
from idim.problems.tasks import Split, TaskData

# A row's logits in company may differ from those alone by this share of their size: float32 rounds
# sums in another order to 1e-6 of it in a small net, 3e-6 in one of 24 layers.
TOLERANCE = 1e-5
# How many findings are kept, each with the rows it was found on.
KEPT = 4
_FOUND: dict[tuple[Any, ...], tuple[tuple[Types, Side, Company], int]] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found: the parts of a `Model` that depend on the tokenizer."""

    encode: Callable[[Split], Rows]
    outputs: Reader
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def reading(
    name: str, module: nn.Module, tokenizer: Any, folder: Path, task: TaskData, max_length: int
) -> Reading:
    """Find out how a module reads a task's rows, and hold it to it.

    Args:
        name: what the user called the model.
        module: with its final weights, on any device.
        tokenizer: of the same model; it gets a token to pad with if it has none.
        folder: where the tokenizer's files lie.
        task: rows of text.
        max_length: most tokens of a row that the user wants.

    Raises:
        IdimError: tokenizer and module do not belong together, or a row cannot be read; one line
            that says what to change.
    """
    columns = len(task.train.inputs[0])
    rules = tokens(name, tokenizer, folder, min(max_length, positions(module)), columns)
    changed = [*_set_padding(module, tokenizer), *(["pairs:2"] if rules.between else [])]
    trial = _Trial(name, module, tokenizer, rules, task)
    trial.check_vocabulary()
    types, side, company = trial.find()
    if side != tokenizer.padding_side:
        changed.append("pad:2")
    if company != "padded":
        changed.append("batches:2")
    if any(e.empty for e in trial.encoded.values()):
        changed.append("empty:2")
    reader = Reader(module, side, company, types)
    padding = Padding(rules.pad, tokenizer.pad_token_type_id, side)
    final = trial.rules

    def encode(split: Split) -> Rows:
        device = next(module.parameters()).device
        return Texts(final.encode(split), split.targets, padding, device)

    return Reading(encode, reader, tuple(dict.fromkeys(changed)), trial.notes(max_length))


def positions(module: nn.Module) -> int:
    """Return how many tokens the model says it reads; it may be one or two fewer in fact."""
    stated = getattr(module.config, "max_position_embeddings", None)
    return stated if isinstance(stated, int) and stated > 0 else NO_LIMIT


def _set_padding(module: nn.Module, tokenizer: Any) -> list[str]:
    """Tell the module what fills rows up, where a part of it reads the text too."""
    config: Any = module.config
    text = config.get_text_config()
    was = text.pad_token_id
    config.pad_token_id = text.pad_token_id = tokenizer.pad_token_id
    # what was kept for further tokens is of no use to a classifier
    for part in (config, text):
        if getattr(part, "use_cache", None):
            part.use_cache = False
    is_new = text is not config and was not in (None, tokenizer.pad_token_id)
    masked = "attention_mask" in tokenizer.model_input_names
    return ["pad:2"] if is_new or not masked else []


class _Trial:
    """Some rows of a task, tried on a module."""

    def __init__(
        self, name: str, module: nn.Module, tokenizer: Any, rules: Tokens, task: TaskData
    ) -> None:
        self.name, self.module, self.tokenizer, self.rules = name, module, tokenizer, rules
        splits = {"train": task.train, "select": task.select, "evaluation": task.evaluation}
        self.splits = {k: split for k, split in splits.items() if split is not None}
        self._encode()

    def _encode(self) -> None:
        self.encoded = {k: self.rules.encode(split) for k, split in self.splits.items()}
        self.rows = sample(list(self.encoded.values()), self.rules.pad)
        n = self.rules.longest
        if len(self.rows[-1].ids) > n:
            raise IdimError(
                f"{n} tokens leave no room for a text beside those that the tokenizer of "
                f"'{self.name}' adds; use a larger --max-length."
            )

    def check_vocabulary(self) -> None:
        """Refuse tokens that the module has no embedding for."""
        try:
            table = self.module.get_input_embeddings()  # type: ignore[operator]
        except NotImplementedError:
            return
        size = getattr(table, "num_embeddings", None)
        if size is None:
            return
        most = max(int(e.ids.max()) + 1 for e in self.encoded.values())
        most = max(most, len(self.tokenizer), self.rules.pad + 1)
        if most > size:
            raise IdimError(
                f"the tokenizer of '{self.name}' has {most} tokens but its model only {size}; "
                "they do not belong together."
            )

    def find(self) -> tuple[Types, Side, Company]:
        """Find out how rows are read, once for all runs of a process on the same rows."""
        config: Any = self.module.config
        kind = type(self.module), config.to_json_string()
        key = (self.rules, self.tokenizer.padding_side, *kind, *self.splits.values())
        if key not in _FOUND:
            with _evaluating(self.module):
                types = self.find_types()
                self.find_longest(types)
                found = (types, *self.find_company(types))
            while len(_FOUND) >= KEPT:
                del _FOUND[next(iter(_FOUND))]
            _FOUND[key] = found, self.rules.longest
        found, longest = _FOUND[key]
        if longest != self.rules.longest:
            self.rules = self.rules.up_to(longest)
            self._encode()
        return found

    def find_types(self) -> Types:
        """Return the first way to tell two texts apart that the module can read."""
        row, errors = self.rows[-1], []
        for types in ("told", "left out", "zero"):
            try:
                self._read(types, cut(row, 8), is_training=True)
                return types
            except _UNREADABLE as e:
                errors.append(e)
        raise self._refusal(errors[0])

    def find_longest(self, types: Types) -> None:
        """Shorten the longest row to what the module can read, if that is less."""
        row = self.rows[-1]
        good, bad = min(8, len(row.ids)), len(row.ids) + 1
        trying = len(row.ids)
        while good < trying < bad:
            try:
                self._read(types, cut(row, trying))
                good = trying
            except _UNREADABLE:
                bad = trying
            trying = (good + bad) // 2
        if good < len(row.ids):
            self.rules = self.rules.up_to(good)
            self._encode()

    def find_company(self, types: Types) -> tuple[Side, Company]:
        """Return how rows may share a batch.

        Raises:
            IdimError: a row's logits are no numbers, or not the same twice.
        """
        own = self.tokenizer.padding_side
        other = "left" if own == "right" else "right"
        try:
            alone = torch.cat([self._read(types, row) for row in self.rows])
        except _UNREADABLE as e:
            raise self._refusal(e) from None
        if not torch.isfinite(alone).all():
            raise IdimError(f"model '{self.name}' puts out nan or infinity for rows of this task.")
        ways: list[tuple[Side, Company]] = [(own, "padded"), (other, "padded"), ("right", "equal")]
        for side, company in ways:
            if self._is_same(alone, Reader(self.module, side, company, types)):
                return side, company
        again = torch.cat([self._read(types, row) for row in self.rows])
        if _relative(alone, again) > TOLERANCE:
            raise IdimError(
                f"model '{self.name}' gives one row other logits each time it reads it, also in "
                "evaluation: its scores would be chance; use another model."
            )
        return "right", "alone"

    def _is_same(self, alone: Tensor, reader: Reader) -> bool:
        """Tell whether rows in company have their logits alone, whatever the padding holds."""
        padding = Padding(self.rules.pad, self.tokenizer.pad_token_type_id, reader.side)
        rows = Texts(packed(self.rows), np.zeros(len(self.rows)), padding, self._device())
        batch = rows.batch(range(len(rows)))
        try:
            together = reader(batch)
            with _other_padding(self.module, batch["attention_mask"]):
                other = reader(batch)
        except _UNREADABLE:
            return False
        # padding takes no part: not a bit may move, however little a leak is before any training
        return torch.equal(together, other) and _relative(alone, together) <= TOLERANCE

    def _read(self, types: Types, row: Row, *, is_training: bool = False) -> Tensor:
        """Return the logits of one row by itself, without padding."""
        padding = Padding(self.rules.pad, 0, "right")
        batch = Texts(packed([row]), np.zeros(1), padding, self._device()).batch([0], multiple=1)
        reader = Reader(self.module, "right", "padded", types)
        if is_training:
            with _training(self.module):
                reader(batch)
        return reader(batch)

    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def _refusal(self, error: Exception) -> IdimError:
        text = " ".join(str(error).split()) or type(error).__name__
        return IdimError(
            f"model '{self.name}' cannot read a row of this task as its tokenizer wrote it "
            f"({text[:160].rstrip('.')}): use a tokenizer that belongs to it, or another model."
        )

    def notes(self, max_length: int) -> tuple[str, ...]:
        """Say how many rows were cut."""
        counts = {k: (e.cut, len(e)) for k, e in self.encoded.items()}
        evaluation = counts.pop("evaluation")
        training = tuple(map(sum, zip(*counts.values(), strict=True)))
        if not training[0] and not evaluation[0]:
            return ()
        n = self.rules.longest
        remedy = (
            "a larger --max-length keeps them whole"
            if n >= max_length
            else "the model reads no more"
        )
        return (
            f"{training[0]:,} of {training[1]:,} training rows and {evaluation[0]:,} of "
            f"{evaluation[1]:,} evaluation rows were cut after {n} tokens; {remedy}.",
        )


# What modules raise when they cannot read a batch; out of memory is a RuntimeError too.
_UNREADABLE = (
    RuntimeError, IndexError, ValueError, TypeError, KeyError, AttributeError, AssertionError,
    NotImplementedError, ZeroDivisionError,
)  # fmt: skip


@contextmanager
def _other_padding(module: nn.Module, mask: Tensor) -> Iterator[None]:
    """Give the padding of one batch another embedding."""

    def hook(_: nn.Module, __: Any, out: Any) -> Any:
        if not isinstance(out, Tensor) or out.shape[:-1] != mask.shape:
            return None
        return torch.where(mask.bool().unsqueeze(-1), out, 1 - 3 * out)

    try:
        table = module.get_input_embeddings()  # type: ignore[operator]
    except NotImplementedError:
        yield
        return
    handle = table.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Leave the module, but for what it keeps of its own accord, and torch's dice as they were."""
    was = module.training
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        module.train(was)


@contextmanager
def _training(module: nn.Module) -> Iterator[None]:
    """Train for a moment: running averages are put back."""
    kept = {name: b.clone() for name, b in module.named_buffers()}
    module.train()
    try:
        yield
    finally:
        module.eval()
        for name, b in module.named_buffers():
            if name in kept and kept[name].shape == b.shape:
                b.copy_(kept[name])
