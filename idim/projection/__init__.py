"""P as a linear map from R^d to R^D: a value fixed by (kind, D, d, seed), never stored on disk.

A new kind is one file, a `Projection` with `_matvec` and `_rmatvec`, and one entry: in the table
of `idim.config.names` here, `PROJECTIONS["mine"] = Mine` in a program, or in an installed package
`[project.entry-points."idim.projections"]` with `mine = "my_package:Mine"`.
"""

from collections.abc import MutableMapping

from idim.config import names
from idim.kernels.map import Piece
from idim.kernels.reference import SMALL
from idim.projection.base import Projection, kernels_for
from idim.projection.dense import Dense
from idim.projection.fastfood import Fastfood
from idim.projection.onehot import OneHot
from idim.projection.orthogonal import Orthogonal
from idim.projection.sparse import Sparse

PROJECTIONS: MutableMapping[str, type[Projection]] = names.PROJECTIONS

__all__ = [
    "PROJECTIONS",
    "SMALL",
    "Dense",
    "Fastfood",
    "OneHot",
    "Orthogonal",
    "Piece",
    "Projection",
    "Sparse",
    "kernels_for",
]
