"""Every product in plain torch: the definition that the fused kernels obey."""

from idim.kernels.reference.dense import dense_rows
from idim.kernels.reference.fastfood import (
    Diagonals,
    Keys,
    fastfood_diagonals,
    fastfood_matvec,
    fastfood_rmatvec,
    fastfood_write,
    fwht,
    lanes,
    orthogonal_diagonals,
    orthogonal_matvec,
    orthogonal_rmatvec,
    orthogonal_write,
    permutation,
)
from idim.kernels.reference.onehot import (
    RowKeys,
    onehot_matvec,
    onehot_rmatvec,
    onehot_write,
    window,
)
from idim.kernels.reference.rows import SMALL, Piece, Span, arithmetic, next_pow2, tiles, write
from idim.kernels.reference.sparse import (
    Entries,
    sparse_entries,
    sparse_matvec,
    sparse_rmatvec,
    sparse_write,
)

__all__ = [
    "SMALL",
    "Diagonals",
    "Entries",
    "Keys",
    "Piece",
    "RowKeys",
    "Span",
    "arithmetic",
    "dense_rows",
    "fastfood_diagonals",
    "fastfood_matvec",
    "fastfood_rmatvec",
    "fastfood_write",
    "fwht",
    "lanes",
    "next_pow2",
    "onehot_matvec",
    "onehot_rmatvec",
    "onehot_write",
    "orthogonal_diagonals",
    "orthogonal_matvec",
    "orthogonal_rmatvec",
    "orthogonal_write",
    "permutation",
    "sparse_entries",
    "sparse_matvec",
    "sparse_rmatvec",
    "sparse_write",
    "tiles",
    "window",
    "write",
]
