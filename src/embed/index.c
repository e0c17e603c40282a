/* Exact search: products of queries with all vectors, in pieces, and the largest of each piece merged. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/memory.h"
#include "embed/index.h"
#include "runtime/device.h"

enum { AT_ONCE = 64, MOST_HITS = 1024 };

static tuff_status choose_type(tuff_index *index, const char *path)
{
    static const char *const types[] = {"<f4", "<f2", "|i1", "|u1"};
    const tuff_npy *a = &index->array;
    if (a->rank != 2 || a->shape[0] < 1 || a->shape[1] < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: an array [vectors, dimensions] is expected", path);
    for (int i = 0; i < 4; i++)
        if (strcmp(a->type, types[i]) == 0) {
            index->type = (tuff_row_type)i;
            index->count = a->shape[0];
            index->dimensions = i == TUFF_ROW_BITS ? 8 * a->shape[1] : a->shape[1];
            return TUFF_OK;
        }
    return tuff_fail(TUFF_UNSUPPORTED, "%s: its numbers are %s; f4, f2, i1 and packed u1 are searched", path,
                     a->type);
}

static size_t row_bytes(const tuff_index *index)
{
    return (size_t)index->array.shape[1] * index->array.item_bytes;
}

/* Rows first to first + n of a piece as the file has them, valid until the next call. */
static tuff_status read_rows(tuff_index *index, int64_t first, int64_t n, const uint8_t **out)
{
    const size_t row = row_bytes(index), at = (size_t)first * row;
    *out = index->raw ? index->raw : index->array.data + at;
    if (!index->raw) return TUFF_OK;
    return tuff_file_read(&index->file, index->array.at + at, index->raw, (size_t)n * row);
}

/* A row of int8 at length 1: its scale was its own. */
static void from_int8(const int8_t *x, int64_t n, float *out)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(scale * (double)x[i]);
}

static void from_f16(const uint8_t *x, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, x + 2 * i, sizeof half);
        out[i] = tuff_f16_to_f32(half);
    }
}

tuff_status tuff_index_check(const tuff_index *index, const float *vector, int64_t row)
{
    for (int64_t k = 0; k < index->dimensions; k++)
        if (!isfinite(vector[k]))
            return tuff_fail(TUFF_NOT_FINITE, "%s: vector %lld has a number that is not finite", index->where,
                             (long long)row);
    return TUFF_OK;
}

/* Vectors first to first + n as f32, in index->host. */
static tuff_status convert(tuff_index *index, int64_t first, int64_t n)
{
    int64_t d = index->dimensions;
    const uint8_t *rows;
    TUFF_TRY(read_rows(index, first, n, &rows));
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *row = rows + (size_t)i * row_bytes(index);
        float *out = index->host + i * d;
        if (index->type == TUFF_ROW_INT8)
            from_int8((const int8_t *)row, d, out);
        else if (index->type == TUFF_ROW_F16)
            from_f16(row, d, out);
        else
            memcpy(out, row, (size_t)d * sizeof *out);
        TUFF_TRY(tuff_index_check(index, out, first + i));
    }
    return TUFF_OK;
}

static int64_t piece_rows(const tuff_index *index, int64_t first)
{
    return index->count - first < index->piece ? index->count - first : index->piece;
}

/* "piece.3", or the one that all pieces pass through: one for whole pieces, one for the last. */
static void name_piece(const tuff_index *index, int64_t first, char name[48])
{
    if (index->resident)
        snprintf(name, 48, "piece.%lld", (long long)(first / index->piece));
    else
        snprintf(name, 48, "rows.%lld", (long long)piece_rows(index, first));
}

static tuff_status upload(tuff_index *index, int64_t first)
{
    char name[48];
    int64_t n = piece_rows(index, first);
    tuff_store *store = tuff_session_store(index->session);
    name_piece(index, first, name);
    tuff_buffer *buffer = tuff_store_find(store, name);
    if (!buffer)
        TUFF_TRY(tuff_store_add(store, name, TUFF_F32, 2, (int64_t[]){n, index->dimensions}, &buffer));
    TUFF_TRY(convert(index, first, n));
    return tuff_buffer_write(buffer, 0, index->host, n * index->dimensions);
}

