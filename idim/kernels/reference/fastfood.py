"""Block Fastfood and its orthogonal variant in plain torch.

Rows come in groups of `lanes` interleaved blocks of n rows: row i of block b is row i * lanes + b
of its group, so that a butterfly runs across SIMD lanes and both reads and writes of theta stay
contiguous.  One permutation and one word of signs serve a group.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import Key, gaussian, signed, subkeys, word
from idim.kernels.reference.rows import CHUNK, Piece, Span, arithmetic, write


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


class Keys(NamedTuple):
    """The keys of the three streams."""

    B: Key
    Pi: Key
    G: Key


class Diagonals(NamedTuple):
    """The random parts of some groups of blocks, made on the fly from positions."""

    signs: Tensor  # B: (groups, n, lanes), +-1
    order: Tensor  # Pi: (groups, n), (Pi u)[i] = u[order[i]]
    last: Tensor  # G: (groups, n, lanes), N(0, 1), or +-1 in the orthogonal variant


# Padded rows up to which the diagonals of a P are kept: a small net's step would otherwise be
# spent on making them again.
KEEP_ROWS = 1 << 18


def fastfood_diagonals(
    groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    """Return B, Pi and G of a range of groups, kept if they are few and asked for often."""
    return _diagonals(_gaussians, groups, n, keys, dtype, device)


def orthogonal_diagonals(
    groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    """Return the same with signs for G: each block is orthogonal up to scale."""
    return _diagonals(_signs, groups, n, keys, dtype, device)


Make = Callable[[Tensor, int, Key, torch.dtype], Tensor]


def _diagonals(
    make_last: Make, groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    small = groups.stop * n * lanes(n) <= KEEP_ROWS
    make = _kept_diagonals if small else _make_diagonals
    return make(make_last, groups, n, keys, dtype, device)


def _make_diagonals(
    make_last: Make, groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    index = torch.arange(groups.start, groups.stop, device=device)
    return Diagonals(
        _signs(index, n, keys.B, dtype),
        permutation(index, n, keys.Pi),
        make_last(index, n, keys.G, dtype),
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


def fastfood_matvec(theta_d: Tensor, rows: Span, n: int, keys: Keys) -> Tensor:
    """Return rows of H G Pi H B theta_d, unscaled; theta_d (d,) is padded with zeros to n.

    Source:
        Le, Sarlos & Smola 2013, eq. 7; Aghajanyan et al. 2020, eq. 2.
    """
    return _matvec(fastfood_diagonals, theta_d, rows, n, keys)


def fastfood_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    """Return the adjoint B H Pi^T G H v of the same rows, unscaled: (d,)."""
    return _rmatvec(fastfood_diagonals, v, rows, d, n, keys)


def fastfood_write(pieces: Sequence[Piece], theta_d: Tensor, n: int, keys: Keys) -> None:
    """Write theta_0 + scale * P theta_d into each piece."""
    write(pieces, lambda rows: fastfood_matvec(theta_d, rows, n, keys))


def orthogonal_matvec(theta_d: Tensor, rows: Span, n: int, keys: Keys) -> Tensor:
    """Return rows of H G Pi H B theta_d with signs for G, unscaled."""
    return _matvec(orthogonal_diagonals, theta_d, rows, n, keys)


def orthogonal_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,)."""
    return _rmatvec(orthogonal_diagonals, v, rows, d, n, keys)


def orthogonal_write(pieces: Sequence[Piece], theta_d: Tensor, n: int, keys: Keys) -> None:
    """Write theta_0 + scale * P theta_d into each piece."""
    write(pieces, lambda rows: orthogonal_matvec(theta_d, rows, n, keys))


Draw = Callable[[range, int, Keys, torch.dtype, torch.device], Diagonals]


def _matvec(draw: Draw, theta_d: Tensor, rows: Span, n: int, keys: Keys) -> Tensor:
    x = torch.zeros(n, dtype=theta_d.dtype, device=theta_d.device)
    x[: theta_d.numel()] = theta_d
    out = torch.empty(rows.stop - rows.start, dtype=x.dtype, device=x.device)
    for groups, inside, at in _group_chunks(rows, n, x.device):
        diag = draw(groups, n, keys, x.dtype, x.device)
        y = fwht(diag.signs * x[:, None])
        y = y.gather(1, diag.order[:, :, None].expand_as(y))
        out[at] = fwht(y * diag.last).view(-1)[inside]
    return out


def _rmatvec(draw: Draw, v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    dtype, width = arithmetic(v.dtype), lanes(n)
    total = torch.zeros(n, dtype=dtype, device=v.device)
    for groups, inside, at in _group_chunks(rows, n, v.device):
        diag = draw(groups, n, keys, dtype, v.device)
        y = torch.zeros(len(groups) * n * width, dtype=dtype, device=v.device)
        y[inside] = v[at]
        y = fwht(y.view(len(groups), n, width)) * diag.last
        y = torch.empty_like(y).scatter_(1, diag.order[:, :, None].expand_as(y), y)
        total += (fwht(y) * diag.signs).sum(dim=(0, 2))
    return total[:d]


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
