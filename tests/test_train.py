"""The loop: the same spec gives the same bits, also from the middle; the seed decides the rest."""

import math
from dataclasses import replace

import pytest
import torch
from alone import events, finish, with_digits
from hypothesis import given
from hypothesis import strategies as st
from makers import make_mrpc, make_tiny_bert, make_tiny_roberta
from torch import nn

from idim.config import RunSpec
from idim.errors import IdimError
from idim.problems.base import Model
from idim.problems.small import Arrays
from idim.sweeps import plan_run
from idim.training.events import Diverged, Result, Step
from idim.training.schedule import count_steps, learning_rate, stream


def digits(**change) -> RunSpec:
    spec = {"model": "digits-mlp", "d": 20, "lr": 1.0, "steps": 40, "train_samples": 400} | change
    return plan_run(RunSpec(**spec))


def same(a: Result, b: Result) -> bool:
    states = a.state.keys() == b.state.keys() and all(
        torch.equal(a.state[k], b.state[k]) for k in a.state
    )
    return states and (a.score, a.select, a.loss) == (b.score, b.select, b.loss)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    make_tiny_bert(root / "bert")
    make_mrpc(root / "mrpc")
    return {"model": str(root / "bert"), "task": "mrpc", "data": str(root / "mrpc"), "steps": 20}


METHODS = [
    {},
    {"structure": "said"},
    {"head": "free", "norm": "tensor"},
    {"head": "frozen", "projection": "sparse"},
    {"copies": 1, "steps": 37},
    {"method": "full", "d": None, "lr": 0.003},
    {"optimizer": "sgd", "momentum": 0.0, "clip": 0.1, "lr": 3.0},
    {"optimizer": "sgd", "checkpoint": "best", "lr": 3.0},
    {"decay_to": "theta_0", "weight_decay": 0.1, "schedule": "constant"},
    {"checkpoint": "best", "schedule": "constant", "lr": 3.0, "batch_size": 32},
    {"checkpoint": "best", "method": "full", "d": None, "lr": 0.03, "optimizer": "adam"},
]


@pytest.mark.parametrize("change", METHODS)
def test_a_run_resumed_from_any_look_ends_in_the_same_bits(change):
    spec = digits(**change)
    whole = finish(spec)
    for event in events(spec):
        if isinstance(event, Step) and event.step < event.steps:
            assert same(finish(spec, event.state()), whole)


def test_a_transformer_with_dropout_resumes_to_the_same_bits(bert):
    spec = plan_run(RunSpec(**bert, d=30, lr=0.1))
    whole = finish(spec)
    middle = next(e for e in events(spec) if isinstance(e, Step))
    assert same(finish(spec, middle.state()), whole)


def test_the_seed_moves_every_draw(bert):
    scores = {finish(plan_run(RunSpec(**bert, d=30, lr=0.1, seed=s))).loss for s in range(3)}
    assert len(scores) == 3


def test_training_learns():
    assert finish(digits(d=200, steps=300, lr=0.3)).score["accuracy"] > 0.7
    assert finish(digits(method="full", d=None, steps=300, lr=0.003)).score["accuracy"] > 0.9


def test_the_select_score_comes_from_other_rows_than_the_score():
    result = finish(digits())
    assert result.select is not None
    assert finish(digits(select="eval")).select is None


def test_a_loss_that_is_no_number_ends_the_run_with_its_reason():
    with pytest.raises(Diverged, match=r"the loss became (nan|inf) by step \d+ at lr 1e\+30"):
        finish(digits(method="full", d=None, lr=1e30))


def test_out_of_memory_suggests_a_smaller_batch(monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    def greedy(seed: int) -> Model:
        net = nn.Linear(64, 10)
        return Model(net, (), Arrays.of(net), full, full)

    spec = digits(batch_size=48)
    with_digits(monkeypatch, greedy)
    with pytest.raises(IdimError, match="out of memory at batch size 48; try --batch-size 24"):
        finish(spec)


def test_a_gpu_that_is_not_there_is_told():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(IdimError, match="no usable GPU; use --device cpu"):
        digits(device="cuda")


@pytest.mark.parametrize("make", [make_tiny_bert, make_tiny_roberta])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_local_transformers_of_both_kinds_train(make, dtype, tmp_path):
    make(tmp_path / "model")
    make_mrpc(tmp_path / "data")
    where = {"model": str(tmp_path / "model"), "task": "mrpc", "data": str(tmp_path / "data")}
    spec = plan_run(RunSpec(**where, method="full", lr=2e-3, steps=40, batch_size=16, dtype=dtype))
    losses = [e.loss for e in events(spec) if isinstance(e, Step)]
    assert losses[-1] < losses[0]


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(steps, warmup):
    shares = [learning_rate(s, steps, warmup) for s in range(steps)]
    peak = shares.index(max(shares))
    assert all(0 < s <= 1 for s in shares)
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert math.isclose(learning_rate(steps, steps, warmup), 0, abs_tol=1e-12)


def test_steps_are_counted_from_epochs_or_given():
    spec = digits(batch_size=30)
    assert count_steps(replace(spec, steps=None, epochs=2.0), 100) == 8
    assert count_steps(replace(spec, steps=None, epochs=0.01), 100) == 1
    assert count_steps(spec, 100) == 40


def test_each_use_of_a_seed_has_its_own_stream():
    uses = [(0, "init"), (0, "projection"), (1, "init"), (0, "order", 1), (0, "order", 11)]
    assert len({stream(seed, *names) for seed, *names in uses}) == len(uses)
