"""Where rows of P live in memory: many tensors, one launch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
import triton
import triton.language as tl
from torch import Tensor

from idim.kernels.bits import Key, signed


class Laid(NamedTuple):
    """A contiguous tensor that holds rows [start, start + numel) of P theta_d, or of a gradient."""

    tensor: Tensor
    start: int
    base: Tensor | None = None  # theta_0, of the same dtype and size; may be `tensor` itself
    scale: float = 1.0  # multiplies the rows


class Cut(Protocol):
    """How P is cut into cells of consecutive rows, and those into tiles, one for each program."""

    @property
    def cells(self) -> int:
        """How many cells a tile takes."""
        ...

    @property
    def split(self) -> int:
        """How many tiles share the same cells."""
        ...

    def cell(self, row: int) -> int:
        """Return the number of the cell that a row is in."""
        ...


C = TypeVar("C", bound=Cut)


class Table(NamedTuple, Generic[C]):
    """Pieces as a kernel reads them, which it keeps alive but cannot follow if they move."""

    cut: C
    pieces: tuple[Laid, ...]
    # (pieces, 6) int64: address, address of the base, start, stop, first tile, first cell
    columns: Tensor
    scale: Tensor  # (pieces,) float32, multiplies each piece's rows
    tiles: int
    dtype: torch.dtype
    has_base: bool
    # every address is a multiple of 16 bytes and every start of 16 rows: wide loads are legal
    is_aligned: bool


def lay(pieces: Sequence[Laid], cut: C) -> Table[C]:
    """Lay pieces out for one launch.

    Args:
        pieces: of one dtype, on one device, contiguous, none empty; all with a base or none.
        cut: what the kernel will work on.
    """
    device, dtype = pieces[0].tensor.device, pieces[0].tensor.dtype
    has_base = pieces[0].base is not None
    columns, tiles, is_aligned = [], 0, True
    for tensor, start, base, _ in pieces:
        tensors = [tensor] if base is None else [tensor, base]
        assert tensor.numel()
        assert has_base == (base is not None)
        assert all(t.is_contiguous() and t.dtype == dtype and t.device == device for t in tensors)
        stop, addresses = start + tensor.numel(), [t.data_ptr() for t in tensors]
        first = cut.cell(start)
        columns.append((addresses[0], addresses[-1], start, stop, tiles, first))
        tiles += -(-(cut.cell(stop - 1) + 1 - first) // cut.cells) * cut.split
        is_aligned &= not any(a % 16 for a in [*addresses, start])
    table = _send(torch.tensor(columns, dtype=torch.int64), device)
    scale = _send(torch.tensor([p.scale for p in pieces], dtype=torch.float32), device)
    return Table(cut, tuple(pieces), table, scale, tiles, dtype, has_base, is_aligned)


def _send(made: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        made = made.pin_memory()  # so that the copy waits for nothing
    return made.to(device, non_blocking=True)


@lru_cache(maxsize=32)
def key_words(keys: tuple[Key, ...], device: torch.device) -> Tensor:
    """Put the words of some keys, four each, on a device."""
    return torch.tensor([signed(k) for key in keys for k in key], dtype=torch.int32, device=device)


def on(device: torch.device) -> AbstractContextManager[object]:
    """Make a device the current one, which is where Triton launches."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


# On the device.

DTYPES = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}
# Without fused multiply-adds every product and sum is rounded as in the reference.
EXACT = {"enable_fp_fusion": False}


@triton.jit
def piece_of(t, PIECES, S, S2: tl.constexpr):
    """Return the column of the piece that tile t belongs to; S2 is a power of two, S at least."""
    s = tl.arange(0, S2)
    first = tl.load(PIECES + 6 * s + 4, mask=s < S, other=0x7FFFFFFFFFFFFFFF)
    return tl.sum((first <= t).to(tl.int32), 0) - 1


@triton.jit
def pointer(address, dtype: tl.constexpr, IS_ALIGNED: tl.constexpr):
    """Turn an address into a pointer."""
    p = address.to(tl.pointer_type(dtype))
    if IS_ALIGNED:
        p = tl.multiple_of(p, 16)
    return p


def shared(table: Table) -> dict[str, object]:
    """Return the compile-time constants that every kernel needs."""
    return {
        # few values, as each is compiled anew
        "S2": max(64, triton.next_power_of_2(len(table.columns))),
        "dtype": DTYPES[table.dtype],
        "IS_ALIGNED": table.is_aligned,
    }


@triton.jit
def halve(x, HALF: tl.constexpr):
    """Add the second half of a flat x to the first."""
    a, b = tl.split(tl.permute(tl.reshape(x, (2, HALF)), (1, 0)))
    return a + b


@triton.jit
def tree_sum(x, COUNT: tl.constexpr, REST: tl.constexpr):
    """Sum a flat (COUNT, REST) over its first axis, as a tree: the same order on every device."""
    for s in tl.static_range(20):
        if COUNT >> (s + 1) > 0:
            x = halve(x, (COUNT >> (s + 1)) * REST)
    return x


@triton.jit(do_not_specialize=["count", "d"])
def _total(PARTIAL, OUT, count, d, P: tl.constexpr, BLOCK: tl.constexpr):
    j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    p = tl.arange(0, P * BLOCK) // BLOCK
    column = tl.program_id(0) * BLOCK + tl.arange(0, P * BLOCK) % BLOCK
    at = p.to(tl.int64) * d + column
    sums = tl.load(PARTIAL + at, mask=(p < count) & (column < d), other=0.0)
    tl.store(OUT + j, tree_sum(sums, P, BLOCK), mask=j < d)


def total(partial: Tensor) -> Tensor:
    """Sum (programs, d) over programs, in a fixed order."""
    count, d = partial.shape
    out = torch.empty(d, device=partial.device)
    P = triton.next_power_of_2(count)
    block = min(128, max(1, 8192 // P))
    _total[(triton.cdiv(d, block),)](partial, out, count, d, P=P, BLOCK=block, **EXACT)
    return out
