/* The kernels for one instruction set; fused.c includes this file once for each.

   Wants ISA, W (floats in a vector) and TARGET (a function attribute). */

#include "vectors.h"

#include "fastfood.h"
#include "onehot.h"
#include "sparse.h"

static TARGET void FN(forward)(const Map *m, int64_t cell, Rows rows, const float *x, Scratch *s) {
    if (m->kind == ONEHOT) FN(onehot_forward)(m, cell, rows, x, s);
    else if (m->kind == SPARSE) FN(sparse_forward)(m, cell, rows, x, s);
    else FN(fastfood)(m, cell, x, 0, 0, s);
}

static TARGET void FN(adjoint)(const Map *m, int64_t cell, Rows rows, const Source *v,
                               int is_first, Scratch *s) {
    if (m->kind == ONEHOT) FN(onehot_adjoint)(m, cell, rows, v, is_first, s);
    else if (m->kind == SPARSE) FN(sparse_adjoint)(m, cell, rows, v, is_first, s);
    else FN(fastfood)(m, cell, 0, v, is_first, s);
}

static const Kernels FN(kernels) = {FN(forward), FN(adjoint), FN(store), FN(collect)};

#undef ISA
#undef W
#undef TARGET
#undef INLINE
#undef VF
#undef VU
#undef VFU
#undef VUU
#undef VHU
#undef LOAD
#undef STORE
#undef LOADU
#undef STOREU
#undef SIGN
#undef SHUFFLE
#undef WITHIN
