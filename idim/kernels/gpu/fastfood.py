"""Block Fastfood on a GPU: one launch a direction, nothing of size D stored or read twice.

A program holds a tile in registers, 32 numbers a thread: one group of blocks, several where blocks
are small, some of its lanes where they are large.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from idim.kernels.bits import gaussian_table
from idim.kernels.gpu import fastfood_device as device_code
from idim.kernels.gpu.pieces import EXACT, Piece, Table, key_words, lay, on, shared, total
from idim.kernels.reference import Keys, Span, lanes

# Warps of an adjoint's programs, each of which has its own partial sum: two rounds for an H100.  A
# constant, so that the sums do not depend on the device.
WARPS = 1 << 12


class Tile(NamedTuple):
    """How P is cut into programs: compile-time constants of the kernels."""

    n: int  # rows of a block
    LOG: int  # log2 n
    L: int  # lanes of a group
    W: int  # lanes in a program
    K: int  # groups in a program
    STAGES: int  # of a transform: exchanges between threads, and one

    @property
    def cells(self) -> int:
        """A cell is a group."""
        return self.K

    @property
    def split(self) -> int:
        """Large groups are shared out by lanes."""
        return self.L // self.W

    @property
    def warps(self) -> int:
        """Give each thread 32 numbers."""
        return max(1, self.K * self.n * self.W >> 10)

    def cell(self, row: int) -> int:
        """Return the group of a row."""
        return row // (self.n * self.L)


def tile(n: int, numbers: int | None = None) -> Tile:
    """Cut P into programs of one group, of 4,096 to 16,384 numbers, or of as many as asked for."""
    L, log = lanes(n), n.bit_length() - 1
    numbers = max(numbers or min(max(n * L, 1 << 12), 1 << 14), n)
    return Tile(n, log, L, min(L, numbers // n), max(1, numbers // (n * L)), -(-log // 5))


# Registers a thread at most, where a program has 16 warps: two programs then share a
# multiprocessor, and one works while the other waits for memory or at a barrier.
REGISTERS = 64


def table_of(pieces: Sequence[Piece], n: int, numbers: int | None = None) -> Table[Tile]:
    """Lay pieces out for `write` or `fold`.

    Args:
        pieces: of one dtype, on one device, contiguous, none empty; all with a base or none.
        n: rows of a block, a power of two up to gpu.LONGEST.
        numbers: how many a program holds, a power of two.
    """
    return lay(pieces, tile(n, numbers))


def write(theta_d: Tensor, table: Table[Tile], keys: Keys, *, scale: float = 1.0,
          is_orthogonal: bool = False, registers: int | None = REGISTERS) -> None:  # fmt: skip
    """Write base + table.scale * P (scale * theta_d) into the pieces, rounded once.

    Args:
        theta_d: (d,) float32, d <= n.
        table: of `table_of`; without bases P's rows alone are written.
        keys: B, Pi and G; with `is_orthogonal` G draws signs, one word for the lanes of a row.
        scale: multiplies theta_d.
        is_orthogonal: G = +-1 in place of N(0, 1).
        registers: a thread's, for programs of 16 warps.
    """
    device, cut = theta_d.device, table.cut
    with on(device):
        device_code.write[(table.tiles,)](
            theta_d, key_words(keys, device), _levels(device), table.columns, table.scale,
            len(table.columns), theta_d.numel(), scale, HAS_BASE=table.has_base,
            **_constants(table, is_orthogonal), num_warps=cut.warps,
            maxnreg=registers if cut.warps == 16 else None, **EXACT,
        )  # fmt: skip


def fold(table: Table[Tile], d: int, keys: Keys, *, scale: float = 1.0,
         is_orthogonal: bool = False) -> Tensor:  # fmt: skip
    """Return scale * P^T v, v the pieces of a table, each times its own scale: (d,) float32.

    Each program sums its tiles in order, then a second kernel sums the programs: no atomics, the
    same bits on every run.
    """
    device, count = table.columns.device, min(table.tiles, WARPS // table.cut.warps)
    partial = torch.empty(count, d, device=device)
    with on(device):
        device_code.fold[(count,)](
            key_words(keys, device), _levels(device), table.columns, table.scale, partial,
            len(table.columns), table.tiles, d, **_constants(table, is_orthogonal),
            num_warps=table.cut.warps, **EXACT,
        )  # fmt: skip
        return total(partial, scale)


def fastfood_matvec(theta_d: Tensor, rows: Span, n: int, keys: Keys, *,
                    is_orthogonal: bool = False) -> Tensor:  # fmt: skip
    """Twin of `reference.fastfood_matvec`, the same bits."""
    out = torch.empty(rows.stop - rows.start, device=theta_d.device)
    if out.numel():
        table = table_of([Piece(out, rows.start)], n)
        write(theta_d, table, keys, is_orthogonal=is_orthogonal)
    return out


def fastfood_rmatvec(v: Tensor, rows: Span, d: int, n: int, keys: Keys, *,
                     is_orthogonal: bool = False) -> Tensor:  # fmt: skip
    """Twin of `reference.fastfood_rmatvec`; v also bfloat16 or float16, sums always float32."""
    if not v.numel():
        return torch.zeros(d, device=v.device)
    return fold(table_of([Piece(v, rows.start)], n), d, keys, is_orthogonal=is_orthogonal)


def _levels(device: torch.device) -> Tensor:
    return gaussian_table(torch.float32, device)


def _constants(table: Table[Tile], is_orthogonal: bool) -> dict[str, Any]:
    return {**shared(table), **table.cut._asdict(), "IS_ORTHOGONAL": is_orthogonal}
