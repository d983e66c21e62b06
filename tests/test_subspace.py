"""theta = theta_0 + P theta_d on real modules: values, gradients, and the company it keeps."""

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from makers import make_tiny_bert
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from idim import Subspace
from idim.errors import IdimError
from idim.projection import PROJECTIONS
from idim.subspace.gradients import BUFFER
from idim.subspace.layout import SMALL, extent

kinds = pytest.mark.parametrize("kind", PROJECTIONS)


def net(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Return a net with tensors on both sides of SMALL."""
    torch.manual_seed(seed)
    wide = SMALL // 64 + 8
    return nn.Sequential(nn.Linear(64, wide), nn.Tanh(), nn.Linear(wide, 3)).to(dtype)


def batch(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(8, 64, generator=g, dtype=dtype), torch.arange(8) % 3


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a module's own parameters, without theta_d that a bound one carries."""
    return {n: p for n, p in module.named_parameters() if "subspace_" not in n}


def flat(sub: Subspace, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensors[s.name].flatten() for s in sub.segments])


@kinds
@pytest.mark.parametrize("norm", ["global", "tensor"])
def test_theta_is_theta_0_plus_P_theta_d(kind, norm):
    module = net()
    theta_0 = {n: p.detach().clone() for n, p in module.named_parameters()}
    sub = Subspace(module, d=20, projection=kind, norm=norm, seed=3)
    assert all(torch.equal(theta_0[n], p) for n, p in weights(module).items())
    with torch.no_grad():
        sub.theta_d.copy_(torch.randn(20))
    sub.refresh()
    P = PROJECTIONS[kind](sub.D, 20, 3).to_dense()
    for segment in sub.segments:
        expected = P[segment.start : segment.stop] @ sub.theta_d * segment.scale
        moved = (segment.parameter - theta_0[segment.name]).flatten()
        torch.testing.assert_close(moved, expected)
        columns = (P[segment.start : segment.stop] * segment.scale).square().sum(dim=0)
        if norm == "tensor" and segment.parameter.numel() > 1000:
            torch.testing.assert_close(columns.mean(), columns.new_tensor(1.0), rtol=0.2, atol=0)


@kinds
@pytest.mark.parametrize("groups", [None, "tensor", "module", "block"])
def test_gradients_are_those_of_autograd_through_P(kind, groups):
    """Compare hooks with autograd through the explicit formula, lambdas away from 1."""
    module, (x, y) = net(), batch()
    d = 30
    structure = {"structure": "said", "groups": groups} if groups else {}
    sub = Subspace(module, d=d, projection=kind, norm="tensor", seed=0, **structure)
    reference = net()
    with torch.no_grad():
        sub.theta_d.copy_(torch.randn(sub.theta_d.numel()) * 0.1)
        if sub.lambdas is not None:
            sub.lambdas.copy_(torch.rand(sub.lambdas.numel()) + 0.5)
    sub.refresh()
    F.cross_entropy(module(x), y).backward()

    theta_d = sub.theta_d.detach().clone().requires_grad_()
    lambdas = None if sub.lambdas is None else sub.lambdas.detach().clone().requires_grad_()
    P = PROJECTIONS[kind](sub.D, theta_d.numel(), 0).to_dense()
    named = dict(reference.named_parameters())
    theta = {}
    for segment in sub.segments:
        rows = P[segment.start : segment.stop] @ theta_d * segment.scale
        rows = rows if lambdas is None else rows * lambdas[segment.group]
        theta[segment.name] = named[segment.name].detach() + rows.view(segment.parameter.shape)
    loss = F.cross_entropy(torch.func.functional_call(reference, theta, (x,)), y)
    loss.backward()
    torch.testing.assert_close(sub.theta_d.grad, theta_d.grad)
    if lambdas is not None:
        torch.testing.assert_close(sub.lambdas.grad, lambdas.grad)


def test_lambdas_have_a_gradient_of_zero_at_the_start():
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=20, structure="said")
    F.cross_entropy(module(x), y).backward()
    assert sub.theta_d.grad.abs().max() > 0
    assert sub.lambdas.grad is None or not sub.lambdas.grad.any()


def test_gradients_accumulate_over_backward_passes_and_the_modules_own_are_freed():
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=20)
    F.cross_entropy(module(x), y).backward()
    once = sub.theta_d.grad.clone()
    F.cross_entropy(module(x), y).backward()
    torch.testing.assert_close(sub.theta_d.grad, 2 * once)
    assert all(p.grad is None for p in weights(module).values())


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [(torch.optim.SGD, 20.0), (torch.optim.AdamW, 0.2), (torch.optim.RMSprop, 0.1)],
)
def test_any_optimizer_moves_theta_without_further_calls(optimizer, lr):
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=50, seed=0)
    steps = optimizer(sub.parameters(), lr=lr)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(module(x), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_gradient_clipping_sees_the_whole_gradient_after_backward():
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=20)
    F.cross_entropy(module(x), y).backward()
    norm = sub.theta_d.grad.norm()
    assert torch.equal(nn.utils.clip_grad_norm_(sub.parameters(), 1e9), norm)


