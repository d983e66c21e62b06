"""The adjoint in backward: each gradient becomes one of theta_d as soon as autograd has made it."""

import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.autograd import Variable

from idim.errors import IdimError
from idim.projection.base import Projection
from idim.subspace import ranks
from idim.subspace.layout import Segment

# Numbers of a sparse gradient that are made dense at a time.
BUFFER = 1 << 20


class Gradients:
    """Hooks on a module's parameters that fold their gradients into those of theta_d and lambdas.

    A backward pass is summed apart and delivered when it ends: one that fails leaves nothing
    behind, and theta_d has the whole gradient before anyone can clip or step.

    Args:
        projection: P.
        segments: where the parameters lie in P.
        starts: the first row of what this process holds of each.
        theta_d: without the lambdas.
        lambdas: under SAID.
        embeddings: whose gradients are sparse until `close`.
        begin: called when a backward pass brings its first gradient.

    Source:
        Li et al. 2018, eq. 2 differentiated: the gradient of theta_d is P^T times that of theta.
    """

    def __init__(
        self,
        projection: Projection,
        segments: Sequence[Segment],
        starts: Sequence[int],
        theta_d: nn.Parameter,
        lambdas: nn.Parameter | None,
        embeddings: Sequence[nn.Embedding] = (),
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._projection, self._segments, self._starts = projection, segments, starts
        self.theta_d, self._lambdas, self._embeddings = theta_d, lambdas, embeddings
        self._begin = begin
        self.small = min((s.start for s in segments if s.is_small), default=projection.D)
        self.delta: Tensor | None = None  # P theta_d of the small tensors, for the lambdas
        self.passes = 0  # that were delivered
        self.is_new = False  # since someone last set this to False
        self.group: Any = None  # over which a backward pass averages what it delivers
        self._sums: dict[int, _Sums] = {}  # of backward passes under way, by autograd's number
        for embedding in embeddings:
            embedding.register_forward_pre_hook(_sparse)
            embedding.register_forward_hook(_dense, always_call=True)
        self._handles = [
            hook_gradient(segment.parameter, _Fold(weakref.ref(self), i))
            for i, segment in enumerate(segments)
        ]

    def close(self) -> None:
        """Let go of the parameters."""
        for handle in self._handles:
            handle.remove()
        plain(self._embeddings)

    def forget(self) -> None:
        """Drop what failed backward passes left; none may be under way."""
        self._sums.clear()

    def take(self, index: int, gradient: Tensor) -> None:
        """Fold the gradient of one tensor, which backward has just made."""
        number = torch._C._current_graph_task_id()
        if number not in self._sums:
            if _is_compiled():
                raise IdimError(
                    "compiled autograd runs this backward pass, and a subspace cannot follow it: "
                    "switch it off (a module under torch.compile is followed)."
                )
            self._begin()
            self._sums[number] = _Sums(torch.zeros_like(self.theta_d.detach()))
            Variable._execution_engine.queue_callback(partial(self._deliver, number))
        sums = self._sums[number]
        if gradient.is_sparse:
            self._take_rows(sums, index, gradient.coalesce())
        else:
            self._take(sums, index, self._starts[index], ranks.local(gradient))

    @torch.no_grad()
    def _take(self, sums: "_Sums", index: int, start: int, gradient: Tensor) -> None:
        """Add the gradient of rows of one tensor to those of theta_d and its lambda."""
        segment = self._segments[index]
        if self.theta_d.dtype == torch.float64:  # float32 kernels read 16-bit floats as they are
            gradient = gradient.double()
        if segment.start >= self.small:
            if sums.small is None:
                sums.small = self.theta_d.new_zeros(self._projection.D - self.small)
            at = start - self.small
            sums.small[at : at + len(gradient)] += gradient
            return
        r = self._projection.rmatvec(gradient, start, start + len(gradient)).mul_(segment.scale)
        if self._lambdas is not None:
            self._add_lambda(sums, segment.group, r @ self.theta_d)
            r.mul_(self._lambdas[segment.group])
        sums.theta_d += r

    def _take_rows(self, sums: "_Sums", index: int, gradient: Tensor) -> None:
        """Take an embedding's gradient, which knows few of its rows, a buffer at a time."""
        count, width = gradient.shape
        at, values = gradient.indices()[0], gradient.values()
        step = max(1, BUFFER // width)
        firsts = list(range(0, count, step))
        ends = torch.searchsorted(at, torch.tensor([*firsts, count], device=at.device)).tolist()
        buffer = values.new_empty(min(step, count), width)
        for first, low, high in zip(firsts, ends, ends[1:], strict=False):
            if low == high:
                continue
            part = buffer[: min(step, count - first)].zero_()
            part[at[low:high] - first] = values[low:high]
            self._take(sums, index, self._starts[index] + first * width, part.view(-1))

    @_disable_dynamo  # see _run_apart
    @torch.no_grad()
    def _deliver(self, number: int) -> None:
        sums = self._sums.pop(number, None)
        if sums is None:
            return
        if sums.small is not None:
            self._fold_small(sums, sums.small)
        _add_grad(self.theta_d, sums.theta_d)
        own = [self.theta_d]
        if self._lambdas is not None:
            _add_grad(self._lambdas, sums.lambdas)
            own.append(self._lambdas)
        self.is_new = True
        self.passes += 1
        if self.group is not None:
            ranks.all_reduce(own, self.group, average=True)

    def _fold_small(self, sums: "_Sums", gradient: Tensor) -> None:
        for segment in (s for s in self._segments if s.start >= self.small):
            part = gradient[segment.start - self.small : segment.stop - self.small].mul_(
                segment.scale
            )
            if self._lambdas is not None:
                if self.delta is not None:  # None: theta_d is still 0, and so is this gradient
                    at = slice(segment.start - self.small, segment.stop - self.small)
                    self._add_lambda(sums, segment.group, part @ self.delta[at])
                part.mul_(self._lambdas[segment.group])
        sums.theta_d += self._projection.rmatvec(gradient, self.small, self._projection.D)

    def _add_lambda(self, sums: "_Sums", at: int, value: Tensor) -> None:
        assert self._lambdas is not None
        if sums.lambdas is None:
            sums.lambdas = torch.zeros_like(self._lambdas.detach())
        sums.lambdas[at] += value


@dataclass(slots=True)
class _Sums:
    """What one backward pass has brought so far."""

    theta_d: Tensor
    lambdas: Tensor | None = None
    small: Tensor | None = None  # the gradient of the small tensors, until the pass ends


class _Fold:
    """The hook of one parameter; it keeps neither the subspace nor the module alive."""

    def __init__(self, gradients: "weakref.ref[Gradients]", index: int) -> None:
        self.gradients, self._index = gradients, index

    def __call__(self, parameter: Tensor) -> None:
        if torch.compiler.is_compiling():
            _run_apart(self._fold, parameter)
        else:
            self._fold(parameter)

    def _fold(self, parameter: Tensor) -> None:
        gradients = self.gradients()
        if gradients is not None and parameter.grad is not None:
            gradient, parameter.grad = parameter.grad, None
            gradients.take(self._index, gradient)


def _is_compiled() -> bool:
    """Tell whether compiled autograd runs the backward pass, without importing it."""
    found = sys.modules.get("torch._dynamo.compiled_autograd")
    return getattr(found, "in_compiled_autograd_region", False)


@_disable_dynamo  # in a backward pass that is itself under torch.compile
def _run_apart(function: Callable[[Tensor], None], parameter: Tensor) -> None:
    function(parameter)


def hook_gradient(parameter: nn.Parameter, hook: Callable[[Tensor], None]) -> Any:
    """Have a hook called whenever backward has added to a parameter's gradient."""
    needed = parameter.requires_grad  # a copied module may have been frozen in part
    parameter.requires_grad_(True)
    handle = parameter.register_post_accumulate_grad_hook(hook)
    parameter.requires_grad_(needed)
    return handle


def theta_d_of(parameter: Tensor) -> nn.Parameter | None:
    """Return the theta_d that gets a parameter's gradient, if one does."""
    for hook in (parameter._post_accumulate_grad_hooks or {}).values():
        if isinstance(hook, _Fold) and (gradients := hook.gradients()) is not None:
            return gradients.theta_d
    return None


def is_bound(parameter: Tensor) -> bool:
    """Tell whether a subspace consumes a parameter's gradient."""
    return theta_d_of(parameter) is not None


def plain(embeddings: Iterable[nn.Module]) -> None:
    """Take the hooks that make gradients sparse from embeddings."""
    for embedding in embeddings:
        for hooks in (embedding._forward_pre_hooks, embedding._forward_hooks):
            for key in [key for key, hook in hooks.items() if hook in (_sparse, _dense)]:
                del hooks[key]
                embedding._forward_hooks_always_called.pop(key, None)


def _sparse(embedding: Any, inputs: Any) -> None:
    # decided at each call and undone after it: a copy of the embedding, whose gradient nobody
    # consumes, must not have one that most optimizers refuse
    if not torch.compiler.is_compiling():
        embedding.sparse = is_bound(embedding.weight)


def _dense(embedding: Any, inputs: Any, output: Any) -> None:
    embedding.sparse = False


def large_embeddings(module: nn.Module, inside: Iterable[Tensor]) -> list[nn.Embedding]:
    """Return the embeddings whose dense gradient would be the largest thing that a step makes."""
    large = {id(p) for p in inside if p.numel() > BUFFER}
    return [
        part
        for part in module.modules()
        if isinstance(part, nn.Embedding) and id(part.weight) in large
        if not part.sparse and not part.scale_grad_by_freq  # sparse gradients lack the latter
    ]


def _add_grad(parameter: nn.Parameter, value: Tensor | None) -> None:
    if value is None or not parameter.requires_grad:
        return
    if parameter.grad is None:
        parameter.grad = value
    else:
        parameter.grad += value
