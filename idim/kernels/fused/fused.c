/* Fused CPU kernels for P theta_d and its adjoint: nothing of size D is stored, theta_0, theta and
   gradients are touched once.  The layout and every random bit are those of the reference.

   P is cut into cells of consecutive rows (a Fastfood group, a one-hot window, a sparse block) that
   fit a core's second-level cache.  Threads take runs of cells; which sums are formed, and in which
   order, depends on the rows alone, never on the number of threads or the instruction set.

   Threads are plain pthreads: linking a second OpenMP runtime into a process that holds torch's is
   a known source of crashes and oversubscription, and starting a thread takes 20 us. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "hashes.h"

enum { FLOAT32, BFLOAT16 };

/* Rows [start, stop): theta = base + scale * P theta_d, or P theta_d where base is null. */
typedef struct {
    void *theta;
    const void *base;
    int64_t start, stop;
    float scale;
    int32_t dtype;
} Piece;

/* Gradients of rows. */
typedef struct {
    const void *v;
    int dtype;
    Rows rows;
} Source;

/* A thread's own memory. */
typedef struct {
    float *a, *b;             /* a cell's rows */
    float *sum;               /* what the cells of a run add up to */
    uint32_t *words, *flips;  /* a group's signs, B's and the orthogonal G's */
    const char *ahead[2];     /* memory to prefetch while computing, `bytes` for each row */
    int64_t bytes;
} Scratch;

typedef struct {
    /* b = rows of P x */
    void (*forward)(const Map *, int64_t cell, Rows, const float *x, Scratch *);
    /* sum += the cell's P^T v, the first time sum = it */
    void (*adjoint)(const Map *, int64_t cell, Rows, const Source *, int is_first, Scratch *);
    void (*store)(const Piece *, int64_t at, const float *y, int64_t length);
    void (*collect)(const Map *, const float *sum, float *to);
} Kernels;

/* Floats that a kernel may touch past the end of an array, rows permuted at a time, and floats
   transformed at a time while they stay in a first-level cache. */
enum { PAD = 16, TILE = 256, BLOCK = 4096 };

/* One copy of the kernels for each instruction set. */

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define FN(name) JOIN(name, ISA)

#define ISA generic
#define W 4
#define TARGET
#include "isa.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_X86 1
#include <immintrin.h>

#define ISA avx2
#define W 8
#define TARGET __attribute__((target("avx2")))
#include "isa.h"

#define ISA avx512
#define W 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2")))
#include "isa.h"
#endif

static const Kernels *best(void) {
#ifdef HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2")) return &kernels_avx2;
#endif
    return &kernels_generic;
}

/* Changes with anything that cpu.py and this file must agree on. */
int idim_version(void) { return 2; }

static const Kernels *chosen;

/* Choose an instruction set by name, the best one for null; return its name, null if unknown. */
const char *idim_isa(const char *name) {
    const Kernels *top = best();
    static const char *const names[] = {"generic", "avx2", "avx512"};
    const Kernels *all[] = {&kernels_generic,
#ifdef HAS_X86
                            &kernels_avx2, &kernels_avx512
#endif
    };
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) {
        if (name ? !strcmp(name, names[i]) : all[i] == top) {
            chosen = all[i];
            return names[i];
        }
        if (all[i] == top) return 0;
    }
    return 0;
}

/* Threads. */

typedef struct Job Job;
struct Job {
    void (*run)(Job *, int64_t run, Scratch *);
    const Map *map;
    const Kernels *kernels;
    int64_t first, last, step; /* cells, and cells in a run */
    atomic_llong next;
    atomic_int failed;
    /* write */
    const float *x;
    const Piece *pieces;
    int64_t piece_count;
    /* fold */
    Source source;
    float *partial;
};

static void *work(void *argument) {
    Job *job = argument;
    int64_t runs = (job->last - job->first + job->step - 1) / job->step;
    size_t size = (size_t)((cell_size(job->map) + PAD + 15) / 16 * 16);
    size_t sums = (size_t)((job->map->d + PAD + 15) / 16 * 16), n = (size_t)job->map->n + PAD;
    if (sums < size) sums = size;
    char *memory = aligned_alloc(64, (4 * (2 * size + sums + 2 * n) + 63) / 64 * 64);
    if (!memory) {
        job->failed = 1;
        return 0;
    }
    Scratch s;
    s.a = (float *)memory;
    s.b = s.a + size;
    s.sum = s.b + size;
    s.words = (uint32_t *)(s.sum + sums);
    s.flips = s.words + n;
    for (int64_t run; (run = atomic_fetch_add(&job->next, 1)) < runs;) job->run(job, run, &s);
    free(memory);
    return 0;
}

/* GOMP_parallel of the OpenMP library that torch runs on.  Its threads spin for a while after each
   of torch's operations: others would wait for their cores, at a millisecond a call. */
typedef void (*Team)(void (*)(void *), void *, unsigned threads, unsigned flags);
static Team team;

void idim_use_team(void *gomp_parallel) { team = (Team)gomp_parallel; }

static void work_in_team(void *job) { work(job); }