def test_the_subspace_lives_as_long_as_its_optimizer_and_no_longer():
    module, (x, y) = net(), batch()
    steps = torch.optim.SGD(Subspace(module, d=20).parameters(), lr=0.5)
    gc.collect()
    before = module[0].weight.detach().clone()
    F.cross_entropy(module(x), y).backward()
    steps.step()
    assert not torch.equal(before, module[0].weight)
    alive = weakref.ref(steps.param_groups[0]["params"][0].subspace)
    assert alive() is not None
    del module, steps
    gc.collect()
    assert alive() is None


def test_a_merged_module_no_longer_follows_theta_d():
    module = net()
    sub = Subspace(module, d=20)
    steps = torch.optim.SGD(sub.parameters(), lr=1.0)
    sub.theta_d.grad = torch.ones_like(sub.theta_d)
    merged = sub.merge()[0].weight.detach().clone()
    steps.step()
    assert torch.equal(merged, module[0].weight)


def test_two_subspaces_do_not_disturb_each_other():
    one, two = net(0), net(1)
    first, second = Subspace(one, d=10), Subspace(two, d=10)
    before = two[0].weight.detach().clone()
    steps = torch.optim.SGD(first.parameters(), lr=1.0)
    first.theta_d.grad = torch.ones(10, dtype=torch.float64)
    steps.step()
    assert torch.equal(before, two[0].weight)
    assert not second.theta_d.any()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 20, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.embed(x))


def test_tied_weights_stay_tied_and_get_both_gradients():
    torch.manual_seed(0)
    module = Tied().double()
    theta_0 = module.embed.weight.detach().clone()
    x = torch.arange(20)
    sub = Subspace(module, d=15, projection="dense")
    assert sub.D == 160
    loss = F.cross_entropy(module(x), x)
    loss.backward()
    free = theta_0.clone().requires_grad_()
    F.cross_entropy(F.embedding(x, free) @ free.T, x).backward()
    expected = sub.projection.rmatvec(free.grad.flatten())
    torch.testing.assert_close(sub.theta_d.grad, expected)
    torch.optim.SGD(sub.parameters(), lr=1.0).step()
    assert module.out.weight is module.embed.weight
    assert not torch.equal(module.embed.weight, theta_0)


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(64, 64)
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(3))
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer in self.layers:
            if self.reentrant is None:
                x = torch.tanh(layer(x))
            else:
                x = checkpoint(lambda h, f=layer: torch.tanh(f(h)), x, use_reentrant=self.reentrant)
        return x


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("structure", ["did", "said"])
def test_gradient_checkpointing_gives_the_same_gradient(reentrant, structure):
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    grads = []
    for mode in (None, reentrant):
        module = Checkpointed(mode)
        sub = Subspace(module, d=20, structure=structure)
        sub.theta_d.data.fill_(0.1)
        sub.refresh()
        module(x).square().sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in sub.parameters()]))
    torch.testing.assert_close(grads[0], grads[1])


