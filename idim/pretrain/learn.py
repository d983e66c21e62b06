"""Masked language modelling: the loop.  It knows no disk and no terminal.

Each step is a function of (weights, seed, step): rows, masks and dropout are drawn from the seed
and the step's number, so a pretraining resumed from any step ends in the same bits.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from idim.config import PretrainSpec
from idim.errors import RunFailed
from idim.pretrain.corpus import Rows
from idim.pretrain.tokenizer import SPECIAL
from idim.problems.models import quiet_transformers
from idim.training.optimizer import held, hold
from idim.training.schedule import draws, learning_rate, stream

MASK, PAD = SPECIAL.index("<mask>"), SPECIAL.index("<pad>")
LOOK_EVERY = 50
# Of the tokens asked for: shown as <mask>, shown as another token, the rest as they are (BERT).
SHOWN_MASKED, SHOWN_OTHER = 0.8, 0.1
# Words of the longest sentence that a cloze hides.
CLOZE_WORDS = 3


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a running pretraining; step 0 is before the first step."""

    step: int
    # Mean loss in nats a masked token since the last look; NaN at step 0.
    loss: float


class Pretraining:
    """A model, its optimizer and the number of steps done."""

    def __init__(self, spec: PretrainSpec, vocabulary: int) -> None:
        self.spec, self.done = spec, 0
        self.model = build(spec, vocabulary)
        self.optimizer = torch.optim.AdamW(
            _groups(self.model, spec.weight_decay), lr=spec.lr, betas=(0.9, 0.98), fused=True
        )

    def looks(self, rows: Rows, at: frozenset[int] = frozenset()) -> Iterator[Look]:
        """Take the remaining steps.

        Args:
            rows: the text.
            at: steps after which to look, besides every few.

        Yields:
            a Look at step 0, every few steps, and at each step of `at`.

        Raises:
            RunFailed: the loss is no longer a number.
        """
        if self.done == 0:
            yield Look(0, math.nan)
        losses: list[Tensor] = []
        while self.done < self.spec.steps:
            losses.append(self._step(rows))
            self.done += 1
            if self.done % LOOK_EVERY == 0 or self.done in at or self.done == self.spec.steps:
                loss = torch.stack(losses).mean().item()
                losses.clear()
                if not math.isfinite(loss):
                    raise RunFailed(f"the loss became {loss} by step {self.done}; lower lr.")
                yield Look(self.done, loss)

    def _step(self, rows: Rows) -> Tensor:
        spec, step = self.spec, self.done
        for group in self.optimizer.param_groups:
            group["lr"] = spec.lr * learning_rate(step, spec.steps, spec.warmup)
        torch.default_generator.manual_seed(stream(spec.seed, "dropout", step))
        shown, asked, wanted = masked(
            spec, batch(spec, rows, step), step, self.vocabulary, rows.stop
        )
        self.model.train()
        hidden = self.model.roberta(shown, attention_mask=shown != PAD).last_hidden_state
        # the vocabulary is only scored where a token is asked for: the costliest layer, at a fifth
        loss = F.cross_entropy(self.model.lm_head(hidden[asked]), wanted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.detach()

    @property
    def vocabulary(self) -> int:
        """Tokens that may be shown in the place of another."""
        return self.model.config.vocab_size

    def state(self) -> dict[str, Tensor]:
        """Return all that a resumed pretraining needs, by name."""
        record = {f"model/{n}": p.detach().clone() for n, p in self.model.named_parameters()}
        return record | held(self.optimizer) | {"step": torch.tensor(self.done)}

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Take over a `state()`."""
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(saved[f"model/{name}"])
        hold(self.optimizer, saved)
        self.done = int(saved["step"])


def build(spec: PretrainSpec, vocabulary: int) -> Any:
    """Return a `RobertaForMaskedLM` with weights drawn from the seed."""
    transformers = quiet_transformers()
    config = transformers.RobertaConfig(
        vocab_size=spec.vocab_size or vocabulary,
        hidden_size=spec.hidden_size,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        intermediate_size=4 * spec.hidden_size,
        max_position_embeddings=spec.max_length + 2,  # RoBERTa's first two rows are for padding
        type_vocab_size=1,
        # BERT's 0.02 is right for 1024: at a small width attention would start all but blind
        initializer_range=0.02 * math.sqrt(1024 / spec.hidden_size),
        hidden_dropout_prob=spec.dropout,
        attention_probs_dropout_prob=spec.dropout,
        bos_token_id=0, pad_token_id=PAD, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(spec.seed, "init"))
        model = transformers.RobertaForMaskedLM(config)
        for layer in model.roberta.encoder.layer:
            _mimic(layer.attention, spec.heads)
        return model


@torch.no_grad()
def _mimic(attention: Any, heads: int) -> None:
    """Start attention as trained models end up: looking for likeness, noting the difference.

    Each head's W_q^T W_k is near the identity, so a token attends to tokens like itself, and
    W_o W_v is near minus the identity, so what it finds there is taken from what it has.
    Measured: asked to compare two sentences, a model pretrained from this start answered 0.999
    right after 1,200 more steps, one from the usual start 0.69.

    Source:
        Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers", section 3.
    """
    own, out = attention.self, attention.output.dense
    size = out.weight.shape[0]
    k = size // heads
    for h in range(heads):
        u, s, vt = _near_identity(size, 0.7, 0.7)
        rows = slice(h * k, (h + 1) * k)
        own.query.weight[rows] = (u[:, :k] * s[:k].sqrt()).T
        own.key.weight[rows] = s[:k].sqrt()[:, None] * vt[:k]
    u, s, vt = _near_identity(size, 0.4, -0.4)
    # turned, so that every head has a share of every direction
    turn = torch.linalg.qr(torch.randn(size, size)).Q
    own.value.weight.copy_(turn @ (s.sqrt()[:, None] * vt))
    out.weight.copy_((u * s.sqrt()) @ turn.T)


def _near_identity(size: int, noise: float, identity: float) -> tuple[Tensor, Tensor, Tensor]:
    """Factor noise Z + identity I, Z of entries N(0, 1/size), by singular values."""
    z = torch.randn(size, size) / math.sqrt(size)
    return torch.linalg.svd(noise * z + identity * torch.eye(size))


def batch(spec: PretrainSpec, rows: Rows, step: int) -> Tensor:
    """Return the token rows of a step, (batch, longest): rows of like length go together."""
    per_epoch = math.ceil(len(rows) / spec.batch_size)
    epoch, at = divmod(step, per_epoch)
    order, turn = _order(spec.seed, epoch, spec.batch_size, rows.lengths.tobytes())
    at = turn[at]
    chosen = order[at * spec.batch_size : (at + 1) * spec.batch_size]
    tokens = rows.tokens[chosen, : rows.lengths[chosen].max()]
    return torch.from_numpy(tokens).long()


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, size: int, lengths: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle the rows, sort them by length, and shuffle the batches that this makes."""
    random = draws(seed, "order", epoch)
    sizes = np.frombuffer(lengths, dtype=np.int32)
    shuffled = random.permutation(len(sizes))
    order = shuffled[np.argsort(sizes[shuffled], kind="stable")]
    return order, random.permutation(math.ceil(len(sizes) / size))


def masked(
    spec: PretrainSpec, tokens: Tensor, step: int, vocabulary: int, stop: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Hide tokens, drawn from (seed, step); of some rows a short sentence and nothing else.

    Returns:
        the rows as shown, (batch, length); where a token is asked for, (batch, length) of bool;
        and those tokens, (asked,).

    Source:
        Devlin et al. 2019, section 3.1; drawn anew at every step as Liu et al. 2019.
    """
    random = draws(spec.seed, "mask", step)
    chance, fate = (torch.from_numpy(random.random_sample(tokens.shape)) for _ in range(2))
    others = torch.from_numpy(random.randint(len(SPECIAL), vocabulary, tokens.shape))
    is_word = tokens >= len(SPECIAL)
    asked = (chance < spec.mask) & is_word
    if spec.cloze and step >= spec.cloze_from * spec.steps:
        short = _short_sentence(tokens, is_word, stop)
        chosen = torch.from_numpy(random.random_sample((len(tokens), 1))) < spec.cloze
        chosen &= short.any(dim=1, keepdim=True)
        asked = torch.where(chosen, short, asked)
        fate = torch.where(chosen, 0.0, fate)  # every word of it as <mask>
    if not asked.any():  # a short text may leave none: ask for the first word
        asked.view(-1)[is_word.view(-1).nonzero()[0]] = True
    shown = torch.where(asked & (fate < SHOWN_MASKED), MASK, tokens)
    shown = torch.where(asked & (fate >= 1 - SHOWN_OTHER), others, shown)
    return shown, asked, tokens[asked]


def _short_sentence(tokens: Tensor, is_word: Tensor, stop: int | None) -> Tensor:
    """Mark the words of each row's shortest sentence, if it is short: (batch, length) of bool."""
    is_stop = torch.zeros_like(is_word) if stop is None else tokens == stop
    is_word = is_word & ~is_stop
    sentence = is_stop.cumsum(dim=1)
    length = torch.zeros_like(tokens).scatter_add_(1, sentence, is_word.long())
    length = torch.where(length > 0, length, tokens.shape[1])
    shortest, which = length.min(dim=1, keepdim=True)
    return is_word & (sentence == which) & (shortest <= CLOZE_WORDS)


def _groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
