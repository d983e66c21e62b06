"""A projection as a user would write it: not of the package, entered in its table.

conftest.py enters it for every test, so that what is parametrised over PROJECTIONS, the contract
and the statistics above all, holds for a kind from outside too.
"""

from typing import Any

import torch
from torch import Tensor

from idim.kernels.bits import key, subkeys
from idim.projection import PROJECTIONS, Projection


class Stripes(Projection):
    """Every d rows hold each column once, in a cycle from a random place, with random signs."""

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.keys = key(seed, "stripes/shift"), key(seed, "stripes/sign")

    def _entries(self, rows: Any, like: Tensor) -> tuple[Tensor, Tensor]:
        i = torch.arange(rows.start, rows.stop, device=like.device)
        shift = subkeys(i // self.d, self.keys[0])[0].long() & 0xFFFFFFFF
        sign = torch.where(subkeys(i, self.keys[1])[0] < 0, -1.0, 1.0).to(like.dtype)
        return (i + shift) % self.d, sign * (self.d / self.D) ** 0.5

    def _matvec(self, theta_d: Tensor, rows: Any) -> Tensor:
        column, value = self._entries(rows, theta_d)
        return theta_d[column] * value

    def _rmatvec(self, v: Tensor, rows: Any) -> Tensor:
        v = v.float() if v.dtype.itemsize == 2 else v
        column, value = self._entries(rows, v)
        return v.new_zeros(self.d).index_add_(0, column, v * value)


PROJECTIONS["stripes"] = Stripes
