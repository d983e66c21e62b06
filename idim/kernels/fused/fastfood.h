/* Block Fastfood, Gaussian and orthogonal: one group of interleaved blocks at a time. */

/* `stages` butterfly stages from stride s on, in registers. */
INLINE void FN(pass)(float *p, int64_t length, int64_t s, const int stages) {
    for (int64_t i = 0; i < length; i += s << stages)
        for (int64_t j = 0; j < s; j += W) {
            VF v[8];
            float *q = p + i + j;
#pragma GCC unroll 8
            for (int k = 0; k < 1 << stages; k++) v[k] = LOAD(q + k * s);
#pragma GCC unroll 3
            for (int h = 0; h < stages; h++) {
#pragma GCC unroll 8
                for (int k = 0; k < 1 << stages; k++)
                    if (!(k >> h & 1)) {
                        VF a = v[k], b = v[k + (1 << h)];
                        v[k] = a + b;
                        v[k + (1 << h)] = a - b;
                    }
            }
#pragma GCC unroll 8
            for (int k = 0; k < 1 << stages; k++) STORE(q + k * s, v[k]);
        }
}

/* All stages of strides from s on.  Eight rows at a time: sixteen gained nothing with 32 registers
   of 512 bits, and would spill with fewer. */
static TARGET void FN(stages)(float *p, int64_t length, int64_t s) {
    for (; s * 8 <= length; s *= 8) FN(pass)(p, length, s, 3);
    if (s * 4 <= length) FN(pass)(p, length, s, 2);
    else if (s * 2 <= length) FN(pass)(p, length, s, 1);
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, ...) __builtin_shufflevector(x, x, __VA_ARGS__)
#else
#define SHUFFLE(x, ...) __builtin_shuffle(x, (VU){__VA_ARGS__})
#endif

/* One stage of a stride below W: lanes meet their partners, the upper of each pair negated. */
#define WITHIN(stride, ...)                                                     \
    if (s <= stride) x = SHUFFLE(x, __VA_ARGS__) +                              \
                         (VF)((VU)x ^ ((FN(iota)() & stride) * (SIGN / stride)))

