"""Sparse projection of density 1/sqrt(D): O(d sqrt(D)) time, nothing stored."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.reference import Piece, Span
from idim.projection.base import Projection, by_columns, kernels_for


@final
class Sparse(Projection):
    """P with one entry +-1/sqrt(m) per column in each of m = round(sqrt(D)) even blocks of rows.

    Columns have exactly unit norm.  Li et al. draw entries independently at density 1/sqrt(D); one
    entry to a block has the same density and lets any range of rows be made without the rest.

    Source:
        Li et al. 2018, section S7; Li, Hastie & Church 2006 (very sparse random projections).
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.key = key(seed, "sparse")
        self.blocks = round(D**0.5)
        self.scale = self.blocks**-0.5

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        return by_columns(self, rows, like)

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        x = theta_d * self.scale
        return kernels_for(x).sparse_matvec(x, rows, self.D, self.blocks, self.key)

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        r = kernels_for(v).sparse_rmatvec(v, rows, self.D, self.blocks, self.d, self.key)
        return r * self.scale

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        x = theta_d * self.scale
        kernels_for(x).sparse_write(pieces, x, self.D, self.blocks, self.key)
