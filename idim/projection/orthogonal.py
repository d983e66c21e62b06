"""Fastfood with signs in place of Gaussians: every block of P is orthogonal up to scale."""

from typing import ClassVar, final

from idim.projection.fastfood import Fastfood


@final
class Orthogonal(Fastfood):
    """P = c * stack of H S Pi H B, S and B random signs: `Fastfood` better conditioned, cheaper.

    A block of n = 2^ceil(log2 d) rows is orthogonal up to scale.  Where groups of `lanes(n)` blocks
    fill D exactly, the columns of P are orthonormal; else the last group, cut short, leaves a
    P^T P - I of spectral norm below n lanes(n) / D, and unit norms hold in expectation.

    Source:
        Le, Sarlos & Smola 2013 with G = +-1; Choromanski et al. 2017 (structured orthogonal
        random embeddings: H D products).
    """

    kind: ClassVar[str] = "orthogonal"
