"""Every product in plain torch: the definition that the fused kernels obey."""

from collections.abc import Sequence

from torch import Tensor

from idim.kernels.map import Map, Piece, Span
from idim.kernels.reference import fastfood, onehot, sparse
from idim.kernels.reference.dense import dense_rows
from idim.kernels.reference.fastfood import diagonals, fwht, lanes, permutation
from idim.kernels.reference.rows import SMALL, arithmetic, next_pow2, tiles, write_by

__all__ = [
    "SMALL",
    "arithmetic",
    "dense_rows",
    "diagonals",
    "fwht",
    "lanes",
    "matvec",
    "next_pow2",
    "permutation",
    "rmatvec",
    "tiles",
    "write",
    "write_by",
]
_MADE_BY = {"fastfood": fastfood, "orthogonal": fastfood, "onehot": onehot, "sparse": sparse}


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of P theta_d."""
    return _MADE_BY[P.kind].matvec(P, theta_d, rows)


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows."""
    return _MADE_BY[P.kind].rmatvec(P, v, rows)


def write(P: Map, pieces: Sequence[Piece], theta_d: Tensor) -> None:
    """Write theta_0 + scale * P theta_d into each piece."""
    write_by(pieces, lambda rows: matvec(P, theta_d, rows))
