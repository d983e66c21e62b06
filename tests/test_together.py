"""Small runs that train as one stack: the same bits in any company, the same runs as one by one."""

from dataclasses import replace

import pytest
import torch
from alone import finish

from idim import sweeps
from idim.config import SweepSpec
from idim.errors import IdimError
from idim.launch.worker import run_stack, stacks
from idim.store import Store
from idim.training.events import Diverged, Step
from idim.training.loop import train
from idim.training.stack import key

NETS = {
    "digits-mlp": SweepSpec(model="digits-mlp", d=(20, 300), seeds=2, epochs=2, device="cpu"),
    "toy": SweepSpec(model="toy", d=(5, 80), seeds=2, steps=30, device="cpu"),
}


def specs_of(model, method="subspace", **changes):
    plan = sweeps.plan(replace(NETS[model], **changes))
    return [spec for spec in plan.specs if spec.method == method]


def together(specs, resume=None):
    events = list(train(specs, resume or [None] * len(specs)))
    ends = {r: e for r, e in events if not isinstance(e, Step)}
    assert sorted(ends) == list(range(len(specs)))
    return [ends[r] for r in range(len(specs))]


def same(a, b):
    return (
        (a.score, a.select, a.loss) == (b.score, b.select, b.loss)
        and a.state.keys() == b.state.keys()
        and all(torch.equal(a.state[k], b.state[k]) for k in a.state)
    )


@pytest.mark.parametrize("model", NETS)
@pytest.mark.parametrize("method", ["subspace", "full"])
def test_a_runs_bits_do_not_depend_on_its_company(model, method):
    specs = specs_of(model, method)
    all_at_once = together(specs)
    for i in (0, len(specs) - 1):
        assert same(together([specs[i]])[0], all_at_once[i])
    some = specs[1:4]
    assert all(same(a, b) for a, b in zip(together(some), all_at_once[1:4], strict=True))


@pytest.mark.parametrize("model", NETS)
@pytest.mark.parametrize("norm", ["global", "tensor"])
@pytest.mark.parametrize("projection", ["fastfood", "dense", "onehot"])
def test_a_stack_trains_the_runs_that_would_train_alone(model, norm, projection):
    specs = specs_of(model, norm=norm, projection=projection, lr=(0.05,))
    assert specs
    for spec, one in zip(specs, together(specs), strict=True):
        alone = finish(spec)
        torch.testing.assert_close(
            one.state["theta_d"], alone.state["theta_d"], rtol=1e-3, atol=1e-4
        )
        assert one.loss == pytest.approx(alone.loss, rel=1e-3)
        assert (one.trainable, one.D, one.steps) == (alone.trainable, alone.D, alone.steps)
        assert one.header == alone.header


def test_a_stack_keeps_to_the_recipe():
    recipe = {"optimizer": "adam", "beta1": 0.5, "beta2": 0.9, "schedule": "cosine", "warmup": 0.3}
    for method in ("subspace", "full"):
        specs = specs_of("digits-mlp", method, lr=(0.05,), **recipe)
        assert all(spec.stacked for spec in specs)
        for spec, one in zip(specs, together(specs), strict=True):
            assert one.loss == pytest.approx(finish(spec).loss, rel=1e-3)


@pytest.mark.parametrize("model", NETS)
def test_full_fine_tuning_in_a_stack_ends_where_it_would_alone(model):
    specs = specs_of(model, "full")
    for spec, one in zip(specs, together(specs), strict=True):
        alone = finish(spec)
        assert one.loss == pytest.approx(alone.loss, rel=1e-3)
        assert one.header is None


def test_kinds_of_p_share_a_stack():
    specs = [
        *specs_of("toy", projection="dense")[:2],
        *specs_of("toy", projection="sparse", norm="tensor")[:2],
    ]
    assert len({key(spec) for spec in specs}) == 1
    mixed = together(specs)
    for spec, one in zip(specs, mixed, strict=True):
        assert same(together([spec])[0], one)


