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
from idim.kernels.gpu.pieces import EXACT, Laid, Table, key_words, lay, on, shared, total
from idim.kernels.map import Map
from idim.kernels.reference import lanes

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


def table_of(P: Map, pieces: Sequence[Laid], numbers: int | None = None) -> Table[Tile]:
    """Lay pieces out for `write` or `fold`.

    Args:
        P: with n up to gpu.LONGEST.
        pieces: of one dtype, on one device, contiguous, none empty; all with a base or none.
        numbers: how many a program holds, a power of two.
    """
    return lay(pieces, tile(P.n, numbers))


def write(
    P: Map, theta_d: Tensor, table: Table[Tile], *, registers: int | None = REGISTERS
) -> None:
    """Write base + scale * P theta_d into the pieces of a table, rounded once.

    Args:
        P: orthogonal draws G's signs from one word for the lanes of a row.
        theta_d: (d,) float32.
        table: of `table_of`; without bases P's rows alone are written.
        registers: a thread's, for programs of 16 warps.
    """
    device, cut = theta_d.device, table.cut
    with on(device):
        device_code.write[(table.tiles,)](
            theta_d, key_words(P.keys, device), _levels(device), table.columns, table.scale,
            len(table.columns), P.d, HAS_BASE=table.has_base, **_constants(P, table),
            num_warps=cut.warps, maxnreg=registers if cut.warps == 16 else None, **EXACT,
        )  # fmt: skip


def fold(P: Map, table: Table[Tile]) -> Tensor:
    """Return P^T v, v the pieces of a table, each times its scale: (d,) float32.

    Each program sums its tiles in order, then a second kernel sums the programs: no atomics, the
    same bits on every run.
    """
    device, count = table.columns.device, min(table.tiles, WARPS // table.cut.warps)
    partial = torch.empty(count, P.d, device=device)
    with on(device):
        device_code.fold[(count,)](
            key_words(P.keys, device), _levels(device), table.columns, table.scale, partial,
            len(table.columns), table.tiles, P.d, **_constants(P, table),
            num_warps=table.cut.warps, **EXACT,
        )  # fmt: skip
        return total(partial)


def _levels(device: torch.device) -> Tensor:
    return gaussian_table(torch.float32, device)


def _constants(P: Map, table: Table[Tile]) -> dict[str, Any]:
    return {**shared(table), **table.cut._asdict(), "IS_ORTHOGONAL": P.kind == "orthogonal"}
