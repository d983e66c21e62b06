"""Fastfood in its block form: O(D log d) time, O(d) memory, nothing stored."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.reference import Keys, Piece, Span, next_pow2
from idim.projection.base import Projection, by_columns, kernels_for


@final
class Fastfood(Projection):
    """P = c * stack of H G Pi H B, one n x n block for every n = 2^ceil(log2 d) rows.

    H is the Walsh-Hadamard matrix, B random signs, Pi a random permutation, G Gaussian.  An entry
    is a sum of n terms +-G, so c = 1 / sqrt(n D) gives columns unit norm in expectation.

    Source:
        Le, Sarlos & Smola 2013 (blocks); Li et al. 2018, section S7; Aghajanyan et al. 2020, eq. 2.
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.n = next_pow2(d)
        self.scale = (self.n * D) ** -0.5
        self.keys = Keys(*(key(seed, f"fastfood/{part}") for part in Keys._fields))

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        return by_columns(self, rows, like)

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        x = theta_d * self.scale
        return kernels_for(x).fastfood_matvec(x, rows, self.n, self.keys)

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        return kernels_for(v).fastfood_rmatvec(v, rows, self.d, self.n, self.keys) * self.scale

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        x = theta_d * self.scale
        kernels_for(x).fastfood_write(pieces, x, self.n, self.keys)
