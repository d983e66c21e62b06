"""What a protocol says of dropout and of weight decay is so."""

import pytest
import torch
from torch import nn

from idim.config import SweepSpec, load
from idim.problems.base import has_dropout
from idim.sweeps import plan
from idim.sweeps.execute import _claim
from idim.sweeps.summary import _protocol


class Attention(nn.Module):
    """As transformers' own: a rate that a function is called with."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout_prob = rate


@pytest.mark.parametrize(
    ("module", "drops"),
    [
        (nn.Linear(2, 2), False),
        (nn.Dropout(0.1), True),
        (nn.Dropout(0.0), False),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout2d(0.5)), True),
        (nn.AlphaDropout(0.2), True),
        (nn.MultiheadAttention(4, 2, dropout=0.1), True),
        (nn.MultiheadAttention(4, 2), False),
        (nn.LSTM(4, 4, num_layers=2, dropout=0.3), True),
        (nn.LSTM(4, 4, num_layers=2), False),
        (nn.TransformerEncoderLayer(4, 2, dropout=0.0), False),
        (nn.TransformerEncoderLayer(4, 2), True),
        (nn.ModuleList([Attention(0.1)]), True),
        (nn.ModuleList([Attention(0.0)]), False),
    ],
)
def test_dropout_is_known_from_the_module(module, drops):
    assert has_dropout(module) == drops


def said(**settings):
    planned = plan(load(SweepSpec, None, {"model": "digits-mlp", "device": "cpu"} | settings))
    return _protocol(_claim(planned), planned.search)


def test_a_model_without_dropout_redraws_none():
    assert "each redraws P, the head or net and data order" in said().seeds
    assert said(method="subspace", keep_head=False).seeds == said().seeds


DECAYS = [
    ({}, "weight decay 0, "),
    ({"weight_decay": 0.1}, "weight decay 0.1 of what is trained: it draws theta to theta_0 in a "
     "subspace, in full fine-tuning to 0, "),
    ({"weight_decay": 0.1, "decay_to": "zero"}, "weight decay 0.1 of theta, in the loss, "),
    ({"weight_decay": 0.1, "decay_to": "theta_0"}, "0.1 towards theta_0, in the loss, "),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), DECAYS)
def test_the_protocol_says_where_a_decay_draws(settings, words):
    assert words in said(**settings).training


@pytest.mark.parametrize("method", ["subspace", "full"])
def test_a_decay_draws_there(method):
    """With no other gradient, by the optimizer of a run: to theta_0, or to 0."""
    from idim.config import RunSpec
    from idim.training.optimizer import optimizer_of

    size = {"d": 3} if method == "subspace" else {}
    spec = RunSpec(model="digits-mlp", task="digits", method=method, weight_decay=0.5, lr=0.5,
                   **size)  # fmt: skip
    theta_0, P = torch.full((4,), 2.0), torch.eye(4, 3)
    trained = nn.Parameter(torch.ones(3) if method == "subspace" else theta_0 + 1)
    optimizer = optimizer_of(spec, [{"params": [trained], "lr": 0.5}])
    for _ in range(100):
        trained.grad = torch.zeros_like(trained)
        optimizer.step()
    theta = theta_0 + P @ trained if method == "subspace" else trained
    assert torch.allclose(theta, theta_0 if method == "subspace" else torch.zeros(4), atol=1e-6)
