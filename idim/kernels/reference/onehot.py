"""One non-zero a row, in plain torch.

Rows and columns are matched by way of slots: slot s belongs to column s mod d, and each window of n
rows meets its own n slots in a keyed random order.  So every column has floor or ceil of D / d rows
whatever D and d are, n can be a power of two, and a row costs O(1) without rejection.  The rows
after the last whole window form windows of falling powers of two.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import subkeys, word
from idim.kernels.map import Map, Span
from idim.kernels.reference.fastfood import permutation
from idim.kernels.reference.rows import CHUNK, arithmetic


class Windows(NamedTuple):
    """Some windows of equal size: the rows [start, start + windows * size)."""

    start: int
    order: Tensor  # (windows, size): row p of a window has the window's slot order[p]
    sign: Tensor  # (windows, size), +-1


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return sign * theta_d[column] of each row."""
    out = torch.empty(rows.stop - rows.start, dtype=theta_d.dtype, device=theta_d.device)
    for w in _windows(P, rows, theta_d):
        count, size = w.order.shape
        first = torch.arange(count, device=theta_d.device) * size + w.start
        column = (first[:, None] + w.order) % P.d
        inside, at = _overlap(w, rows)
        out[at] = (theta_d[column] * w.sign).view(-1)[inside]
    return out


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows."""
    total = torch.zeros(P.d, dtype=arithmetic(v.dtype), device=v.device)
    for w in _windows(P, rows, total):
        inside, at = _overlap(w, rows)
        y = total.new_zeros(w.order.numel())
        y[inside] = v[at]
        y = y.view_as(w.order) * w.sign
        slots = torch.empty_like(y).scatter_(1, w.order, y).view(-1)
        before = w.start % P.d
        after = -(before + slots.numel()) % P.d
        total += torch.nn.functional.pad(slots, (before, after)).view(-1, P.d).sum(dim=0)
    return total


def _windows(P: Map, rows: Span, like: Tensor) -> Iterator[Windows]:
    """Make the windows that rows touch, in order, several whole ones at a time."""
    whole, step = P.D // P.n, max(1, CHUNK[like.device.type] // P.n)
    last = min(whole, -(-rows.stop // P.n))
    for a in range(rows.start // P.n, last, step):
        yield _make(P, range(a, min(a + step, last)), a * P.n, P.n, like)
    index, start = whole, whole * P.n
    for size in (1 << b for b in reversed(range(P.n.bit_length())) if (P.D - start) >> b & 1):
        if rows.start < start + size and start < rows.stop:
            yield _make(P, range(index, index + 1), start, size, like)
        index, start = index + 1, start + size


def _make(P: Map, index: range, start: int, size: int, like: Tensor) -> Windows:
    order, signs = P.keys
    windows = torch.arange(index.start, index.stop, device=like.device)
    p = torch.arange(size, dtype=torch.int32, device=like.device)
    k0, k1 = subkeys(windows, signs)
    bits = word(p >> 4, k0[:, None], k1[:, None]) << (p & 15)  # bit 31 - b is the sign of row b
    sign = torch.where(bits < 0, -1.0, 1.0).to(like.dtype)
    return Windows(start, permutation(windows, size, order), sign)


def _overlap(w: Windows, rows: Span) -> tuple[slice, slice]:
    """Where rows and windows meet: in the windows, in the row range."""
    start, stop = max(rows.start, w.start), min(rows.stop, w.start + w.order.numel())
    return slice(start - w.start, stop - w.start), slice(start - rows.start, stop - rows.start)
