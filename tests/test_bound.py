"""A bound module in company: what others do to it is followed, or refused in one line."""

import copy
import gc
import json
import pickle
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_subspace import Words, batch, net, weights
from torch import nn
from torch.nn import functional as F

from idim import Subspace
from idim.errors import IdimError


def loss_of(module, dtype=torch.float64):
    x, y = batch(dtype)
    return F.cross_entropy(module(x), y)


def train(module, steps, optimizer):
    for _ in range(steps):
        module.zero_grad()
        loss_of(module).backward()
        optimizer.step()


def bound(d=20, lr=0.5, **how):
    module = net()
    sub = Subspace(module, d=d, **how)
    return module, sub, torch.optim.SGD(sub.parameters(), lr=lr)


def explicit(sub, module_0):
    """Return theta_0 + lambda * P theta_d by the definition, in float64."""
    P, theta = sub.projection.to_dense(), {}
    for s in sub.segments:
        scale = s.scale * (1.0 if sub.lambdas is None else sub.lambdas[s.group].item())
        rows = P[s.start : s.stop] @ sub.theta_d.detach().double() * scale
        theta[s.name] = weights(module_0)[s.name].detach() + rows.view(s.parameter.shape)
    return theta


def assert_theta(sub, module_0=None):
    for name, value in explicit(sub, module_0 or net()).items():
        found = dict(sub.module.named_parameters())[name].detach()
        torch.testing.assert_close(found, value, rtol=1e-9, atol=1e-9)


# theta_d among the module's parameters


@pytest.mark.parametrize("structure", ["did", "said"])
def test_the_modules_zero_grad_clears_theta_d(structure):
    module, sub, _ = bound(structure=structure)
    loss_of(module).backward()
    once = sub.theta_d.grad.clone()
    module.zero_grad()
    loss_of(module).backward()
    torch.testing.assert_close(sub.theta_d.grad, once)


def test_an_optimizer_over_the_modules_parameters_trains_the_subspace_alone():
    module, sub, steps = bound()
    train(module, 3, steps)
    other = net()
    theirs = Subspace(other, d=20)
    train(other, 3, torch.optim.SGD(other.parameters(), lr=0.5, weight_decay=0.0, momentum=0.0))
    assert torch.equal(theirs.theta_d, sub.theta_d)
    assert_theta(theirs)


def test_clipping_the_modules_parameters_clips_theta_d():
    module, sub, _ = bound()
    loss_of(module).backward()
    norm = sub.theta_d.grad.norm()
    assert torch.equal(nn.utils.clip_grad_norm_(module.parameters(), 1e-3), norm)
    torch.testing.assert_close(sub.theta_d.grad.norm().item(), 1e-3, rtol=1e-3, atol=0)


def test_the_modules_first_parameter_stays_first():
    module = net(dtype=torch.bfloat16)
    Subspace(module, d=10)
    assert next(module.parameters()).dtype == torch.bfloat16


def test_leftover_gradients_do_not_count():
    module = net()
    loss_of(module).backward()
    sub = Subspace(module, d=20)
    other = Subspace(fresh := net(), d=20)
    loss_of(module).backward()
    loss_of(fresh).backward()
    assert torch.equal(sub.theta_d.grad, other.theta_d.grad)


def test_a_failed_backward_pass_leaves_nothing_behind():
    module, sub, _ = bound()
    x, y = batch()

    class Breaks(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, *g):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        F.cross_entropy(module[2](torch.tanh(Breaks.apply(module[0](x)))), y).backward()
    module.zero_grad()
    loss_of(module).backward()
    fresh = net()
    other = Subspace(fresh, d=20)
    loss_of(fresh).backward()
    torch.testing.assert_close(sub.theta_d.grad, other.theta_d.grad)


def test_writing_theta_at_the_start_changes_no_step():
    ends = []
    for writes in (False, True):
        module = nn.Linear(64, 3).double()
        nn.init.constant_(module.weight, 0.1)
        nn.init.constant_(module.bias, 0.2)
        sub = Subspace(module, d=20, structure="said", groups="tensor")
        if writes:
            sub.refresh()
            sub.load_state(sub.state())
        train(module, 3, torch.optim.Adam(sub.parameters(), lr=0.1))
        ends.append(sub.lambdas.detach().clone())
    assert torch.equal(*ends)


