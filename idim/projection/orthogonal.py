"""Fastfood with signs in place of Gaussians: every block of P is orthogonal up to scale."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from idim.kernels.bits import key
from idim.kernels.reference import Keys, Piece, Span, next_pow2
from idim.projection.base import Projection, by_columns, kernels_for


@final
class Orthogonal(Projection):
    """P = c * stack of H S Pi H B, S and B random signs: `Fastfood` better conditioned, cheaper.

    A block of n = 2^ceil(log2 d) rows is orthogonal up to scale.  Where groups of `lanes(n)` blocks
    fill D exactly, the columns of P are orthonormal; else the last group, cut short, leaves a
    P^T P - I of spectral norm below n lanes(n) / D, and unit norms hold in expectation.

    Source:
        Le, Sarlos & Smola 2013 with G = +-1; Choromanski et al. 2017 (structured orthogonal
        random embeddings: H D products).
    """

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        self.n = next_pow2(d)
        self.scale = (self.n * D) ** -0.5
        self.keys = Keys(*(key(seed, f"orthogonal/{part}") for part in Keys._fields))

    def _rows(self, rows: Span, like: Tensor) -> Tensor:
        return by_columns(self, rows, like)

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        x = theta_d * self.scale
        return kernels_for(x).orthogonal_matvec(x, rows, self.n, self.keys)

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        return kernels_for(v).orthogonal_rmatvec(v, rows, self.d, self.n, self.keys) * self.scale

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        x = theta_d * self.scale
        kernels_for(x).orthogonal_write(pieces, x, self.n, self.keys)
