"""The loop against plain torch: every step of every method, and what is scored on which rows."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from alone import events, finish, with_digits
from scipy import stats
from sklearn.metrics import accuracy_score
from torch import nn
from torch.func import functional_call

from idim.config import RunSpec
from idim.problems import kinds
from idim.problems.base import Model, classes, cross_entropy, squared_error
from idim.problems.rowed import judge
from idim.problems.small import Arrays
from idim.problems.tasks import Split, info
from idim.projection import PROJECTIONS
from idim.subspace.layout import group_names, segments
from idim.sweeps import plan_run
from idim.training import schedule
from idim.training.events import Diverged, Result
from idim.training.loop import train
from idim.training.schedule import batch_index, stream
from idim.training.single import evaluate
from idim.training.start import build, make

STEPS, WARMUP = 24, 0.2


def digits(**change) -> RunSpec:
    spec = {"model": "digits-mlp", "d": 40, "lr": 0.3, "steps": STEPS, "warmup": WARMUP}
    return plan_run(RunSpec(**spec | {"batch_size": 48, "train_samples": 300, "seed": 5} | change))


def share(step: int, schedule: str = "linear") -> float:
    """Rise over the warm-up, then fall as named, so that it would end at 0 after the last."""
    rise = WARMUP * STEPS
    gone = (step - rise) / (STEPS - rise)
    after = {"linear": 1 - gone, "constant": 1, "cosine": math.cos(math.pi * gone) / 2 + 0.5}
    return (step + 1) / (rise + 1) if gone < 0 else after[schedule]


class Plain:
    """theta = theta_0 + lambda * scale * P theta_d by autograd, with an explicit P."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.data = spec, kinds.load(spec)
        self.model = build(spec, self.data)
        module, head = self.model.module, self.model.head
        every = {n: p.detach().clone() for n, p in module.named_parameters()}
        apart = {n for n in every if n.startswith(head) and spec.head != "subspace"}
        self.every, self.free = every, {}
        self.theta_0 = {n: p.clone() for n, p in every.items()}
        if spec.method == "full":
            self.free = {n: p.requires_grad_() for n, p in every.items()}
            self.groups = [{"params": list(self.free.values()), "lr": spec.lr}]
            return
        inside = {n: p for n, p in module.named_parameters() if n not in apart}
        names = group_names(inside, spec.said_groups)
        self.laid = segments(inside, [], "global")
        self.place = dict(zip(inside, names, strict=True))
        said = spec.structure == "said"
        self.lambdas = {g: torch.ones((), requires_grad=said) for g in dict.fromkeys(names)}
        D = sum(p.numel() for p in inside.values())
        assert spec.d is not None
        d = spec.d - (len(self.lambdas) if said else 0)
        seed = stream(spec.seed, "projection")
        self.P = PROJECTIONS[spec.projection](D, d, seed).to_dense(dtype=torch.float32)
        self.theta_d = torch.zeros(d, requires_grad=True)
        self.groups = [{"params": [self.theta_d], "lr": spec.lr}]
        if said:
            self.groups.append({"params": list(self.lambdas.values()), "lr": spec.said_lr})
        if spec.head == "free":
            self.free = {n: every[n].requires_grad_() for n in apart}
            self.groups.append({"params": list(self.free.values()), "lr": spec.head_lr})

    def theta(self) -> dict[str, torch.Tensor]:
        if self.spec.method == "full":
            return self.free
        found = dict(self.every)
        for segment in self.laid:
            p = self.every[segment.name]
            tensor = self.spec.norm == "tensor"
            scale = math.sqrt(len(self.P) / p.numel()) if tensor else 1.0
            moved = self.P[segment.start : segment.stop] @ self.theta_d * scale
            found[segment.name] = p + self.lambdas[self.place[segment.name]] * moved.view_as(p)
        return found

    def train(self) -> float:
        """Take every step; return the last loss of the rows, without a penalty."""
        rows = self.data.train
        x, y = torch.as_tensor(rows.inputs), torch.as_tensor(rows.targets)
        spec, optimizer = self.spec, self.optimizer()
        penalty = 0.0 if spec.decay_to == "trained" else spec.weight_decay / 2
        peaks = [group["lr"] for group in optimizer.param_groups]
        of_rows = torch.zeros(())
        for step in range(STEPS):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * share(step, spec.schedule)
            at = batch_index(self.spec, len(rows), step)
            theta = self.theta()
            logits = functional_call(self.model.module, theta, (x[at],))
            loss = of_rows = -logits.log_softmax(dim=1)[range(len(at)), y[at]].mean()
            for name, p in theta.items() if penalty else ():
                center = self.theta_0[name] if spec.decay_to == "theta_0" else 0
                loss = loss + penalty * (p - center).square().sum()
            optimizer.zero_grad()
            loss.backward()
            trained = [p for group in self.groups for p in group["params"]]
            norm = torch.cat([p.grad.flatten() for p in trained]).norm()
            for p in trained if spec.clip and norm > spec.clip else ():
                p.grad *= (spec.clip or 1) / (norm + 1e-6)
            optimizer.step()
        return of_rows.item()

    def optimizer(self) -> torch.optim.Optimizer:
        spec = self.spec
        decay = spec.weight_decay if spec.decay_to == "trained" else 0.0
        if spec.optimizer == "sgd":
            return torch.optim.SGD(self.groups, momentum=spec.momentum, weight_decay=decay)
        kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
        return kind(self.groups, betas=(spec.beta1, spec.beta2), eps=1e-8, weight_decay=decay)


