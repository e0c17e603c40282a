/* Matrix products. Where oneDNN is as fast with the operands as they lie, it gets panels of rows and writes
 * straight into c. All else goes in tiles: the smaller of the two operands is packed by all threads
 * together, a block at a time; each thread packs what it needs of the larger one just before use, while that
 * stays in its cache. Where tiles begin and end follows from the product's shape alone, so results do not
 * depend on the number of threads. */
#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "backend/cpu/host.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/products.h"

enum {
    MOST_K = 768,         /* terms at a time: a tile of each operand fits the second cache */
    BLOCK = 1536,         /* rows or columns of the smaller operand at a time: a multiple of all tiles */
    LINE = 16,            /* floats in a cache line */
    MOST_TILE = 192,      /* rows or columns of a tile */
    MANY_TILES = 32,      /* enough for many threads */
    SMALL_WORK = 1 << 18, /* multiply-adds that are worth a thread */
    SMALL_COPY = 1 << 14, /* elements that are */
    PANEL = 128,          /* rows that oneDNN gets at a time where nothing is packed */
    SMALL_B = 1 << 16,    /* elements of a b that is small: larger ones are faster in tiles */
    THIN = 16             /* terms, or columns of b, that are too few for packing to pay */
};

/* One operand: a's rows or b's columns. */
typedef struct side {
    const char *x;
    tuff_dtype dtype;
    int64_t count, tile;  /* how many rows or columns, and how many a tile has */
    int64_t stride, term; /* from one to the next; from one term to the next */
    bool pack;            /* else its tiles lie in memory as they should */
} side;

typedef struct work {
    const tuff_gemm_problem *g;
    side a, b;
    side *shared, *late; /* a and b: packed by all; packed by each thread for itself */
    int64_t kt;          /* terms at a time */
    int64_t k0, nk;      /* terms now: k0 to k0 + nk */
    int64_t begin, end;  /* of the shared side now */
    int64_t tiles;       /* of the shared side now */
    float *packed;       /* of the shared side */
    tuff_host *host;
} work;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

static int64_t whole_lines(int64_t n)
{
    return parts(n, LINE) * LINE;
}

static void begin_work(work *w, const tuff_gemm_problem *g)
{
    *w = (work){.g = g, .kt = g->K};
    if (g->K > MOST_K) w->kt = whole_lines(parts(g->K, parts(g->K, MOST_K)));
    w->a = (side){(const char *)g->a, TUFF_F32, g->M, 64, g->ars, g->acs, true};
    w->b = (side){g->b, g->b_dtype, g->N, 64, g->bcs, g->brs, true};
    if (g->M > 64 && parts(g->M, 64) * parts(g->N, 192) >= MANY_TILES) w->b.tile = 192;
    if (parts(g->M, 128) * parts(g->N, 192) >= MANY_TILES) w->a.tile = 128;
    if (g->acs == 1 && g->ars == w->kt && g->K == w->kt) w->a.pack = false;
    if (g->bcs == 1 && g->brs == g->N && g->N <= w->b.tile && g->b_dtype == TUFF_F32) w->b.pack = false;
    w->shared = g->M <= g->N ? &w->a : &w->b;
    w->late = g->M <= g->N ? &w->b : &w->a;
}

size_t tuff_gemm_scratch(const tuff_gemm_problem *g)
{
    work w;
    begin_work(&w, g);
    return w.shared->pack ? sizeof(float) * (size_t)(least(w.shared->count, BLOCK) * w.kt) : 0;
}

static void pack(const work *w, const side *s, int64_t first, int64_t count, float *out)
{
    const char *x = s->x + (first * s->stride + w->k0 * s->term) * (int64_t)tuff_dtype_size(s->dtype);
    if (s == &w->a)
        tuff_pack(x, s->dtype, s->stride, s->term, count, w->nk, out);
    else
        tuff_pack(x, s->dtype, s->term, s->stride, w->nk, count, out);
}

/* A tile that is not packed. */
static const float *in_place(const work *w, const side *s, int64_t first)
{
    return (const float *)s->x + first * s->stride + w->k0 * s->term;
}

static void pack_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    const side *s = w->shared;
    for (int64_t t = begin; t < end; t++) {
        int64_t first = w->begin + t * s->tile;
        pack(w, s, first, least(s->tile, w->end - first), w->packed + t * s->tile * w->kt);
    }
}

/* One tile of c: where, and from what. */
typedef struct place {
    int64_t row, column;
    tuff_tile_shape shape;
    const float *a, *b;
} place;

/* Asks for a tile of c while it is computed: its rows lie far apart, and nothing else foresees them. */
static void prefetch(const float *c, int64_t rows, int64_t columns, int64_t ldc)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LINE)
            __builtin_prefetch(c + i * ldc + j, 1, 2);
}

/* The result straight into c where its rows have no gaps, else by way of `own`. */
static void multiply(const work *w, tuff_product_use *use, const place *at, float *own)
{
    int64_t ldc = w->g->crs;
    float *c = w->g->c + at->row * ldc + at->column;
    bool direct = at->shape.n == ldc && w->k0 == 0;
    if (!direct) prefetch(c, at->shape.m, at->shape.n, ldc);
    tuff_product_tile(use, &at->shape, at->a, at->b, direct ? c : own);
    if (!direct) tuff_unpack(own, at->shape.m, at->shape.n, w->k0 > 0, c, ldc);
}

