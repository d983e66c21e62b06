"""Sparse products in plain torch.

Rows are cut into about sqrt(D) blocks of about sqrt(D) rows, sizes within one of each other; each
column has one entry, +-1, in each block.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import subkeys, word
from idim.kernels.map import Map, Span
from idim.kernels.reference.rows import CHUNK, arithmetic


class Entries(NamedTuple):
    """The non-zeros of some blocks of the sparse P: (blocks, d) each."""

    row: Tensor  # int64, absolute
    sign: Tensor  # +-1


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of P theta_d."""
    out = torch.zeros(rows.stop - rows.start, dtype=theta_d.dtype, device=theta_d.device)
    for blocks in _block_chunks(P, rows, out.device):
        entries = _entries(P, blocks, theta_d)
        at, inside = _within(entries.row, rows)
        out.index_add_(0, at.view(-1), (entries.sign * theta_d * inside).view(-1))
    return out


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows."""
    total = torch.zeros(P.d, dtype=arithmetic(v.dtype), device=v.device)
    for blocks in _block_chunks(P, rows, v.device):
        entries = _entries(P, blocks, total)
        at, inside = _within(entries.row, rows)
        total += (v[at] * entries.sign * inside).sum(dim=0)
    return total


def _entries(P: Map, blocks: range, like: Tensor) -> Entries:
    """Place and sign the entries of a range of the n blocks."""
    index = torch.arange(blocks.start, blocks.stop, device=like.device)
    first, after = index * P.D // P.n, (index + 1) * P.D // P.n
    k0, k1 = subkeys(index, P.keys[0])
    j = torch.arange(P.d, dtype=torch.int32, device=like.device)
    bits = word(j, k0[:, None], k1[:, None])
    # multiply-shift: the high half of bits * size is uniform on [0, size)
    offset = ((bits.long() & 0xFFFFFFFF) * (after - first)[:, None]) >> 32
    sign = torch.where((bits & 1) == 1, -1.0, 1.0).to(like.dtype)
    return Entries(first[:, None] + offset, sign)


def _within(row: Tensor, rows: Span) -> tuple[Tensor, Tensor]:
    """Shift absolute rows into a range; those outside go to 0 with a False beside them."""
    inside = (row >= rows.start) & (row < rows.stop)
    return torch.where(inside, row - rows.start, 0), inside


def _block_chunks(P: Map, rows: Span, device: torch.device) -> Iterator[range]:
    first = rows.start * P.n // P.D
    last = min(P.n, -(-rows.stop * P.n // P.D)) if rows.start < rows.stop else 0
    step = max(1, CHUNK[device.type] // P.d)
    for b in range(max(0, first - 1), last, step):
        yield range(b, min(b + step, last))
