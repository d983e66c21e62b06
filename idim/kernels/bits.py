"""Counter-based randomness: the same bits for (seed, stream, position) on every device, for ever.

Everything is 32-bit integer arithmetic that wraps, so a CPU, a GPU and a fused kernel agree to the
bit.  No torch or numpy generator is involved: their streams differ by device and by version.
"""

from functools import cache
from hashlib import blake2b
from statistics import NormalDist

import torch
from torch import Tensor

Key = tuple[int, int, int, int]

# Levels of the inverse-normal table; 4096 floats stay in a first-level cache.
GAUSSIAN_BITS = 12


def key(seed: int, stream: str) -> Key:
    """Derive four 32-bit words from a seed of any size and a stream name."""
    digest = blake2b(f"idim/{stream}/{seed}".encode(), digest_size=16).digest()
    a, b, c, d = (int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return a, b, c, d


def signed(x: int) -> int:
    """Reinterpret the low 32 bits of x as a signed integer, torch's only 32-bit kind that wraps."""
    x &= 0xFFFFFFFF
    return x - (1 << 32) if x >= 1 << 31 else x


def word(i: Tensor, k0: Tensor | int, k1: Tensor | int) -> Tensor:
    """Hash positions to 32 random bits.

    Two multiply-xorshift rounds with the constants of lowbias32, keyed before each round.

    Args:
        i: int32 positions, any shape.
        k0: key of the first round, int32 (an int or a tensor that broadcasts against i).
        k1: key of the second round, likewise.

    Returns:
        int32, of the broadcast shape.

    Source:
        Wellons 2018, "Prospecting for hash functions" (lowbias32, bias 0.174).
    """
    x = i + k0
    x ^= (x >> 16) & 0xFFFF  # the mask makes the shift of a signed integer logical
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x = x ^ k1
    x *= signed(0x846CA68B)
    x ^= (x >> 16) & 0xFFFF
    return x


def subkeys(index: Tensor, k: Key) -> tuple[Tensor, Tensor]:
    """Derive the pair of keys of each block (or row): int64 indices -> two int32 tensors.

    Indices that differ get different pairs, also beyond 2^32: the high half enters the second key.
    """
    low = (index & 0xFFFFFFFF).to(torch.int32)  # wraps on purpose
    high = (index >> 32).to(torch.int32) * signed(0x85EBCA6B)
    return word(low, signed(k[0]), high ^ signed(k[1])), word(
        low, signed(k[2]), high ^ signed(k[3])
    )


def gaussian(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Map random words to N(0, 1) by an inverse-normal table: exact bits on every device.

    The top 12 bits pick one of 4096 equally likely levels, the normal's quantiles scaled to unit
    variance; the largest is 3.7 sigma.
    """
    level = (bits >> (32 - GAUSSIAN_BITS)) & ((1 << GAUSSIAN_BITS) - 1)
    table = gaussian_table(dtype, bits.device)
    return table.index_select(0, level.reshape(-1)).view(bits.shape)


@cache
def gaussian_table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the 4096 levels in rising order; the lower half mirrors the upper."""
    n = 1 << GAUSSIAN_BITS
    half = [NormalDist().inv_cdf((n / 2 + i + 0.5) / n) for i in range(n // 2)]
    rms = (sum(x * x for x in half) / len(half)) ** 0.5
    upper = torch.tensor([x / rms for x in half], dtype=torch.float32)
    return torch.cat([-upper.flip(0), upper]).to(device=device, dtype=dtype)
