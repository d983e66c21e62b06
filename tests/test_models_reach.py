"""Parameters that no gradient reaches are said, and asking changes nothing."""

from dataclasses import replace

import families
import pytest
import torch
from makers import make_mrpc, make_tiny_bert
from torch import nn
from torch.nn import functional as F

from idim.config import RunSpec, Setup, SweepSpec
from idim.errors import IdimError, RunFailed
from idim.problems import kinds, reach
from idim.problems.base import Model, Problem
from idim.sweeps import plan, plan_run


class Towers(nn.Module):
    """Text is read; pictures never come."""

    def __init__(self) -> None:
        super().__init__()
        self.text = nn.Linear(64, 3)
        self.vision = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
        self.scale = nn.Parameter(torch.ones(7))
        self.held = nn.Parameter(torch.ones(9), requires_grad=False)
        self.drop = nn.Dropout()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.text(x.flatten(1)[:, :64]))


@pytest.fixture(scope="module")
def digits():
    return kinds.load(Setup(model="digits-mlp", task="digits", train_samples=16, eval_samples=16))


def of(module: nn.Module, digits: Problem) -> Model:
    rows = digits.build(0).encode
    return Model(
        module, (), rows, lambda b: module(b["inputs"]),
        lambda out, b: F.cross_entropy(out, b["targets"] % 3),
    )  # fmt: skip


def test_what_no_gradient_reaches_is_named_with_its_size(digits):
    said = reach.unreached("m", of(Towers(), digits), digits.train)
    assert said == [
        "The first batch reaches none of scale (1 tensor, 7 numbers), vision.* (4 tensors, 34 "
        "numbers): D counts them all the same."
    ]


def test_many_parts_are_counted_where_they_are_too_many_to_name(digits):
    module = Towers()
    for i in range(6):
        module.add_module(f"part{i}", nn.Linear(2, 2))
    (said,) = reach.unreached("m", of(module, digits), digits.train)
    assert said.count("tensor") == 4
    assert "and 4 parts more" in said


@pytest.mark.parametrize("name", ["digits-mlp", "toy"])
def test_what_is_reached_whole_is_no_sentence(name, digits):
    problem = digits if name == "digits-mlp" else kinds.load(Setup(model="toy", task="toy"))
    assert reach.unreached(name, problem.build(0), problem.train) == []


def test_asking_changes_no_bits_no_mode_and_no_gradient(digits):
    module = Towers()
    module.vision.eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    reach.unreached("m", of(module, digits), digits.train)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    module.text(torch.ones(1, 64)).sum().backward()
    assert module.text.weight.grad is not None, "no hook is left behind"


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (IndexError("index out of range\nin self"), IdimError, "cannot read the first rows"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), RunFailed, "out of memory"),
        (MemoryError(), RunFailed, "out of memory"),
    ],
)
def test_a_first_step_that_fails_is_one_line(error, kind, line, digits):
    def outputs(batch):
        raise error

    model = replace(of(Towers(), digits), outputs=outputs)
    with pytest.raises(kind, match=line) as caught:
        reach.unreached("m", model, digits.train)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_plan_says_what_the_model_does_not_train(tmp_path):
    bert, rows = make_tiny_bert(tmp_path / "bert"), make_mrpc(tmp_path / "glue")
    spec = SweepSpec(model=str(bert), task="mrpc", data=str(rows), d=(30,), steps=2)
    assert sum(n.startswith("The model's weights lack bert.pooler:") for n in plan(spec).notes) == 1
    assert not any("reaches none" in note for note in plan(spec).notes)
    sees = families.make("gemma3", tmp_path / "gemma3")  # and has nothing to look at
    said = plan(replace(spec, model=str(sees))).notes[-1]
    assert said.startswith("The first batch reaches none of model.vision_tower.* (32 tensors, ")


def test_a_single_run_is_told_the_same(tmp_path):
    bert, rows = make_tiny_bert(tmp_path / "bert"), make_mrpc(tmp_path / "glue")
    shared = {"model": str(bert), "task": "mrpc", "data": str(rows), "steps": 2, "max_length": 4}
    said = []
    plan_run(RunSpec(**shared, d=30), said.append)
    assert said == [f"note: {note}" for note in plan(SweepSpec(**shared, d=(30,))).notes]
    assert any("cut" in note for note in said)
