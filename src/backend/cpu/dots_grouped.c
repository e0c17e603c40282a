/* Products of integers whose rows each have the matrix of their group: rows are rounded in the order of their
 * groups, so many at a time as there is memory for. */
#include "backend/cpu/dots.h"
#include "backend/cpu/kernels.h"
#include "ir/dtype.h"

enum { MOST_ROWS = 4096 }; /* at a time */

/* Rows of one group, of those that are at hand. */
typedef struct part {
    int64_t group, at, rows;
} part;

typedef struct job {
    const tuff_dots_groups *p;
    tuff_dots_shape shape;
    int64_t first, count, tiles; /* at hand: rows p->rows[first..first + count) */
    int64_t n;
    part *parts; /* [n] */
    char *rows;
} job;

static void round_range(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    const tuff_dots_groups *p = j->p;
    for (int64_t t = begin; t < end; t++)
        tuff_dots_round(j->shape.type, p->x + p->rows[j->first + t] / p->repeat * p->K, p->K, 1, p->K,
                        j->rows + (size_t)t * j->shape.row_bytes);
}

/* All rows of a part with the weights of a tile. */
static void multiply(const job *j, const part *at, int64_t tile)
{
    const tuff_dots_groups *p = j->p;
    const char *w = (const char *)p->w + tuff_dtype_bytes(p->w_dtype, at->group * p->w_group);
    const int64_t begin = tile * TUFF_DOTS_TILE, rest = p->N - begin;
    for (int64_t m = 0; m < at->rows; m += TUFF_DOTS_ROWS) {
        const int64_t count = at->rows - m < TUFF_DOTS_ROWS ? at->rows - m : TUFF_DOTS_ROWS;
        float *y[TUFF_DOTS_ROWS];
        for (int64_t i = 0; i < count; i++)
            y[i] = p->y + p->rows[j->first + at->at + m + i] * p->N;
        tuff_dots_multiply(&j->shape, j->rows + (size_t)(at->at + m) * j->shape.row_bytes, count, w, begin,
                           begin + (rest < TUFF_DOTS_TILE ? rest : TUFF_DOTS_TILE), y);
    }
}

static void tile_range(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    for (int64_t item = begin; item < end; item++)
        multiply(j, &j->parts[item / j->tiles], item % j->tiles);
}

/* The next rows: fewer than there is room for only where no more are left. */
static void cut(job *j, int64_t *group, int64_t capacity)
{
    const tuff_dots_groups *p = j->p;
    j->n = j->count = 0;
    for (; *group < p->groups && j->count < capacity; ++*group) {
        const int64_t end = p->starts[*group + 1], left = end - (j->first + j->count),
                      rows = left < capacity - j->count ? left : capacity - j->count;
        if (rows > 0) j->parts[j->n++] = (part){*group, j->count, rows};
        j->count += rows;
        if (rows < left) break; /* it goes on */
    }
}

static int64_t capacity_of(int64_t places)
{
    return places < MOST_ROWS ? places : MOST_ROWS;
}

static size_t parts_bytes(int64_t places)
{
    return ((size_t)capacity_of(places) * sizeof(part) + 63) / 64 * 64;
}

void tuff_dots_grouped(const tuff_dots_groups *p, void *scratch)
{
    int64_t group = 0;
    job j = {.p = p,
             .shape = tuff_dots_shape_of(p->w_dtype, p->ldw, p->K),
             .tiles = (p->N + TUFF_DOTS_TILE - 1) / TUFF_DOTS_TILE,
             .parts = scratch,
             .rows = (char *)scratch + parts_bytes(p->places)};
    for (; j.first < p->starts[p->groups]; j.first += j.count) {
        cut(&j, &group, capacity_of(p->places));
        tuff_parallel(j.count, 1 + TUFF_DOTS_ROUND_PIECE / p->K, round_range, &j);
        tuff_parallel(j.n * j.tiles, 1 + TUFF_DOTS_PIECE * j.n / (TUFF_DOTS_TILE * j.count * p->K),
                      tile_range, &j);
    }
}

size_t tuff_dots_grouped_scratch(tuff_dtype w_dtype, int64_t places, int64_t K)
{
    return parts_bytes(places) + tuff_dots_scratch(w_dtype, capacity_of(places), K);
}
