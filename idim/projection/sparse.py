"""Sparse projection of density 1/sqrt(D): O(d sqrt(D)) time, nothing stored."""

from typing import final

from idim.kernels.bits import key
from idim.kernels.map import Map
from idim.projection.mapped import Mapped


@final
class Sparse(Mapped):
    """P with one entry +-1/sqrt(m) per column in each of m = round(sqrt(D)) even blocks of rows.

    Columns have exactly unit norm.  Li et al. draw entries independently at density 1/sqrt(D); one
    entry to a block has the same density and lets any range of rows be made without the rest.

    Source:
        Li et al. 2018, section S7; Li, Hastie & Church 2006 (very sparse random projections).
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        m = round(D**0.5)
        self.map = Map("sparse", D, d, m, keys=(key(seed, "sparse"),))
        self.scale = m**-0.5