@pytest.mark.parametrize("method", ["subspace", "full"])
def test_a_stack_resumes_to_the_same_bits_whoever_is_left(method):
    specs = specs_of("digits-mlp", method)
    undisturbed = together(specs)
    saved = {
        r: event.state()
        for r, event in train(specs, [None] * len(specs))
        if isinstance(event, Step) and event.step == 20
    }
    left = [0, len(specs) - 1]
    resumed = together([specs[r] for r in left], [saved[r] for r in left])
    assert all(same(a, undisturbed[r]) for a, r in zip(resumed, left, strict=True))


def test_one_that_diverges_takes_nobody_with_it():
    specs = specs_of("digits-mlp", lr=(0.1, 1e20))
    wild = [i for i, spec in enumerate(specs) if spec.lr > 1]
    ends = together(specs)
    assert [i for i, end in enumerate(ends) if isinstance(end, Diverged)] == wild
    assert "at lr 1e+20" in str(ends[wild[0]])
    tame = [i for i in range(len(specs)) if i not in wild]
    assert all(same(together([specs[i]])[0], ends[i]) for i in tame[:2])


def test_what_trains_together_follows_from_the_spec_alone():
    spec = specs_of("digits-mlp")[0]
    assert key(spec) == key(replace(spec, d=77, lr=3.0, seed=9, norm="tensor", projection="dense"))
    assert key(spec) != key(replace(spec, epochs=3.0))
    assert key(spec) != key(specs_of("digits-mlp", "full")[0])
    for alone in (
        {"structure": "said"}, {"head": "free"}, {"dtype": "bfloat16"}, {"weight_decay": 0.1},
        {"optimizer": "sgd"}, {"clip": 1.0}, {"checkpoint": "best"},
        {"model": "lenet", "task": "cifar10"},
    ):  # fmt: skip
        wrong = replace(spec, **alone)
        assert not wrong.is_stackable
        with pytest.raises(IdimError, match="says stacked, and no run of its model"):
            key(wrong)
        if "task" not in alone:  # those rows are not here
            with pytest.raises(IdimError, match="says stacked, and no run of its model"):
                next(train([wrong], [None]))
    assert key(replace(spec, stacked=False)) is None


def test_a_baseline_trains_alike_whatever_it_is_compared_with():
    """One id, one result: what a baseline has no use for decides nothing, a stack neither."""
    plans = [
        sweeps.plan(replace(NETS["digits-mlp"], **apart))
        for apart in ({}, {"structure": "said"}, {"head": "free"}, {"copies": 1})
    ]
    baselines = [[spec for spec in plan.specs if spec.method == "full"] for plan in plans]
    assert {tuple(s.id for s in found) for found in baselines} == {
        tuple(s.id for s in baselines[0])
    }
    assert {key(spec) for found in baselines for spec in found} == {key(baselines[0][0])}


def test_stacks_leave_work_for_every_job(tmp_path):
    specs = specs_of("toy")
    assert [len(s) for s in stacks(specs, tmp_path, 1)] == [len(specs)]
    assert [len(s) for s in stacks(specs, tmp_path, 2)] == [len(specs) // 2] * 2
    alone = [replace(s, structure="said", stacked=False) for s in specs]
    assert [len(s) for s in stacks(alone, tmp_path, 1)] == [1] * len(specs)
    every = sorted(s.id for stack in stacks(specs + alone, tmp_path, 2) for s in stack)
    assert every == sorted(s.id for s in specs + alone)


def test_runs_at_different_steps_do_not_share_a_stack(tmp_path):
    specs = specs_of("toy")
    run = Store(tmp_path).run(specs[0])
    place = run.begin(specs[0], "test", [])
    first = next(e for r, e in train(specs[:1], [None]) if isinstance(e, Step))
    place.checkpoint(first.state())
    found = stacks(specs, tmp_path, 1)
    assert [len(s) for s in found] == [1, len(specs) - 1]
    assert [run_stack(stack, tmp_path) for stack in found] == [[None], [None] * (len(specs) - 1)]
    results = [Store(tmp_path).run(spec).result() for spec in specs]
    expected = together(specs)
    assert [r.loss for r in results] == [e.loss for e in expected]