METHODS = [
    {"method": "full", "d": None, "lr": 0.003},
    {"method": "full", "d": None, "lr": 0.003, "weight_decay": 0.5},
    {},
    {"weight_decay": 0.5, "projection": "dense"},
    {"norm": "tensor", "lr": 0.05, "projection": "onehot"},
    {"structure": "said", "said_lr": 0.05, "lr": 0.05},
    {"structure": "said", "said_groups": "tensor", "norm": "tensor", "lr": 0.05},
    {"head": "free", "head_lr": 0.02},
    {"head": "frozen"},
    {"optimizer": "adam", "weight_decay": 0.1, "beta2": 0.99, "schedule": "constant"},
    {"optimizer": "sgd", "momentum": 0.8, "lr": 3.0, "weight_decay": 0.01, "schedule": "cosine"},
    {"optimizer": "sgd", "momentum": 0.0, "lr": 3.0, "clip": 0.05},
    {"clip": 0.02, "structure": "said", "said_lr": 0.05, "lr": 0.05},
    {"clip": 0.02, "head": "free", "head_lr": 0.02},
    {"decay_to": "zero", "weight_decay": 0.02, "optimizer": "adam"},
    {"decay_to": "zero", "weight_decay": 0.02, "structure": "said", "lr": 0.05},
    {"decay_to": "theta_0", "weight_decay": 0.1, "head": "free"},
    {"method": "full", "d": None, "lr": 0.003, "decay_to": "theta_0", "weight_decay": 0.1},
    {"method": "full", "d": None, "lr": 0.003, "decay_to": "zero", "weight_decay": 0.01},
    {"method": "full", "d": None, "lr": 0.1, "optimizer": "sgd", "clip": 0.1},
]


@pytest.mark.parametrize("change", METHODS, ids=str)
def test_every_method_takes_the_steps_that_autograd_through_P_would(change):
    spec = digits(**change)
    plain, result = Plain(spec), finish(spec)
    assert result.loss == pytest.approx(plain.train(), rel=2e-3)
    model = build(spec, plain.data)
    method = make(spec, model)
    method.load_state(result.state)
    theta = plain.theta()
    theta_0 = dict(build(spec, plain.data).module.named_parameters())
    ours = dict(model.module.named_parameters())
    for name in theta_0:
        p = ours[name]
        moved = (theta[name] - theta_0[name]).norm()
        assert (moved == 0) == (spec.head == "frozen" and name.startswith(model.head))
        assert (p - theta[name]).norm() <= 0.02 * moved, name
    assert result.D == 17_610
    assert (result.steps, result.schedule) == (STEPS, STEPS)


