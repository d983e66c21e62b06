"""Random sequences of what users do to a bound module, against theta_0 + lambda * P theta_d.

The reference is plain autograd through the explicit formula in float64, with P as a matrix: it
shares no line with the hooks, checks and copies that it judges.
"""

import copy
import os
from functools import lru_cache

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from idim import Subspace
from idim.errors import IdimError
from idim.projection import PROJECTIONS

COUNT = 2_000 if os.environ.get("IDIM_SLOW") == "1" else 250
LENGTH = 14  # operations of a sequence, at most
D = 6


class Net(nn.Module):
    """Three small layers, the first and last of which may share a weight, and BatchNorm."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.first, self.mid = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.last, self.head = nn.Linear(4, 3, bias=False), nn.Linear(3, 2)
        self.first.weight = nn.Parameter(torch.zeros(4, 3))
        self.double()
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=g, dtype=torch.float64) / 2
        if tied:
            self.last.weight = self.first.weight  # used as it is and transposed
        self.tied = tied

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.mid(torch.tanh(self.first(x)))
        h = h @ self.last.weight if self.tied else self.last(h)
        return self.head(torch.tanh(h))


def same(a, b, what="", tol=1e-8):
    """Assert that two tensors agree; torch.testing takes a hundred times as long."""
    gap = (a - b).abs().max().item()
    assert gap <= tol * (1 + 100 * b.abs().max().item()), (what, gap)


X = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.arange(5) % 2


@lru_cache
def matrix(kind: str, D: int, d: int, seed: int) -> torch.Tensor:
    return PROJECTIONS[kind](D, d, seed).to_dense()


class Reference:
    """theta = theta_0 + lambda * P theta_d, written out."""

    def __init__(self, tied: bool, sub: Subspace) -> None:
        self.net, P = (
            Net(tied),
            matrix(sub.spec["projection"], *sub.projection.shape, sub.spec["seed"]),
        )
        self.rows = {s.name: (P[s.start : s.stop] * s.scale, s.group) for s in sub.segments}
        self.theta_0 = {n: p.detach().clone() for n, p in self.net.named_parameters()}
        self.theta_d = torch.zeros(P.shape[1], dtype=torch.float64, requires_grad=True)
        count = 0 if sub.lambdas is None else len(sub.lambdas)
        self.lambdas = torch.ones(count, dtype=torch.float64, requires_grad=True)
        self.free = {n: self.theta_0[n].clone().requires_grad_() for n in sub.free}
        self.still: set[str] = set()

    def trained(self) -> dict[str, torch.Tensor]:
        found = {"theta_d": self.theta_d, **{f"free.{n}": p for n, p in self.free.items()}}
        return found | {"lambdas": self.lambdas} if len(self.lambdas) else found

    def theta(self) -> dict[str, torch.Tensor]:
        found = dict(self.theta_0) | self.free
        for name, (rows, group) in self.rows.items():
            moved = rows @ self.theta_d
            moved = moved * self.lambdas[group] if len(self.lambdas) else moved
            found[name] = self.theta_0[name] + moved.view(self.theta_0[name].shape)
        return {n: t.detach() if n in self.still else t for n, t in found.items()}

    def loss(self, i: int) -> torch.Tensor:
        out = torch.func.functional_call(self.net, self.theta(), (X[i],))
        return F.cross_entropy(out, Y)

    def state(self) -> dict[str, torch.Tensor]:
        buffers = {f"buffer.{n}": b for n, b in self.net.named_buffers()}
        return {n: t.detach().clone() for n, t in (self.trained() | buffers).items()}

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor]) -> None:
        for n, t in (self.trained() | {f"buffer.{n}": b for n, b in
                                       self.net.named_buffers()}).items():  # fmt: skip
            t.copy_(state[n])

    def rebase(self) -> None:
        """Take what theta is now for theta_0, as merging and binding again does."""
        self.theta_0 = {n: t.detach().clone() for n, t in self.theta().items()}
        with torch.no_grad():
            self.theta_d.zero_()
            self.lambdas.fill_(1.0)
        for p in self.trained().values():
            p.grad = None


class Machine:
    """A bound net and its reference, to which one operation after another is done."""

    def __init__(self, how: dict, tied: bool, folder) -> None:
        self.how, self.tied, self.folder = how, tied, folder
        self.net = Net(tied)
        self.theta_0 = copy.deepcopy(self.net)
        self.sub = Subspace(self.net, **how)
        self.ref = Reference(tied, self.sub)
        self.states: list = [(self.net.state_dict(), self.sub.state(), self.ref.state())]
        self.states = copy.deepcopy(self.states)
        self.optimizers(0)

    def optimizers(self, kind: int) -> None:
        """Give both a new optimizer; ours may be over the module's parameters, as Trainer's is."""
        ours = self.net.parameters() if kind % 2 else self.sub.parameters()
        theirs = list(self.ref.trained().values())
        make = [
            lambda p: torch.optim.SGD(p, lr=0.3),
            lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9),
            lambda p: torch.optim.Adam(p, lr=0.05),
            lambda p: torch.optim.LBFGS(p, lr=0.3, max_iter=3),
        ][kind // 2]
        self.ours, self.theirs = make(ours), make(theirs)
        self.closes = kind // 2 == 3

    def check(self) -> None:
        trained = dict(self.sub._targets())
        for name, p in self.ref.trained().items():
            same(trained[name], p, name)
            mine = torch.zeros_like(p) if trained[name].grad is None else trained[name].grad
            grad = torch.zeros_like(p) if p.grad is None else p.grad
            same(mine, grad, name)
        named = dict(self.net.named_parameters())
        for name, t in self.ref.theta().items():
            same(named[name], t, name)
            inside = name in self.ref.rows
            assert not inside or named[name].grad is None
        for (name, ours), theirs in zip(self.net.named_buffers(), self.ref.net.buffers(),
                                        strict=True):  # fmt: skip
            same(ours, theirs, name)

    def do(self, op: str, n: int) -> None:
        getattr(self, op)(n)

    # what users do; `n` chooses among variants

    def forward(self, n):
        with torch.no_grad():
            same(F.cross_entropy(self.net(X[n % 4]), Y), self.ref.loss(n % 4))

    def backward(self, n):
        F.cross_entropy(self.net(X[n % 4]), Y).backward()
        self.ref.loss(n % 4).backward()

    def accumulate(self, n):
        self.backward(n)
        self.backward(n + 1)

    def zero_grad(self, n):
        none = n % 4 != 2
        [self.ours, self.net][n % 2].zero_grad(set_to_none=none)
        self.theirs.zero_grad(set_to_none=none)

    def step(self, n):
        if self.closes:
            return self.closure_step(n)
        if self.ref.still:
            with pytest.raises(IdimError, match="requires_grad=False"):
                self.ours.step()
            return None
        self.forget_lambdas(self.lacks_lambdas())
        self.ours.step()
        self.theirs.step()
        return None

    def lacks_lambdas(self) -> bool:
        """Tell whether lambdas have no gradient yet, so that Adam does not count the step."""
        return self.sub.lambdas is not None and self.sub.lambdas.grad is None

    def forget_lambdas(self, are_lacking: bool) -> None:
        """Drop the reference's gradient of them, which must be 0."""
        if are_lacking:
            assert self.ref.lambdas.grad is None or not self.ref.lambdas.grad.any()
            self.ref.lambdas.grad = None

    def train_step(self, n):
        self.zero_grad(n)
        self.backward(n)
        if not self.closes:
            self.step(n)

    def closure_step(self, n):
        if self.ref.still or not self.ref.net.training:
            return

        lacking = []

        def ours():
            self.ours.zero_grad()
            loss = F.cross_entropy(self.net(X[n % 4]), Y)
            loss.backward()
            lacking.append(self.lacks_lambdas())
            return loss

        def theirs():
            self.theirs.zero_grad()
            loss = self.ref.loss(n % 4)
            loss.backward()
            self.forget_lambdas(lacking.pop(0))
            return loss

        self.ours.step(ours)
        self.theirs.step(theirs)

    def change_optimizer(self, n):
        self.optimizers(n % 8)

    def look_ahead(self, n):
        with torch.no_grad():
            for p in (self.sub.theta_d.data if n % 2 else self.sub.theta_d, self.ref.theta_d):
                p.mul_(0.5)
        if n % 3 == 0:
            self.sub.refresh()
        else:
            self.forward(n)

    def clip(self, n):
        both = (self.net.parameters() if n % 2 else self.sub.parameters(),
                self.ref.trained().values())  # fmt: skip
        norms = [nn.utils.clip_grad_norm_(list(p), 0.1) for p in both]
        same(norms[0], norms[1])

    def keep(self, n):
        kept = (self.net.state_dict(), self.sub.state(), self.ref.state())
        self.states = [*self.states[-2:], copy.deepcopy(kept)]

    def load_state_dict(self, n):
        ours, _, theirs = self.states[n % len(self.states)]
        self.net.load_state_dict(ours)
        self.ref.load(theirs)

    def load_state(self, n):
        _, ours, theirs = self.states[n % len(self.states)]
        self.sub.load_state(ours)
        self.ref.load(theirs)

    def load_weights_alone(self, n):
        """Old weights without theta_d: refused at the next use unless they are these."""
        ours, state, _ = self.states[n % len(self.states)]
        weights = {k: t for k, t in ours.items() if k in self.ref.rows}
        own = {k: t for k, t in self.sub._targets().items() if not k.startswith("free.")}
        same = all(torch.equal(state[k], t) for k, t in own.items())
        self.net.load_state_dict(weights, strict=False)
        if same:
            self.sub.state()
            return
        before = [p.detach().clone() for p in self.ref.trained().values()]
        uses = [self.sub.state, self.sub.merge, lambda: self.sub.save(self.folder / "w"),
                lambda: self.ours.step(*([lambda: 0.0] if self.closes else []))]  # fmt: skip
        with pytest.raises(IdimError, match=r"was written to from outside|requires_grad=False"):
            uses[n % 4]()
        assert all(
            torch.equal(a, b) for a, b in zip(before, self.ref.trained().values(), strict=True)
        )
        self.sub.refresh()

    def save_and_load(self, n):
        """Go on with a fresh module that the file restores."""
        if self.ref.still:
            return
        grads = [p.grad for p in self.sub.parameters()]
        self.sub.save(self.folder / "s")
        fresh = copy.deepcopy(self.theta_0).train(self.net.training)
        if n % 3 == 0:
            with torch.no_grad():
                fresh.first.weight[0, 0] += 1e-9
            with pytest.raises(IdimError, match="belongs to another theta_0"):
                Subspace.load(fresh, self.folder / "s")
            return
        sub = Subspace.load(fresh, self.folder / "s")
        for name, b in self.net.named_buffers():
            assert torch.equal(b, dict(fresh.named_buffers())[name])
        for (name, p), q in zip(self.net.named_parameters(), fresh.parameters(), strict=True):
            same(p, q, name, 1e-14)
        if self.how["copies"] == 1:
            sub.merge()  # a file does not say how many copies there were
            sub = Subspace(fresh_of(self.theta_0, fresh), **self.how)
            sub.load_state(self.sub.state())
            fresh = sub.module.train(self.net.training)
        self.net, self.sub = fresh, sub
        for p, grad in zip(sub.parameters(), grads, strict=True):
            p.grad = grad
        self.optimizers(n % 6)

    def merge_and_bind(self, n):
        if self.ref.still:
            return
        with torch.no_grad():
            self.sub.merge()
        for name, t in self.ref.theta().items():
            found = dict(self.net.named_parameters())[name]
            same(found, t, name)
            assert found.requires_grad
        assert set(self.net.state_dict()) == set(self.theta_0.state_dict())
        self.net.zero_grad()
        self.theta_0 = copy.deepcopy(self.net)
        self.sub = Subspace(self.net, **self.how)
        self.ref.rebase()
        self.states = copy.deepcopy([(self.net.state_dict(), self.sub.state(), self.ref.state())])
        self.optimizers(n % 6)

    def deepcopy(self, n):
        """Go on with a copy, beside which the original must not move."""
        twin = copy.deepcopy(self.net)
        old, theta_d = self.sub, self.sub.theta_d.detach().clone()
        grads = [None if p.grad is None else p.grad.clone() for p in self.sub.parameters()]
        if n % 2:
            with torch.no_grad():  # the forward pass of a copy binds it
                twin.eval()(X[0])
            twin.train(self.net.training)
        for name, p in twin.named_parameters():
            p.requires_grad_(dict(self.net.named_parameters())[name].requires_grad)
        self.net, self.sub = twin, Subspace.of(twin)
        for p, grad in zip(self.sub.parameters(), grads, strict=True):
            p.grad = grad
        self.optimizers(n % 6)
        self.train_step(n)
        assert torch.equal(old.theta_d, theta_d)

    def freeze(self, n):
        name = sorted(self.ref.rows)[n % len(self.ref.rows)]
        p = dict(self.net.named_parameters())[name]
        p.requires_grad_(not p.requires_grad)
        self.ref.still ^= {name}

    def unfreeze(self, n):
        for name in self.ref.still:
            dict(self.net.named_parameters())[name].requires_grad_(True)
        self.ref.still.clear()

    def switch(self, n):
        for m in (self.net, self.ref.net):
            m.train(n % 2 == 0)

    def bind_again(self, n):
        with pytest.raises(IdimError, match="bound to a subspace"):
            Subspace([self.net, self.net.first, nn.Sequential(self.net)][n % 3], d=3)


