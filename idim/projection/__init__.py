"""P as a linear map from R^d to R^D: a value fixed by (kind, D, d, seed), never stored on disk."""

from idim.kernels.map import Piece
from idim.kernels.reference import SMALL
from idim.projection.base import Projection, kernels_for
from idim.projection.dense import Dense
from idim.projection.fastfood import Fastfood
from idim.projection.onehot import OneHot
from idim.projection.orthogonal import Orthogonal
from idim.projection.sparse import Sparse

PROJECTIONS: dict[str, type[Projection]] = {
    "dense": Dense,
    "sparse": Sparse,
    "fastfood": Fastfood,
    "orthogonal": Orthogonal,
    "onehot": OneHot,
}

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
