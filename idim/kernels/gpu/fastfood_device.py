"""What a program of Fastfood's kernels does with its tile: K * n rows of W lanes, lanes last, flat.

The Walsh-Hadamard transform is float32 additions, in the order of the reference, so theta has the
very same bits.  `tl.dot` would round x to TF32's 11 bits; to be exact on tensor cores, x must be
cut into three bfloat16 numbers, and then four stages (H_16) cost 96 multiply-adds an element, about
as long on a Hopper chip as their four additions, with the cutting to pay on top.

Five stages run on numbers that one thread holds: those whose partners are farthest apart in the
tile.  `rotate` then brings the next bits of the row's index to the top, one exchange through
shared memory.  The permutation is a gather in shared memory and serves as such an exchange too.

One hash makes the signs of 16 lanes.  Threads that need it fetch it from shared memory, since a
hash costs more than the fetch.
"""

import triton
import triton.language as tl

from idim.kernels.gpu.hashes import flip, mixed, permute, subkeys, unpermute
from idim.kernels.gpu.pieces import piece_of, pointer, tree_sum


@triton.jit
def rotate(x, ROWS: tl.constexpr, W: tl.constexpr, R: tl.constexpr):
    """Bring the lowest log2 R bits of the row index to its top."""
    y = tl.permute(tl.reshape(x, (ROWS // R, R, W)), (1, 0, 2))
    return tl.reshape(y, (ROWS * W,))


@triton.jit
def butterflies(x, ROWS: tl.constexpr, W: tl.constexpr, LOG_R: tl.constexpr):
    """Transform along the top LOG_R bits of the row index, nearest partners first."""
    for s in tl.static_range(LOG_R):
        y = tl.reshape(x, (1 << (LOG_R - s - 1), 2, ((ROWS >> LOG_R) * W) << s))
        a, b = tl.split(tl.permute(y, (0, 2, 1)))
        x = tl.reshape(tl.permute(tl.join(a + b, a - b), (0, 2, 1)), (ROWS * W,))
    return x


@triton.jit
def fwht(x, ROWS: tl.constexpr, W: tl.constexpr, LOG: tl.constexpr, STAGES: tl.constexpr):
    """Transform along n = 2^LOG rows, whose lowest bits are on top; leaves (n, K, W)."""
    for s in tl.static_range(STAGES):
        if s > 0:
            x = rotate(x, ROWS, W, 1 << (LOG * (s + 1) // STAGES - LOG * s // STAGES))
        x = butterflies(x, ROWS, W, LOG * (s + 1) // STAGES - LOG * s // STAGES)
    return x


@triton.jit
def entry_rows(ROWS: tl.constexpr, W: tl.constexpr, LOG: tl.constexpr, STAGES: tl.constexpr):
    """Return the row of each number of a tile as `fwht` expects it."""
    R: tl.constexpr = 1 << (LOG // STAGES if STAGES > 0 else 0)
    q = tl.arange(0, ROWS * W) // W
    return q % (ROWS // R) * R + q // (ROWS // R)


@triton.jit
def exit_rows(ROWS: tl.constexpr, W: tl.constexpr, K: tl.constexpr):
    """Return the row of each number of a tile as `fwht` leaves it."""
    q = tl.arange(0, ROWS * W) // W
    return q % K * (ROWS // K) + q // K


@triton.jit
def group_keys(g, KEYS, stream: tl.constexpr, n: tl.constexpr, K: tl.constexpr):
    """Return the subkeys of the group of each row of a tile: scalars if there is but one group."""
    if K == 1:
        return subkeys(g, KEYS, stream)
    else:
        return subkeys(g + tl.arange(0, K * n) // n, KEYS, stream)


@triton.jit
def sign_words(row, g, KEYS, stream: tl.constexpr, n: tl.constexpr, K: tl.constexpr):
    """Return the word whose bit 31 - l is the sign of lane l, for each row asked for."""
    a, b = group_keys(g, KEYS, stream, n, K)
    i = tl.arange(0, K * n) % n
    return tl.gather(mixed(i.to(tl.uint32), a, b), row, 0)


@triton.jit
def diagonal(x, row, lane, g, KEYS, TABLE, n: tl.constexpr, L: tl.constexpr, K: tl.constexpr,
             IS_ORTHOGONAL: tl.constexpr):  # fmt: skip
    """Multiply by G."""
    if IS_ORTHOGONAL:
        return flip(x, sign_words(row, g, KEYS, 2, n, K) << lane)
    else:
        a, b = group_keys(g, KEYS, 2, n, K)
        if K > 1:
            a, b = tl.gather(a, row, 0), tl.gather(b, row, 0)
        bits = mixed((row % n * L).to(tl.uint32) + lane, a, b)
        levels = tl.load(TABLE + tl.arange(0, 4096))
        return x * tl.gather(levels, (bits >> 20).to(tl.int32), 0)


@triton.jit
def source(row, lane, g, KEYS, n: tl.constexpr, K: tl.constexpr, W: tl.constexpr,
           LOG: tl.constexpr, IS_INVERSE: tl.constexpr):  # fmt: skip
    """Return where `fwht` left the number that Pi (or its inverse) puts at each place."""
    SHIFT: tl.constexpr = (LOG + 1) // 2 if LOG > 0 else 1
    a, b = group_keys(g, KEYS, 1, n, K)
    i = (tl.arange(0, K * n) % n).to(tl.uint32)
    i = unpermute(i, a, b, n, SHIFT) if IS_INVERSE else permute(i, a, b, n, SHIFT)
    at = (i.to(tl.int32) * K + tl.arange(0, K * n) // n) * W
    return tl.gather(at, row, 0) + lane


@triton.jit
def place(t, PIECES, s, n: tl.constexpr, L: tl.constexpr, W: tl.constexpr, K: tl.constexpr,
          IS_ALIGNED: tl.constexpr):  # fmt: skip
    """Return tile t's first group and lane, its place in its piece, and its rows in the piece."""
    start, stop = tl.load(PIECES + 6 * s + 2), tl.load(PIECES + 6 * s + 3)
    if IS_ALIGNED:
        start = tl.multiple_of(start, 16)
    t -= tl.load(PIECES + 6 * s + 4)
    g = tl.load(PIECES + 6 * s + 5) + t // (L // W) * K
    first = g * (n * L)
    low = tl.maximum(start - first, 0).to(tl.int32)
    high = tl.minimum(stop - first, K * n * L).to(tl.int32)
    return g, (t % (L // W)).to(tl.int32) * W, first - start, low, high


@triton.jit
def offsets(ROWS: tl.constexpr, L: tl.constexpr, W: tl.constexpr):
    """Return the distances in memory of a tile's numbers, rows in order."""
    e = tl.arange(0, ROWS * W)
    if W == L:
        return e  # one run, which the compiler does not see in the general form
    else:
        return e // W * L + e % W


@triton.jit(do_not_specialize=["S", "d"])
def write(THETA_D, KEYS, LEVELS, PIECES, SCALE, S, d, S2: tl.constexpr,
           dtype: tl.constexpr, HAS_BASE: tl.constexpr, IS_ALIGNED: tl.constexpr,
           IS_ORTHOGONAL: tl.constexpr, n: tl.constexpr, LOG: tl.constexpr, L: tl.constexpr,
           W: tl.constexpr, K: tl.constexpr, STAGES: tl.constexpr):  # fmt: skip
    """Write a tile of theta."""
    ROWS: tl.constexpr = K * n
    t = tl.program_id(0).to(tl.int64)
    s = piece_of(t, PIECES, S, S2)
    g, lane0, at, low, high = place(t, PIECES, s, n, L, W, K, IS_ALIGNED)
    row = entry_rows(ROWS, W, LOG, STAGES)
    inner = tl.arange(0, ROWS * W) % W
    lane = (inner + lane0).to(tl.uint32)
    x = tl.load(THETA_D + row % n, mask=row % n < d, other=0.0)
    x = fwht(flip(x, sign_words(row, g, KEYS, 0, n, K) << lane), ROWS, W, LOG, STAGES)
    x = tl.gather(x, source(row, inner, g, KEYS, n, K, W, LOG, False), 0)
    x = diagonal(x, row, lane, g, KEYS, LEVELS, n, L, K, IS_ORTHOGONAL)
    x = fwht(x, ROWS, W, LOG, STAGES)
    x = rotate(x, ROWS, W, K) * tl.load(SCALE + s)
    off = offsets(ROWS, L, W) + lane0
    theta = pointer(tl.load(PIECES + 6 * s), dtype, IS_ALIGNED) + at
    base = pointer(tl.load(PIECES + 6 * s + 1), dtype, IS_ALIGNED) + at
    if (low == 0) & (high == ROWS * L):  # masks would forbid wide loads and stores
        if HAS_BASE:
            x += tl.load(base + off).to(tl.float32)
        tl.store(theta + off, x.to(dtype))
    else:
        mask = (off >= low) & (off < high)
        if HAS_BASE:
            x += tl.load(base + off, mask=mask, other=0.0).to(tl.float32)
        tl.store(theta + off, x.to(dtype), mask=mask)


@triton.jit(do_not_specialize=["S", "tiles", "d"])
def fold(KEYS, LEVELS, PIECES, SCALE, PARTIAL, S, tiles, d, S2: tl.constexpr,
          dtype: tl.constexpr, IS_ALIGNED: tl.constexpr, IS_ORTHOGONAL: tl.constexpr,
          n: tl.constexpr, LOG: tl.constexpr, L: tl.constexpr, W: tl.constexpr, K: tl.constexpr,
          STAGES: tl.constexpr):  # fmt: skip
    """Sum the adjoint of every num_programs-th tile."""
    ROWS: tl.constexpr = K * n
    inner = tl.arange(0, ROWS * W) % W
    entry, left = entry_rows(ROWS, W, LOG, STAGES), exit_rows(ROWS, W, K)
    sums = tl.zeros((ROWS * W,), tl.float32)
    t = tl.program_id(0)
    while t < tiles:  # Triton's interpreter cannot take a range of tensors with numpy >= 2.4
        s = piece_of(t, PIECES, S, S2)
        g, lane0, at, low, high = place(t.to(tl.int64), PIECES, s, n, L, W, K, IS_ALIGNED)
        lane = (inner + lane0).to(tl.uint32)
        off = offsets(ROWS, L, W) + lane0
        v = pointer(tl.load(PIECES + 6 * s), dtype, IS_ALIGNED) + at
        if (low == 0) & (high == ROWS * L):
            x = tl.load(v + off).to(tl.float32)
        else:
            x = tl.load(v + off, mask=(off >= low) & (off < high), other=0.0).to(tl.float32)
        x = rotate(x * tl.load(SCALE + s), ROWS, W, 1 << (LOG // STAGES if STAGES > 0 else 0))
        x = fwht(x, ROWS, W, LOG, STAGES)
        x = diagonal(x, left, lane, g, KEYS, LEVELS, n, L, K, IS_ORTHOGONAL)
        x = tl.gather(x, source(entry, inner, g, KEYS, n, K, W, LOG, True), 0)
        x = fwht(x, ROWS, W, LOG, STAGES)
        sums += flip(x, sign_words(left, g, KEYS, 0, n, K) << lane)
        t += tl.num_programs(0)
    i = tl.arange(0, n)
    sums = tree_sum(rotate(sums, ROWS * W, 1, K * W), K * W, n)
    tl.store(PARTIAL + tl.program_id(0).to(tl.int64) * d + i, sums, mask=i < d)
