"""The sparse P on a GPU: one program makes one block of rows, without atomics.

Several columns may meet in a row.  A program sorts the entries of 1,024 columns by row, sums each
run of equal rows with a scan, and adds the sums to a float32 block of its own, each row once: the
order of every sum is fixed.  The adjoint only gathers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from idim.kernels.gpu.hashes import subkeys, word
from idim.kernels.gpu.pieces import (
    EXACT,
    Laid,
    Table,
    key_words,
    lay,
    on,
    piece_of,
    pointer,
    shared,
    total,
)
from idim.kernels.map import Map

CHUNK = 1024  # columns sorted at a time, at most
ROWS = 1024  # rows cleared or written at a time
COLUMNS = 512  # columns of a program of the adjoint
WRITERS = 1 << 11  # programs, each with a block of its own
FOLDERS = 1 << 9  # programs for each COLUMNS columns, each with a partial sum


class Blocks(NamedTuple):
    """D rows cut into blocks, sizes within one of each other."""

    D: int
    blocks: int
    cells: int = 1
    split: int = 1

    def cell(self, row: int) -> int:
        """Return the block of a row: the last that starts at or before it."""
        return ((row + 1) * self.blocks - 1) // self.D

    @property
    def most_rows(self) -> int:
        """The rows of the largest block."""
        return -(-self.D // self.blocks)


@triton.jit
def place(t, PIECES, s, D, count):
    """Return the block of tile t, its first row, its size, and its piece's start and stop."""
    b = tl.load(PIECES + 6 * s + 5) + t - tl.load(PIECES + 6 * s + 4)
    first = b * D // count
    size = ((b + 1) * D // count - first).to(tl.int32)
    return b, first, size, tl.load(PIECES + 6 * s + 2), tl.load(PIECES + 6 * s + 3)


@triton.jit
def entries(j, size, k0, k1):
    """Return the offset in its block and the word (whose lowest bit is the sign) of columns j."""
    bits = word(j.to(tl.uint32), k0, k1)
    # multiply-shift: the high half of bits * size is uniform on [0, size)
    return ((bits.to(tl.uint64) * size.to(tl.uint64)) >> 32).to(tl.int32), bits


@triton.jit
def exchange(x, N: tl.constexpr, H: tl.constexpr, RUN: tl.constexpr):
    """Order each pair of numbers H apart: upwards, downwards in every second run of RUN pairs."""
    a, b = tl.split(tl.permute(tl.reshape(x, (N // (2 * H), 2, H)), (0, 2, 1)))
    falls = tl.reshape(tl.arange(0, N // 2) // RUN % 2 == 1, (N // (2 * H), H))
    low, high = tl.minimum(a, b), tl.maximum(a, b)
    y = tl.join(tl.where(falls, high, low), tl.where(falls, low, high))
    return tl.reshape(tl.permute(y, (0, 2, 1)), (N,))


@triton.jit
def sort(x, LOG: tl.constexpr):
    """Sort 2^LOG integers: a bitonic network (tl.sort takes minutes in Triton's interpreter)."""
    for k in tl.static_range(LOG):
        for j in tl.static_range(k, -1, -1):
            x = exchange(x, 1 << LOG, 1 << j, 1 << k)
    return x


@triton.jit
def run_sums(row, x, LOG: tl.constexpr):
    """Sum x over the elements so far of each run of equal rows, as a tree."""
    at = tl.arange(0, 1 << LOG)
    for s in tl.static_range(LOG):
        before = tl.maximum(at - (1 << s), 0)
        is_same = (at >= 1 << s) & (tl.gather(row, before, 0) == row)
        x += tl.where(is_same, tl.gather(x, before, 0), 0.0)
    return x


@triton.jit(do_not_specialize=["S", "tiles", "d", "D", "count"])
def _write(THETA_D, KEYS, PIECES, SCALE, SPACE, S, tiles, d, D, count, most: tl.constexpr,
           S2: tl.constexpr, dtype: tl.constexpr, IS_ALIGNED: tl.constexpr,
           HAS_BASE: tl.constexpr, LOG_CHUNK: tl.constexpr, ROWS: tl.constexpr):  # fmt: skip
    CHUNK: tl.constexpr = 1 << LOG_CHUNK
    mine = SPACE + tl.program_id(0).to(tl.int64) * most
    at, i = tl.arange(0, CHUNK), tl.arange(0, ROWS)
    t = tl.program_id(0)
    while t < tiles:
        s = piece_of(t, PIECES, S, S2)
        b, first, size, start, stop = place(t, PIECES, s, D, count)
        k0, k1 = subkeys(b, KEYS, 0)
        r = 0
        while r < size:
            tl.store(mine + r + i, tl.zeros((ROWS,), tl.float32), mask=r + i < size)
            r += ROWS
        tl.debug_barrier()
        c = 0
        while c < d:
            row, bits = entries(c + at, size, k0, k1)
            order = (row * CHUNK + at) * 2 + (bits & 1).to(tl.int32)
            order = sort(tl.where(c + at < d, order, 0x7FFFFFFF), LOG_CHUNK)
            row, is_real = order // (2 * CHUNK), order != 0x7FFFFFFF
            x = tl.load(THETA_D + c + order // 2 % CHUNK, mask=is_real, other=0.0)
            x = run_sums(row, tl.where(order % 2 == 1, -x, x), LOG_CHUNK)
            following = tl.gather(row, tl.minimum(at + 1, CHUNK - 1), 0)
            is_last = is_real & ((following != row) | (at == CHUNK - 1))
            tl.store(mine + row, tl.load(mine + row, mask=is_last, other=0.0) + x, mask=is_last)
            tl.debug_barrier()
            c += CHUNK
        theta = pointer(tl.load(PIECES + 6 * s), dtype, False) + (first - start)
        base = pointer(tl.load(PIECES + 6 * s + 1), dtype, False) + (first - start)
        factor = tl.load(SCALE + s)
        r = 0
        while r < size:
            mask = (r + i < size) & (first + r + i >= start) & (first + r + i < stop)
            x = tl.load(mine + r + i, mask=mask, other=0.0) * factor
            if HAS_BASE:
                x += tl.load(base + r + i, mask=mask, other=0.0).to(tl.float32)
            tl.store(theta + r + i, x.to(dtype), mask=mask)
            r += ROWS
        tl.debug_barrier()
        t += tl.num_programs(0)


@triton.jit(do_not_specialize=["S", "tiles", "d", "D", "count"])
def _fold(KEYS, PIECES, SCALE, PARTIAL, S, tiles, d, D, count, S2: tl.constexpr,
          dtype: tl.constexpr, IS_ALIGNED: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    j = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    sums = tl.zeros((COLUMNS,), tl.float32)
    t = tl.program_id(0)
    while t < tiles:
        s = piece_of(t, PIECES, S, S2)
        b, first, size, start, stop = place(t, PIECES, s, D, count)
        k0, k1 = subkeys(b, KEYS, 0)
        row, bits = entries(j, size, k0, k1)
        mask = (j < d) & (first + row >= start) & (first + row < stop)
        v = pointer(tl.load(PIECES + 6 * s), dtype, False) + (first - start)
        x = tl.load(v + row, mask=mask, other=0.0).to(tl.float32) * tl.load(SCALE + s)
        sums += tl.where((bits & 1) == 1, -x, x)
        t += tl.num_programs(0)
    tl.store(PARTIAL + tl.program_id(0).to(tl.int64) * d + j, sums, mask=j < d)


def table_of(P: Map, pieces: Sequence[Laid]) -> Table[Blocks]:
    """Lay pieces out for `write` or `fold`."""
    return lay(pieces, Blocks(P.D, P.n))


def write(P: Map, theta_d: Tensor, table: Table[Blocks]) -> None:
    """Write base + scale * P theta_d into the pieces of a table, rounded once.

    Args:
        P: sparse.
        theta_d: (d,) float32.
        table: of `table_of`; without bases P's rows alone are written.
    """
    device, programs = theta_d.device, min(table.tiles, WRITERS)
    space = torch.empty(programs, table.cut.most_rows, device=device)
    chunk = min(CHUNK, triton.next_power_of_2(max(2, P.d)))
    with on(device):
        _write[(programs,)](
            theta_d, key_words(P.keys, device), table.columns, table.scale, space,
            len(table.columns), table.tiles, P.d, P.D, P.n, most=table.cut.most_rows,
            LOG_CHUNK=chunk.bit_length() - 1, ROWS=ROWS, HAS_BASE=table.has_base,
            **shared(table), **EXACT,
        )  # fmt: skip


def fold(P: Map, table: Table[Blocks]) -> Tensor:
    """Return P^T v, v the pieces of a table, each times its scale: (d,) float32."""
    device, programs = table.columns.device, min(table.tiles, FOLDERS)
    partial = torch.empty(programs, P.d, device=device)
    with on(device):
        _fold[(programs, triton.cdiv(P.d, COLUMNS))](
            key_words(P.keys, device), table.columns, table.scale, partial, len(table.columns),
            table.tiles, P.d, P.D, P.n, COLUMNS=COLUMNS, **shared(table), **EXACT,
        )  # fmt: skip
        return total(partial)
