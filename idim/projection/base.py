"""The contract of a projection: a new kind supplies two methods and inherits the rest."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from idim import kernels
from idim.errors import IdimError
from idim.kernels.map import Kernels, Piece, Span
from idim.kernels.reference import arithmetic, write_by


class Projection(ABC):
    """A fixed random D x d matrix whose columns have unit norm (in expectation for Gaussians).

    Rows are made on demand from counters, so any range of them costs only itself and is the same
    on every device.

    Args:
        D: rows, the number of parameters of the full space.
        d: columns, 1 <= d <= D.
        seed: any integer; other seeds are independent draws.

    Raises:
        IdimError: d < 1 or d > D.
    """

    # P is kept in memory as a matrix up to this many entries: for small problems one product with
    # a matrix in cache is faster than making its entries again.
    keep_entries: ClassVar[int] = 1 << 16

    def __init__(self, D: int, d: int, seed: int) -> None:
        if not 1 <= d <= D:
            raise IdimError(f"d={d} must lie between 1 and D={D}, the number of parameters.")
        self.D, self.d, self.seed = D, d, seed
        self._kept: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(D, d)."""
        return self.D, self.d

    def matvec(self, theta_d: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return rows [start, stop) of P theta_d.

        Args:
            theta_d: (d,), float32 or float64; its dtype is the dtype of the arithmetic.
            start: first row.
            stop: one past the last row; D if not given.

        Returns:
            (stop - start,), dtype and device of theta_d.

        Raises:
            IdimError: a wrong length or dtype, or a range outside [0, D].
        """
        rows = self._span(start, stop)
        self._check(theta_d)
        if torch.is_grad_enabled() and theta_d.requires_grad:
            return _Product.apply(theta_d, self, rows)
        return self._product(theta_d, rows)

    def rmatvec(self, v: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return P[start:stop]^T v, the exact adjoint of `matvec` on the same rows.

        Args:
            v: (stop - start,), floating; float16 and bfloat16 are read as they are, without a copy.
            start: first row.
            stop: one past the last row; D if not given.

        Returns:
            (d,), device of v; dtype of v, float32 for 16-bit floats.

        Raises:
            IdimError: a wrong length or dtype, or a range outside [0, D].
        """
        rows = self._span(start, stop)
        if not v.is_floating_point():
            raise IdimError(f"v must be floating, got {v.dtype}.")
        if v.shape != (rows.stop - rows.start,):
            raise IdimError(f"v must have shape ({rows.stop - rows.start},), got {tuple(v.shape)}.")
        if self._is_small:
            v = v.to(arithmetic(v.dtype))
            return v @ self._matrix(v)[rows.start : rows.stop]
        return self._rmatvec(v, rows)

    @torch.no_grad()
    def write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        """Write theta_0 + scale * P theta_d into each piece; no second copy of theta is made.

        Args:
            theta_d: (d,), float32 or float64; its dtype is the dtype of the arithmetic.
            pieces: disjoint, rows rising.

        Raises:
            IdimError: a wrong length, pieces that overlap, lie outside [0, D], or are no memory
                that a kernel can write to.
        """
        self._check(theta_d)
        for piece in pieces:
            _check_piece(piece)
        ends = [e for p in pieces for e in self._span(p.start, p.stop)]
        if ends != sorted(ends):
            raise IdimError("the pieces of theta must be disjoint and in the order of their rows.")
        if self._is_small:
            write_by(pieces, lambda rows: self._product(theta_d, rows))
        else:
            self._write(theta_d, pieces)

    def to_dense(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = "cpu",
    ) -> Tensor:
        """Return rows [start, stop) as a (rows, d) matrix; for looking and testing."""
        like = torch.empty(0, dtype=dtype, device=device)
        return self._rows(self._span(start, stop), like)

    def _check(self, theta_d: Tensor) -> None:
        if theta_d.shape != (self.d,):
            raise IdimError(f"theta_d must have shape ({self.d},), got {tuple(theta_d.shape)}.")
        if theta_d.dtype not in (torch.float32, torch.float64):
            raise IdimError(f"theta_d must be float32 or float64, got {theta_d.dtype}.")

    def _product(self, theta_d: Tensor, rows: Span) -> Tensor:
        if self._is_small:
            return self._matrix(theta_d)[rows.start : rows.stop] @ theta_d
        return self._matvec(theta_d, rows)

    def _span(self, start: int, stop: int | None) -> Span:
        stop = self.D if stop is None else stop
        if not 0 <= start <= stop <= self.D:
            raise IdimError(f"rows [{start}, {stop}) are not within [0, {self.D}).")
        return Span(start, stop)

    @property
    def _is_small(self) -> bool:
        return self.D * self.d <= self.keep_entries

    def _matrix(self, like: Tensor) -> Tensor:
        kept = self._kept
        if kept is None or kept.dtype != like.dtype or kept.device != like.device:
            kept = self._kept = self._rows(Span(0, self.D), like)
        return kept

    @abstractmethod
    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        """Return rows of P theta_d: (rows,), of the dtype and device of theta_d (d,)."""

    @abstractmethod
    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        """Return the adjoint of the same rows: (d,), in `arithmetic(v.dtype)`."""

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        """Return rows of P as (rows, d), of the dtype and device of `like`."""
        eye = torch.eye(self.d, dtype=like.dtype, device=like.device)
        return torch.stack([self._matvec(e, rows) for e in eye], dim=1)

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        """Write theta_0 + scale * P theta_d into each piece."""
        write_by(pieces, lambda rows: self._matvec(theta_d, rows))


def _check_piece(piece: Piece) -> None:
    """Refuse what the kernels, which see addresses only, would read or write beside."""
    theta, theta_0 = piece.theta, piece.theta_0
    if not (theta.is_contiguous() and theta_0.is_contiguous() and theta.dim() == 1):
        raise IdimError("theta and theta_0 of a piece must be flat and contiguous.")
    if not theta.is_floating_point() or theta.dtype != theta_0.dtype:
        raise IdimError(
            f"theta and theta_0 of a piece must be floating and of one dtype, got {theta.dtype} "
            f"and {theta_0.dtype}."
        )
    if theta.shape != theta_0.shape or theta.device != theta_0.device:
        raise IdimError("theta and theta_0 of a piece must have one shape, on one device.")


class _Product(torch.autograd.Function):
    """P theta_d with P^T for its gradient: fused kernels leave autograd nothing to follow."""

    @staticmethod
    def forward(ctx: Any, theta_d: Tensor, P: Projection, rows: Span) -> Tensor:
        ctx.P, ctx.rows = P, rows
        return P._product(theta_d, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.P.rmatvec(gradients[0], *ctx.rows), None, None


def kernels_for(like: Tensor) -> Kernels:
    """Choose the kernels that multiply by P where a tensor is.

    Raises:
        IdimError: IDIM_KERNELS forces some that do not exist or cannot run here.
    """
    try:
        return kernels.choose(like.device, arithmetic(like.dtype))
    except kernels.Unavailable as e:
        raise IdimError(str(e)) from None
