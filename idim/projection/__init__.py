"""P as a linear map from R^d to R^D: a value fixed by (kind, D, d, seed), never stored on disk."""

from idim.projection.base import Projection
from idim.projection.dense import Dense
from idim.projection.fastfood import Fastfood
from idim.projection.sparse import Sparse

PROJECTIONS: dict[str, type[Projection]] = {
    "dense": Dense,
    "sparse": Sparse,
    "fastfood": Fastfood,
}

__all__ = ["PROJECTIONS", "Dense", "Fastfood", "Projection", "Sparse"]
