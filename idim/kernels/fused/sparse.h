/* Sparse: column j has one entry in each block of rows, at a hashed offset. */

INLINE void FN(offsets)(uint32_t *at, const uint32_t *bits, uint64_t size, int count) {
    for (int i = 0; i < count; i++) at[i] = (uint32_t)((bits[i] * size) >> 32);
}

static TARGET void FN(sparse_forward)(const Map *m, int64_t cell, Rows rows, const float *x,
                                      Scratch *s) {
    Pair k = subkeys(cell, m->keys[0]);
    uint32_t bits[TILE], at[TILE];
    memset(s->b, 0, 4 * (size_t)(rows.stop - rows.start));
    for (int32_t j = 0; j < m->d; j += TILE) {
        int count = m->d - j < TILE ? m->d - j : TILE;
        for (int i = 0; i < TILE; i += W)
            STOREU(bits + i, FN(word)(FN(iota)() + (uint32_t)(j + i), k.a, k.b));
        FN(offsets)(at, bits, (uint64_t)(rows.stop - rows.start), TILE);
        for (int i = 0; i < count; i++)
            s->b[at[i]] += bits_float(float_bits(x[j + i]) ^ (bits[i] << 31));
    }
}

static TARGET void FN(sparse_adjoint)(const Map *m, int64_t cell, Rows rows, const Source *v,
                                      int is_first, Scratch *s) {
    Pair k = subkeys(cell, m->keys[0]);
    uint32_t bits[TILE], at[TILE];
    FN(load)(v, rows.start, s->a, rows.stop - rows.start);
    if (is_first) memset(s->sum, 0, 4 * (size_t)m->d);
    for (int32_t j = 0; j < m->d; j += TILE) {
        int count = m->d - j < TILE ? m->d - j : TILE;
        for (int i = 0; i < TILE; i += W)
            STOREU(bits + i, FN(word)(FN(iota)() + (uint32_t)(j + i), k.a, k.b));
        FN(offsets)(at, bits, (uint64_t)(rows.stop - rows.start), TILE);
        for (int i = 0; i < count; i += W) {
            VU y = (VU)FN(lookup)(s->a, LOADU(at + i)) ^ (LOADU(bits + i) << 31);
            STORE(s->sum + j + i, LOAD(s->sum + j + i) + (VF)y);
        }
    }
}
