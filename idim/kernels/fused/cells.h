/* An unscaled P, and how its rows are cut into cells. */

#include <stdint.h>

enum { FASTFOOD, ORTHOGONAL, ONEHOT, SPARSE };

typedef struct {
    int32_t kind;
    int32_t n;     /* rows of a Fastfood block or of a one-hot window, a power of two */
    int32_t d;     /* columns */
    int32_t lanes; /* Fastfood blocks interleaved in a group */
    int64_t D;
    int64_t count;        /* sparse: blocks of rows */
    uint32_t keys[3][4];  /* B, Pi, G; or Pi, sign; or one */
    const float *table;   /* upper half of the inverse-normal table */
} Map;

typedef struct {
    int64_t start, stop;
} Rows;

static int64_t cell_at(const Map *m, int64_t row) {
    if (m->kind == ONEHOT) {
        int64_t full = m->D / m->n, rest = m->D % m->n, at = row - full * m->n;
        if (at < 0) return row / m->n;
        /* the rows after the last whole window are windows of falling powers of two */
        for (int64_t size = m->n >> 1; size; size >>= 1)
            if (rest & size) {
                if (at < size) return full;
                at -= size;
                full++;
            }
        return full;
    }
    if (m->kind == SPARSE) {
        int64_t b = (int64_t)((double)row / (double)m->D * (double)m->count);
        while (b > 0 && b * m->D / m->count > row) b--;
        while ((b + 1) * m->D / m->count <= row) b++;
        return b;
    }
    return row / ((int64_t)m->n * m->lanes);
}

static Rows cell_rows(const Map *m, int64_t cell) {
    if (m->kind == ONEHOT) {
        int64_t full = m->D / m->n, rest = m->D % m->n, at = full * m->n;
        if (cell < full) return (Rows){cell * m->n, (cell + 1) * m->n};
        for (int64_t size = m->n >> 1; size; size >>= 1)
            if (rest & size) {
                if (cell == full) return (Rows){at, at + size};
                at += size;
                full++;
            }
        return (Rows){at, at};
    }
    if (m->kind == SPARSE)
        return (Rows){cell * m->D / m->count, (cell + 1) * m->D / m->count};
    int64_t size = (int64_t)m->n * m->lanes;
    return (Rows){cell * size, (cell + 1) * size};
}

static int64_t cell_size(const Map *m) {
    if (m->kind == SPARSE) return m->D / m->count + 1;
    return (int64_t)m->n * (m->kind == ONEHOT ? 1 : m->lanes);
}
