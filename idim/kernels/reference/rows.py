"""Ranges of rows of P, and theta = theta_0 + scale * P theta_d written over them."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from idim.kernels.map import Piece, Span

# Elements worked on at a time: a chunk's arrays stay in a CPU's second-level cache, and a GPU
# gets enough work per launch.  The chunks of a row range are fixed, so sums are reproducible.
CHUNK = {"cpu": 1 << 17, "cuda": 1 << 24}

# Tensors below this size share one product, and one buffer of gradients: a block of P costs the
# same for 2 of its rows as for all, and a model has dozens of biases and LayerNorms.
SMALL = 1 << 16
# Rows of theta written at a time, so that no second copy of theta exists.
WRITE_ROWS = 1 << 22


def next_pow2(d: int) -> int:
    """Return the smallest power of two that is at least d."""
    return 1 << (d - 1).bit_length()


def arithmetic(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype sums are formed in: float32 for 16-bit floats."""
    return torch.float32 if dtype.itemsize == 2 else dtype


def tiles(rows: Span, width: int, device: torch.device) -> Iterator[tuple[Span, slice]]:
    """Cut a row range into pieces of about one chunk when each row holds `width` elements."""
    step = max(1, CHUNK[device.type] // width)
    for start in range(rows.start, rows.stop, step):
        stop = min(start + step, rows.stop)
        yield Span(start, stop), slice(start - rows.start, stop - rows.start)


def write_by(pieces: Sequence[Piece], matvec: Callable[[Span], Tensor]) -> None:
    """Write theta_0 + scale * P theta_d into each piece; `matvec` returns rows of P theta_d.

    Sums are formed in the dtype of P theta_d (float32) and rounded once to a bfloat16 theta.
    """
    for run in _runs(pieces):
        for start in range(run[0].start, run[-1].stop, WRITE_ROWS):
            rows = Span(start, min(start + WRITE_ROWS, run[-1].stop))
            _write_rows(run, rows, matvec(rows))


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Put small pieces that follow one another together."""
    runs: list[list[Piece]] = []
    for p in pieces:
        last = runs[-1][-1] if runs else p
        if runs and p.start == last.stop and max(p.theta.numel(), last.theta.numel()) < SMALL:
            runs[-1].append(p)
        else:
            runs.append([p])
    return runs


def _write_rows(pieces: Sequence[Piece], rows: Span, delta: Tensor) -> None:
    for p in pieces:
        a, b = max(p.start, rows.start), min(p.stop, rows.stop)
        if a < b:
            at = slice(a - p.start, b - p.start)
            p.theta[at] = p.theta_0[at] + delta[a - rows.start : b - rows.start] * p.scale
