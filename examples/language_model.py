"""d90 of a language model's loss: a tiny GPT-2, trained by idim on the package's own sentences.

The score is a loss, so d90 is the smallest d that makes 0.9 of full training's gain over the
untrained model.
"""

from functools import cache

import torch
from torch import Tensor, nn

import idim
from idim.builtin import language

LENGTH = 24


@cache
def tokens() -> tuple[Tensor, Tensor, int]:
    """Return training and evaluation rows of word numbers, (N, LENGTH), and how many words."""
    texts = [" ".join(row.texts) for row in language.rows("sentiment", "train", 2000)]
    words = {w: i for i, w in enumerate(sorted({w for t in texts for w in t.split()}))}
    stream = torch.tensor([words[w] for t in texts for w in t.split()])
    rows = stream[: len(stream) // LENGTH * LENGTH].view(-1, LENGTH)
    return rows[:-200], rows[-200:], len(words)


def gpt2() -> nn.Module:
    """A GPT-2 of two layers, from random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokens()[2], n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip


def loss(module: nn.Module) -> Tensor:
    """Return the loss of 32 rows; idim seeds torch's generator for each step."""
    train, _, _ = tokens()
    batch = train[torch.randint(len(train), (32,))]
    return module(input_ids=batch, labels=batch).loss


def evaluate(module: nn.Module) -> float:
    """Return the loss of the rows that were held out, in nats a word."""
    _, held_out, _ = tokens()
    return module(input_ids=held_out, labels=held_out).loss.item()


if __name__ == "__main__":
    found = idim.measure(
        module=gpt2, loss=loss, evaluate=evaluate, direction="minimize",
        steps=300, baseline_lr=[0.003, 0.01], max_runs=30, jobs=2,
    )  # fmt: skip
    print(found)
    found.plot("language_model")
