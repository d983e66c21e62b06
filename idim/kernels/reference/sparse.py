"""Sparse products in plain torch.

Rows are cut into about sqrt(D) blocks of about sqrt(D) rows, sizes within one of each other; each
column has one entry, +-1, in each block.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import Key, subkeys, word
from idim.kernels.reference.rows import CHUNK, Piece, Span, arithmetic, write


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
    total = torch.zeros(d, dtype=arithmetic(v.dtype), device=v.device)
    for blocks in _block_chunks(rows, D, count, total):
        entries = sparse_entries(blocks, D, count, d, k, total)
        at, inside = _within(entries.row, rows)
        total += (v[at] * entries.sign * inside).sum(dim=0)
    return total


def sparse_write(pieces: Sequence[Piece], theta_d: Tensor, D: int, count: int, k: Key) -> None:
    """Write theta_0 + scale * P theta_d into each piece."""
    write(pieces, lambda rows: sparse_matvec(theta_d, rows, D, count, k))


def _within(row: Tensor, rows: Span) -> tuple[Tensor, Tensor]:
    """Shift absolute rows into a range; those outside go to 0 with a False beside them."""
    inside = (row >= rows.start) & (row < rows.stop)
    return torch.where(inside, row - rows.start, 0), inside


def _block_chunks(rows: Span, D: int, count: int, theta_d: Tensor) -> Iterator[range]:
    first = rows.start * count // D
    last = min(count, -(-rows.stop * count // D)) if rows.start < rows.stop else 0
    step = max(1, CHUNK[theta_d.device.type] // theta_d.numel())
    for b in range(max(0, first - 1), last, step):
        yield range(b, min(b + step, last))
