"""One non-zero a row on a GPU: both directions gather, so there are no atomics.

Whole windows only: the fewer than n rows after the last of them are the reference's.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from idim.kernels import reference
from idim.kernels.gpu.hashes import flip, permute, subkeys, unpermute, word
from idim.kernels.gpu.pieces import DTYPES, EXACT, key_words, on, total
from idim.kernels.map import Map, Span

BLOCK = 1024  # rows of a program of the product
COLUMNS = 256  # columns of a program of the adjoint
FOLDERS = 1 << 9  # programs for each COLUMNS columns, each with a partial sum


@triton.jit
def _signs(w, p, K):
    """Return a word whose top bit is the sign of row p of window w."""
    k0, k1 = subkeys(w, K, 1)
    return word(p >> 4, k0, k1) << (p & 15)


@triton.jit(do_not_specialize=["start", "stop", "d"])
def _matvec(THETA_D, KEYS, OUT, start, stop, d, n: tl.constexpr, SHIFT: tl.constexpr,
            BLOCK: tl.constexpr):  # fmt: skip
    row = start + tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    w, p = row // n, (row % n).to(tl.uint32)
    a, b = subkeys(w, KEYS, 0)
    column = (w * n + permute(p, a, b, n, SHIFT).to(tl.int64)) % d
    x = tl.load(THETA_D + column, mask=row < stop, other=0.0)
    tl.store(OUT + row - start, flip(x, _signs(w, p, KEYS)), mask=row < stop)


@triton.jit(do_not_specialize=["start", "stop", "low", "high", "d"])
def _rmatvec(V, KEYS, PARTIAL, start, stop, low, high, d, n: tl.constexpr, SHIFT: tl.constexpr,
             COLUMNS: tl.constexpr):  # fmt: skip
    """Sum slots j, d + j, 2 d + j, ... of [low, high), every num_programs-th, for columns j."""
    j = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    sums = tl.zeros((COLUMNS,), tl.float32)
    q = low // d + tl.program_id(0)
    while q * d < high:
        slot = q * d + j
        w = slot // n
        a, b = subkeys(w, KEYS, 0)
        p = unpermute((slot % n).to(tl.uint32), a, b, n, SHIFT)
        row = w * n + p.to(tl.int64)
        mask = (j < d) & (slot >= low) & (slot < high) & (row >= start) & (row < stop)
        x = tl.load(V + row - start, mask=mask, other=0.0).to(tl.float32)
        sums += flip(x, _signs(w, p, KEYS))
        q += tl.num_programs(0)
    tl.store(PARTIAL + tl.program_id(0).to(tl.int64) * d + j, sums, mask=j < d)


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of P theta_d, the reference's bits."""
    whole, rest = _parts(P, rows)
    out = torch.empty(whole.stop - whole.start, device=theta_d.device)
    if out.numel():
        with on(theta_d.device):
            _matvec[(triton.cdiv(out.numel(), BLOCK),)](
                theta_d, key_words(P.keys, theta_d.device), out, *whole, P.d,
                **_constants(P), BLOCK=BLOCK, **EXACT,
            )  # fmt: skip
    if rest.start == rest.stop:
        return out
    return torch.cat([out, reference.matvec(P, theta_d, rest)])


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows; v also bfloat16 or float16, sums always float32."""
    whole, rest = _parts(P, rows)
    cut = whole.stop - whole.start
    last = reference.rmatvec(P, v[cut:], rest)
    if not cut:
        return last
    assert v.is_contiguous()
    assert v.dtype in DTYPES
    low, high = whole.start // P.n * P.n, -(-whole.stop // P.n) * P.n  # these windows' slots
    programs = min(FOLDERS, triton.cdiv(high, P.d) - low // P.d)
    partial = torch.empty(programs, P.d, device=v.device)
    with on(v.device):
        _rmatvec[(programs, triton.cdiv(P.d, COLUMNS))](
            v, key_words(P.keys, v.device), partial, *whole, low, high, P.d,
            **_constants(P), COLUMNS=COLUMNS, **EXACT,
        )  # fmt: skip
        return total(partial).add_(last)


def _parts(P: Map, rows: Span) -> tuple[Span, Span]:
    """Cut rows at the end of the whole windows."""
    cut = min(max(rows.start, P.D // P.n * P.n), rows.stop)
    return Span(rows.start, cut), Span(cut, rows.stop)


def _constants(P: Map) -> dict[str, int]:
    return {"n": P.n, "SHIFT": P.n.bit_length() // 2}