/* Room for a piece. */
static tuff_status make_room(tuff_index *index, const tuff_index_limits *limits)
{
    enum { MOST_BITS = 1 << 16 }; /* rows of bits between two looks at the watch */
    const bool bits = index->type == TUFF_ROW_BITS;
    const uint64_t row = bits ? row_bytes(index) : (uint64_t)index->dimensions * sizeof(float);
    index->piece = (int64_t)(limits->piece_bytes / row) + 1;
    if (bits && index->piece > MOST_BITS) index->piece = MOST_BITS;
    if (index->piece > index->count) index->piece = index->count;
    index->resident = (uint64_t)index->count <= limits->resident_bytes / row;
    if (!bits) index->host = tuff_alloc_array((size_t)index->piece, (size_t)row);
    if (!index->array.data) index->raw = tuff_alloc_array((size_t)index->piece, row_bytes(index));
    bool failed = (!bits && !index->host) || (!index->array.data && !index->raw);
    return failed ? tuff_fail_memory("a piece of an index") : TUFF_OK;
}

static tuff_status put_on_device(tuff_index *index, const tuff_index_limits *limits)
{
    TUFF_TRY(make_room(index, limits));
    if (index->type == TUFF_ROW_BITS) return TUFF_OK;
    TUFF_TRY(tuff_session_create(index->device, &index->session));
    for (int64_t first = 0; index->resident && first < index->count; first += index->piece)
        TUFF_TRY(upload(index, first));
    return tuff_file_check(&index->file);
}

void tuff_index_use(tuff_index *index, tuff_device *device)
{
    index->device = device;
    tuff_device_keep(device);
}

/* Of index->array. */
static tuff_status open_array(tuff_index *index, tuff_device *device, const tuff_index_limits *limits)
{
    tuff_index_use(index, device);
    TUFF_TRY(choose_type(index, index->where));
    return put_on_device(index, limits);
}

static void take_from_device(tuff_index *index)
{
    tuff_session_destroy(&index->session);
    tuff_free(index->host);
    tuff_free(index->raw);
    index->host = NULL;
    index->raw = NULL;
}

static const tuff_index_limits usual = {.piece_bytes = 32 << 20, .resident_bytes = (uint64_t)1 << 31};

tuff_status tuff_index_open(const char *path, tuff_device *device, tuff_index **out_index)
{
    TUFF_NEED_OUT(out_index);
    TUFF_NEED(path);
    TUFF_NEED(device);
    return tuff_index_open_within(path, device, &usual, out_index);
}

static tuff_status open_file(tuff_index *index, const char *path, tuff_device *device,
                             const tuff_index_limits *limits)
{
    TUFF_TRY(tuff_file_open(path, &index->file));
    index->where = index->file.path;
    TUFF_TRY(tuff_npy_read_header(&index->file, &index->array));
    return open_array(index, device, limits);
}

tuff_status tuff_index_open_within(const char *path, tuff_device *device, const tuff_index_limits *limits,
                                   tuff_index **out_index)
{
    *out_index = NULL;
    tuff_index *index = tuff_alloc(sizeof *index);
    if (!index) return tuff_fail_memory("an index");
    tuff_status status = open_file(index, path, device, limits);
    if (status != TUFF_OK)
        tuff_index_destroy(&index);
    else
        *out_index = index;
    return status;
}

tuff_status tuff_index_over(const float *vectors, int64_t n, int64_t dimensions, tuff_device *device,
                            tuff_index **out_index)
{
    *out_index = NULL;
    tuff_index *index = tuff_alloc(sizeof *index);
    if (!index) return tuff_fail_memory("an index");
    index->where = "the vectors in memory";
    index->array = (tuff_npy){.type = "<f4",
                              .item_bytes = sizeof *vectors,
                              .rank = 2,
                              .shape = {n, dimensions},
                              .data = (const uint8_t *)vectors};
    tuff_status status = open_array(index, device, &usual);
    if (status != TUFF_OK)
        tuff_index_destroy(&index);
    else
        *out_index = index;
    return status;
}