# State dicts


@pytest.mark.parametrize("structure", ["did", "said"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_state_dict_restores_theta_d_and_theta(structure, copies):
    module, sub, steps = bound(structure=structure, copies=copies)
    train(module, 4, steps)
    best = copy.deepcopy(module.state_dict())
    theta = {n: p.detach().clone() for n, p in weights(module).items()}
    train(module, 3, steps)
    module.load_state_dict(best)
    assert_theta(sub)
    for group in steps.param_groups:
        group["lr"] = 0.0
    train(module, 1, steps)
    merged = sub.merge()
    for n, p in weights(merged).items():
        torch.testing.assert_close(p.detach(), theta[n], rtol=1e-12, atol=1e-12)


def test_a_resumed_module_goes_on_where_it_was():
    module, sub, steps = bound()
    train(module, 2, steps)
    saved = copy.deepcopy(module.state_dict())
    train(module, 2, steps)
    again, other, more = bound()
    again.load_state_dict(saved)
    train(again, 2, more)
    assert torch.equal(other.theta_d, sub.theta_d)


LINE = "'0.weight' was written to from outside"


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("use", ["step", "save", "merge", "state"])
def test_weights_alone_are_refused_at_the_next_use_of_theta_d(copies, use, tmp_path):
    module, sub, steps = bound(copies=copies)
    train(module, 1, steps)
    best = {n: p.clone() for n, p in weights(module).items()}
    train(module, 3, steps)
    module.load_state_dict(best, strict=False)
    loss_of(module).backward()  # looking at them is no fault
    uses = {
        "step": steps.step,
        "save": lambda: sub.save(tmp_path / "s"),
        "merge": sub.merge,
        "state": sub.state,
    }
    with pytest.raises(IdimError, match=LINE):
        uses[use]()
    sub.refresh()
    assert_theta(sub)
    uses[use]()


def test_a_plain_state_dict_is_refused_by_torch():
    module, _, _ = bound()
    with pytest.raises(RuntimeError, match="subspace_theta_d"):
        module.load_state_dict(net().state_dict())


def test_weights_that_are_what_theta_d_makes_are_accepted():
    module, sub, steps = bound()
    train(module, 1, steps)
    module.load_state_dict({n: p.clone() for n, p in weights(module).items()}, strict=False)
    train(module, 1, steps)
    assert_theta(sub)


@pytest.mark.parametrize("how", ["theta_0", "seed"])
def test_a_state_dict_of_another_theta_0_or_P_is_refused_and_undone(how):
    module, _, steps = bound()
    train(module, 2, steps)
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    other = net(1 if how == "theta_0" else 0)
    theirs = Subspace(other, d=20, seed=int(how == "seed"))
    theirs.theta_d.data.fill_(0.3)
    theirs.refresh()
    with pytest.raises(IdimError, match="belongs to another theta_0 or P"):
        module.load_state_dict(other.state_dict())
    assert all(torch.equal(before[n], p) for n, p in module.named_parameters())


def test_shards_of_a_state_dict_may_come_in_any_order():
    module, _, steps = bound()
    train(module, 2, steps)
    whole = {n: t.clone() for n, t in module.state_dict().items()}
    for first in (["0.weight"], ["2.subspace_theta_d"], ["2.bias", "2.subspace_theta_d"]):
        again, other, _ = bound()
        again.load_state_dict({n: whole[n] for n in first}, strict=False)
        again.load_state_dict({n: t for n, t in whole.items() if n not in first}, strict=False)
        other.state()
        assert_theta(other)


@pytest.mark.parametrize("only", ["", "0.weight", "subspace_theta_d", "subspace_lambdas"])
@pytest.mark.parametrize("structure", ["did", "said"])
def test_assigned_parameters_are_refused(only, structure):
    module, _, steps = bound(structure=structure)
    train(module, 1, steps)
    state = {n: t.clone() for n, t in module.state_dict().items() if only in n}
    if not state:
        return
    with pytest.raises(IdimError, match=f"{only}.* was replaced after"):
        module.load_state_dict(state, strict=False, assign=True)
    with pytest.raises(IdimError, match=f"{only}.* was replaced after"):
        steps.step()


# Optimizers


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("over", ["subspace", "module"])
@pytest.mark.parametrize("copies", [1, 2])
def test_lbfgs_sees_the_weights_of_each_try(search, over, copies):
    """Compare with LBFGS on the explicit formula."""
    module = net()
    sub = Subspace(module, d=20, copies=copies)
    params = sub.parameters() if over == "subspace" else module.parameters()
    steps = torch.optim.LBFGS(params, lr=0.5, max_iter=6, line_search_fn=search)
    reference, (x, y) = net(), batch()
    theta_d = torch.zeros(20, dtype=torch.float64, requires_grad=True)
    P = sub.projection.to_dense()
    theirs = torch.optim.LBFGS([theta_d], lr=0.5, max_iter=6, line_search_fn=search)

    def ours():
        steps.zero_grad()
        loss = F.cross_entropy(module(x), y)
        loss.backward()
        return loss

    def explicit_loss():
        theirs.zero_grad()
        theta = {
            s.name: weights(reference)[s.name].detach()
            + (P[s.start : s.stop] @ theta_d).view(s.parameter.shape)
            for s in sub.segments
        }
        loss = F.cross_entropy(torch.func.functional_call(reference, theta, (x,)), y)
        loss.backward()
        return loss

    for _ in range(3):
        torch.testing.assert_close(steps.step(ours), theirs.step(explicit_loss))
    torch.testing.assert_close(sub.theta_d, theta_d, rtol=1e-6, atol=1e-8)
    assert_theta(sub)


@pytest.mark.parametrize("data", [False, True])
def test_whoever_changes_theta_d_is_followed_by_the_next_forward_pass(data):
    """A look-ahead optimizer that is none of torch's."""
    module, sub, steps = bound()
    train(module, 2, steps)
    slow = torch.zeros_like(sub.theta_d)
    with torch.no_grad():
        fast = sub.theta_d.data if data else sub.theta_d
        fast.copy_(slow + 0.5 * (fast - slow))
    module(batch()[0])
    assert_theta(sub)
    sub.theta_d.grad = torch.ones_like(sub.theta_d)
    nn.utils.vector_to_parameters(torch.ones(20, dtype=torch.float64), [sub.theta_d])
    module(batch()[0])
    assert_theta(sub)


def test_parts_that_run_on_an_old_theta_are_refused():
    module, sub, _ = bound()
    with torch.no_grad():
        sub.theta_d.add_(1.0)
    x, y = batch()
    with pytest.raises(IdimError, match="ran on the old theta"):
        F.cross_entropy(module[2](torch.tanh(module[0](x))), y).backward()
    module.zero_grad()
    sub.refresh()
    F.cross_entropy(module[2](torch.tanh(module[0](x))), y).backward()


def test_a_gradient_through_weights_that_have_moved_is_autograds_error():
    module, _, steps = bound(projection="fastfood", d=500)
    old = loss_of(module)
    loss_of(module).backward()
    steps.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        old.backward()


def test_a_compiled_module_follows_theta_d():
    module, sub, _ = bound()
    fast = torch.compile(module, backend="eager")
    x, y = batch()
    F.cross_entropy(fast(x), y).backward()
    assert sub.theta_d.grad is not None
    with torch.no_grad():
        sub.theta_d.fill_(0.5)
    torch.testing.assert_close(fast(x), torch.func.functional_call(net(), explicit(sub, net()), x))


# What is bound


def test_two_parameters_in_one_memory_are_refused():
    def halves(module):
        whole = torch.zeros(100, dtype=torch.float64)
        module[0].bias.data = whole[:40]
        module[2].bias.data = whole[39:42]

    cases = {
        "one storage": lambda m: setattr(m[2].weight, "data", m[0].weight.data[:3, :40]),
        "views": halves,
        "a buffer": lambda m: m.register_buffer("b", m[0].weight.data[5]),
    }
    for change in cases.values():
        module = net()
        change(module)
        if not all(p.is_contiguous() for p in module.parameters()):
            module[2].weight.data = module[0].weight.data.view(-1)[:120].view(3, 40)
        with pytest.raises(IdimError, match="share memory"):
            Subspace(module, d=10)
        assert all(not p._post_accumulate_grad_hooks for p in module.parameters())
    module = net()
    flat = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    nn.utils.vector_to_parameters(flat, module.parameters())
    Subspace(module, d=10)  # neighbours in one storage do not overlap


def test_a_module_on_the_meta_device_is_refused():
    with torch.device("meta"):
        module = nn.Linear(5, 5)
    with pytest.raises(IdimError, match="'weight' is on the meta device"):
        Subspace(module, d=3)


@pytest.mark.parametrize("norm", ["global", "tensor"])
@pytest.mark.parametrize("structure", ["did", "said"])
def test_an_empty_parameter_takes_no_part(norm, structure):
    module = net()
    module[0].none = nn.Parameter(torch.zeros(0, 3, dtype=torch.float64))
    sub = Subspace(module, d=20, norm=norm, structure=structure, groups="tensor")
    assert sum(p.numel() for p in net().parameters()) == sub.D
    steps = torch.optim.SGD(sub.parameters(), lr=0.1)
    train(module, 2, steps)
    assert_theta(sub)


def test_a_module_is_bound_once():
    module, sub, steps = bound()
    train(module, 1, steps)
    state = sub.state()
    for again in (module, nn.Sequential(module), module[0]):
        with pytest.raises(IdimError, match=r"merge\(\)"):
            Subspace(again, d=20)
    train(module, 1, steps)  # as if nothing had been tried
    assert not torch.equal(state["theta_d"], sub.theta_d)
    assert Subspace.of(module) is sub
    sub.merge()
    assert Subspace.of(module) is None
    Subspace(module, d=20)


def test_a_refused_subspace_leaves_the_module_as_it_was():
    def look(module):
        hooks = [
            {k: len(v) for k, v in part.__dict__.items() if "hooks" in k and v is not None}
            for part in module.modules()
        ]
        grads = [
            (n, p.requires_grad, bool(p._post_accumulate_grad_hooks))
            for n, p in module.named_parameters()
        ]
        return hooks, grads, sorted(module.__dict__), list(module.state_dict())

    for how in (
        {"d": 10**6}, {"d": 4, "structure": "said", "groups": "tensor"}, {"frozen": ["0", "2"]},
        {"frozen": ["0", "nothing"]},
    ):  # fmt: skip
        module = net()
        before = look(module)
        with pytest.raises(IdimError):
            Subspace(module, **({"d": 10} | how))
        assert look(module) == before
    for how in ({"frozen": ["0"]}, {"structure": "said", "free": ["2"]}, {"copies": 1}):
        module = net()
        module[0].bias.requires_grad_(False)
        before = look(module)
        Subspace(module, d=10, **how).merge()
        assert look(module) == before


def test_parameters_frozen_later_are_refused_at_the_step():
    module, _, steps = bound()
    train(module, 1, steps)
    module[0].requires_grad_(False)
    loss_of(module).backward()
    with pytest.raises(IdimError, match=r"'0\.weight' has requires_grad=False"):
        steps.step()
    module[0].requires_grad_(True)
    steps.step()


def test_a_frozen_theta_d_gets_no_gradient():
    module, sub, _ = bound()
    sub.theta_d.requires_grad_(False)
    loss_of(module).backward()
    assert sub.theta_d.grad is None


def test_a_replaced_head_is_refused_and_can_be_merged():
    module, sub, steps = bound()
    train(module, 1, steps)
    module[2] = nn.Linear(module[2].in_features, 5).double()
    for use in (steps.step, sub.state):
        with pytest.raises(IdimError, match=r"'2\.\w+' was replaced after"):
            use()
    with torch.no_grad():
        sub.theta_d.add_(1.0)
    sub.merge()
    assert torch.equal(module[0].weight.flatten(), sub_rows(sub, "0.weight").flatten())
    assert [n for n, _ in module.named_parameters()] == [n for n, _ in net().named_parameters()]


def sub_rows(sub, name):
    return (
        explicit(sub, net())[name]
        .clone()
        .copy_(next(s.parameter for s in sub.segments if s.name == name).detach())
    )


def test_another_dtype_after_binding_is_refused():
    module, sub, steps = bound()
    train(module, 1, steps)
    module.float()
    with pytest.raises(IdimError, match=r"bound in torch\.float64.*now torch\.float32"):
        module(batch(torch.float32)[0])
    with pytest.raises(IdimError, match=r"bound in torch\.float64"):
        steps.step()
    module.double()
    with torch.no_grad():
        sub.theta_d.zero_()
    sub.refresh()
    assert_theta(sub)


def test_moving_a_module_in_memory_is_followed():
    """What `.to(device)` does: other memory, same parameters."""
    module, sub, steps = bound()
    train(module, 1, steps)
    module._apply(lambda t: t.clone())
    train(module, 1, steps)
    assert_theta(sub)


# Copies


@pytest.mark.parametrize("structure", ["did", "said"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_deep_copy_trains_by_itself(structure, copies):
    module, sub, steps = bound(structure=structure, free=["2.bias"], copies=copies)
    train(module, 3, steps)
    twin = copy.deepcopy(module)
    theta_d = sub.theta_d.detach().clone()
    more = torch.optim.SGD(twin.parameters(), lr=0.5)
    train(twin, 2, more)
    theirs = Subspace.of(twin)
    assert theirs is not sub
    assert torch.equal(sub.theta_d, theta_d)
    assert_theta(sub)
    assert_theta(theirs)
    train(module, 2, steps)
    torch.testing.assert_close(theirs.theta_d, sub.theta_d, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(twin[2].bias, module[2].bias, rtol=1e-9, atol=1e-12)
    assert copy.deepcopy(sub).module is not module
    plain = theirs.merge()
    assert [n for n, _ in plain.named_parameters()] == [n for n, _ in net().named_parameters()]


def test_a_deep_copy_is_checked_before_it_is_trained():
    module, _, steps = bound()
    train(module, 3, steps)
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin[0].weight.add_(1.0)
    with pytest.raises(IdimError, match=LINE):
        twin(batch()[0])
    with torch.no_grad():
        twin[0].weight.add_(-1.0)
    twin(batch()[0])


def test_an_averaged_model_is_the_model_of_the_averaged_theta_d():
    module, sub, steps = bound()
    average = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(4):
        train(module, 1, steps)
        average.update_parameters(module)
    average(batch()[0])
    theirs = Subspace.of(average.module)
    assert not torch.equal(theirs.theta_d, sub.theta_d)
    assert_theta(theirs)


def test_a_pickled_copy_runs_refuses_to_train_and_can_be_bound_anew():
    module, _, steps = bound()
    train(module, 2, steps)
    twin = pickle.loads(pickle.dumps(module))
    x, _ = batch()
    assert torch.equal(twin.eval()(x), module(x))
    with pytest.raises(IdimError, match="was pickled while it was bound"):
        twin.train()(x)
    again = Subspace(twin, d=20)
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in module.named_parameters()]
    train(twin, 1, torch.optim.SGD(again.parameters(), lr=0.1))
    assert torch.equal(twin.eval()(x), twin(x))
    again.merge()
    assert not hasattr(twin, "_ddp_params_and_buffers_to_ignore")


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "part", "merged", "dropped"])
def test_no_copy_of_an_embedding_is_left_with_sparse_gradients(how):
    module = Words(False)
    sub = Subspace(module, d=10)
    module(torch.arange(4).view(2, 2)).sum().backward()
    copies = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda m: pickle.loads(pickle.dumps(m)),
        "part": lambda m: copy.deepcopy(m.words),
        "merged": lambda m: Subspace.of(m).merge(),
        "dropped": lambda m: m.words,
    }
    found = copies[how](module)
    del module, sub
    gc.collect()
    embedding = found if isinstance(found, nn.Embedding) else found.words
    assert not embedding.sparse
    if how == "deepcopy":
        Subspace.of(found).merge()
    if how == "pickle":
        Subspace(found, d=5).merge()
    embedding(torch.arange(4)).sum().backward()
    assert not embedding.weight.grad.is_sparse


@pytest.mark.parametrize("drop", ["module", "trained", "copied", "merged"])
def test_a_dropped_module_is_collected_with_its_subspace(drop):
    module, sub, steps = bound(structure="said")
    train(module, 1, steps)
    more = None
    if drop == "copied":
        more = copy.deepcopy(module)
        more(batch()[0])
    if drop == "merged":
        sub.merge()
    alive = [weakref.ref(o) for o in (module, sub, module[0].weight, sub.theta_d)]
    if more is not None:
        alive += [weakref.ref(more), weakref.ref(Subspace.of(more))]
    del module, sub, steps, more
    gc.collect()
    assert not any(ref() is not None for ref in alive)


def test_a_deep_copy_does_not_keep_the_original():
    module, sub, steps = bound()
    train(module, 1, steps)
    twin = copy.deepcopy(module)
    alive = weakref.ref(module)
    del module, sub, steps
    gc.collect()
    assert alive() is None
    twin(batch()[0])


# The file knows its theta_0


class Normed(nn.Module):
    """A net with BatchNorm, a fixed parameter, a constant and a cache that a pass fills."""

    def __init__(self, seed=0, classes=3):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(64, 16)
        self.norm = nn.BatchNorm1d(16)
        self.scale = nn.Parameter(torch.rand(16), requires_grad=False)
        self.register_buffer("constant", torch.rand(2), persistent=False)
        self.register_buffer("cache", None, persistent=False)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        if self.cache is None:
            self.cache = self.constant.sum() * torch.ones(3)
        return self.head(self.norm(self.first(x)) * self.scale) * self.cache[0]


def trained(folder, **how):
    module = Normed()
    sub = Subspace(module, d=20, **how)
    steps = torch.optim.SGD(sub.parameters(), lr=0.5)
    for _ in range(3):
        module.zero_grad()
        loss_of(module, torch.float32).backward()
        steps.step()
    sub.save(folder / "s.safetensors")
    sub.refresh()
    return module, sub, folder / "s.safetensors"


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("head", [{}, {"free": ["head"]}, {"frozen": ["head"]}])
def test_batchnorms_statistics_are_in_the_file(copies, head, tmp_path):
    module, sub, path = trained(tmp_path, copies=copies, **head)
    fresh = Normed()
    again = Subspace.load(fresh, path)
    x, _ = batch(torch.float32)
    assert torch.equal(fresh.eval()(x), module.eval()(x))
    assert torch.equal(fresh.norm.running_var, module.norm.running_var)
    resumed = Normed()
    Subspace(resumed, **sub.spec).load_state(sub.state())
    assert torch.equal(resumed.eval()(x), module(x))
    assert set(again.state()) == set(sub.state())


def poke(name):
    def change(module):
        with torch.no_grad():
            named = dict(module.named_parameters()) | dict(module.named_buffers())
            named[name].view(-1)[-1] += 1e-3

    return change


def swap(module):
    module.first, module.norm, module.head = module.first, module.head, module.norm


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (poke("first.weight"), "'first.weight' holds other numbers here"),
        (poke("head.bias"), "'head.bias' holds other numbers here"),
        (poke("scale"), "'scale' holds other numbers here"),
        (
            lambda m: m.register_buffer("more", torch.ones(2), persistent=False),
            "it has no 'more'",
        ),
        (lambda m: delattr(m, "constant"), "this module has no 'constant'"),
        (lambda m: m.half(), "'first.weight' is 16x64 float32 there and 16x64 float16 here"),
        (lambda m: m.register_buffer("more", torch.ones(2)), "it has no 'more'"),
        (
            lambda m: m.register_parameter("more", nn.Parameter(torch.ones(2), False)),
            "it has no 'more'",
        ),
        (lambda m: setattr(m, "first", nn.Linear(16, 64, False)), "trained on D="),
    ],
)
def test_a_file_is_refused_where_theta_0_differs(change, line, copies, tmp_path):
    _, _, path = trained(tmp_path, copies=copies)
    other = Normed()
    change(other)
    before = {n: t.clone() for n, t in other.state_dict().items()}
    with pytest.raises(IdimError, match=line):
        Subspace.load(other, path)
    assert Subspace.of(other) is None
    assert all(torch.equal(before[n], t) for n, t in other.state_dict().items())


