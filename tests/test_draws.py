"""What a run draws from its seed: P, theta_0, the order of rows, dropout; anew, and again.

A net that keeps its masks and the rows it is given is trained in place of the real one, so that
the draws are seen themselves, and not only that something differs.
"""

import itertools
import json
from dataclasses import replace

import pytest
import torch
from alone import events, with_digits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from idim.config import RunSpec
from idim.problems import kinds
from idim.problems.base import Model, cross_entropy
from idim.problems.small import Arrays
from idim.sweeps import plan_run
from idim.training import start
from idim.training.events import Step
from idim.training.schedule import batch_index, stream

STEPS = 23


class Masks(nn.Module):
    """Dropout that keeps every mask it draws."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, torch.Tensor]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.functional.dropout(torch.ones_like(x), 0.5, self.training)
        self.seen.append((self.training, mask))
        return x * mask


class Watched:
    """A net with dropout on the digits, in place of the spec's model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.masks, self.rows = Masks(), []
        self.theta_0: list[torch.Tensor] = []
        with_digits(monkeypatch, self.build)

    def build(self, seed: int) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(64, 32), self.masks, nn.Linear(32, 10))
        encode = Arrays.of(net)

        def watched(split):
            rows = encode(split)
            batch = rows.batch
            rows.batch = lambda index: self.rows.append(list(index)) or batch(index)
            return rows

        return Model(net, ("2",), watched, lambda b: net(b["inputs"]), cross_entropy)

    def run(self, spec: RunSpec, resume=None) -> dict[int, dict[str, torch.Tensor]]:
        """Train; keep the state at each look."""
        self.masks.seen.clear()
        self.rows.clear()
        return {e.step: e.state() for e in events(spec, resume) if isinstance(e, Step)}

    @property
    def training(self) -> list[torch.Tensor]:
        return [mask for is_training, mask in self.masks.seen if is_training]

    @property
    def evaluation(self) -> list[torch.Tensor]:
        return [mask for is_training, mask in self.masks.seen if not is_training]


@pytest.fixture
def watched(monkeypatch) -> Watched:
    return Watched(monkeypatch)


def digits(**change) -> RunSpec:
    spec = {"model": "digits-mlp", "d": 20, "lr": 0.1, "steps": STEPS, "batch_size": 48}
    return plan_run(RunSpec(**spec | {"train_samples": 200} | change))


def all_differ(masks: list[torch.Tensor]) -> bool:
    return not any(a.shape == b.shape and torch.equal(a, b)
                   for a, b in itertools.combinations(masks, 2))  # fmt: skip


@pytest.mark.parametrize("change", [{}, {"method": "full", "d": None, "lr": 0.003}])
def test_dropout_is_drawn_anew_at_each_step_and_for_each_seed(watched, change):
    drawn = []
    for seed in range(3):
        watched.run(digits(seed=seed, **change))
        assert len(watched.training) == STEPS
        drawn += watched.training
    assert all_differ(drawn)
    dropped = torch.cat([mask.flatten() for mask in drawn]) == 0
    assert dropped.float().mean() == pytest.approx(0.5, abs=0.02)


