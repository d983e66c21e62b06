"""What the kernels make: a projection that is a `Map` and the scale of its columns."""

from collections.abc import Sequence

from torch import Tensor

from idim.kernels.map import Map, Piece, Span
from idim.projection.base import Projection, kernels_for


class Mapped(Projection):
    """P = the unscaled matrix of `map`, times `scale`; a kind sets both."""

    map: Map
    scale: float

    def _matvec(self, theta_d: Tensor, rows: Span) -> Tensor:
        x = theta_d * self._scales(theta_d)
        return kernels_for(x).matvec(self.map, x, rows)

    def _rmatvec(self, v: Tensor, rows: Span) -> Tensor:
        r = kernels_for(v).rmatvec(self.map, v, rows)
        return r * self._scales(r)

    def _write(self, theta_d: Tensor, pieces: Sequence[Piece]) -> None:
        x = theta_d * self._scales(theta_d)
        kernels_for(x).write(self.map, pieces, x)

    def _scales(self, like: Tensor) -> float | Tensor:
        """What the columns are multiplied by: one number, or (d,) of the dtype of `like`."""
        return self.scale
