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
from idim.kernels.reference import RowKeys, Span, window

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


def onehot_matvec(theta_d: Tensor, rows: Span, D: int, keys: RowKeys) -> Tensor:
    """Twin of `reference.onehot_matvec`, the same bits."""
    whole, rest = _parts(rows, D, theta_d.numel())
    out = torch.empty(whole.stop - whole.start, device=theta_d.device)
    if out.numel():
        with on(theta_d.device):
            _matvec[(triton.cdiv(out.numel(), BLOCK),)](
                theta_d, key_words(keys, theta_d.device), out, *whole, theta_d.numel(),
                **_constants(theta_d.numel()), BLOCK=BLOCK, **EXACT,
            )  # fmt: skip
    if rest.start == rest.stop:
        return out
    return torch.cat([out, reference.onehot_matvec(theta_d, rest, D, keys)])


def onehot_rmatvec(v: Tensor, rows: Span, D: int, d: int, keys: RowKeys) -> Tensor:
    """Twin of `reference.onehot_rmatvec`; v also bfloat16 or float16, sums always float32."""
    whole, rest = _parts(rows, D, d)
    cut = whole.stop - whole.start
    last = reference.onehot_rmatvec(v[cut:], rest, D, d, keys)
    if not cut:
        return last
    assert v.is_contiguous()
    assert v.dtype in DTYPES
    n = window(d)
    low, high = whole.start // n * n, -(-whole.stop // n) * n  # the slots of these windows
    programs = min(FOLDERS, triton.cdiv(high, d) - low // d)
    partial = torch.empty(programs, d, device=v.device)
    with on(v.device):
        _rmatvec[(programs, triton.cdiv(d, COLUMNS))](
            v, key_words(keys, v.device), partial, *whole, low, high, d,
            **_constants(d), COLUMNS=COLUMNS, **EXACT,
        )  # fmt: skip
        return total(partial, 1.0).add_(last)


def _parts(rows: Span, D: int, d: int) -> tuple[Span, Span]:
    """Cut rows at the end of the whole windows."""
    n = window(d)
    cut = min(max(rows.start, D // n * n), rows.stop)
    return Span(rows.start, cut), Span(cut, rows.stop)


def _constants(d: int) -> dict[str, int]:
    n = window(d)
    return {"n": n, "SHIFT": n.bit_length() // 2}
