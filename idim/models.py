"""From a name to a trainable module: hub id, local folder, or a built-in net."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idim import hub, weights
from idim.config import SMALL_NETS
from idim.errors import IdimError, unknown
from idim.tasks import Split, TaskData, TaskInfo

Batch = dict[str, Tensor]


class Rows(Protocol):
    """A split in the form the module reads: a number of rows and batches of them."""

    def __len__(self) -> int: ...

    def batch(self, index: Sequence[int]) -> Batch:
        """Return the rows at `index` as tensors on the module's device."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A module with what is needed to train it on one task."""

    module: nn.Module
    # Names of the submodules that are new for the task: the classification head.
    head: tuple[str, ...]
    encode: Callable[[Split], Rows]
    # (N, classes) logits, (N, 1) predictions for regression, or the toy's (1,) loss.
    outputs: Callable[[Batch], Tensor]
    loss: Callable[[Tensor, Batch], Tensor]


def source(name: str) -> Path | None:
    """Return the local folder of a model (fetching a hub id once), None for a built-in net."""
    if name in SMALL_NETS:
        return None
    if weights.is_shipped(name):
        return weights.folder(name)
    return hub.resolve_model(name, [*SMALL_NETS, *weights.families()])


def fingerprint(name: str, folder: Path | None) -> str:
    """Hash what decides theta_0 before any seed: config, weights and tokenizer."""
    if folder is None:
        return f"builtin:{name}:1"
    kinds = (".json", ".safetensors", ".txt", ".model")
    places = {folder, weights.shared(folder)}
    return hub.fingerprint(p for place in places for p in place.iterdir() if p.suffix in kinds)


def check_fits(name: str, info: TaskInfo) -> None:
    """Refuse a model that cannot read the task's inputs.

    Raises:
        IdimError: naming the kinds of both and a model or task that would fit.
    """
    reads = {
        "toy": ("toy",),
        "digits-mlp": ("vector",),
        "mnist-fc": ("image",),
        "lenet": ("image",),
    }
    for_kind = {
        "toy": "--model toy", "vector": "--model digits-mlp", "image": "--model mnist-fc or lenet",
        "text": "--model tiny, a hub id such as --model roberta-base, or a model folder",
    }  # fmt: skip
    if name not in reads and info.kind != "text" and not weights.is_shipped(name):
        raise unknown("model", name, reads, f"Task '{info.name}' needs {for_kind[info.kind]}.")
    if info.kind not in reads.get(name, ("text",)):
        raise IdimError(
            f"model '{name}' cannot read task '{info.name}' ({info.kind}); "
            f"use {for_kind[info.kind]}."
        )


def build(name: str, folder: Path | None, task: TaskData, *, max_length: int, seed: int) -> Model:
    """Build the module with theta_0: pretrained weights, and a head (or net) drawn from `seed`.

    Args:
        name: what the user called it.
        folder: `source(name)`.
        task: loaded data; gives classes and shapes.
        max_length: tokens kept of each text row.
        seed: fixes every weight that is not read from a file.

    Raises:
        IdimError: an unknown or unreadable model, or one that does not fit the task.
    """
    check_fits(name, task.info)
    with torch.random.fork_rng(devices=[]):
        # weights are drawn on the CPU; torch.manual_seed takes 3 ms to seed devices too
        torch.default_generator.manual_seed(seed)
        if folder is None:
            return _small_net(name, task)
        return _transformer(name, folder, task.info, max_length)


# Built-in nets