static TARGET void FN(within)(float *p, int64_t length, int64_t s) {
    for (int64_t i = 0; i < length; i += W) {
        VF x = LOAD(p + i);
#if W == 16
        WITHIN(1, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        WITHIN(2, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
        WITHIN(4, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
        WITHIN(8, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
#elif W == 8
        WITHIN(1, 1, 0, 3, 2, 5, 4, 7, 6);
        WITHIN(2, 2, 3, 0, 1, 6, 7, 4, 5);
        WITHIN(4, 4, 5, 6, 7, 0, 1, 2, 3);
#else
        WITHIN(1, 1, 0, 3, 2);
        WITHIN(2, 2, 3, 0, 1);
#endif
        STORE(p + i, x);
    }
}

/* H takes `small` on each block and `stages` on all: stages of small stride come first, as in
   the reference, so that the very same sums are formed; those within a block while it is in L1. */
INLINE void FN(small)(float *p, int64_t block, int64_t s) {
    if (s < W) FN(within)(p, block, s);
    FN(stages)(p, block, s < W ? W : s);
}

/* Fastfood.  Element e of a group is row e / lanes of block e % lanes. */

/* The words of signs of a group's rows. */
INLINE void FN(fill_words)(int32_t n, Pair k, uint32_t *words) {
    for (int32_t i = 0; i < n; i += W)
        STOREU(words + i, FN(word)(FN(iota)() + (uint32_t)i, k.a, k.b));
}

/* Rows e / lanes, (e + 1) / lanes, ... of an array with one entry for each row. */
INLINE VU FN(by_row)(const void *rows, int64_t e, const int log_lanes) {
    const uint32_t *from = (const uint32_t *)rows + (e >> log_lanes);
    if ((1 << log_lanes) >= W) return (VU){} + *from;
    return FN(pick)(LOADU(from), FN(iota)() >> log_lanes);
}

/* The signs of elements e, e + 1, ...: bit 31 - lane of the row's word, in the sign's place. */
INLINE VU FN(signs)(const uint32_t *words, Pair k, int64_t e, const int log_lanes) {
    if (!log_lanes) return FN(word)(FN(iota)() + (uint32_t)e, k.a, k.b) & SIGN;
    VU lane = (FN(iota)() + (uint32_t)e) & ((1u << log_lanes) - 1);
    return (FN(by_row)(words, e, log_lanes) << lane) & SIGN;
}

/* G x at some positions, and at step e a word to the memory system about what comes next. */
INLINE VF FN(diagonal)(const Map *m, const Scratch *s, Pair k, int64_t e, VU position,
                       const int log_lanes, VF x) {
    __builtin_prefetch(s->ahead[0] + e * s->bytes, 1);
    __builtin_prefetch(s->ahead[1] + e * s->bytes);
    if (m->kind != ORTHOGONAL)
        return x * FN(gaussian)(FN(word)(position, k.a, k.b), m->table);
    if (!log_lanes) return (VF)((VU)x ^ (FN(word)(position, k.a, k.b) & SIGN));
    VU row = position >> log_lanes, lane = position & ((1u << log_lanes) - 1);
    VU bits = (1 << log_lanes) >= W ? (VU){} + s->flips[row[0]]
                                    : (VU)FN(lookup)((const float *)s->flips, row);
    return (VF)((VU)x ^ ((bits << lane) & SIGN));
}

/* A tile of Pi u times G; or of the transpose, with Pi undone. */
INLINE void FN(shuffle)(const Map *m, Scratch *s, const Permutation *Pi, const uint32_t *undo,
                        Pair G, int64_t i, int64_t count, const int log_lanes) {
    const int64_t lanes = 1 << log_lanes;
    uint32_t from[TILE + PAD];
    for (int64_t r = 0; r < count; r += W) {
        VU row = FN(iota)() + (uint32_t)(i + r);
        STOREU(from + r, undo ? FN(unpermute)(Pi, undo, row) : FN(permute)(Pi, row));
    }
    float *to = s->b + i * lanes;
    if (lanes < W)
        for (int64_t r = 0; r < count; r++)
            memcpy(to + r * lanes, s->a + from[r] * lanes, 4 * (size_t)lanes);
    for (int64_t e = 0; e < count * lanes; e += W) {
        int64_t at = from[e >> log_lanes] * lanes + (e & (lanes - 1));
        VF y = LOAD(lanes < W ? to + e : s->a + at);
        VU position = FN(iota)() + (uint32_t)(undo && lanes >= W ? at : i * lanes + e);
        if (undo && lanes < W)
            position = (FN(by_row)(from, e, log_lanes) << log_lanes) +
                       (FN(iota)() & (uint32_t)(lanes - 1));
        STORE(to + e, FN(diagonal)(m, s, G, i * lanes + e, position, log_lanes, y));
    }
}

INLINE void FN(group)(const Map *m, int64_t cell, const float *x, const Source *v, int is_first,
                      Scratch *s, const int log_lanes) {
    const int64_t lanes = 1 << log_lanes, size = m->n * lanes;
    const int64_t block = size < BLOCK ? size : BLOCK;
    Pair B = subkeys(cell, m->keys[0]), G = subkeys(cell, m->keys[2]);
    Permutation Pi = permutation(cell, m->n, m->keys[1]);
    uint32_t undo[2] = {inverse(Pi.mul[0]), inverse(Pi.mul[1])};
    if (log_lanes) FN(fill_words)(m->n, B, s->words);
    if (log_lanes && m->kind == ORTHOGONAL) FN(fill_words)(m->n, G, s->flips);
    for (int64_t o = 0; o < size; o += block) {
        if (x)
            for (int64_t e = o; e < o + block; e += W)
                STORE(s->a + e, (VF)(FN(by_row)(x, e, log_lanes) ^
                                     FN(signs)(s->words, B, e, log_lanes)));
        else
            FN(load)(v, cell * size + o, s->a + o, block);
        FN(small)(s->a + o, block, lanes);
    }
    FN(stages)(s->a, size, block);
    for (int64_t o = 0; o < size; o += block) {
        int64_t last = (o + block) >> log_lanes;
        for (int64_t i = o >> log_lanes; i < last; i += TILE) {
            int64_t count = last - i < TILE ? last - i : TILE;
            if (x) FN(shuffle)(m, s, &Pi, 0, G, i, count, log_lanes);
            else FN(shuffle)(m, s, &Pi, undo, G, i, count, log_lanes);
        }
        FN(small)(s->b + o, block, lanes);
    }
    FN(stages)(s->b, size, block);
    if (!x)
        for (int64_t e = 0; e < size; e += W) {
            VF y = (VF)((VU)LOAD(s->b + e) ^ FN(signs)(s->words, B, e, log_lanes));
            STORE(s->sum + e, is_first ? y : y + LOAD(s->sum + e));
        }
}

static TARGET void FN(fastfood)(const Map *m, int64_t cell, const float *x, const Source *v,
                                int is_first, Scratch *s) {
#define CASE(k)                                                 \
    case 1 << k:                                                \
        if (x) FN(group)(m, cell, x, 0, 0, s, k);               \
        else FN(group)(m, cell, 0, v, is_first, s, k);          \
        break
    switch (m->lanes) {
        CASE(0);
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
    }
#undef CASE
}

/* Sum the lanes of each of d rows, as a tree. */
INLINE void FN(collect_lanes)(const float *sum, float *to, int64_t d, const int log_lanes) {
    const int lanes = 1 << log_lanes;
    for (int64_t j = 0; j < d; j += lanes < W ? W >> log_lanes : 1) {
        const float *from = sum + j * lanes;
        VF part[16 / W];
        float last[W];
        for (int k = 0; k * W < lanes; k++) part[k] = LOAD(from + k * W);
        for (int half = lanes / 2; half; half /= 2)
            if (half >= W)
                for (int k = 0; k * W < half; k++) part[k] += part[k + half / W];
            else part[0] += (VF)FN(pick)((VU)part[0], FN(iota)() ^ (uint32_t)half);
        STORE(last, part[0]);
        for (int64_t r = 0; r * lanes < W && j + r < d; r++) to[j + r] = last[r * lanes];
    }
}

static TARGET void FN(collect)(const Map *m, const float *sum, float *to) {
    if (m->kind == ONEHOT || m->kind == SPARSE || m->lanes == 1) memcpy(to, sum, 4 * (size_t)m->d);
    else if (m->lanes == 2) FN(collect_lanes)(sum, to, m->d, 1);
    else if (m->lanes == 4) FN(collect_lanes)(sum, to, m->d, 2);
    else if (m->lanes == 8) FN(collect_lanes)(sum, to, m->d, 3);
    else FN(collect_lanes)(sum, to, m->d, 4);
}
