"""What a subspace does when others act: a forward pass, an optimizer's step, a state dict."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from idim.errors import IdimError
from idim.subspace import ranks
from idim.subspace.layout import Segment
from idim.subspace.owners import check_groups, note_bound
from idim.subspace.theta import Theta
from idim.subspace.tie import IGNORED, Tie


class Follower:
    """Keeps theta and theta_d together from the moment a module is bound until it is merged.

    Args:
        sub: the subspace, which whoever holds this keeps alive.
        module: that of the subspace.
        theta: its numbers.
        group: whose ranks average gradients before a step, if any.
        is_sharded: whether FSDP2 holds the parameters.
        trained: what the group combines.
        content: makes the text of what all ranks must share.
    """

    def __init__(
        self,
        sub: Any,
        module: nn.Module,
        theta: Theta,
        group: Any,
        *,
        is_sharded: bool,
        trained: list[nn.Parameter],
        content: Callable[[], str],
    ) -> None:
        self.sub, self.theta, self._module = sub, theta, module
        self._group, self._is_sharded, self._trained = group, is_sharded, trained
        self._content, self._agreed = content, False
        self._told = False
        note_bound()
        self._ran, self._passes = False, 0  # forward since the last step, backward until it

    def before_forward(self) -> None:
        """Rewrite theta if anyone changed theta_d; find who averages gradients."""
        gradients = self.theta.gradients
        if torch.is_grad_enabled():
            self._ran = True
            group, gradients.group = ranks.find_ddp(self._module, IGNORED)
            if group is not None:
                self._agree(group)
        if not self.theta.is_stale():
            return
        if self._group is not None and gradients.is_new:
            raise IdimError(
                "theta_d was changed before the ranks had averaged its gradient: the optimizer is "
                "none of torch's, so call reduce() before its step."
            )
        if self._is_sharded:
            raise IdimError("theta_d was changed by hand: call refresh() before the forward pass.")
        self.theta.settle()

    def after_load(self) -> None:
        """Take over a state dict that was loaded into the module."""
        self.theta.take_loaded()

    def take_first(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        """Take the gradient that made a deep copy need its subspace in a backward pass."""
        self.theta.accept()
        number = next(i for i, s in enumerate(self.theta.segments) if s.parameter is parameter)
        self.theta.gradients.take(number, gradient)

    def before_step(self) -> None:
        """Check what an optimizer is about to step from; combine gradients."""
        self.theta.settle(is_step=True)
        self.theta.gradients.forget()
        self.reduce()

    def check_gradient(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse a step before which the module ran and no backward pass reached theta_d.

        One that trains other parameters may be meant, and is told of once.

        Raises:
            IdimError: the step would train nothing at all.
        """
        passes, own = self.theta.gradients.passes, self.theta.own
        is_lost = self._ran and passes == self._passes and own[0].requires_grad
        self._ran, self._passes = False, passes
        if not is_lost or any(p.grad is not None for p in own):
            return
        line = (
            "the module ran and no backward pass brought theta_d a gradient: call loss.backward() "
            "without inputs=, on a loss that depends on the subspace's parameters."
        )
        if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
            raise IdimError(line)
        if not self._told:
            self._told = True
            warnings.warn(line, stacklevel=2)

    def before_closure(self) -> None:
        """Let a closure see what the optimizer has made of theta_d so far."""
        self.theta.follow()

    def after_step(self) -> None:
        """Write what the optimizer has made of theta_d."""
        self.theta.step()

    def for_copy(self) -> Any:
        """Return what binds a deep copy of the module."""
        sub, history = self.sub, self.theta.history()
        kept = ("spec", "d", "D", "projection", "_starts", "_sharded", "_group", "_theta_0",
                "_buffers", "_exact_every", "_frozen")  # fmt: skip
        fields = {name: getattr(sub, name) for name in kept}
        laid = [segment._replace(parameter=None) for segment in sub.segments]
        return partial(_bind_copy, type(sub), fields, laid, list(sub.free), history)

    @torch.no_grad()
    def reduce(self) -> None:
        """Combine new gradients over the group."""
        gradients = self.theta.gradients
        if self._group is None or not gradients.is_new:
            return
        self._agree(self._group)
        ranks.all_reduce(self._trained, self._group, average=not self._is_sharded)
        gradients.is_new = False

    def _agree(self, group: Any) -> None:
        """Compare once what all ranks must share: else each would train another model."""
        if self._agreed:
            return
        try:
            content = self._content()
        except IdimError as e:  # DDP has sent another theta_0 here: the other ranks wait for a word
            content = str(e)
        if not ranks.agree(content, group):
            raise IdimError(
                "the ranks differ in theta_0, theta_d or P: build the module from one seed or one "
                "checkpoint, and give Subspace the same arguments, on every rank."
            )
        self._agreed = True


def _followers(optimizer: torch.optim.Optimizer) -> list[Follower]:
    """Return those of whose theta_d or lambdas an optimizer owns some."""
    owned = (p for group in optimizer.param_groups for p in group["params"])
    subs = {id(s): s for p in owned if (s := getattr(p, "subspace", None))}
    return [sub.follower for sub in subs.values() if sub.follower is not None]


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
    followers = _followers(optimizer)
    check_groups(optimizer)
    for follower in followers:
        follower.before_step()
    closure = kwargs.get("closure") or next((a for a in args[1:] if callable(a)), None)
    if not followers or closure is None:
        for follower in followers:
            follower.check_gradient(optimizer)
        return None

    def again() -> Any:
        for follower in followers:
            follower.before_closure()
        loss = closure()
        for follower in followers:
            follower.check_gradient(optimizer)
            follower.reduce()
        return loss

    named = {name: again if value is closure else value for name, value in kwargs.items()}
    return tuple(again if a is closure else a for a in args), named


def _after_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for follower in _followers(optimizer):
        follower.after_step()


def _bind_copy(
    cls: Any,
    fields: dict[str, Any],
    laid: list[Segment],
    free: list[str],
    history: Any,
    module: nn.Module,
    tie: Tie,
) -> Follower:
    """Bind a deep copy of a module: its own parameters, the original's theta_0."""
    named = dict(module.named_parameters())
    if any(name not in named for name in (*(segment.name for segment in laid), *free)):
        raise IdimError("parameters of a copied module were replaced: merge() before, not after.")
    theta_d, *lambdas = tie.own(module)
    sub = cls.__new__(cls)
    sub.__dict__.update(fields)
    follower = sub.attach(
        module,
        [segment._replace(parameter=named[segment.name]) for segment in laid],
        {name: named[name] for name in free},
        theta_d,
        lambdas[0] if lambdas else None,
        tie,
    )
    follower.theta.resume(history)
    return follower


# One pair of hooks for all subspaces: a pair for each, removed when it dies, would change torch's
# tables while another optimizer walks them.
register_optimizer_step_pre_hook(_before_step)
register_optimizer_step_post_hook(_after_step)
