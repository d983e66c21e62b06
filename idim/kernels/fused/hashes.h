/* The random words, one at a time; the twins of bits.py and of `permutation`. */

#include <stdint.h>
#include <string.h>

static inline uint32_t word(uint32_t i, uint32_t k0, uint32_t k1) {
    uint32_t x = i + k0;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x ^= k1;
    x *= 0x846CA68Bu;
    return x ^ (x >> 16);
}

typedef struct {
    uint32_t a, b;
} Pair;

static inline Pair subkeys(int64_t index, const uint32_t k[4]) {
    uint32_t low = (uint32_t)index, high = (uint32_t)(index >> 32) * 0x85EBCA6Bu;
    Pair p = {word(low, k[0], high ^ k[1]), word(low, k[2], high ^ k[3])};
    return p;
}

/* x -> ((x * mul + add) & mask), xorshift; twice. */
typedef struct {
    uint32_t mul[2], add[2], mask;
    int shift;
} Permutation;

static Permutation permutation(int64_t index, int32_t n, const uint32_t k[4]) {
    Pair p = subkeys(index, k);
    int bits = 0;
    while (n >> bits) bits++;
    Permutation s = {{p.a | 1, word(p.a, 0x9E3779B9u, 0) | 1},
                     {p.b, word(p.b, 0x9E3779B9u, 0)},
                     (uint32_t)n - 1,
                     bits / 2 > 1 ? bits / 2 : 1};
    return s;
}

/* The inverse of an odd number modulo 2^32: each Newton step doubles the correct bits. */
static uint32_t inverse(uint32_t odd) {
    uint32_t x = odd;
    for (int i = 0; i < 4; i++) x *= 2 - odd * x;
    return x;
}

static inline uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Round to nearest even, as torch does. */
static inline uint16_t to_bfloat16(float f) {
    uint32_t u = float_bits(f);
    return f != f ? 0x7FC0 : (uint16_t)((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}