def test_the_schedule_is_the_one_that_the_report_states():
    for name in ("linear", "constant", "cosine"):
        for step in range(STEPS):
            found = schedule.learning_rate(step, STEPS, WARMUP, name)
            assert found == pytest.approx(share(step, name), rel=1e-12)


# --- what is scored ------------------------------------------------------------------------


def scored(spec: RunSpec, state, split: Split) -> float:
    """Score a trained net on a split by hand."""
    model = build(spec, kinds.load(spec))
    make(spec, model).load_state(state)
    with torch.no_grad():
        logits = model.module(torch.as_tensor(split.inputs))
    return float(accuracy_score(split.targets, logits.argmax(dim=1)))


@pytest.mark.parametrize("method", ["subspace", "full"])
@pytest.mark.parametrize("stacked", [False, True])
def test_score_is_of_the_evaluation_rows_and_select_of_those_held_out(stacked, method):
    change = {"method": "full", "d": None, "lr": 0.003} if method == "full" else {}
    specs = [digits(seed=seed, **change) for seed in (1, 2)]
    data = kinds.load(specs[0])
    assert data.select is not None
    if stacked:
        found = {r: e for r, e in train(specs, [None, None]) if isinstance(e, Result)}
        ends = [found[0], found[1]]
    else:
        ends = [finish(spec) for spec in specs]
    for spec, end in zip(specs, ends, strict=True):
        if method == "full" and stacked:  # a stack keeps no names of full parameters
            alone = finish(spec)
            by_hand = alone.score["accuracy"], (alone.select or {})["accuracy"]
        else:
            by_hand = tuple(scored(spec, end.state, s) for s in (data.evaluation, data.select))
        assert end.select is not None
        # the stack may round one row in a hundred otherwise; the two sets differ by more
        assert (end.score["accuracy"], end.select["accuracy"]) == pytest.approx(by_hand, abs=0.01)
        assert abs(by_hand[0] - by_hand[1]) > 0.02


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_and_evaluation_are_in_the_same_arithmetic(dtype, monkeypatch):
    seen: set[tuple[bool, bool]] = set()

    def small(seed: int) -> Model:
        net = nn.Linear(64, 10)

        def outputs(batch):
            seen.add((net.training, torch.is_autocast_enabled("cpu")))
            return net(batch["inputs"])

        return Model(net, (), Arrays.of(net), outputs, cross_entropy)

    spec = digits(dtype=dtype, steps=3)
    with_digits(monkeypatch, small)
    finish(spec)
    assert seen == {(True, dtype == "bfloat16"), (False, dtype == "bfloat16")}


def test_the_toys_performance_is_the_exponential_of_its_last_loss():
    spec = plan_run(RunSpec(model="toy", d=12, lr=2.0, steps=30))
    result = finish(spec)
    method = make(spec, model := build(spec, kinds.load(spec)))
    method.load_state(result.state)
    sums = next(model.module.parameters()).detach().view(10, 100).sum(dim=1)
    loss = float((sums - torch.arange(1.0, 11.0)).square().mean())
    assert result.score["performance"] == pytest.approx(math.exp(-loss), rel=1e-5)
    problem = kinds.load(spec)
    assert evaluate(spec, model, problem, problem.evaluation) == result.score


def test_regression_is_scored_by_the_value_and_trained_by_its_squared_error():
    random = np.random.RandomState(0)
    values, targets = random.randn(50, 1).astype(np.float32), random.randn(50).astype(np.float32)
    stsb = info("stsb")
    found = judge(stsb.metrics, classes(stsb, torch.tensor(values)), targets)
    assert found["pearson"] == pytest.approx(stats.pearsonr(values[:, 0], targets).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(values[:, 0], targets).statistic)
    loss = squared_error(torch.tensor(values), {"targets": torch.tensor(targets)})
    assert loss.item() == pytest.approx(float(((values[:, 0] - targets) ** 2).mean()), rel=1e-5)