def test_a_buffer_that_no_file_holds_may_differ_and_it_is_said(tmp_path):
    _, _, path = trained(tmp_path)
    other = Normed()
    poke("constant")(other)
    with pytest.warns(UserWarning, match="'constant', which no file holds, has other numbers"):
        Subspace.load(other, path)


def test_what_the_file_holds_need_not_agree(tmp_path):
    module, _, path = trained(tmp_path, free=["head"])
    other = Normed()
    for name in ("head.weight", "norm.running_mean"):
        poke(name)(other)
    Subspace.load(other, path)
    x, _ = batch(torch.float32)
    assert torch.equal(other.eval()(x), module.eval()(x))


def test_a_cache_that_a_pass_fills_need_not_be_there(tmp_path):
    module, _, path = trained(tmp_path)
    for runs in (False, True):
        other = Normed()
        if runs:
            with torch.no_grad():
                other.eval()(batch(torch.float32)[0])
        Subspace.load(other, path)
        x, _ = batch(torch.float32)
        assert torch.equal(other.eval()(x), module.eval()(x))


def test_a_file_that_does_not_know_of_unsaved_buffers_loads(tmp_path):
    """What the version before this one wrote."""
    _, sub, path = trained(tmp_path)
    header = sub.header()
    theta_0 = json.loads(header["theta_0"])
    assert list(theta_0.pop("unsaved")) == ["constant"]
    save_file(load_file(path), path, header | {"theta_0": json.dumps(theta_0)})
    other = Normed()
    poke("constant")(other)
    Subspace.load(other, path)