def fresh_of(theta_0: Net, like: Net) -> Net:
    return copy.deepcopy(theta_0).train(like.training)


OPERATIONS = [
    "forward", "backward", "accumulate", "zero_grad", "step", "train_step", "train_step",
    "closure_step", "change_optimizer", "look_ahead", "clip", "keep", "load_state_dict",
    "load_state", "load_weights_alone", "save_and_load", "merge_and_bind", "deepcopy", "freeze",
    "unfreeze", "switch", "bind_again",
]  # fmt: skip
HOW = st.fixed_dictionaries({
    "d": st.just(D + 4),
    "structure": st.sampled_from(["did", "said"]),
    "groups": st.sampled_from(["module", "tensor"]),
    "norm": st.sampled_from(["global", "tensor"]),
    "copies": st.sampled_from([1, 2]),
    "exact_every": st.sampled_from([1, 3]),
    "projection": st.sampled_from(["dense", "sparse", "fastfood", "orthogonal", "onehot"]),
    "head": st.sampled_from(["inside", "free", "frozen"]),
    "seed": st.integers(0, 3),
})  # fmt: skip
done = {"sequences": 0, "operations": 0}


@seed(0)
@settings(
    max_examples=COUNT, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    how=HOW,
    tied=st.booleans(),
    ops=st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 23)), min_size=2, max_size=LENGTH
    ),
)
def run_sequences(folder, how, tied, ops):
    head = how.pop("head")
    how |= {head: ["head"]} if head != "inside" else {}
    machine = Machine(how, tied, folder)
    for op, n in ops:
        machine.do(op, n)
        machine.check()
        done["operations"] += 1
    done["sequences"] += 1


def test_any_sequence_of_operations_is_that_of_the_explicit_formula(tmp_path):
    run_sequences(tmp_path)
    print(f"{done['sequences']} sequences, {done['operations']} operations")
    assert done["sequences"] >= COUNT