/* Without memory of its own a thread makes do with its stack: a few rows or columns at a time. */
static void multiply_strips(const work *w, const place *at)
{
    enum { STRIP = 8 };
    float packed[STRIP * MOST_K], result[STRIP * MOST_TILE];
    bool by_rows = w->late == &w->a;
    int64_t count = by_rows ? at->shape.m : at->shape.n;
    for (int64_t i = 0; i < count; i += STRIP) {
        place strip = *at;
        if (by_rows) {
            strip.row += i;
            strip.shape.m = least(STRIP, count - i);
            strip.a = packed;
            pack(w, w->late, strip.row, strip.shape.m, packed);
        } else {
            strip.column += i;
            strip.shape.n = least(STRIP, count - i);
            strip.b = packed;
            pack(w, w->late, strip.column, strip.shape.n, packed);
        }
        tuff_tile_plain(&strip.shape, strip.a, strip.b, result);
        tuff_unpack(result, strip.shape.m, strip.shape.n, w->k0 > 0,
                    w->g->c + strip.row * w->g->crs + strip.column, w->g->crs);
    }
}

/* What a thread needs of its own. */
typedef struct thread_memory {
    float late[MOST_TILE * MOST_K], result[MOST_TILE * MOST_TILE];
    char scratch[TUFF_PRODUCT_SCRATCH];
} thread_memory;
static_assert(sizeof(thread_memory) <= TUFF_HOST_PIECE, "a piece of memory is too small");
static_assert(offsetof(thread_memory, scratch) % 64 == 0, "scratch is aligned to 64");

static void tile_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    const side *shared = w->shared, *late = w->late;
    thread_memory *own = tuff_host_take(w->host);
    int64_t held = -1; /* the late tile that is packed */
    tuff_product_use use;
    if (own) tuff_product_begin(&use, tuff_host_products(w->host), own->scratch);
    for (int64_t t = begin; t < end; t++) {
        int64_t one = w->begin + t % w->tiles * shared->tile, two = t / w->tiles * late->tile;
        int64_t n_one = least(shared->tile, w->end - one), n_two = least(late->tile, late->count - two);
        const float *x = shared->pack ? w->packed + (one - w->begin) * w->kt : in_place(w, shared, one);
        const float *y = late->pack && own ? own->late : in_place(w, late, two);
        if (late->pack && own && held != two) pack(w, late, held = two, n_two, own->late);
        place at = shared == &w->a ? (place){one, two, {n_one, n_two, w->nk, false}, x, y}
                                   : (place){two, one, {n_two, n_one, w->nk, false}, y, x};
        if (own)
            multiply(w, &use, &at, own->result);
        else
            multiply_strips(w, &at);
    }
    if (own) tuff_product_end(&use);
    tuff_host_give(w->host, own);
}

static void run_block(work *w)
{
    w->tiles = parts(w->end - w->begin, w->shared->tile);
    if (w->shared->pack) tuff_parallel(w->tiles, 1 + SMALL_COPY / (w->shared->tile * w->nk), pack_range, w);
    int64_t each = least(w->a.tile, w->a.count) * least(w->b.tile, w->b.count) * w->nk;
    tuff_parallel(w->tiles * parts(w->late->count, w->late->tile), 1 + SMALL_WORK / each, tile_range, w);
}

/* A large b is left to tiles: a panel would read all of it, and there would be few panels to share out. */
static bool by_panels(const tuff_gemm_problem *g)
{
    bool a_and_c = g->acs == 1 && g->ars == g->K && g->crs == g->N;
    bool turned = g->brs == 1 && g->bcs == g->K;
    bool plain = g->bcs == 1 && g->brs == g->N && (g->N <= THIN || g->K <= THIN);
    bool fits = g->M >= PANEL && g->N * g->K <= SMALL_B;
    return a_and_c && (turned || plain) && g->b_dtype == TUFF_F32 && fits;
}

typedef struct panels {
    const tuff_gemm_problem *g;
    tuff_host *host;
    atomic_bool failed;
} panels;

static void panel_range(int64_t begin, int64_t end, void *context)
{
    panels *w = context;
    const tuff_gemm_problem *g = w->g;
    thread_memory *own = tuff_host_take(w->host);
    tuff_product_use use;
    bool ok = own != NULL;
    if (own) tuff_product_begin(&use, tuff_host_products(w->host), own->scratch);
    for (int64_t t = begin; t < end && ok; t++) {
        int64_t row = t * PANEL;
        tuff_tile_shape shape = {least(PANEL, g->M - row), g->N, g->K, g->bcs != 1};
        ok = tuff_product_try(&use, &shape, g->a + row * g->K, g->b, g->c + row * g->N);
    }
    if (own) tuff_product_end(&use);
    tuff_host_give(w->host, own);
    if (!ok) atomic_store(&w->failed, true);
}

/* False: c is still to be computed. */
static bool run_panels(const tuff_gemm_problem *g)
{
    panels w = {.g = g, .host = tuff_host_current()};
    if (!tuff_host_products(w.host)) return false;
    tuff_parallel(parts(g->M, PANEL), 1 + SMALL_WORK / (PANEL * g->N * g->K), panel_range, &w);
    return !atomic_load(&w.failed);
}

void tuff_gemm(const tuff_gemm_problem *g, void *scratch)
{
    if (by_panels(g) && run_panels(g)) return;
    work w;
    begin_work(&w, g);
    w.packed = scratch;
    w.host = tuff_host_current();
    for (w.begin = 0; w.begin < w.shared->count; w.begin = w.end) {
        w.end = least(w.begin + BLOCK, w.shared->count);
        for (w.k0 = 0; w.k0 < g->K; w.k0 += w.kt) {
            w.nk = least(w.kt, g->K - w.k0);
            run_block(&w);
        }
    }
}