def test_nets_of_other_shapes_with_equal_D_and_other_orders_are_told_apart(tmp_path):
    path = tmp_path / "s"
    Subspace(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 4)), d=5).save(path)
    with pytest.raises(IdimError, match=r"'0\.weight' is 6x4 float32 there and 4x6 float32 here"):
        Subspace.load(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 6)), path)
    one = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    Subspace(copy.deepcopy(one), d=5).save(path)
    with pytest.raises(IdimError, match="in another order"):
        Subspace.load(nn.ModuleDict({"b": one["b"], "a": one["a"]}), path)


def test_a_file_of_an_older_version_loads_with_a_warning(tmp_path):
    module, sub, path = trained(tmp_path)
    old = tmp_path / "old"
    state = {n: t for n, t in load_file(path).items() if not n.startswith("buffer.")}
    save_file(state, old, {"idim": sub.header()["idim"]})
    with pytest.warns(UserWarning, match="does not say which theta_0"):
        again = Subspace.load(fresh := Normed(), old)
    assert torch.equal(again.theta_d, sub.theta_d)
    assert torch.equal(fresh.first.weight, module.first.weight)


@pytest.mark.filterwarnings("ignore:.*does not say which theta_0")
@pytest.mark.parametrize(
    "spec",
    [{}, 5, {"d": 5}, {"d": 5, "free": [], "frozen": [], "D": 30, "colour": 1},
     {"d": 5, "free": 7, "frozen": [], "D": 30}, {"d": 7, "free": [], "frozen": [], "D": 30}],
)  # fmt: skip
def test_damaged_metadata_is_one_line(spec, tmp_path):
    module = nn.Linear(5, 5)
    names = list(module.state_dict())
    save_file({"theta_d": torch.zeros(5)}, tmp_path / "s", {"idim": json.dumps(spec)})
    with pytest.raises(IdimError):
        Subspace.load(module, tmp_path / "s")
    assert list(module.state_dict()) == names


def test_a_merged_subspace_says_so():
    module, sub, steps = bound()
    train(module, 2, steps)
    before = sub.state()
    sub.merge()
    assert sub.merge() is module
    assert all(torch.equal(before[n], t) for n, t in sub.state().items())
    for use in (sub.refresh, lambda: sub.load_state(before)):
        with pytest.raises(IdimError, match="was merged"):
            use()
