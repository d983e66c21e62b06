"""Block Fastfood and its orthogonal variant in plain torch.

Rows come in groups of `lanes` interleaved blocks of n rows: row i of block b is row i * lanes + b
of its group, so that a butterfly runs across SIMD lanes and both reads and writes of theta stay
contiguous.  One permutation and one word of signs serve a group.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import Key, gaussian, signed, subkeys, word
from idim.kernels.map import Map, Span
from idim.kernels.reference.rows import CHUNK, arithmetic


def fwht(x: Tensor) -> Tensor:
    """Apply the unnormalised Walsh-Hadamard matrix H_n to the middle dimension.

    H_n is symmetric and H_n H_n = n I: it is its own adjoint.  O(n log n) time; overwrites x.

    Args:
        x: (groups, n, lanes), floating, contiguous, n a power of two.

    Returns:
        (groups, n, lanes), rows in Sylvester (natural) order.

    Source:
        Le, Sarlos & Smola 2013; row order as `scipy.linalg.hadamard`.

    >>> fwht(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])).flatten().tolist()
    [10.0, -2.0, -4.0, 0.0]
    """
    groups, n, lanes = x.shape
    y = torch.empty_like(x)
    half = 1
    while half < n:
        source, target = (t.view(groups, n // (2 * half), 2, half * lanes) for t in (x, y))
        torch.add(source[:, :, 0], source[:, :, 1], out=target[:, :, 0])
        torch.sub(source[:, :, 0], source[:, :, 1], out=target[:, :, 1])
        x, y = y, x
        half *= 2
    return x


def lanes(n: int) -> int:
    """Return how many blocks of n rows interleave: 16, fewer where a group leaves the cache."""
    return max(1, min(16, (1 << 16) // n))


class Diagonals(NamedTuple):
    """The random parts of some groups of blocks, made on the fly from positions."""

    signs: Tensor  # B: (groups, n, lanes), +-1
    order: Tensor  # Pi: (groups, n), (Pi u)[i] = u[order[i]]
    last: Tensor  # G: (groups, n, lanes), N(0, 1), or +-1 in the orthogonal variant


# Padded rows up to which the diagonals of a P are kept: a small net's step would otherwise be
# spent on making them again.
KEEP_ROWS = 1 << 18


def diagonals(P: Map, groups: range, dtype: torch.dtype, device: torch.device) -> Diagonals:
    """Return B, Pi and G of a range of groups, kept if they are few and asked for often."""
    small = groups.stop * P.n * lanes(P.n) <= KEEP_ROWS
    return (_kept_diagonals if small else _make_diagonals)(P, groups, dtype, device)


def _make_diagonals(P: Map, groups: range, dtype: torch.dtype, device: torch.device) -> Diagonals:
    B, Pi, G = P.keys
    index = torch.arange(groups.start, groups.stop, device=device)
    last = _signs if P.kind == "orthogonal" else _gaussians
    return Diagonals(
        _signs(index, P.n, B, dtype), permutation(index, P.n, Pi), last(index, P.n, G, dtype)
    )


_kept_diagonals = lru_cache(maxsize=4)(_make_diagonals)


def _signs(index: Tensor, n: int, k: Key, dtype: torch.dtype) -> Tensor:
    i = torch.arange(n, dtype=torch.int32, device=index.device)
    lane = torch.arange(lanes(n), dtype=torch.int32, device=index.device)
    k0, k1 = subkeys(index, k)
    bits = word(i, k0[:, None], k1[:, None])  # (groups, n): bit 31 - b is the sign of block b
    return torch.where((bits[:, :, None] << lane) < 0, -1.0, 1.0).to(dtype)


def _gaussians(index: Tensor, n: int, k: Key, dtype: torch.dtype) -> Tensor:
    width = lanes(n)
    k0, k1 = subkeys(index, k)
    position = torch.arange(n * width, dtype=torch.int32, device=index.device)
    return gaussian(word(position, k0[:, None], k1[:, None]), dtype).view(-1, n, width)


def permutation(index: Tensor, n: int, k: Key) -> Tensor:
    """Return one keyed bijection of [0, n) per group: two rounds of odd multiply, add, xorshift.

    Each step is invertible modulo the power of two n, so the whole is a permutation, computed at
    any position without the others.

    Args:
        index: (groups,) int64.
        n: a power of two.
        k: the key of the stream.

    Returns:
        (groups, n) int64.
    """
    mask, shift = n - 1, max(1, n.bit_length() // 2)
    a, b = (t[:, None] for t in subkeys(index, k))
    x = torch.arange(n, dtype=torch.int32, device=index.device)
    x = (x * (a | 1) + b) & mask
    x = x ^ (x >> shift)
    a, b = word(a, signed(0x9E3779B9), 0), word(b, signed(0x9E3779B9), 0)
    x = (x * (a | 1) + b) & mask
    x = x ^ (x >> shift)
    return x.long()


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of H G Pi H B theta_d; theta_d (d,) is padded with zeros to n.

    Source:
        Le, Sarlos & Smola 2013, eq. 7; Aghajanyan et al. 2020, eq. 2.
    """
    x = torch.zeros(P.n, dtype=theta_d.dtype, device=theta_d.device)
    x[: P.d] = theta_d
    out = torch.empty(rows.stop - rows.start, dtype=x.dtype, device=x.device)
    for groups, inside, at in _group_chunks(rows, P.n, x.device):
        diag = diagonals(P, groups, x.dtype, x.device)
        y = fwht(diag.signs * x[:, None])
        y = y.gather(1, diag.order[:, :, None].expand_as(y))
        out[at] = fwht(y * diag.last).view(-1)[inside]
    return out


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint B H Pi^T G H v of the same rows."""
    dtype, width = arithmetic(v.dtype), lanes(P.n)
    total = torch.zeros(P.n, dtype=dtype, device=v.device)
    for groups, inside, at in _group_chunks(rows, P.n, v.device):
        diag = diagonals(P, groups, dtype, v.device)
        y = torch.zeros(len(groups) * P.n * width, dtype=dtype, device=v.device)
        y[inside] = v[at]
        y = fwht(y.view(len(groups), P.n, width)) * diag.last
        y = torch.empty_like(y).scatter_(1, diag.order[:, :, None].expand_as(y), y)
        total += (fwht(y) * diag.signs).sum(dim=(0, 2))
    return total[: P.d]


def _group_chunks(rows: Span, n: int, device: torch.device) -> Iterator[tuple[range, slice, slice]]:
    """Cut rows into runs of whole groups: (groups, where in them, where in the row range)."""
    size = n * lanes(n)
    first, last = rows.start // size, -(-rows.stop // size)
    step = max(1, CHUNK[device.type] // size)
    for g in range(first, last, step):
        groups = range(g, min(g + step, last))
        start, stop = max(rows.start, g * size), min(rows.stop, groups.stop * size)
        inside = slice(start - g * size, stop - g * size)
        yield groups, inside, slice(start - rows.start, stop - rows.start)
