"""Dense Gaussian projection: Li et al.'s reference, exact but O(D d) time."""

from typing import ClassVar, final

import torch
from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.map import Span
from idim.kernels.reference import arithmetic, dense_rows, tiles
from idim.projection.base import Projection


@final
class Dense(Projection):
    """P with entries N(0, 1/D), so that columns have unit norm in expectation.

    Rows are regenerated in tiles; P is kept in memory only below 256 MiB of float32.

    Source:
        Li et al. 2018, section 2 and S7.
    """

    keep_entries: ClassVar[int] = 1 << 26

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.key = key(seed, "dense")
        self.scale = D**-0.5

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        pieces = [self._tile(tile, like) for tile, _ in tiles(rows, self.d, like.device)]
        return torch.cat(pieces) if pieces else like.new_zeros((0, self.d))

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        out = torch.empty(rows.stop - rows.start, dtype=theta_d.dtype, device=theta_d.device)
        for tile, at in tiles(rows, self.d, theta_d.device):
            out[at] = self._tile(tile, theta_d) @ theta_d
        return out

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        total = torch.zeros(self.d, dtype=arithmetic(v.dtype), device=v.device)
        for tile, at in tiles(rows, self.d, v.device):
            total += v[at].to(total.dtype) @ self._tile(tile, total)
        return total

    def _tile(self, rows: Span, like: Tensor) -> Tensor:
        return dense_rows(rows, self.d, self.key, like.dtype, like.device) * self.scale
