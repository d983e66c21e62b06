"""`matvec`, `rmatvec` and `write` on a GPU; what `choose` returns there.

Columns beyond `gpu.LONGEST` are the reference's.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby

import torch
from torch import Tensor

from idim.kernels import reference
from idim.kernels.bits import key
from idim.kernels.gpu import LONGEST, fastfood, onehot, sparse
from idim.kernels.gpu.pieces import DTYPES, Laid
from idim.kernels.map import KINDS, Map, Piece, Span

# One launch serves many tensors; the one-hot kind's kernels take one each.
_IN_TABLES = {"fastfood": fastfood, "orthogonal": fastfood, "sparse": sparse}


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of P theta_d, float32."""
    if _is_too_long(P):
        return reference.matvec(P, theta_d, rows)
    if P.kind == "onehot":
        return onehot.matvec(P, theta_d, rows)
    out = torch.empty(rows.stop - rows.start, device=theta_d.device)
    if out.numel():
        made_by = _IN_TABLES[P.kind]
        made_by.write(P, theta_d, made_by.table_of(P, [Laid(out, rows.start)]))
    return out


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows: float32, from float32, bfloat16 or float16 v."""
    if _is_too_long(P):
        return reference.rmatvec(P, v, rows)
    v = v.contiguous()
    if P.kind == "onehot":
        return onehot.rmatvec(P, v, rows)
    if not v.numel():
        return torch.zeros(P.d, device=v.device)
    made_by = _IN_TABLES[P.kind]
    return made_by.fold(P, made_by.table_of(P, [Laid(v, rows.start)]))


def write(P: Map, pieces: Sequence[Piece], theta_d: Tensor) -> None:
    """Write theta_0 + scale * P theta_d into each piece, in one launch for each dtype."""
    if _is_too_long(P) or P.kind == "onehot":
        reference.write_by(pieces, lambda rows: matvec(P, theta_d, rows))
        return
    made_by = _IN_TABLES[P.kind]
    for laid in _by_dtype(pieces):
        made_by.write(P, theta_d, made_by.table_of(P, laid))


def _is_too_long(P: Map) -> bool:
    return P.kind in ("fastfood", "orthogonal") and P.n > LONGEST


def _by_dtype(pieces: Sequence[Piece]) -> Iterator[list[Laid]]:
    filled = sorted((p for p in pieces if p.theta.numel()), key=lambda p: str(p.theta.dtype))
    for dtype, alike in groupby(filled, key=lambda p: p.theta.dtype):
        assert dtype in DTYPES
        yield [Laid(p.theta, p.start, p.theta_0, p.scale) for p in alike]


@cache
def what_fails(device: torch.device) -> str:
    """Compare every kernel with the reference on a small P; say what differs, empty if nothing.

    A compiler or driver that nobody has met must not decide a result: the check takes seconds once
    in a process, and Triton keeps what it compiled.
    """
    D, d, everything = 5000, 200, Span(0, 5000)
    generator = torch.Generator().manual_seed(0)
    x, v = (torch.randn(size, generator=generator).to(device) for size in (d, D))
    keys = tuple(key(0, f"check/{part}") for part in ("B", "Pi", "G"))
    count = {"fastfood": 3, "orthogonal": 3, "onehot": 2, "sparse": 1}
    for kind in KINDS:
        P = Map(kind, D, d, 70 if kind == "sparse" else 256, keys[: count[kind]])
        try:
            for ours, theirs, given in (
                (matvec, reference.matvec, x), (rmatvec, reference.rmatvec, v)
            ):  # fmt: skip
                found, expected = (f(P, given, everything) for f in (ours, theirs))
                if not torch.allclose(found, expected, rtol=1e-4, atol=1e-3):
                    return f"their {kind} {ours.__name__} differs from the reference's"
        except Exception as e:  # whatever a compiler raises
            return f"their {kind} fails ({type(e).__name__}: {str(e).splitlines()[0]})"
    return ""