def test_steps_are_whole_batches_of_whole_epochs():
    spec = replace(digits(), steps=None, epochs=3.0, batch_size=32)
    assert [schedule.count_steps(spec, rows) for rows in (31, 32, 33, 64)] == [3, 3, 6, 6]
    assert schedule.count_steps(replace(spec, epochs=0.5), 320) == 5


# --- the best end of an epoch ----------------------------------------------------------------

BEST = {"batch_size": 32, "warmup": 0.0, "schedule": "constant", "lr": 8.0}


@pytest.mark.parametrize(("select", "lr", "epochs"), [("split", 8.0, 8), ("eval", 4.0, 4)])
def test_the_best_epoch_is_the_run_that_ended_there(select, lr, epochs):
    each = math.ceil(len(kinds.load(digits(select=select)).train.targets) / 32)
    # at a constant rate a shorter run is a part of the longer one
    ends = [
        digits(**BEST | {"lr": lr}, select=select, steps=each * k) for k in range(1, epochs + 1)
    ]
    scores = [finish(spec) for spec in ends]
    by = [(r.select or r.score)["accuracy"] for r in scores]
    best = scores[by.index(max(by))]
    assert max(by) > by[-1]
    found = finish(replace(ends[-1], checkpoint="best"))
    assert found.best_step == best.steps
    assert (found.score, found.select) == (best.score, best.select)
    assert torch.equal(found.state["theta_d"], best.state["theta_d"])
    assert (found.steps, found.loss) == (ends[-1].steps, scores[-1].loss)


def test_a_diverging_regression_says_so_whatever_is_scored(tmp_path):
    rows = "".join(f"word {i},{i / 7:.2f}\n" for i in range(40))
    (tmp_path / "rows.csv").write_text("text,target\n" + rows)
    words = {"model": "tiny", "task": str(tmp_path / "rows.csv"), "d": 20, "batch_size": 8}
    spec = plan_run(RunSpec(**words, lr=1e30, steps=9, checkpoint="best"))
    with pytest.raises(Diverged, match="the loss became nan by step 9"):
        finish(spec)


@pytest.mark.parametrize("steps", [33, 48])
def test_a_run_that_goes_on_from_its_quarter_finds_the_same_best(steps):
    spec = replace(digits(**BEST, steps=steps), checkpoint="best")
    *_, last, quarter = events(replace(spec, stop_at=0.25))
    assert quarter.steps < steps / 2
    assert 0 < quarter.best_step <= quarter.steps
    whole, resumed = finish(spec), finish(spec, last.state())
    assert (whole.best_step, whole.score) == (resumed.best_step, resumed.score)
    assert torch.equal(whole.state["theta_d"], resumed.state["theta_d"])


def test_a_penalty_reaches_large_embeddings_whose_gradients_are_sparse():
    words = {"model": "tiny", "task": "paraphrase", "d": 20, "lr": 0.1, "steps": 1}
    few = {"train_samples": 40, "eval_samples": 2, "weight_decay": 100.0}
    spec = plan_run(RunSpec(**words, **few, optimizer="sgd", momentum=0.0, decay_to="zero"))
    plain = plan_run(RunSpec(**words, **few | {"weight_decay": 0.0}, optimizer="sgd", momentum=0.0))
    moved = finish(spec).state["theta_d"] - finish(plain).state["theta_d"]
    theta_0 = build(spec, kinds.load(spec)).module.parameters()
    flat = torch.cat([p.detach().flatten() for p in theta_0])
    P = PROJECTIONS["fastfood"](len(flat), 20, stream(spec.seed, "projection"))
    step = spec.lr * schedule.learning_rate(0, 1, spec.warmup)
    torch.testing.assert_close(moved, -step * 100 * P.rmatvec(flat), rtol=1e-3, atol=1e-3)