class Toy(nn.Module):
    """D = 1,000 numbers in ten blocks of 100; block i (1..10) should sum to i.

    The loss is the mean of the ten squared errors, performance is exp(-loss): ten independent
    constraints, so the intrinsic dimension is 10.

    Source:
        Li et al. 2018, section 2 (the toy problem); started at 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1000))

    def forward(self) -> Tensor:
        """Return the loss, shape (1,)."""
        target = torch.arange(1, 11, dtype=self.theta.dtype, device=self.theta.device)
        sums = self.theta.view(10, 100).sum(dim=1)
        return (sums - target).square().mean().view(1)


def _small_net(name: str, task: TaskData) -> Model:
    if name == "toy":
        toy = Toy()
        return Model(toy, (), _Arrays.of(toy), lambda _: toy(), lambda loss, _: loss.sum())
    shape = task.train.inputs.shape[1:]  # type: ignore[union-attr]
    classes = len(task.info.labels)
    if name == "lenet":
        net = _lenet(shape, classes)
    else:
        hidden = {"digits-mlp": (100, 100), "mnist-fc": (200, 200)}[name]
        net = _mlp((math.prod(shape), *hidden, classes))
    head = str(len(net) - 1)
    return Model(net, (head,), _Arrays.of(net), lambda b: net(b["inputs"]), _cross_entropy)


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise(widths):
        layers += [_he(nn.Linear(a, b)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _lenet(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    channels, side = shape[0], shape[1]
    if len(shape) != 3 or side < 16:
        raise IdimError(f"lenet reads images of at least 16 x 16 pixels, got shape {shape}.")
    flat = 16 * (((side - 4) // 2 - 4) // 2) ** 2
    return nn.Sequential(
        _he(nn.Conv2d(channels, 6, 5)), nn.ReLU(), nn.MaxPool2d(2),
        _he(nn.Conv2d(6, 16, 5)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        _he(nn.Linear(flat, 120)), nn.ReLU(),
        _he(nn.Linear(120, 84)), nn.ReLU(),
        _he(nn.Linear(84, classes)),
    )  # fmt: skip


def _he(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class _Arrays:
    """A split of numbers, kept on the module's device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.inputs = torch.as_tensor(split.inputs, device=device)
        self.targets = torch.as_tensor(split.targets, device=device)

    @classmethod
    def of(cls, module: nn.Module) -> Callable[[Split], Rows]:
        """Return an encoder that follows the module's device."""
        return lambda split: cls(split, next(module.parameters()).device)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int]) -> Batch:
        at = torch.as_tensor(index, device=self.inputs.device)
        return {"inputs": self.inputs[at], "targets": self.targets[at]}


# Transformers


def _transformer(name: str, folder: Path, info: TaskInfo, max_length: int) -> Model:
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
    longest = min(max_length, tokenizer.model_max_length, _positions(module))
    head = tuple(
        n for n, part in module.named_children()
        if n != module.base_model_prefix and any(True for _ in part.parameters())
    )  # fmt: skip

    def encode(split: Split) -> Rows:
        return _Texts(split, tokenizer, longest, next(module.parameters()).device)

    def outputs(batch: Batch) -> Tensor:
        return module(**{k: v for k, v in batch.items() if k != "targets"}).logits

    return Model(module, head, encode, outputs, _cross_entropy if info.labels else _squared_error)


def quiet_transformers() -> Any:
    """Import transformers without its progress bars and load reports on the user's terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _positions(module: nn.Module) -> int:
    """How many tokens the position table serves; RoBERTa's first two rows are for padding."""
    config: Any = module.config
    limit = getattr(config, "max_position_embeddings", None) or 1 << 30
    return limit - 2 if "roberta" in config.model_type else limit


class _Texts:
    """A split of tokenised text; batches are padded to their longest row."""

    def __init__(self, split: Split, tokenizer: Any, max_length: int, device: torch.device) -> None:
        columns = [list(column) for column in zip(*split.inputs, strict=True)]
        self.encoded = tokenizer(*columns, truncation=True, max_length=max_length)
        self.targets = torch.as_tensor(split.targets)
        self.pad, self.device = tokenizer.pad, device

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int]) -> Batch:
        rows = {k: [v[i] for i in index] for k, v in self.encoded.items()}
        # multiples of 8 keep the number of shapes, and so of compiled kernels, small
        batch = dict(self.pad(rows, pad_to_multiple_of=8, return_tensors="pt"))
        batch["targets"] = self.targets[torch.as_tensor(index)]
        return {k: v.to(self.device) for k, v in batch.items()}


def _cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(logits.float(), batch["targets"])


def _squared_error(logits: Tensor, batch: Batch) -> Tensor:
    return F.mse_loss(logits.float().squeeze(-1), batch["targets"])
