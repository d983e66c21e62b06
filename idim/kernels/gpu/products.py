"""The Triton kernels under the names and signatures of `reference`; what `choose` returns.

Columns beyond `gpu.LONGEST` and dtypes the kernels do not read are the reference's.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from idim.kernels import reference
from idim.kernels.bits import Key, key
from idim.kernels.gpu import LONGEST, fastfood, onehot, sparse
from idim.kernels.gpu.pieces import DTYPES, Table
from idim.kernels.gpu.pieces import Piece as Laid
from idim.kernels.reference import Keys, Piece, RowKeys, Span


def fastfood_matvec(theta_d: Tensor, rows: Span, n: int, keys: Keys) -> Tensor:
    """Return rows of H G Pi H B theta_d, unscaled."""
    if n > LONGEST:
        return reference.fastfood_matvec(theta_d, rows, n, keys)
    return fastfood.fastfood_matvec(theta_d, rows, n, keys)


def fastfood_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,) float32."""
    if n > LONGEST:
        return reference.fastfood_rmatvec(v, rows, d, n, keys)
    return fastfood.fastfood_rmatvec(v.contiguous(), rows, d, n, keys)


def fastfood_write(pieces: Sequence[Piece], theta_d: Tensor, n: int, keys: Keys) -> None:
    """Write theta_0 + scale * P theta_d into each piece, in one launch for each dtype."""
    if n > LONGEST:
        reference.fastfood_write(pieces, theta_d, n, keys)
        return
    for table in _tables(pieces, lambda laid: fastfood.table_of(laid, n)):
        fastfood.write(theta_d, table, keys)


def orthogonal_matvec(theta_d: Tensor, rows: Span, n: int, keys: Keys) -> Tensor:
    """Return rows of H G Pi H B theta_d with signs for G, unscaled."""
    if n > LONGEST:
        return reference.orthogonal_matvec(theta_d, rows, n, keys)
    return fastfood.fastfood_matvec(theta_d, rows, n, keys, is_orthogonal=True)


def orthogonal_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,) float32."""
    if n > LONGEST:
        return reference.orthogonal_rmatvec(v, rows, d, n, keys)
    return fastfood.fastfood_rmatvec(v.contiguous(), rows, d, n, keys, is_orthogonal=True)


def orthogonal_write(pieces: Sequence[Piece], theta_d: Tensor, n: int, keys: Keys) -> None:
    """Write theta_0 + scale * P theta_d into each piece, in one launch for each dtype."""
    if n > LONGEST:
        reference.orthogonal_write(pieces, theta_d, n, keys)
        return
    for table in _tables(pieces, lambda laid: fastfood.table_of(laid, n)):
        fastfood.write(theta_d, table, keys, is_orthogonal=True)


def onehot_matvec(theta_d: Tensor, rows: Span, D: int, keys: RowKeys) -> Tensor:
    """Return sign * theta_d[column] of each row, unscaled."""
    return onehot.onehot_matvec(theta_d, rows, D, keys)


def onehot_rmatvec(v: Tensor, rows: Span, D: int, d: int, keys: RowKeys) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,) float32."""
    return onehot.onehot_rmatvec(v.contiguous(), rows, D, d, keys)


def onehot_write(pieces: Sequence[Piece], theta_d: Tensor, D: int, keys: RowKeys) -> None:
    """Write theta_0 + scale * P theta_d into each piece."""
    reference.write(pieces, lambda rows: onehot.onehot_matvec(theta_d, rows, D, keys))


def sparse_matvec(theta_d: Tensor, rows: Span, D: int, count: int, k: Key) -> Tensor:
    """Return rows of the unscaled sparse P times theta_d."""
    return sparse.sparse_matvec(theta_d, rows, D, count, k)


def sparse_rmatvec(v: Tensor, rows: Span, D: int, count: int, d: int, k: Key) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,) float32."""
    return sparse.sparse_rmatvec(v.contiguous(), rows, D, count, d, k)


def sparse_write(pieces: Sequence[Piece], theta_d: Tensor, D: int, count: int, k: Key) -> None:
    """Write theta_0 + scale * P theta_d into each piece, in one launch for each dtype."""
    for table in _tables(pieces, lambda laid: sparse.table_of(laid, D, count)):
        sparse.write(theta_d, table, k)


def _tables(pieces: Sequence[Piece], lay: Callable[[list[Laid]], Table[Any]]) -> list[Table[Any]]:
    """Lay pieces out by dtype, each with its scale."""
    tables = []
    by_dtype = sorted((p for p in pieces if p.theta.numel()), key=lambda p: str(p.theta.dtype))
    for dtype, alike in groupby(by_dtype, key=lambda p: p.theta.dtype):
        group = list(alike)
        assert dtype in DTYPES
        table = lay([Laid(p.theta, p.start, p.theta_0) for p in group])
        table.scale.copy_(torch.tensor([p.scale for p in group]))
        tables.append(table)
    return tables


@cache
def what_fails(device: torch.device) -> str:
    """Compare every kernel with the reference on a small P; say what differs, empty if nothing.

    A compiler or driver that nobody has met must not decide a result: the check takes seconds once
    in a process, and Triton keeps what it compiled.
    """
    D, d, n = 5000, 200, 256
    generator = torch.Generator().manual_seed(0)
    x, v = (torch.randn(size, generator=generator).to(device) for size in (d, D))
    keys = Keys(*(key(0, f"check/{part}") for part in Keys._fields))
    rows, everything = RowKeys(keys.Pi, keys.B), Span(0, D)
    ours: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
        "fastfood": ((n, keys), (d, n, keys)),
        "orthogonal": ((n, keys), (d, n, keys)),
        "onehot": ((D, rows), (D, d, rows)),
        "sparse": ((D, 70, keys.Pi), (D, 70, d, keys.Pi)),
    }
    here = globals()
    for kind, (forward, adjoint) in ours.items():
        try:
            for name, given, more in (("matvec", x, forward), ("rmatvec", v, adjoint)):
                found = here[f"{kind}_{name}"](given, everything, *more)
                expected = getattr(reference, f"{kind}_{name}")(given, everything, *more)
                if not torch.allclose(found, expected, rtol=1e-4, atol=1e-3):
                    return f"their {kind} {name} differs from the reference's"
        except Exception as e:  # whatever a compiler raises
            return f"their {kind} fails ({type(e).__name__}: {str(e).splitlines()[0]})"
    return ""