void tuff_index_destroy(tuff_index **index)
{
    if (!index || !*index) return;
    take_from_device(*index);
    tuff_file_close(&(*index)->file);
    tuff_free((*index)->own);
    if ((*index)->device) tuff_device_let_go((*index)->device);
    tuff_free(*index);
    *index = NULL;
}

int64_t tuff_index_count(const tuff_index *index)
{
    return index ? index->count : 0;
}

int64_t tuff_index_dimensions(const tuff_index *index)
{
    return index ? index->dimensions : 0;
}

/* ---- the k best so far ---- */

/* One query's hits, best first. */
typedef struct best {
    tuff_hit *hits;
    size_t n, k;
} best;

/* Of a query that is not finite: NaN is below all numbers. */
static bool is_better(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

/* Rows come in ascending order, so that of equal ones the lower row stays before. */
static void add_hit(best *b, int64_t row, float score)
{
    if (b->n == b->k && !is_better(score, b->hits[b->n - 1].score)) return;
    size_t at = b->n < b->k ? b->n++ : b->n - 1;
    for (; at > 0 && is_better(score, b->hits[at - 1].score); at--)
        b->hits[at] = b->hits[at - 1];
    b->hits[at] = (tuff_hit){.row = row, .score = score};
}

/* ---- bits, on the host ---- */

static int64_t differing(const uint8_t *a, const uint8_t *b, int64_t bytes)
{
    int64_t n = 0, at = 0;
    for (; at + 8 <= bytes; at += 8) {
        uint64_t x, y;
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        n += __builtin_popcountll(x ^ y);
    }
    for (; at < bytes; at++)
        n += __builtin_popcount((unsigned)(a[at] ^ b[at]));
    return n;
}

static tuff_status compare_bits(tuff_index *index, const uint8_t *query, const tuff_watch *watch, best *b)
{
    const size_t bytes = row_bytes(index);
    for (int64_t first = 0; first < index->count; first += index->piece) {
        const int64_t n = piece_rows(index, first);
        const uint8_t *rows;
        TUFF_TRY(tuff_watch_step(watch, TUFF_PHASE_SEARCH, (uint64_t)first, (uint64_t)index->count));
        TUFF_TRY(read_rows(index, first, n, &rows));
        for (int64_t i = 0; i < n; i++) {
            int64_t off = differing(query, rows + (size_t)i * bytes, (int64_t)bytes);
            add_hit(b, first + i, (float)(1 - 2 * (double)off / (double)index->dimensions));
        }
    }
    return TUFF_OK;
}

static tuff_status search_bits(tuff_index *index, const float *query, const tuff_watch *watch, best *b)
{
    uint8_t *bits = tuff_alloc(row_bytes(index));
    if (!bits) return tuff_fail_memory("a query");
    for (int64_t i = 0; i < index->dimensions; i++)
        bits[i / 8] |= (uint8_t)((query[i] > 0) << (7 - i % 8));
    tuff_status status = compare_bits(index, bits, watch, b);
    tuff_free(bits);
    return status;
}

/* ---- numbers, on the device ---- */

typedef struct piece_key {
    int64_t number, rows, queries, k; /* number: of a resident piece, else -1 */
} piece_key;

typedef struct building {
    const tuff_index *index;
    piece_key key;
    int64_t first;
} building;

static tuff_status build(void *user, tuff_graph *g)
{
    const building *b = user;
    const tuff_index *index = b->index;
    char name[48];
    name_piece(index, b->first, name);
    tuff_graph_set_invariant(g, true);
    tuff_tensor *q = tuff_input(g, "queries", TUFF_F32, 2, (int64_t[]){b->key.queries, index->dimensions});
    tuff_tensor *x = tuff_variable(g, name, TUFF_F32, 2, (int64_t[]){b->key.rows, index->dimensions});
    tuff_tensor *values = NULL, *places = NULL;
    tuff_top_k(g, tuff_matmul(g, q, tuff_transpose(g, x)), b->key.k, &values, &places);
    tuff_output(g, "values", values);
    tuff_output(g, "places", places);
    return tuff_graph_status(g);
}

typedef struct output {
    float values[AT_ONCE * MOST_HITS];
    int32_t places[AT_ONCE * MOST_HITS];
} output;

static tuff_status search_piece(tuff_index *index, int64_t first, const float *queries, size_t n, size_t k,
                                const tuff_watch *watch, output *found, best *bests)
{
    building b = {.index = index, .first = first};
    b.key.number = index->resident ? first / index->piece : -1;
    b.key.rows = piece_rows(index, first);
    b.key.queries = (int64_t)n;
    b.key.k = (int64_t)k < b.key.rows ? (int64_t)k : b.key.rows;
    tuff_program *program = NULL;
    if (!index->resident) TUFF_TRY(upload(index, first));
    TUFF_TRY(tuff_session_program(index->session, &b.key, sizeof b.key, build, &b, watch, &program));
    size_t hits = n * (size_t)b.key.k;
    TUFF_TRY(
        tuff_program_input(program, "queries", queries, n * (size_t)index->dimensions * sizeof *queries));
    TUFF_TRY(tuff_program_run(program));
    TUFF_TRY(tuff_program_output(program, "values", found->values, hits * sizeof *found->values));
    TUFF_TRY(tuff_program_output(program, "places", found->places, hits * sizeof *found->places));
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < (size_t)b.key.k; i++) {
            size_t at = q * (size_t)b.key.k + i;
            add_hit(&bests[q], first + found->places[at], found->values[at]);
        }
    return TUFF_OK;
}

