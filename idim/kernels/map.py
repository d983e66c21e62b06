"""What stands at the kernels' door: P as a value, a range of its rows, what they are added to."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from idim.kernels.bits import Key

# What the kernels know how to make.
KINDS = ("fastfood", "orthogonal", "onehot", "sparse")


class Map(NamedTuple):
    """An unscaled P: all that decides its entries, in any kernels."""

    kind: str  # of KINDS
    D: int
    d: int
    # rows of a block (fastfood, orthogonal) or of a window (onehot), powers of two; or how many
    # blocks share the D rows (sparse)
    n: int
    keys: tuple[Key, ...]  # of its streams: B, Pi, G (fastfood, orthogonal); Pi, sign; or one


class Span(NamedTuple):
    """Rows [start, stop) of P."""

    start: int
    stop: int


class Piece(NamedTuple):
    """A tensor and where it lies in P: its rows [start, start + numel) of theta."""

    theta: Tensor  # flat, contiguous; written
    theta_0: Tensor  # as theta; may be theta itself, for theta += scale * P theta_d
    start: int
    scale: float

    @property
    def stop(self) -> int:
        """One past the last row."""
        return self.start + self.theta.numel()


class Kernels(Protocol):
    """What a module of kernels offers; the definition is `reference`'s, which obeys it too."""

    def matvec(self, P: Map, theta_d: Tensor, rows: Span) -> Tensor:
        """Return rows of P theta_d: (rows,), dtype and device of theta_d (d,)."""
        ...

    def rmatvec(self, P: Map, v: Tensor, rows: Span) -> Tensor:
        """Return the adjoint of the same rows: (d,), of v's dtype, float32 for 16-bit floats."""
        ...

    def write(self, P: Map, pieces: Sequence[Piece], theta_d: Tensor) -> None:
        """Write theta_0 + scale * P theta_d into each piece."""
        ...
