/* Vectors of W floats or words: what the kernels do to them, and how they meet theta. */

#define INLINE static inline __attribute__((always_inline)) TARGET
#define VF FN(vf)
#define VU FN(vu)
#define VFU FN(vfu)
#define VUU FN(vuu)
#define VHU FN(vhu)

typedef float VF __attribute__((vector_size(4 * W)));
typedef uint32_t VU __attribute__((vector_size(4 * W)));
typedef float VFU __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef uint32_t VUU __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef uint16_t VHU __attribute__((vector_size(2 * W), aligned(2), may_alias));
typedef uint16_t FN(vh) __attribute__((vector_size(2 * W)));

#define LOAD(p) ((VF) * (const VFU *)(p))
#define STORE(p, x) (*(VFU *)(p) = (VFU)(x))
#define LOADU(p) ((VU) * (const VUU *)(p))
#define STOREU(p, x) (*(VUU *)(p) = (VUU)(x))
#define SIGN 0x80000000u

INLINE VU FN(iota)(void) {
#if W == 16
    return (VU){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif W == 8
    return (VU){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (VU){0, 1, 2, 3};
#endif
}

INLINE VU FN(word)(VU i, uint32_t k0, uint32_t k1) {
    VU x = i + k0;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x ^= k1;
    x *= 0x846CA68Bu;
    return x ^ (x >> 16);
}

INLINE VU FN(least)(VU a, VU b) {
#if W == 16
    return (VU)_mm512_min_epu32((__m512i)a, (__m512i)b);
#elif W == 8
    return (VU)_mm256_min_epu32((__m256i)a, (__m256i)b);
#else
    VU is_a = (VU)(a < b);
    return (a & is_a) | (b & ~is_a);
#endif
}

INLINE VF FN(lookup)(const float *table, VU index) {
#if W == 16
    return (VF)_mm512_i32gather_ps((__m512i)index, table, 4);
#elif W == 8
    return (VF)_mm256_i32gather_ps(table, (__m256i)index, 4);
#else
    return (VF){table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
#endif
}

/* x[index], lane by lane. */
INLINE VU FN(pick)(VU x, VU index) {
#if W == 16
    return (VU)_mm512_permutexvar_epi32((__m512i)index, (__m512i)x);
#elif W == 8
    return (VU)_mm256_permutevar8x32_epi32((__m256i)x, (__m256i)index);
#else
    return (VU){x[index[0]], x[index[1]], x[index[2]], x[index[3]]};
#endif
}

/* N(0, 1) from the top 12 bits; the table's lower half is its upper half, turned and negated. */
INLINE VF FN(gaussian)(VU bits, const float *table) {
    VU below = (bits >> 31) - 1; /* all ones where the level is in the lower half */
    VU level = ((bits ^ below) >> 20) & 0x7FF;
    return (VF)((VU)FN(lookup)(table, level) ^ (below & SIGN));
}

INLINE VU FN(permute)(const Permutation *s, VU x) {
    x = (x * s->mul[0] + s->add[0]) & s->mask;
    x ^= x >> s->shift;
    x = (x * s->mul[1] + s->add[1]) & s->mask;
    return x ^ (x >> s->shift);
}

/* Undo `permute`: an xorshift by half the bits or more is its own inverse. */
INLINE VU FN(unpermute)(const Permutation *s, const uint32_t undo[2], VU x) {
    x ^= x >> s->shift;
    x = ((x - s->add[1]) * undo[1]) & s->mask;
    x ^= x >> s->shift;
    return ((x - s->add[0]) * undo[0]) & s->mask;
}

/* theta = base + scale * y, rounded once. */
static TARGET void FN(store)(const Piece *p, int64_t at, const float *y, int64_t length) {
    float scale = p->scale;
    int64_t i = 0;
    if (p->dtype == FLOAT32) {
        float *to = (float *)p->theta + at;
        const float *base = p->base ? (const float *)p->base + at : 0;
        if (!base) {
            memcpy(to, y, 4 * (size_t)length);
            return;
        }
        for (; i + W <= length; i += W) STORE(to + i, LOAD(base + i) + LOAD(y + i) * scale);
        for (; i < length; i++) to[i] = base[i] + y[i] * scale;
        return;
    }
    uint16_t *to = (uint16_t *)p->theta + at;
    const uint16_t *base = (const uint16_t *)p->base + at;
    for (; i + W <= length; i += W) {
        VU wide = __builtin_convertvector(*(const VHU *)(base + i), VU) << 16;
        VF f = (VF)wide + LOAD(y + i) * scale;
        VU u = (VU)f, nan = (VU)(f != f);
        u = (u + 0x7FFF + ((u >> 16) & 1)) >> 16;
        u = (u & ~nan) | (nan & 0x7FC0);
        *(VHU *)(to + i) = __builtin_convertvector(u, VHU);
    }
    for (; i < length; i++)
        to[i] = to_bfloat16(bits_float((uint32_t)base[i] << 16) + y[i] * scale);
}

/* Rows [at, at + length) of a gradient as float32, zero outside its range. */
static TARGET void FN(load)(const Source *v, int64_t at, float *y, int64_t length) {
    int64_t a = at > v->rows.start ? at : v->rows.start;
    int64_t b = at + length < v->rows.stop ? at + length : v->rows.stop;
    if (a >= b || b - a < length) memset(y, 0, 4 * (size_t)length);
    if (a >= b) return;
    y += a - at;
    length = b - a;
    if (v->dtype == FLOAT32) {
        memcpy(y, (const float *)v->v + (a - v->rows.start), 4 * (size_t)length);
        return;
    }
    const uint16_t *from = (const uint16_t *)v->v + (a - v->rows.start);
    int64_t i = 0;
    for (; i + W <= length; i += W)
        STOREU(y + i, __builtin_convertvector(*(const VHU *)(from + i), VU) << 16);
    for (; i < length; i++) y[i] = bits_float((uint32_t)from[i] << 16);
}