def test_autocast_trains_with_float32_theta_d():
    module, (x, y) = net(dtype=torch.float32), batch(torch.float32)
    sub = Subspace(module, d=40)
    steps = torch.optim.Adam(sub.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(module(x).float(), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert sub.theta_d.dtype == torch.float32
    assert losses[-1] < 0.8 * losses[0]


def test_a_bfloat16_module_is_rounded_once_from_float32():
    module = net(dtype=torch.bfloat16)
    theta_0 = module[0].weight.detach().clone()
    sub = Subspace(module, d=10)
    assert sub.theta_d.dtype == torch.float32
    sub.theta_d.data.normal_(generator=torch.Generator().manual_seed(0))
    sub.refresh()
    segment = next(s for s in sub.segments if s.name == "0.weight")
    exact = theta_0.flatten().float() + sub.projection.matvec(
        sub.theta_d, segment.start, segment.stop
    )
    assert torch.equal(module[0].weight.flatten(), exact.bfloat16())


@pytest.mark.parametrize("structure", ["did", "said"])
def test_a_saved_subspace_restores_the_trained_module_to_the_bit(structure, tmp_path):
    module, (x, y) = net(dtype=torch.float32), batch(torch.float32)
    fresh = copy.deepcopy(module)
    sub = Subspace(module, d=30, structure=structure, norm="tensor", seed=7, free=["2"])
    steps = torch.optim.Adam(sub.parameters(), lr=0.05)
    for _ in range(3):
        steps.zero_grad()
        F.cross_entropy(module(x), y).backward()
        steps.step()
    path = tmp_path / "with space.safetensors"
    sub.save(path)
    assert path.stat().st_size < 20_000
    again = Subspace.load(fresh, path)
    assert torch.equal(fresh(x), module(x))
    assert again.trainable == sub.trainable == 30 + 3 * (SMALL // 64 + 8) + 3


def test_a_file_for_another_module_or_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    Subspace(nn.Linear(5, 5), d=3).save(path)
    other = nn.Linear(6, 6)
    with pytest.raises(IdimError, match="trained on D=30 parameters, this module has 42"):
        Subspace.load(other, path)
    other(torch.ones(1, 6)).sum().backward()
    assert other.weight.grad is not None  # the refused module is left plain
    path.write_text("no tensors")
    with pytest.raises(IdimError, match=r"is not a file written by Subspace\.save"):
        Subspace.load(nn.Linear(5, 5), path)
    with pytest.raises(IdimError, match="cannot read"):
        Subspace.load(nn.Linear(5, 5), tmp_path / "missing")


def test_merge_leaves_a_plain_module_with_the_trained_weights():
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=10)
    sub.theta_d.data.fill_(1.0)
    sub.refresh()
    trained = module(x)
    assert sub.merge() is module
    torch.testing.assert_close(module(x), trained, rtol=0, atol=0)
    F.cross_entropy(module(x), y).backward()
    assert module[0].weight.grad is not None
    assert set(module.state_dict()) == set(net().state_dict())


def test_d_counts_the_lambdas_and_a_free_head_is_told_apart():
    sub = Subspace(net(), d=12, structure="said", groups="tensor", free=["2"])
    assert (sub.theta_d.numel(), sub.lambdas.numel()) == (10, 2)
    assert sub.trainable == 12 + sum(p.numel() for p in net()[2].parameters())
    assert [g["name"] for g in sub.param_groups()] == ["theta_d", "lambdas", "free"]


@pytest.mark.parametrize("groups", ["tensor", "module", "block"])
@pytest.mark.parametrize("apart", [{}, {"free": ["2"]}, {"frozen": ["2"]}])
def test_what_is_announced_of_a_subspace_is_what_it_spans(groups, apart):
    module = nn.Sequential(net(), net(), net())
    told = extent(module, structure="said", groups=groups, **apart)
    sub = Subspace(module, d=100, structure="said", groups=groups, **apart)
    assert (told.D, told.tensors, told.lambdas) == (sub.D, len(sub.segments), sub.lambdas.numel())
    assert told.free == sub.trainable - 100


def test_a_frozen_head_does_not_move():
    module, (x, y) = net(), batch()
    sub = Subspace(module, d=10, frozen=["2"])
    before = module[2].weight.detach().clone()
    steps = torch.optim.SGD(sub.parameters(), lr=10.0)
    F.cross_entropy(module(x), y).backward()
    steps.step()
    assert torch.equal(module[2].weight, before)
    assert sub.trainable == 10


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"d": 0}, "d=0 must lie between 1 and D="),
        ({"d": 10**9}, "d=1000000000 must lie between 1 and D="),
        ({"projection": "fastfod"}, "did you mean 'fastfood'"),
        ({"structure": "sad"}, "did you mean 'said'"),
        ({"norm": "globl"}, "did you mean 'global'"),
        ({"structure": "said", "groups": "tensor", "d": 4}, "choose d >= 5"),
        ({"free": ["head"]}, "no trainable parameter is named 'head'"),
        ({"frozen": ["0", "2"]}, "no trainable parameter left"),
    ],
)
def test_mistakes_are_told_and_leave_the_module_alone(change, line):
    module = net()
    with pytest.raises(IdimError, match=line):
        Subspace(module, **({"d": 10} | change))
    assert all(p.requires_grad for p in module.parameters())


def test_transformers_trainer_trains_through_a_subspace(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    folder = tmp_path / "bert"
    make_tiny_bert(folder)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    model.activation_checkpointing_enable()
    sub = Subspace(model, d=500, seed=0)
    rows = [
        {"input_ids": [2, *[5 + i % 2] * 6, 3], "attention_mask": [1] * 8, "labels": i % 2}
        for i in range(32)
    ]
    optimizer = torch.optim.AdamW(sub.parameters(), lr=0.2)
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"), max_steps=60, per_device_train_batch_size=16,
            logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=rows,
        optimizers=(optimizer, None),
    )  # fmt: skip
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert sub.theta_d.abs().max() > 0


# One copy of the parameters