static tuff_status search_numbers(tuff_index *index, const float *queries, size_t n, size_t k,
                                  const tuff_watch *watch, best *bests)
{
    output *found = tuff_alloc(sizeof *found);
    if (!found) return tuff_fail_memory("a search");
    tuff_status status = TUFF_OK;
    for (int64_t first = 0; first < index->count && status == TUFF_OK; first += index->piece) {
        status = tuff_watch_step(watch, TUFF_PHASE_SEARCH, (uint64_t)first, (uint64_t)index->count);
        if (status == TUFF_OK) status = search_piece(index, first, queries, n, k, watch, found, bests);
    }
    tuff_free(found);
    return status;
}

/* What has changed since it was put on the device is put there anew. */
static tuff_status make_ready(tuff_index *index)
{
    if (!index->changed) return TUFF_OK;
    take_from_device(index);
    TUFF_TRY(put_on_device(index, &usual));
    index->changed = false;
    return TUFF_OK;
}

tuff_status tuff_index_search(tuff_index *index, const float *queries, size_t n, size_t k,
                              const tuff_watch *watch, tuff_hit *out_hits)
{
    TUFF_NEED(index);
    TUFF_NEED_MANY(queries, n);
    TUFF_NEED_MANY(out_hits, n);
    TUFF_TRY(tuff_watch_check(watch));
    int64_t most = index->count < MOST_HITS ? index->count : MOST_HITS;
    if (k < 1 || k > (size_t)most)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu hits are asked for of %lld vectors, expected 1 to %lld",
                         k, (long long)index->count, (long long)most);
    TUFF_TRY(tuff_file_check(&index->file));
    TUFF_TRY(make_ready(index));
    tuff_status status = TUFF_OK;
    for (size_t at = 0; at < n && status == TUFF_OK; at += AT_ONCE) {
        best bests[AT_ONCE];
        size_t now = n - at < AT_ONCE ? n - at : AT_ONCE;
        for (size_t q = 0; q < now; q++)
            bests[q] = (best){.hits = out_hits + (at + q) * k, .k = k};
        const float *some = queries + at * (size_t)index->dimensions;
        if (index->session) status = search_numbers(index, some, now, k, watch, bests);
        for (size_t q = 0; q < now && status == TUFF_OK && !index->session; q++)
            status = search_bits(index, some + q * (size_t)index->dimensions, watch, &bests[q]);
    }
    return status;
}
