"""Copies of a bound module, and what else trains its parts: followed, or refused in one line."""

import copy
import gc
import io
import itertools
import pickle
import weakref
from contextlib import nullcontext

import pytest
import torch
import torch._dynamo.compiled_autograd
from test_bound import LINE, assert_theta, bound, loss_of, train
from test_subspace import batch, net, weights
from torch import nn
from torch.nn import functional as F

from idim import Subspace
from idim.errors import IdimError


def parts_loss(module):
    x, y = batch()
    return F.cross_entropy(module[2](torch.tanh(module[0](x))), y)


class Parts(nn.Module):
    """A module that runs the parts of a bound one, never the bound one itself."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner[2](torch.tanh(self.inner[0](x)))


COPIES = {
    "copy": copy.deepcopy,
    "copy of a copy": lambda m: copy.deepcopy(copy.deepcopy(m)),
    "in another module": lambda m: copy.deepcopy(Parts(m)).inner,
    "in a list": lambda m: copy.deepcopy([m[2].weight, m])[1],
    "moved": lambda m: copy.deepcopy(m)._apply(lambda t: t.clone()),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("structure", ["did", "said"])
def test_a_deep_copy_that_trains_through_its_parts_follows(how, copies, structure):
    module, sub, steps = bound(structure=structure, copies=copies)
    train(module, 2, steps)
    twin = COPIES[how](module)
    more = torch.optim.SGD(twin.parameters(), lr=0.5)
    for _ in range(3):
        more.zero_grad()
        parts_loss(twin).backward()
        more.step()
        train(module, 1, steps)
    theirs = Subspace.of(twin)
    assert theirs is not None
    torch.testing.assert_close(theirs.theta_d, sub.theta_d, rtol=1e-9, atol=1e-12)
    assert_theta(theirs)
    assert not any(len(p._post_accumulate_grad_hooks) > 1 for p in weights(twin).values())


def test_a_deep_copy_is_checked_before_its_parts_are_trained():
    module, _, steps = bound()
    train(module, 2, steps)
    for change, line in (
        (lambda m: m[0].weight.add_(1.0), LINE),
        (lambda m: m[2].subspace_theta_d.add_(1.0), "ran on the old theta"),
        (lambda m: setattr(m, "1", nn.Tanh()) or m[0].register_parameter("bias", None), "replaced"),
    ):
        twin = copy.deepcopy(module)
        with torch.no_grad():
            change(twin)
        with pytest.raises(IdimError, match=line):
            parts_loss(twin).backward()


def test_parts_of_a_copy_are_not_bound_anew_and_are_plain_without_it():
    module, _, _ = bound()
    twin = copy.deepcopy(module)
    with pytest.raises(IdimError, match="is part of a module that is bound"):
        Subspace(twin[0], d=5)
    first = twin[0]
    del twin
    gc.collect()
    first(batch()[0]).sum().backward()
    assert first.weight.grad is not None
    Subspace(first, d=5)


def saved_whole(module):
    """Return what `torch.save` and `torch.load` make of a module."""
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


PICKLES = {
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "torch.save": saved_whole,
    "twice": lambda m: saved_whole(saved_whole(m)),
    "copied after": lambda m: copy.deepcopy(saved_whole(m)),
    "copied before": lambda m: saved_whole(copy.deepcopy(m)),
    "in another module": lambda m: saved_whole(Parts(m)).inner,
}


@pytest.mark.parametrize("how", PICKLES)
@pytest.mark.parametrize("use", ["parts", "eval", "train"])
def test_a_pickled_module_trains_nothing_whatever_of_it_runs(how, use):
    module, _, steps = bound()
    train(module, 2, steps)
    twin = PICKLES[how](module).train(use == "train")
    before = {n: p.detach().clone() for n, p in twin.named_parameters()}
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.1)
    with pytest.raises(IdimError, match="was pickled while it was bound"):
        (parts_loss if use == "parts" else loss_of)(twin).backward()
    optimizer.step()
    assert all(torch.equal(before[n], p) for n, p in twin.named_parameters())
    torch.testing.assert_close(twin.eval()(batch()[0]), module(batch()[0]), rtol=0, atol=0)
    assert len(pickle.dumps(twin)) < 1.2 * len(pickle.dumps(module))
    again = Subspace(twin, d=20)
    parts_loss(twin).backward()
    assert again.theta_d.grad is not None


# Backward passes that bring theta_d nothing


class Deep(nn.Sequential):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__(*(nn.Linear(n, m) for n, m in itertools.pairwise((64, 7, 6, 8, 9, 5, 3))))
        self.double()


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # dynamo looks at it
@pytest.mark.parametrize("suppress", [False, True])
@pytest.mark.parametrize("make", [net, Deep])
def test_compiled_autograd_is_refused(make, suppress):
    module = make()
    sub = Subspace(module, d=20)
    steps = torch.optim.SGD(sub.parameters(), lr=0.5)
    eager = torch.compile(backend="eager")
    for each in (module, module, copy.deepcopy(module)):
        with (
            torch._dynamo.config.patch(suppress_errors=suppress),
            torch._dynamo.compiled_autograd._enable(eager),
            pytest.raises(IdimError, match="compiled autograd"),
        ):
            F.cross_entropy(nn.Sequential(*each)(batch()[0]), batch()[1]).backward()
    module.zero_grad()
    train(module, 2, steps)
    assert_theta(sub, make())


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_a_backward_pass_under_compile_is_followed():
    module, sub, _ = bound()
    torch.compile(lambda: parts_loss(module).backward(), backend="eager")()
    once, sub.theta_d.grad = sub.theta_d.grad, None
    parts_loss(module).backward()
    torch.testing.assert_close(sub.theta_d.grad, once, rtol=0, atol=0)


SOME = {
    "theta_d": lambda sub: sub.parameters()[:1],
    "all that trains": lambda sub: sub.parameters(),
    "the module's": lambda sub: list(sub.module.parameters()),
}


@pytest.mark.parametrize("structure", ["did", "said"])
@pytest.mark.parametrize("over", SOME)
def test_a_backward_pass_that_leaves_theta_d_out_is_refused_at_the_step(over, structure):
    module, sub, _ = bound(structure=structure)
    steps = torch.optim.Adam(SOME[over](sub), lr=0.1)
    for inputs in (sub.parameters(), [torch.zeros(1, requires_grad=True)]):
        loss_of(module).backward(inputs=inputs)
        with pytest.raises(IdimError, match="no backward pass brought theta_d a gradient"):
            steps.step()
    loss_of(module).backward(inputs=list(module.parameters()))
    steps.step()
    assert_theta(sub)
    assert sub.theta_d.any()


def test_a_closure_that_leaves_theta_d_out_is_refused():
    module, sub, _ = bound()
    steps = torch.optim.LBFGS(sub.parameters())

    def closure():
        steps.zero_grad()
        loss = loss_of(module)
        loss.backward(inputs=sub.parameters())
        return loss

    with pytest.raises(IdimError, match="no backward pass brought theta_d a gradient"):
        steps.step(closure)


def test_steps_that_need_no_backward_pass_go_on():
    module, sub, steps = bound(free=["2"])
    steps.step()  # what schedulers are quietened with
    with torch.no_grad():
        loss_of(module)
    steps.step()
    loss_of(module)
    sub.theta_d.grad = torch.ones_like(sub.theta_d)
    steps.step()
    sub.theta_d.grad = None
    x, y = batch()
    for told in (True, False):  # the head alone
        F.cross_entropy(module(x).detach() * module[2].bias, y).backward()
        with pytest.warns(UserWarning, match="no backward pass") if told else nullcontext():
            steps.step()
    sub.theta_d.requires_grad_(False)
    loss_of(module).backward()
    steps.step()
    assert_theta(sub)


# Optimizers that own a part


def one_step(module, *optimizers):
    module.zero_grad()
    loss_of(module).backward()
    for optimizer in optimizers:
        optimizer.step()


LACKING = "and not theta_d: give it"
OWNED = {
    "a part": lambda m: m[0].parameters(),
    "one tensor": lambda m: [m[2].weight],
    "all but theta_d": lambda m: weights(m).values(),
    "half of a group": lambda m: [{"params": [m[0].bias]}, {"params": [m[0].weight]}],
}


@pytest.mark.parametrize("owned", OWNED)
@pytest.mark.parametrize("free", [[], ["0.bias"]])
def test_an_optimizer_without_theta_d_is_told_of_and_then_refused(owned, free):
    module, sub, _ = bound(structure="said", free=free)
    lacking = torch.optim.Adam(OWNED[owned](module), lr=0.1)
    with pytest.warns(UserWarning, match=LACKING):
        one_step(module, lacking)
    with pytest.raises(IdimError, match=LACKING):
        one_step(module, lacking)
    assert not sub.theta_d.any()
    lacking.add_param_group({"params": [p for p in sub.parameters() if p is not module[0].bias]})
    one_step(module, lacking)
    assert sub.theta_d.any()


def test_an_optimizer_made_before_the_subspace_is_told_of():
    module = net()
    steps = torch.optim.SGD(module.parameters(), lr=0.1)
    one_step(module, steps)
    sub = Subspace(module, d=20)
    with pytest.warns(UserWarning, match=LACKING):
        one_step(module, steps)
    with pytest.raises(IdimError, match=LACKING):
        one_step(module, steps)
    sub.merge()
    one_step(module, steps)


def test_an_optimizer_of_a_copys_part_is_told_of():
    twin = copy.deepcopy(bound()[0])
    steps = torch.optim.SGD(twin[0].parameters(), lr=0.1)
    parts_loss(twin).backward()
    with pytest.warns(UserWarning, match=LACKING):
        steps.step()


@pytest.mark.parametrize("first", [False, True])
def test_two_optimizers_of_which_one_owns_theta_d_go_on(first):
    module, sub, _ = bound()
    rest = torch.optim.SGD(module[2].parameters(), lr=0.5)
    both = [torch.optim.SGD(module[0].parameters(), lr=0.1), rest][:: -1 if first else 1]
    with pytest.warns(UserWarning, match=LACKING):
        one_step(module, *both)
    one_step(module, *both)
    one_step(module, *both)
    other, theirs, steps = bound()
    train(other, 3, steps)
    assert torch.equal(theirs.theta_d, sub.theta_d)


def by_part(module, first, last):
    return torch.optim.SGD(
        [{"params": module[0].parameters(), "lr": first}, {"params": module[2].parameters()}],
        lr=last,
    )


def test_a_rate_for_each_part_is_told_of_and_refused_where_it_is_0_for_theta_d():
    module, _, _ = bound()
    steps = by_part(module, 0.1, 0.0)
    line = "theta_d is in the optimizer's group of lr=0, and what it moves is in one of lr=0.1"
    for _ in range(2):
        with pytest.raises(IdimError, match=line):
            one_step(module, steps)
    for group in steps.param_groups:  # a schedule that starts at 0
        group["lr"] = 0.0
    one_step(module, steps)
    for group, lr in zip(steps.param_groups, (torch.tensor(0.3), 0.5), strict=True):
        group["lr"] = lr
    with pytest.warns(UserWarning, match="lr=0.5, and what it moves is in one of lr=0.3"):
        one_step(module, steps)
    one_step(module, steps)


def test_what_names_sort_into_groups_of_one_rate_is_no_fault():
    module, sub, _ = bound(free=["2.bias"])
    named = dict(module.named_parameters())
    decay = [p for n, p in named.items() if "bias" not in n]
    other = [p for n, p in named.items() if "bias" in n]
    one_step(module, torch.optim.AdamW([{"params": decay}, {"params": other, "weight_decay": 0}]))
    one_step(module, torch.optim.SGD(sub.param_groups(free={"lr": 0.0}), lr=0.1))


def test_an_optimizer_keeps_no_subspace_that_it_does_not_own():
    module, sub = bound()[:2]
    steps = torch.optim.SGD([module[0].bias], lr=0.1)
    with pytest.warns(UserWarning, match=LACKING):
        one_step(module, steps)
    alive = [weakref.ref(module), weakref.ref(sub)]
    del module, sub
    gc.collect()
    assert not any(ref() is not None for ref in alive)


# Modules that torch treats otherwise


def in_inference(make):
    with torch.inference_mode():
        return make()


class Small(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        self.first = nn.Linear(5, 5)
        for name, part in parts.items():
            setattr(self, name, part)


UNFIT = {
    "lazy": (lambda: nn.LazyLinear(3), "'weight' has no shape yet"),
    "lazy in part": (lambda: nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(3)), "no shape yet"),
    "lazy buffer": (lambda: Small(n=nn.LazyBatchNorm1d(affine=False)), "'n.running_mean' has no"),
    "inference": (lambda: in_inference(lambda: nn.Linear(5, 5)), "outside of torch.inference_mode"),
    "script": (lambda: torch.jit.script(nn.Linear(5, 5)), "the module is one of torch.jit"),
    "script part": (lambda: Small(s=torch.jit.script(nn.Linear(5, 5))), "'s' is one of torch.jit"),
    "trace": (lambda: torch.jit.trace(nn.Linear(5, 5), torch.ones(1, 5)), "is one of torch.jit"),
    "meta": (lambda: nn.Linear(5, 5, device="meta"), "is on the meta device"),
    "complex": (lambda: nn.Linear(5, 5, dtype=torch.complex64), "must be floating point"),
    "sparse": (
        lambda: Small(w=nn.Parameter(torch.eye(3).to_sparse())), "'w' must be floating point",
    ),
    "float8": (
        lambda: Small(w=nn.Parameter(torch.eye(3).to(torch.float8_e4m3fn))),
        "'w' is torch.float8_e4m3fn",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("what", UNFIT)
def test_a_module_that_cannot_be_bound_is_one_line(what):
    make, line = UNFIT[what]
    module = make()
    with pytest.raises(IdimError, match=line):
        Subspace(module, d=3)
    assert not any("subspace" in n for n, _ in module.named_parameters())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_module_that_is_not_trained_may_be_a_part():
    module = Small(s=torch.jit.script(nn.Linear(5, 5)))
    sub = Subspace(module, d=3, frozen=["s"])
    module.first(torch.ones(1, 5)).sum().backward()
    assert sub.theta_d.grad is not None


def test_binding_in_inference_mode_is_one_line():
    module = net()
    with pytest.raises(IdimError, match=r"outside of torch\.inference_mode"):
        in_inference(lambda: Subspace(module, d=3))
    Subspace(module, d=3)


@pytest.mark.parametrize("make", [net, lambda: nn.Linear(64, 3).double()])
def test_a_copy_made_in_inference_mode_is_refused(make):
    module = make()
    Subspace(module, d=20)
    with pytest.raises(IdimError, match=r"outside of torch\.inference_mode"):
        in_inference(lambda: copy.deepcopy(module))
    twin = copy.deepcopy(module)
    in_inference(lambda: twin(batch()[0]))
    steps = torch.optim.SGD(twin.parameters(), lr=0.5)
    train(twin, 2, steps)
    assert Subspace.of(twin).theta_d.any()


# Numbers that are none, and averages


@pytest.mark.parametrize("structure", ["did", "said"])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("lost", ["theta_d", "one number"])
def test_a_theta_d_that_is_no_number_is_followed(value, lost, copies, structure, tmp_path):
    module, sub, steps = bound(structure=structure, copies=copies)
    train(module, 2, steps)
    with torch.no_grad():
        sub.theta_d.view(-1)[: 1 if lost == "one number" else None] = value
    parts = (loss_of(module), parts_loss(module))  # the first writes theta
    parts[1].backward()
    twin = copy.deepcopy(module)
    torch.testing.assert_close(twin(batch()[0]), module(batch()[0]), equal_nan=True)
    copy.deepcopy(module)[0](batch()[0]).sum().backward()
    module.load_state_dict(copy.deepcopy(module.state_dict()))
    steps.step()
    train(module, 2, steps)
    sub.save(tmp_path / "s")
    assert not torch.isfinite(sub.merge()[0].weight).all()


def test_a_number_that_was_lost_outside_is_refused():
    module, _, steps = bound()
    train(module, 1, steps)
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    with pytest.raises(IdimError, match=LINE):
        train(module, 1, steps)


def averaged(module, steps, count):
    average = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(count):
        train(module, 1, steps)
        average.update_parameters(module)
    return average.module


def test_an_average_under_said_is_no_point_of_the_subspace_and_says_so():
    module, _, steps = bound(structure="said")
    averaged(module, steps, 1)(batch()[0])  # of one
    for use in (lambda m: parts_loss(m).backward(), loss_of):
        average = averaged(module, steps, 3)
        with pytest.raises(IdimError, match=r"is not theta_0 .* if the module is an average"):
            use(average)
    theirs = Subspace.of(average)
    theirs.refresh()
    assert_theta(theirs)
    loss_of(average).backward()
