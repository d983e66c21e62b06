"""Fastfood, dense and sparse products in plain torch: the definition every fused kernel obeys."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import Key, gaussian, signed, subkeys, word

# Elements worked on at a time: a chunk's arrays stay in a CPU's second-level cache, and a GPU
# gets enough work per launch.  The chunks of a row range are fixed, so sums are reproducible.
CHUNK = {"cpu": 1 << 17, "cuda": 1 << 24}


class Span(NamedTuple):
    """Rows [start, stop) of P."""

    start: int
    stop: int


def next_pow2(d: int) -> int:
    """Return the smallest power of two that is at least d."""
    return 1 << (d - 1).bit_length()


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


# Fastfood.  Rows come in groups of `lanes` interleaved blocks of n rows: row i of block b is
# row i * lanes + b of its group, so that a butterfly runs across SIMD lanes and both reads and
# writes of theta stay contiguous.  One permutation and one word of signs serve a group.


def lanes(n: int) -> int:
    """Return how many blocks of n rows interleave: 16, fewer where a group leaves the cache."""
    return max(1, min(16, (1 << 16) // n))


class Keys(NamedTuple):
    """The keys of Fastfood's three streams."""

    B: Key
    Pi: Key
    G: Key


class Diagonals(NamedTuple):
    """The random parts of some groups of blocks, made on the fly from positions."""

    signs: Tensor  # B: (groups, n, lanes), +-1
    order: Tensor  # Pi: (groups, n), (Pi u)[i] = u[order[i]]
    gauss: Tensor  # G: (groups, n, lanes), N(0, 1)


# Padded rows up to which the diagonals of a P are kept: a small net's step would otherwise be
# spent on making them again.
KEEP_ROWS = 1 << 18


