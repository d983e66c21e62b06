"""One non-zero a row: the cheapest projection, O(D) time, nothing stored, an exact isometry."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.reference import Piece, RowKeys, Span
from idim.projection.base import Projection, by_columns, kernels_for


@final
class OneHot(Projection):
    """P with one entry in each row, +-1/sqrt(m_j) in column j, and m_j rows for that column.

    Every column has m_j = floor or ceil of D / d rows, spread evenly over P, so P^T P = I exactly.

    Source:
        Li et al. 2025 (Uni-LoRA), made balanced by PEFT's version; the signs are ours, so that
        P theta_d has mean zero for every theta_d.
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.keys = RowKeys(*(key(seed, f"onehot/{part}") for part in RowKeys._fields))

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        return by_columns(self, rows, like)

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        x = theta_d * self._values(theta_d)
        return kernels_for(x).onehot_matvec(x, rows, self.D, self.keys)

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        r = kernels_for(v).onehot_rmatvec(v, rows, self.D, self.d, self.keys)
        return r * self._values(r)

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        x = theta_d * self._values(theta_d)
        kernels_for(x).onehot_write(pieces, x, self.D, self.keys)

    def _values(self, like: Tensor) -> Tensor:
        """1 / sqrt(m_j): the first D mod d columns have one row more."""
        rows, more = divmod(self.D, self.d)
        values = torch.full_like(like, rows**-0.5)
        values[:more] = (rows + 1) ** -0.5
        return values
