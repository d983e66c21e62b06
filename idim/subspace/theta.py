"""Holds theta = theta_0 + lambda * P theta_d in a module's parameters, whatever others do to it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from idim.errors import IdimError
from idim.projection import Piece, Projection
from idim.subspace import ranks
from idim.subspace.gradients import Gradients
from idim.subspace.layout import Segment
from idim.subspace.theta_0 import Theta0
from idim.subspace.tie import NAMES, Places, Stamps


class Theta:
    """The numbers of a bound module: written from theta_d, and checked against it.

    Args:
        module: holds the parameters of the segments.
        segments: where its tensors lie in P.
        starts: the first row of what this process holds of each.
        projection: P.
        own: theta_d, and the lambdas under SAID.
        theta_0: where it is kept.
        exact_every: steps from one exact write to the next; the others add what changed.
        embeddings: whose gradients are sparse until `close`.
        place: the name of the part of the module that holds theta_d and the lambdas.
        is_sharded: whether FSDP2 holds the parameters.
    """

    def __init__(
        self,
        module: nn.Module,
        segments: Sequence[Segment],
        starts: Sequence[int],
        projection: Projection,
        own: list[nn.Parameter],
        theta_0: Theta0,
        *,
        exact_every: int,
        embeddings: Sequence[nn.Embedding],
        place: str,
        is_sharded: bool,
    ) -> None:
        self.segments, self._starts, self.projection, self.own = segments, starts, projection, own
        self.theta_0, self._exact_every = theta_0, exact_every
        self._steps = self._moves = 0  # steps in all; additions since theta was exact
        for segment in segments:
            segment.parameter.grad = None  # what was left there is no gradient of this subspace
        self._lambdas = own[1] if len(own) > 1 else None
        self.gradients = Gradients(
            projection, segments, starts, own[0], self._lambdas, embeddings, self._begin_backward
        )
        names = [f"{place}.{name}".lstrip(".") for name, _ in zip(NAMES, own, strict=False)]
        names += [] if is_sharded else [segment.name for segment in segments]
        self._places = Places(module, names)
        self._dtypes = [p.dtype for p in (*(segment.parameter for segment in segments), *own)]
        self._written = [p.detach().clone() for p in own]  # what theta was written from
        self._stamps, self._own_stamps = Stamps(self.tensors), Stamps(lambda: list(own))
        self._stamps.renew()
        self._own_stamps.renew()

    def close(self) -> None:
        """Let go of the parameters, which are exact."""
        if self._moves:
            self.refresh()
        self.gradients.close()

    def history(self) -> tuple[list[Tensor], int, int]:
        """Return what theta was written from, and the counts of steps and additions."""
        return [written.clone() for written in self._written], self._steps, self._moves

    def resume(self, history: tuple[list[Tensor], int, int]) -> None:
        """Go on from the `history` of another, whose module this one's was copied from.

        The copy may have been changed since: the next look is at all of it.
        """
        self._written, self._steps, self._moves = history
        self._stamps.forget()
        self._own_stamps.forget()

    def tensors(self) -> list[Tensor]:
        """Return what this process holds of each tensor, flat and writable."""
        return [ranks.local(segment.parameter) for segment in self.segments]

    @torch.no_grad()
    def refresh(self) -> None:
        """Write theta = theta_0 + lambda * P theta_d."""
        thetas = self.tensors()
        self._write(self.own[0], self._scales(), thetas, self.theta_0.bases(thetas))
        self._moves = 0
        self._note_written()

    def follow(self) -> None:
        """Write theta anew if an optimizer changed theta_d, or theta itself, within its step."""
        self.check_parameters()
        if self.is_stale() or self._stamps.changed():
            self.refresh()

    def step(self) -> None:
        """Follow an optimizer's step: exactly, or by what it changed."""
        self._steps += 1
        if self._steps % self._exact_every and not self._stamps.changed():
            self._move()
        else:
            self.refresh()

    @torch.no_grad()
    def _move(self) -> None:
        """Add what changed in lambda * P theta_d to theta, group by group of equal lambda."""
        scales, thetas = [segment.scale for segment in self.segments], self.tensors()
        old, new = self._written, self.own
        if self._lambdas is None:
            self._write(new[0] - old[0], scales, thetas, thetas)
        else:
            for g in range(len(self._lambdas)):
                theta_d = new[1][g] * new[0] - old[1][g] * old[0]
                self._write(theta_d, scales, thetas, thetas, group=g)
        self._moves += 1
        self._note_written()

    def _write(
        self,
        theta_d: Tensor,
        scales: list[float],
        thetas: list[Tensor],
        bases: list[Tensor],
        group: int | None = None,
    ) -> None:
        pieces = [
            Piece(theta, base, start, scale)
            for segment, theta, base, start, scale in zip(
                self.segments, thetas, bases, self._starts, scales, strict=True
            )
            if theta.numel() and group in (None, segment.group)
        ]
        self.projection.write(theta_d, pieces)

    def _scales(self) -> list[float]:
        """Return what each segment's rows of P theta_d are multiplied by."""
        scales = [segment.scale for segment in self.segments]
        if self._lambdas is None:
            return scales
        groups = [segment.group for segment in self.segments]
        return (self._lambdas.new_tensor(scales) * self._lambdas[groups]).tolist()

    def _note_written(self) -> None:
        torch.autograd.graph.increment_version(self.tensors())  # kernels write past autograd
        if self._written[0].device != self.own[0].device:
            self._written = [w.to(self.own[0].device) for w in self._written]
        for written, p in zip(self._written, self.own, strict=True):
            written.copy_(p)
        self._note_delta()
        self._stamps.renew()
        self._own_stamps.renew()

    def _note_delta(self) -> None:
        """Keep P theta_d of the small tensors, for the gradients of their lambdas."""
        gradients, theta_d = self.gradients, self.own[0].detach()
        has_small = self._lambdas is not None and gradients.small < self.projection.D
        # a theta_d that is still 0 gives the lambdas no gradient, however often it is written
        if has_small and (gradients.delta is not None or theta_d.any()):
            gradients.delta = self.projection.matvec(theta_d, gradients.small)

    def is_stale(self) -> bool:
        """Tell whether theta_d was changed since theta was written."""
        if self._own_stamps.changed():
            return True
        if self.own[0].device.type != "cpu":  # a look at the values would wait for the device
            return False
        return not self._is_written()

    def _is_written(self) -> bool:
        """Tell whether theta_d and the lambdas are what theta was written from, bit by bit."""
        pairs = [(p.detach(), w.to(p.device)) for p, w in zip(self.own, self._written, strict=True)]
        return all(torch.equal(p, w) or _is_same(p, w) for p, w in pairs)

    @torch.no_grad()
    def settle(self, *, is_step: bool = False, is_merge: bool = False) -> None:
        """Hold theta = theta_0 + lambda * P theta_d; touch nothing where nothing was done to it.

        Args:
            is_step: whether an optimizer is about to change theta_d.
            is_merge: whether the module is let go, so that a replaced parameter is its own affair.

        Raises:
            IdimError: the module's parameters are no longer those, or of another dtype, or hold
                something else, or would move without their gradient.
        """
        self.check_parameters(is_step=is_step, is_merge=is_merge)
        for segment in self.segments:
            segment.parameter.grad = None  # DDP leaves zeros, which are no gradient
        touched = self._stamps.changed()
        if touched:
            self._check_values(touched)
        if touched or self.is_stale():
            self.refresh()

    @torch.no_grad()
    def accept(self) -> None:
        """Check all of a copy whose parts have run; a backward pass forbids to write it anew.

        Raises:
            IdimError: the module does not hold what theta_d makes, or made when it was copied.
        """
        self.check_parameters()
        self._check_values(self._stamps.changed())
        self._note_delta()
        self._stamps.renew()
        if all(
            torch.equal(p, w.to(p.device)) for p, w in zip(self.own, self._written, strict=True)
        ):
            self._own_stamps.renew()

    def take_loaded(self) -> None:
        """Take over what `load_state_dict` copied in.

        Raises:
            IdimError: its theta_d does not make its weights; theta_d is then as it was.
        """
        self.check_parameters()
        if not self._own_stamps.changed():
            return  # weights alone: `settle` tells before they are used
        try:
            self.settle()
        except IdimError as e:
            with torch.no_grad():
                for p, written in zip(self.own, self._written, strict=True):
                    p.copy_(written)
            self.refresh()
            raise IdimError(f"the state dict belongs to another theta_0 or P: {e}") from None

    def check_parameters(self, *, is_step: bool = False, is_merge: bool = False) -> None:
        """Refuse parameters that are others than those bound."""
        replaced = None if is_merge else self._places.replaced()
        if replaced:
            raise IdimError(
                f"'{replaced}' was replaced after the subspace was bound: merge() before, and bind "
                "a new one after."
            )
        held: list[Any] = [segment.parameter for segment in self.segments]
        for p, dtype in zip((*held, *self.own), self._dtypes, strict=True):
            if p.dtype != dtype or p.device != self.own[0].device:
                raise IdimError(
                    f"the subspace was bound in {dtype} on one device, and a parameter is now "
                    f"{p.dtype} on {p.device}: set the dtype before, and move the whole module."
                )
        still = [segment.name for segment in self.segments if not segment.parameter.requires_grad]
        if is_step and still:
            raise IdimError(
                f"'{still[0]}' has requires_grad=False and would move without its gradient: "
                "name it in frozen= when the subspace is bound."
            )

    def _check_values(self, touched: list[int]) -> None:
        """Refuse tensors that are neither what theta_d makes nor what it made before."""
        thetas = self.tensors()
        for i in touched:
            base = self.theta_0.base(i, thetas[i])
            for own in (self.own, self._written):
                if self._is_close(i, thetas[i], base, [t.to(thetas[i].device) for t in own]):
                    break
            else:
                raise IdimError(self._difference(i))

    def _difference(self, i: int) -> str:
        name = self.segments[i].name
        if self._lambdas is not None and not self._is_written():
            return (
                f"'{name}' is not theta_0 + lambda P theta_d, and these were changed as well: if "
                "the module is an average, which is no such point, average theta_d and the lambdas "
                "alone and call refresh(), or merge() copies and average those."
            )
        return (
            f"'{name}' was written to from outside and is no longer theta_0 + P theta_d: load a "
            "state that has theta_d too, or call refresh() to undo it."
        )

    def _is_close(self, i: int, theta: Tensor, base: Tensor, own: list[Tensor]) -> bool:
        segment, start = self.segments[i], self._starts[i]
        scale = segment.scale if len(own) == 1 else segment.scale * own[1][segment.group].item()
        moved = self.projection.matvec(own[0].detach(), start, start + len(theta)).mul_(scale)
        expected = moved.add_(base)
        # each write rounds to theta's dtype; the arithmetic of P rounds to theta_d's
        rounds = (1 + self._moves) * torch.finfo(theta.dtype).eps * (expected.abs() + base.abs())
        largest = expected.abs().max() if len(theta) else 0.0
        bound = rounds + 64 * torch.finfo(expected.dtype).eps * largest
        same = (theta - expected).abs() <= bound
        return bool((same | ~(theta.isfinite() | expected.isfinite())).all())

    def _begin_backward(self) -> None:
        if self.is_stale():
            raise IdimError(
                "theta_d was changed and the module's parts ran on the old theta: call the "
                "module itself, or refresh() after the change."
            )


def _is_same(a: Tensor, b: Tensor) -> bool:
    """Tell whether tensors are equal, a NaN to a NaN too."""
    return a.dtype == b.dtype and torch.allclose(a, b, rtol=0.0, atol=0.0, equal_nan=True)
