"""One non-zero a row: the cheapest projection, O(D) time, nothing stored, an exact isometry."""

from typing import final

import torch
from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.map import Map
from idim.kernels.reference import next_pow2
from idim.projection.mapped import Mapped


@final
class OneHot(Mapped):
    """P with one entry in each row, +-1/sqrt(m_j) in column j, and m_j rows for that column.

    Every column has m_j = floor or ceil of D / d rows, spread evenly over P, so P^T P = I exactly.

    Source:
        Li et al. 2025 (Uni-LoRA), made balanced by PEFT's version; the signs are ours, so that
        P theta_d has mean zero for every theta_d.
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        # rows of a window: every column appears, and keys are worth making
        n = max(256, next_pow2(d))
        self.map = Map("onehot", D, d, n, (key(seed, "onehot/Pi"), key(seed, "onehot/sign")))

    def _scales(self, like: Tensor) -> Tensor:
        """1 / sqrt(m_j): the first D mod d columns have one row more."""
        rows, more = divmod(self.D, self.d)
        values = torch.full_like(like, rows**-0.5)
        values[:more] = (rows + 1) ** -0.5
        return values
