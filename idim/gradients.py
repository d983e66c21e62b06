"""The adjoint in backward: each gradient becomes one of theta_d as soon as autograd has made it."""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from idim import shards
from idim.layout import Slot
from idim.projection.base import Projection

# Numbers of a sparse gradient that are made dense at a time.
BUFFER = 1 << 20


class Gradients:
    """Hooks on a module's parameters that fold their gradients into those of theta_d and lambdas.

    Args:
        projection: P.
        slots: where the parameters lie in P.
        starts: the first row of what this process holds of each.
        theta_d: without the lambdas.
        lambdas: under SAID.
        embeddings: whose `sparse` flag is set until `close`.

    Source:
        Li et al. 2018, eq. 2 differentiated: the gradient of theta_d is P^T times that of theta.
    """

    def __init__(
        self,
        projection: Projection,
        slots: Sequence[Slot],
        starts: Sequence[int],
        theta_d: nn.Parameter,
        lambdas: nn.Parameter | None,
        embeddings: Sequence[nn.Embedding] = (),
    ) -> None:
        self._projection, self._slots, self._starts = projection, slots, starts
        self._theta_d, self._lambdas, self._embeddings = theta_d, lambdas, embeddings
        self.small = min((s.start for s in slots if s.is_small), default=projection.D)
        self.delta: Tensor | None = None  # P theta_d of the small tensors, for the lambdas
        self.is_new = False  # since someone last set this to False
        self._gradient: Tensor | None = None  # of the small tensors, until backward ends
        for embedding in embeddings:
            embedding.sparse = True
        self._handles = [
            slot.parameter.register_post_accumulate_grad_hook(self._hook(i))
            for i, slot in enumerate(slots)
        ]

    def close(self) -> None:
        """Let go of the parameters."""
        for handle in self._handles:
            handle.remove()
        for embedding in self._embeddings:
            embedding.sparse = False

    def _hook(self, index: int) -> Callable[[Tensor], None]:
        """Build what turns one parameter's gradient into theta_d's and frees it."""
        ref = weakref.ref(self)

        def hook(parameter: Tensor) -> None:
            me = ref()
            if me is not None and parameter.grad is not None:
                gradient, parameter.grad = parameter.grad, None
                me.is_new = True
                if gradient.is_sparse:
                    me._take_rows(index, gradient.coalesce())
                else:
                    me._take(index, me._starts[index], shards.local(gradient))

        return hook

    @torch.no_grad()
    def _take(self, index: int, start: int, gradient: Tensor) -> None:
        """Add the gradient of rows of one tensor to those of theta_d and its lambda."""
        slot = self._slots[index]
        if self._theta_d.dtype == torch.float64:  # float32 kernels read 16-bit floats as they are
            gradient = gradient.double()
        if slot.start >= self.small:
            self._keep_small(start, gradient)
            return
        r = self._projection.rmatvec(gradient, start, start + len(gradient)).mul_(slot.scale)
        if self._lambdas is not None:
            _add_grad(self._lambdas, slot.group, r @ self._theta_d)
            r.mul_(self._lambdas[slot.group])
        _add_grad(self._theta_d, ..., r)

    @torch.no_grad()
    def _take_rows(self, index: int, gradient: Tensor) -> None:
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
            self._take(index, self._starts[index] + first * width, part.view(-1))

    def _keep_small(self, start: int, gradient: Tensor) -> None:
        if self._gradient is None:
            self._gradient = self._theta_d.new_zeros(self._projection.D - self.small)
            # runs when this backward pass ends, before anyone can clip or step
            Variable._execution_engine.queue_callback(self._fold_small)
        at = start - self.small
        self._gradient[at : at + len(gradient)] += gradient

    @torch.no_grad()
    def _fold_small(self) -> None:
        gradient, self._gradient = self._gradient, None
        if gradient is None:
            return
        for slot in (s for s in self._slots if s.start >= self.small):
            part = gradient[slot.start - self.small : slot.stop - self.small].mul_(slot.scale)
            if self._lambdas is not None:
                if self.delta is not None:  # None: theta_d is still 0, and so is this gradient
                    at = slice(slot.start - self.small, slot.stop - self.small)
                    _add_grad(self._lambdas, slot.group, part @ self.delta[at])
                part.mul_(self._lambdas[slot.group])
        _add_grad(
            self._theta_d, ..., self._projection.rmatvec(gradient, self.small, self._projection.D)
        )


def large_embeddings(module: nn.Module, inside: Iterable[Tensor]) -> list[nn.Embedding]:
    """Return the embeddings whose dense gradient would be the largest thing that a step makes."""
    large = {id(p) for p in inside if p.numel() > BUFFER}
    return [
        part
        for part in module.modules()
        if isinstance(part, nn.Embedding) and id(part.weight) in large
        if not part.sparse and not part.scale_grad_by_freq  # sparse gradients lack the latter
    ]


def _add_grad(parameter: nn.Parameter, at: Any, value: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    parameter.grad[at] += value
