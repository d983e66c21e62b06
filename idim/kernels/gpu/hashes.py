"""The Triton twins of bits.py and of reference.permutation: the same bits, word for word."""

import triton
import triton.language as tl


@triton.jit
def mixed(i, k0, k1):
    """All of `bits.word` but its last xorshift, which leaves the upper 16 bits as they are."""
    x = i + k0
    x ^= x >> 16
    x *= 0x7FEB352D
    x ^= x >> 15
    x ^= k1
    x *= 0x846CA68B
    return x


@triton.jit
def word(i, k0, k1):
    """Return `bits.word` of uint32 positions."""
    x = mixed(i, k0, k1)
    return x ^ (x >> 16)


@triton.jit
def subkeys(index, K, stream: tl.constexpr):
    """Return `bits.subkeys` of int64 indices.

    Args:
        index: int64.
        K: int32 keys in memory, four a stream.
        stream: which four.
    """
    k0 = tl.load(K + 4 * stream).to(tl.uint32, bitcast=True)
    k1 = tl.load(K + 4 * stream + 1).to(tl.uint32, bitcast=True)
    k2 = tl.load(K + 4 * stream + 2).to(tl.uint32, bitcast=True)
    k3 = tl.load(K + 4 * stream + 3).to(tl.uint32, bitcast=True)
    low = index.to(tl.uint32)
    high = (index >> 32).to(tl.uint32) * 0x85EBCA6B
    return word(low, k0, high ^ k1), word(low, k2, high ^ k3)


@triton.jit
def flip(x, bits):
    """Negate float32 x where the top bit of a uint32 is set."""
    return (x.to(tl.uint32, bitcast=True) ^ (bits & 0x80000000)).to(tl.float32, bitcast=True)


@triton.jit
def permute(i, a, b, n: tl.constexpr, SHIFT: tl.constexpr):
    """Return Pi at uint32 positions i; a, b are the group's subkeys."""
    i = (i * (a | 1) + b) & (n - 1)
    i ^= i >> SHIFT
    i = (i * (word(a, 0x9E3779B9, 0) | 1) + word(b, 0x9E3779B9, 0)) & (n - 1)
    return i ^ (i >> SHIFT)


@triton.jit
def unpermute(i, a, b, n: tl.constexpr, SHIFT: tl.constexpr):
    """Invert `permute`: an xorshift by half the bits or more undoes itself."""
    i ^= i >> SHIFT
    i = ((i - word(b, 0x9E3779B9, 0)) * inverse(word(a, 0x9E3779B9, 0) | 1)) & (n - 1)
    i ^= i >> SHIFT
    return ((i - b) * inverse(a | 1)) & (n - 1)


@triton.jit
def inverse(odd):
    """Invert an odd number modulo 2^32: each Newton step doubles the bits that are right."""
    x = odd
    for _ in tl.static_range(4):
        x *= 2 - odd * x
    return x
