"""Fastfood in its block form: O(D log d) time, O(d) memory, nothing stored."""

from typing import ClassVar

from idim.kernels.bits import key
from idim.kernels.map import Map
from idim.kernels.reference import next_pow2
from idim.projection.mapped import Mapped


class Fastfood(Mapped):
    """P = c * stack of H G Pi H B, one n x n block for every n = 2^ceil(log2 d) rows.

    H is the Walsh-Hadamard matrix, B random signs, Pi a random permutation, G Gaussian.  An entry
    is a sum of n terms +-G, so c = 1 / sqrt(n D) gives columns unit norm in expectation.

    Source:
        Le, Sarlos & Smola 2013 (blocks); Li et al. 2018, section S7; Aghajanyan et al. 2020, eq. 2.
    """

    kind: ClassVar[str] = "fastfood"

    def __init__(self, D: int, d: int, seed: int) -> None:
        super().__init__(D, d, seed)
        n = next_pow2(d)
        self.map = Map(self.kind, D, d, n, keys=tuple(
            key(seed, f"{self.kind}/{part}") for part in ("B", "Pi", "G")
        ))  # fmt: skip
        self.scale = (n * D) ** -0.5