def test_dropout_and_rows_of_a_step_are_the_same_alone_and_after_a_resume(watched):
    spec = digits(seed=4)
    states = watched.run(spec)
    whole, rows = watched.training, watched.rows[:STEPS]
    assert set(states) == {10, 20, STEPS}
    for step in (10, 20):
        torch.rand(step)  # whatever this process drew before
        watched.run(spec, states[step])
        assert len(watched.training) == STEPS - step
        pairs = zip(watched.training, whole[step:], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        assert watched.rows[: STEPS - step] == rows[step:]


def test_nothing_is_dropped_in_evaluation(watched):
    watched.run(digits())
    assert watched.evaluation
    assert all((mask == 1).all() for mask in watched.evaluation)


def test_the_rows_of_each_step_are_those_of_the_seed_and_the_step(watched):
    for seed in (0, 7):
        spec = digits(seed=seed)
        watched.run(spec)
        # of 200 rows 32 are held out, the fewest that are selected on
        assert watched.rows[:STEPS] == [batch_index(spec, 168, step) for step in range(STEPS)]


# --- the order of rows ----------------------------------------------------------------------


def epoch_of(spec: RunSpec, rows: int, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch."""
    assert spec.batch_size is not None
    each = -(-rows // spec.batch_size)
    return [batch_index(spec, rows, epoch * each + at) for at in range(each)]


def joined(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


PLAIN = RunSpec(model="digits-mlp", task="digits", d=20, batch_size=32)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 70), st.integers(0, 2**31), st.integers(0, 5))
def test_an_epoch_holds_every_row_once_in_whole_batches_but_the_last(rows, size, seed, epoch):
    batches = epoch_of(replace(PLAIN, batch_size=size, seed=seed), rows, epoch)
    assert sorted(joined(batches)) == list(range(rows))
    sizes = [len(batch) for batch in batches]
    assert sizes == [size] * (rows // size) + [rows % size] * (rows % size > 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 300), st.integers(1, 29), st.integers(0, 2**31))
def test_every_epoch_and_every_seed_has_an_order_of_its_own(rows, size, seed):
    """Of 30 rows there are 10^32 orders: two are never equal by chance."""
    orders = [
        joined(epoch_of(replace(PLAIN, batch_size=size, seed=seed + k), rows, epoch))
        for k in range(3)
        for epoch in range(4)
    ]
    assert len(set(map(tuple, orders))) == len(orders)
    assert list(range(rows)) not in orders


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 200), st.integers(1, 29), st.integers(0, 99), st.integers(0, 3))
def test_the_order_of_an_epoch_does_not_depend_on_how_it_is_cut(rows, size, seed, epoch):
    one, other = (replace(PLAIN, batch_size=b, seed=seed) for b in (size, 29))
    assert joined(epoch_of(one, rows, epoch)) == joined(epoch_of(other, rows, epoch))


def test_the_draws_of_a_seed_are_the_same_for_ever():
    """Stored runs were drawn so: another stream would give other bits under their ids."""
    assert stream(0, "init") == 3912388711783151084
    assert stream(0, "projection") == 9117398076066989486
    assert stream(3, "step", 17) == 2741549849321010437
    second = joined(epoch_of(replace(PLAIN, batch_size=4), 10, 1))
    assert second == [0, 6, 4, 3, 9, 7, 8, 2, 5, 1]


# --- P and theta_0 --------------------------------------------------------------------------


def vector(module: nn.Module, head: tuple[str, ...], *, inside: bool) -> torch.Tensor:
    """Return the parameters in the head, or those outside it, end to end."""
    named = module.named_parameters()
    return torch.cat([p.flatten() for n, p in named if n.startswith(head) is inside])


def test_each_seed_has_its_own_P():
    seeds = []
    for seed in range(3):
        *_, end = events(digits(seed=seed, steps=1))
        seeds.append(json.loads(end.header["idim"])["seed"])
    assert seeds == [stream(seed, "projection") for seed in range(3)]


def test_each_seed_has_its_own_net():
    nets = [start.build(s, kinds.load(s)) for s in (digits(seed=k) for k in (0, 1, 2, 0))]
    flat = [nn.utils.parameters_to_vector(model.module.parameters()) for model in nets]
    assert all_differ(flat[:3])
    assert torch.equal(flat[0], flat[3])


def test_each_seed_has_its_own_head_on_the_same_pretrained_weights():
    specs = [plan_run(RunSpec(model="tiny", d=20, seed=seed)) for seed in range(3)]
    models = [start.build(spec, kinds.load(spec)) for spec in specs]
    heads, bodies = (
        [vector(m.module, m.head, inside=inside) for m in models] for inside in (True, False)
    )
    assert all_differ(heads)
    assert all(torch.equal(body, bodies[0]) for body in bodies)