def follow(copies, structure, dtype, steps, exact_every=10):
    """Train with SGD, whose steps are as long as gradients; return the module and its subspace."""
    module = net(dtype=dtype)
    sub = Subspace(
        module, d=30, structure=structure, norm="tensor", copies=copies, exact_every=exact_every
    )
    optimizer = torch.optim.SGD(sub.parameters(), lr=0.05)
    x, y = batch(dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(module(x).float(), y).backward()
        optimizer.step()
    return module, sub


def gap(a, b):
    pairs = zip(weights(a).values(), weights(b).values(), strict=True)
    return max(float((p.double() - q.double()).detach().abs().max()) for p, q in pairs)


@pytest.mark.parametrize("structure", ["did", "said"])
@pytest.mark.parametrize(
    ("dtype", "drift"), [(torch.float64, 1e-15), (torch.float32, 2e-7), (torch.bfloat16, 1e-2)]
)
def test_one_copy_drifts_by_rounding_and_is_exact_again_at_refresh(structure, dtype, drift):
    (two, _), (one, sub) = follow(2, structure, dtype, 9), follow(1, structure, dtype, 9)
    assert gap(two, net(dtype=dtype)) > 10 * drift
    assert gap(one, two) < drift
    again = net(dtype=dtype)
    Subspace(again, **sub.spec).load_state(sub.state())
    sub.refresh()
    assert gap(one, again) == 0


@pytest.mark.parametrize("structure", ["did", "said"])
def test_one_copy_written_at_every_step_has_the_bits_of_two(structure):
    two, one = (
        follow(2, structure, torch.float32, 7)[0],
        follow(1, structure, torch.float32, 7, 1)[0],
    )
    assert gap(two, one) == 0


def test_a_module_merged_from_one_copy_is_exact():
    module, sub = follow(1, "did", torch.float32, 9)
    again = net(dtype=torch.float32)
    Subspace(again, **sub.spec).load_state(sub.state())
    assert gap(sub.merge(), again) == 0
    assert gap(module, again) == 0


def held_bytes():
    """Bytes of every tensor alive, storages shared by several counted once."""
    gc.collect()
    tensors = [o for o in gc.get_objects() if type(o) in (torch.Tensor, nn.Parameter)]
    return sum(
        {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()
    )


@pytest.mark.parametrize("copies", [1, 2])
def test_one_copy_holds_no_theta_0(copies):
    module = nn.Linear(1000, 1000)
    before = held_bytes()
    sub = Subspace(module, d=10, copies=copies)
    assert held_bytes() - before == pytest.approx(4 * sub.D * (copies - 1), abs=10_000)


def test_theta_0_that_does_not_fit_on_disk_is_one_line(monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full())
    with pytest.raises(IdimError, match=r"No space left on device.*TMPDIR"):
        Subspace(net(), d=10, copies=1)
    with pytest.raises(IdimError, match="copies=3 must be 1 or 2"):
        Subspace(net(), d=10, copies=3)


# Sparse gradients of embeddings


class Looked(nn.Module):
    """An embedding that is none to torch, so that its gradient stays dense."""

    sparse = False

    def __init__(self, *shape: int, padding_idx: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Embedding(*shape, padding_idx=padding_idx).weight.detach())
        self.padding_idx = padding_idx

    def forward(self, x):
        return F.embedding(x, self.weight, self.padding_idx)


class Words(nn.Module):
    """A large embedding, used twice, and a head that may share its weight."""

    def __init__(self, tied: bool, kind: Callable[..., Any] = nn.Embedding) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = kind(20_001, 64, padding_idx=0)
        self.head = nn.Linear(64, 20_001 if tied else 3, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, x):
        return self.head((self.words(x) + self.words(x.flip(0))).mean(dim=1))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("structure", ["did", "said"])
def test_an_embeddings_sparse_gradient_is_its_dense_one(tied, structure):
    found = {}
    for is_sparse in (True, False):
        module, kinds = Words(tied, nn.Embedding if is_sparse else Looked), []
        sub = Subspace(module, d=40, structure=structure)
        module.words.register_forward_pre_hook(lambda part, _, k=kinds: k.append(part.sparse))
        optimizer = torch.optim.SGD(sub.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            x = torch.tensor([[0, 7, 7, 20_000], [16_000, 16_384, 1, 5]])
            F.cross_entropy(module(x), torch.tensor([0, 2])).backward()
            optimizer.step()
        found[is_sparse] = [p.grad for p in sub.parameters()]
        assert kinds == [is_sparse] * 4
        assert not module.words.sparse
        assert module.words.weight.grad is None
        sub.merge()
        assert not module.words.sparse
    for ours, theirs in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_no_gradient_as_large_as_an_embedding_is_ever_made():
    module, seen = Words(False), []
    sub = Subspace(module, d=10)
    real = sub.projection.rmatvec
    sub.projection.rmatvec = lambda v, *rows: seen.append(v.numel()) or real(v, *rows)
    module(torch.arange(16).view(2, 8)).sum().backward()
    assert max(seen) <= BUFFER < module.words.weight.numel()