static int start(Job *job, int threads) {
    enum { MOST = 256 };
    pthread_t others[MOST];
    int64_t runs = (job->last - job->first + job->step - 1) / job->step;
    if (threads > runs) threads = (int)runs;
    if (threads > MOST) threads = MOST;
    if (team && threads > 1) {
        team(work_in_team, job, (unsigned)threads, 0);
        return job->failed;
    }
    int started = 0;
    /* runs are handed out one by one, so any number of threads does all of them */
    while (started < threads - 1 && !pthread_create(&others[started], 0, work, job)) started++;
    work(job);
    for (int i = 0; i < started; i++) pthread_join(others[i], 0);
    return job->failed;
}

/* theta = theta_0 + scale * P x, over pieces sorted by start and disjoint. */

/* The first piece that ends after a row. */
static int64_t piece_at(const Job *job, int64_t row) {
    int64_t low = 0, high = job->piece_count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (job->pieces[middle].stop > row) high = middle;
        else low = middle + 1;
    }
    return low;
}

static void look_ahead(Scratch *s, const Piece *p, Rows rows) {
    int is_whole = p->start <= rows.start && rows.stop <= p->stop;
    s->bytes = p->dtype == FLOAT32 ? 4 : 2;
    int64_t at = (rows.start - p->start) * s->bytes;
    s->ahead[0] = is_whole ? (const char *)p->theta + at : (const char *)s->b;
    s->ahead[1] = is_whole && p->base ? (const char *)p->base + at : (const char *)s->b;
}

static void write_cell(Job *job, int64_t cell, Scratch *s) {
    Rows rows = cell_rows(job->map, cell);
    int is_made = 0;
    for (int64_t i = piece_at(job, rows.start); i < job->piece_count; i++) {
        const Piece *p = job->pieces + i;
        if (p->start >= rows.stop) break;
        int64_t a = p->start > rows.start ? p->start : rows.start;
        int64_t b = p->stop < rows.stop ? p->stop : rows.stop;
        if (!is_made) {
            look_ahead(s, p, rows);
            job->kernels->forward(job->map, cell, rows, job->x, s);
        }
        is_made = 1;
        job->kernels->store(p, a - p->start, s->b + (a - rows.start), b - a);
    }
}

static void write_run(Job *job, int64_t run, Scratch *s) {
    int64_t first = job->first + run * job->step;
    for (int64_t cell = first; cell < first + job->step && cell < job->last; cell++)
        write_cell(job, cell, s);
}

/* x has n entries (Fastfood, zero-padded) or d, and PAD more. */
int idim_write(const Map *map, const float *x, const Piece *pieces, int64_t count, int threads) {
    Job job = {.run = write_run, .map = map, .kernels = chosen, .x = x};
    job.pieces = pieces;
    job.piece_count = count;
    job.first = cell_at(map, pieces[0].start);
    job.last = cell_at(map, pieces[count - 1].stop - 1) + 1;
    job.step = 1 + 32768 / cell_size(map);
    return start(&job, threads);
}

/* P^T v */

static void fold_run(Job *job, int64_t run, Scratch *s) {
    const Source *v = &job->source;
    int64_t first = job->first + run * job->step;
    s->bytes = v->dtype == FLOAT32 ? 4 : 2;
    s->ahead[1] = (const char *)s->b;
    for (int64_t cell = first; cell < first + job->step && cell < job->last; cell++) {
        Rows rows = cell_rows(job->map, cell);
        int64_t next = 2 * rows.stop - rows.start;
        int is_whole = v->rows.start <= rows.stop && next <= v->rows.stop;
        const char *ahead = (const char *)v->v + (rows.stop - v->rows.start) * s->bytes;
        s->ahead[0] = is_whole ? ahead : s->ahead[1];
        job->kernels->adjoint(job->map, cell, rows, v, cell == first, s);
    }
    job->kernels->collect(job->map, s->sum, job->partial + run * job->map->d);
}

/* How many cells a run adds up: few, as their float32 sums lose digits, but work for 32 threads
   where there is some, and partial sums of at most 32 MB.  From the rows alone. */
static int64_t fold_step(const Map *m, int64_t cells) {
    int64_t step = (cells + 31) / 32, most = (1 << 23) / (int64_t)m->d;
    int64_t least = most ? (cells + most - 1) / most : cells;
    if (step > 64) step = 64;
    return step > least ? step : least;
}

/* total = the sum of the runs, in double precision. */
static void add_runs(const float *partial, int64_t runs, int64_t d, float *total) {
    for (int64_t j = 0; j < d; j += TILE) {
        double sum[TILE] = {0};
        int64_t count = d - j < TILE ? d - j : TILE;
        for (int64_t r = 0; r < runs; r++)
            for (int64_t i = 0; i < count; i++) sum[i] += partial[r * d + j + i];
        for (int64_t i = 0; i < count; i++) total[j + i] = (float)sum[i];
    }
}

/* total (d) = P[start:stop]^T v. */
int idim_fold(const Map *map, const void *v, int dtype, int64_t from, int64_t to, float *total,
              int threads) {
    Job job = {.run = fold_run, .map = map, .kernels = chosen, .source = {v, dtype, {from, to}}};
    job.first = cell_at(map, from);
    job.last = cell_at(map, to - 1) + 1;
    job.step = fold_step(map, job.last - job.first);
    int64_t runs = (job.last - job.first + job.step - 1) / job.step;
    job.partial = malloc(4 * (size_t)(runs * map->d));
    int failed = !job.partial || start(&job, threads);
    if (!failed) add_runs(job.partial, runs, map->d, total);
    free(job.partial);
    return failed;
}