@lru_cache(maxsize=4)
def _kept_diagonals(
    groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    return _make_diagonals(groups, n, keys, dtype, device)


def fastfood_diagonals(
    groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    """Return B, Pi and G of a range of groups, kept if they are few and asked for often."""
    small = groups.stop * n * lanes(n) <= KEEP_ROWS
    make = _kept_diagonals if small else _make_diagonals
    return make(groups, n, keys, dtype, device)


def _make_diagonals(
    groups: range, n: int, keys: Keys, dtype: torch.dtype, device: torch.device
) -> Diagonals:
    width = lanes(n)
    index = torch.arange(groups.start, groups.stop, device=device)
    i = torch.arange(n, dtype=torch.int32, device=device)
    lane = torch.arange(width, dtype=torch.int32, device=device)
    k0, k1 = subkeys(index, keys.B)
    bits = word(i, k0[:, None], k1[:, None])  # (groups, n): bit 31 - b is the sign of block b
    negative = (bits[:, :, None] << lane) < 0
    signs = torch.where(negative, -1.0, 1.0).to(dtype)
    k0, k1 = subkeys(index, keys.G)
    position = torch.arange(n * width, dtype=torch.int32, device=device)
    gauss = gaussian(word(position, k0[:, None], k1[:, None]), dtype).view(-1, n, width)
    return Diagonals(signs, permutation(index, n, keys.Pi), gauss)


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
    x = torch.zeros(n, dtype=theta_d.dtype, device=theta_d.device)
    x[: theta_d.numel()] = theta_d
    out = torch.empty(rows.stop - rows.start, dtype=x.dtype, device=x.device)
    for groups, inside, at in _group_chunks(rows, n, x.device):
        diag = fastfood_diagonals(groups, n, keys, x.dtype, x.device)
        y = fwht(diag.signs * x[:, None])
        y = y.gather(1, diag.order[:, :, None].expand_as(y))
        out[at] = fwht(y * diag.gauss).view(-1)[inside]
    return out


def fastfood_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys) -> Tensor:
    """Return the adjoint B H Pi^T G H v of the same rows, unscaled: (d,)."""
    total = torch.zeros(n, dtype=v.dtype, device=v.device)
    width = lanes(n)
    for groups, inside, at in _group_chunks(rows, n, v.device):
        diag = fastfood_diagonals(groups, n, keys, v.dtype, v.device)
        y = torch.zeros(len(groups) * n * width, dtype=v.dtype, device=v.device)
        y[inside] = v[at]
        y = fwht(y.view(len(groups), n, width)) * diag.gauss
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


# Dense


def dense_rows(rows: Span, d: int, k: Key, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make rows of a Gaussian matrix: (rows, d), entries N(0, 1), unscaled."""
    index = torch.arange(rows.start, rows.stop, device=device)
    k0, k1 = subkeys(index, k)
    j = torch.arange(d, dtype=torch.int32, device=device)
    return gaussian(word(j, k0[:, None], k1[:, None]), dtype)


def tiles(rows: Span, width: int, device: torch.device) -> Iterator[tuple[Span, slice]]:
    """Cut a row range into pieces of about one chunk when each row holds `width` elements."""
    step = max(1, CHUNK[device.type] // width)
    for start in range(rows.start, rows.stop, step):
        stop = min(start + step, rows.stop)
        yield Span(start, stop), slice(start - rows.start, stop - rows.start)


# Sparse.  Rows are cut into about sqrt(D) blocks of about sqrt(D) rows, sizes within one of each
# other; each column has one entry, +-1, in each block.


class Entries(NamedTuple):
    """The non-zeros of some blocks of the sparse P: (blocks, d) each."""

    row: Tensor  # int64, absolute
    sign: Tensor  # +-1


def sparse_entries(blocks: range, D: int, count: int, d: int, k: Key, like: Tensor) -> Entries:
    """Place and sign the entries of a range of the `count` blocks."""
    index = torch.arange(blocks.start, blocks.stop, device=like.device)
    first, after = index * D // count, (index + 1) * D // count
    k0, k1 = subkeys(index, k)
    j = torch.arange(d, dtype=torch.int32, device=like.device)
    bits = word(j, k0[:, None], k1[:, None])
    # multiply-shift: the high half of bits * size is uniform on [0, size)
    offset = ((bits.long() & 0xFFFFFFFF) * (after - first)[:, None]) >> 32
    sign = torch.where((bits & 1) == 1, -1.0, 1.0).to(like.dtype)
    return Entries(first[:, None] + offset, sign)


def sparse_matvec(theta_d: Tensor, rows: Span, D: int, count: int, k: Key) -> Tensor:
    """Return rows of the unscaled sparse P times theta_d."""
    out = torch.zeros(rows.stop - rows.start, dtype=theta_d.dtype, device=theta_d.device)
    for blocks in _block_chunks(rows, D, count, theta_d):
        entries = sparse_entries(blocks, D, count, theta_d.numel(), k, theta_d)
        at, inside = _within(entries.row, rows)
        out.index_add_(0, at.view(-1), (entries.sign * theta_d * inside).view(-1))
    return out


def sparse_rmatvec(v: Tensor, rows: Span, D: int, count: int, d: int, k: Key) -> Tensor:
    """Return the adjoint of the same rows, unscaled: (d,)."""
    total = torch.zeros(d, dtype=v.dtype, device=v.device)
    for blocks in _block_chunks(rows, D, count, total):
        entries = sparse_entries(blocks, D, count, d, k, v)
        at, inside = _within(entries.row, rows)
        total += (v[at] * entries.sign * inside).sum(dim=0)
    return total


def _within(row: Tensor, rows: Span) -> tuple[Tensor, Tensor]:
    """Shift absolute rows into a range; those outside go to 0 with a False beside them."""
    inside = (row >= rows.start) & (row < rows.stop)
    return torch.where(inside, row - rows.start, 0), inside


def _block_chunks(rows: Span, D: int, count: int, theta_d: Tensor) -> Iterator[range]:
    first = rows.start * count // D
    last = min(count, -(-rows.stop * count // D))
    step = max(1, CHUNK[theta_d.device.type] // theta_d.numel())
    for b in range(max(0, first - 1), last, step):
        yield range(b, min(b + step, last))
