"""The contract of a projection: a new kind supplies three methods and inherits the rest."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from idim.errors import IdimError
from idim.kernels.reference import Span


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
    keep_entries: ClassVar[int] = 1 << 20

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
            theta_d: (d,), floating; its dtype is the dtype of the arithmetic.
            start: first row.
            stop: one past the last row; D if not given.

        Returns:
            (stop - start,), dtype and device of theta_d.

        Raises:
            IdimError: a wrong length or a range outside [0, D].
        """
        rows = self._span(start, stop)
        if theta_d.shape != (self.d,):
            raise IdimError(f"theta_d must have shape ({self.d},), got {tuple(theta_d.shape)}.")
        if self._is_small:
            return self._matrix(theta_d)[rows.start : rows.stop] @ theta_d
        return self._matvec(theta_d, rows)

    def rmatvec(self, v: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return P[start:stop]^T v, the exact adjoint of `matvec` on the same rows.

        Args:
            v: (stop - start,), floating.
            start: first row.
            stop: one past the last row; D if not given.

        Returns:
            (d,), dtype and device of v.

        Raises:
            IdimError: a wrong length or a range outside [0, D].
        """
        rows = self._span(start, stop)
        if v.shape != (rows.stop - rows.start,):
            raise IdimError(f"v must have shape ({rows.stop - rows.start},), got {tuple(v.shape)}.")
        if self._is_small:
            return v @ self._matrix(v)[rows.start : rows.stop]
        return self._rmatvec(v, rows)

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
    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        """Return rows of P as (rows, d), of the dtype and device of `like`."""

    @abstractmethod
    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor: ...

    @abstractmethod
    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor: ...


def by_columns(P: Projection, rows: Span, like: Tensor) -> Tensor:
    """Build rows of P from its products with the unit vectors."""
    eye = torch.eye(P.d, dtype=like.dtype, device=like.device)
    return torch.stack([P._matvec(e, rows) for e in eye], dim=1)
