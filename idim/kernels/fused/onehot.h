/* One non-zero a row: row p of a window that starts at row s meets column (s + Pi(p)) mod d. */

/* The sign of rows p, p + 1, ... of a window: bit 31 - p % 16 of word p / 16. */
INLINE VU FN(row_signs)(Pair k, uint32_t p) {
    VU at = (FN(iota)() + p) & 15;
    return (((VU){} + word(p >> 4, k.a, k.b)) << at) & SIGN;
}

/* x mod d.  Windows have max(256, next_pow2(d)) rows, so x is below 3 d, or below 512. */
INLINE VU FN(modulo)(VU x, uint32_t d) {
    if (d >= 256) {
        x = FN(least)(x, x - d);
        return FN(least)(x, x - d);
    }
    x -= ((x * (65536 / d + 1)) >> 16) * d; /* the quotient may be one too large */
    return FN(least)(x, x + d);
}

static TARGET void FN(onehot_forward)(const Map *m, int64_t cell, Rows rows, const float *x,
                                      Scratch *s) {
    uint32_t size = (uint32_t)(rows.stop - rows.start), d = (uint32_t)m->d;
    uint32_t base = (uint32_t)(rows.start % m->d);
    Permutation Pi = permutation(cell, (int32_t)size, m->keys[0]);
    Pair S = subkeys(cell, m->keys[1]);
    for (uint32_t p = 0; p < size; p += W) {
        VU j = FN(modulo)(FN(permute)(&Pi, FN(iota)() + p) + base, d);
        STORE(s->b + p, (VF)((VU)FN(lookup)(x, j) ^ FN(row_signs)(S, p)));
    }
}

static TARGET void FN(onehot_adjoint)(const Map *m, int64_t cell, Rows rows, const Source *v,
                                      int is_first, Scratch *s) {
    uint32_t size = (uint32_t)(rows.stop - rows.start), d = (uint32_t)m->d;
    Permutation Pi = permutation(cell, (int32_t)size, m->keys[0]);
    Pair S = subkeys(cell, m->keys[1]);
    uint32_t undo[2] = {inverse(Pi.mul[0]), inverse(Pi.mul[1])};
    FN(load)(v, rows.start, s->a, rows.stop - rows.start);
    if (is_first) memset(s->sum, 0, 4 * (size_t)d);
    for (uint32_t p = 0; p < size; p += W)
        STORE(s->a + p, (VF)((VU)LOAD(s->a + p) ^ FN(row_signs)(S, p)));
    for (uint32_t q = 0; q < size; q += W)
        STORE(s->b + q, FN(lookup)(s->a, FN(unpermute)(&Pi, undo, FN(iota)() + q)));
    /* columns that recur in a window are summed on their own first: long sums lose digits */
    float recurring[288] = {0}, *sum = d < 256 ? recurring : s->sum;
    uint32_t width = d < 256 ? d * ((15 + d) / d) : d, j = (uint32_t)(rows.start % width);
    for (uint32_t q = 0; q < size; j = 0) {
        uint32_t length = size - q < width - j ? size - q : width - j, i = 0;
        float *to = sum + j;
        const float *from = s->b + q;
        for (; i + W <= length; i += W) STORE(to + i, LOAD(to + i) + LOAD(from + i));
        for (; i < length; i++) to[i] += from[i];
        q += length;
    }
    for (uint32_t k = 0; d < 256 && k < width; k += d)
        for (uint32_t i = 0; i < d; i++) s->sum[i] += recurring[k + i];
}
