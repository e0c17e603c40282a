#include "ops/attention_lists.h"

#include <string.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The place of a segment in the order of keys, -1 when it shares some with one that is there. */
static int64_t place_among(const tuff_segment *table, const tuff_segment *s, const int32_t *by_keys,
                           int64_t n)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (table[by_keys[middle]].kv_begin < s->kv_begin)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < n && table[by_keys[low]].kv_begin < (int64_t)s->kv_begin + s->kv_len) return -1;
    if (low > 0) {
        const tuff_segment *before = &table[by_keys[low - 1]];
        if ((int64_t)before->kv_begin + before->kv_len > s->kv_begin) return -1;
    }
    return low;
}

int64_t tuff_segments_used(const tuff_segments *p, const tuff_segment *table, int32_t *used, int32_t *by_keys,
                           int64_t *out_with_keys)
{
    int64_t n = 0, with_keys = 0, q_end = 0;
    for (int64_t i = 0; i < p->S; i++) {
        const tuff_segment *s = &table[i];
        bool fits = s->q_len > 0 && s->q_begin >= q_end && (int64_t)s->q_begin + s->q_len <= p->N &&
                    s->kv_begin >= 0 && s->kv_len >= 0 && (int64_t)s->kv_begin + s->kv_len <= p->M;
        if (!fits) continue;
        if (s->kv_len > 0) {
            int64_t at = place_among(table, s, by_keys, with_keys);
            if (at < 0) continue;
            memmove(by_keys + at + 1, by_keys + at, (size_t)(with_keys - at) * sizeof *by_keys);
            by_keys[at] = (int32_t)i;
            with_keys++;
        }
        used[n++] = (int32_t)i;
        q_end = (int64_t)s->q_begin + s->q_len;
    }
    *out_with_keys = with_keys;
    return n;
}

void tuff_segments_keys(const tuff_segments *p, int64_t kv_len, int64_t position, int64_t *begin,
                        int64_t *end)
{
    *begin = p->left >= 0 ? larger(0, smaller(position - p->left, kv_len)) : 0;
    *end = p->right >= 0 ? larger(0, smaller(position + p->right + 1, kv_len)) : kv_len;
}

void tuff_segments_queries(const tuff_segments *p, const tuff_segment *s, int64_t first, int64_t last,
                           int64_t *begin, int64_t *end)
{
    int64_t start = (int64_t)s->kv_len - s->q_len;
    *begin = p->right >= 0 ? larger(0, smaller(first - p->right - start, s->q_len)) : 0;
    *end = p->left >= 0 ? larger(*begin, smaller(last + p->left - start + 1, s->q_len)) : s->q_len;
}

/* ---- lists: param is S, N, M, G, left, right, then the kind's own and flags ---- */

enum { P_S, P_N, P_M, P_G, P_LEFT, P_RIGHT, P_TILE, P_FLAGS };
enum { CACHED = 1, OWN = 2 }; /* flags: of the segments; the kind's own */
enum { ENTRY = TUFF_ATTENTION_ENTRY };

static tuff_segments segments_of(const tuff_work_list *list)
{
    return (tuff_segments){.S = list->param[P_S],
                           .N = list->param[P_N],
                           .M = list->param[P_M],
                           .G = list->param[P_G],
                           .left = list->param[P_LEFT],
                           .right = list->param[P_RIGHT],
                           .cached = (list->param[P_FLAGS] & CACHED) != 0};
}

/* Entries behind those of a list that hold two numbers for each segment. */
static int64_t room_of(int64_t S)
{
    return (2 * S + ENTRY - 1) / ENTRY;
}

static tuff_work_list list_of(const tuff_segments *p, int input, int64_t entries, int64_t tile, bool flag,
                              void (*fill)(const tuff_work_list *, const void *, int32_t *))
{
    return (tuff_work_list){.input = input,
                            .words = ENTRY,
                            .capacity = (uint32_t)(entries + room_of(p->S)),
                            .fill = fill,
                            .param = {p->S, p->N, p->M, p->G, p->left, p->right, tile,
                                      (p->cached ? CACHED : 0) | (flag ? OWN : 0)}};
}

uint32_t tuff_list_entries(const tuff_work_list *list)
{
    return list->capacity - (uint32_t)room_of(list->param[P_S]);
}

int64_t tuff_list_count(const tuff_work_list *list, const int32_t *words)
{
    int64_t n = 0, entries = tuff_list_entries(list);
    while (n < entries && words[n * ENTRY + TUFF_TILE_ROWS] > 0)
        n++;
    return n;
}

typedef struct writer {
    tuff_segments p;
    const tuff_segment *table;
    int32_t *out, *used, *by_keys;
    int64_t n, n_used, n_with_keys;
    int64_t tile;
} writer;

static writer begin(const tuff_work_list *list, const void *values, int32_t *out)
{
    writer w = {.p = segments_of(list), .table = values, .out = out, .tile = list->param[P_TILE]};
    w.used = out + (int64_t)tuff_list_entries(list) * ENTRY;
    w.by_keys = w.used + w.p.S;
    w.n_used = tuff_segments_used(&w.p, w.table, w.used, w.by_keys, &w.n_with_keys);
    return w;
}

/* `s` NULL: of no segment, from token `q_begin` on. */
static void add(writer *w, int64_t first, int64_t rows, int64_t live, const tuff_segment *s, int64_t q_begin)
{
    int32_t *to = w->out + w->n++ * ENTRY;
    to[TUFF_TILE_FIRST] = (int32_t)first;
    to[TUFF_TILE_ROWS] = (int32_t)rows;
    to[TUFF_TILE_LIVE] = (int32_t)larger(0, smaller(rows, live));
    to[TUFF_TILE_Q_BEGIN] = (int32_t)q_begin;
    to[TUFF_TILE_Q_LEN] = s ? s->q_len : 0;
    to[TUFF_TILE_KV_BEGIN] = s ? s->kv_begin : 0;
    to[TUFF_TILE_KV_LEN] = s ? s->kv_len : 0;
}

/* Rows 0 to n, of which the first `live` are there, in tiles. */
static void add_tiles(writer *w, int64_t n, int64_t live, const tuff_segment *s, int64_t q_begin)
{
    for (int64_t row = 0; row < n; row += w->tile)
        add(w, row, smaller(w->tile, n - row), live - row, s, q_begin);
}

/* The token that the rows of used segment i, with those behind it that are in none, end at; i = -1: before
 * the first.
 */
static int64_t q_end(const writer *w, int64_t i)
{
    return i + 1 < w->n_used ? w->table[w->used[i + 1]].q_begin : w->p.N;
}

static void fill_query_tiles(const tuff_work_list *list, const void *values, int32_t *out)
{
    writer w = begin(list, values, out);
    int64_t G = w.p.G;
    add_tiles(&w, q_end(&w, -1) * G, 0, NULL, 0);
    for (int64_t i = 0; i < w.n_used; i++) {
        const tuff_segment *s = &w.table[w.used[i]];
        int64_t behind = s->q_begin + s->q_len;
        if (list->param[P_FLAGS] & OWN && tuff_segments_few(&w.p, s->q_len))
            add_tiles(&w, (q_end(&w, i) - behind) * G, 0, NULL, behind);
        else
            add_tiles(&w, (q_end(&w, i) - s->q_begin) * G, s->q_len * G, s, s->q_begin);
    }
}

/* The most tiles of n rows in so many pieces, each of which ends with one that may not be full. */
static int64_t most_tiles(int64_t n, int64_t pieces, int64_t tile)
{
    return (n + pieces * (tile - 1)) / tile;
}

/* Pieces are those of the segments, and what is before the first. */
tuff_work_list tuff_query_tiles(const tuff_segments *p, int input, int64_t tile, bool few)
{
    int64_t pieces = smaller(p->S, p->N) + 1;
    return list_of(p, input, most_tiles(p->N * p->G, pieces, tile), tile, few, fill_query_tiles);
}

/* Keys have their row in the place of a token. */
static void add_key_tiles(writer *w, int64_t n, int64_t live, const tuff_segment *s, int64_t kv_begin)
{
    for (int64_t key = 0; key < n; key += w->tile) {
        add(w, key, smaller(w->tile, n - key), live - key, s, s ? s->q_begin : 0);
        w->out[(w->n - 1) * ENTRY + TUFF_TILE_KV_BEGIN] = (int32_t)kv_begin;
    }
}

static void fill_key_tiles(const tuff_work_list *list, const void *values, int32_t *out)
{
    writer w = begin(list, values, out);
    add_key_tiles(&w, w.n_with_keys ? w.table[w.by_keys[0]].kv_begin : w.p.M, 0, NULL, 0);
    for (int64_t i = 0; i < w.n_with_keys; i++) {
        const tuff_segment *s = &w.table[w.by_keys[i]];
        int64_t end = i + 1 < w.n_with_keys ? w.table[w.by_keys[i + 1]].kv_begin : w.p.M;
        add_key_tiles(&w, end - s->kv_begin, s->kv_len, s, s->kv_begin);
    }
}

tuff_work_list tuff_key_tiles(const tuff_segments *p, int input, int64_t tile)
{
    int64_t pieces = smaller(p->S, smaller(p->N, p->M)) + 1;
    return list_of(p, input, most_tiles(p->M, pieces, tile), tile, false, fill_key_tiles);
}

/* The keys that some query of the segment sees. */
static void span_of(const writer *w, const tuff_segment *s, int64_t *begin, int64_t *end)
{
    int64_t ignored, start = (int64_t)s->kv_len - s->q_len;
    tuff_segments_keys(&w->p, s->kv_len, start, begin, &ignored);
    tuff_segments_keys(&w->p, s->kv_len, (int64_t)s->kv_len - 1, &ignored, end);
}

static int64_t chunks_of(int64_t begin, int64_t end)
{
    return begin < end ? (end + TUFF_CHUNK - 1) / TUFF_CHUNK - begin / TUFF_CHUNK : 0;
}

static void fill_key_chunks(const tuff_work_list *list, const void *values, int32_t *out)
{
    writer w = begin(list, values, out);
    for (int64_t i = 0; i < w.n_used; i++) {
        const tuff_segment *s = &w.table[w.used[i]];
        int64_t key, end;
        if (!tuff_segments_few(&w.p, s->q_len)) continue;
        span_of(&w, s, &key, &end);
        while (key < end) {
            int64_t next = smaller(end, (key / TUFF_CHUNK + 1) * TUFF_CHUNK);
            add(&w, key, next - key, next - key, s, s->q_begin);
            key = next;
        }
    }
}

tuff_work_list tuff_key_chunks(const tuff_segments *p, int input)
{
    int64_t pieces = smaller(p->S, smaller(p->N, p->M));
    return list_of(p, input, most_tiles(p->M, pieces, TUFF_CHUNK), 0, false, fill_key_chunks);
}

static void fill_chunk_joins(const tuff_work_list *list, const void *values, int32_t *out)
{
    writer w = begin(list, values, out);
    bool gaps = (list->param[P_FLAGS] & OWN) != 0;
    int64_t chunk = 0;
    if (gaps && q_end(&w, -1) > 0) add(&w, 0, q_end(&w, -1), 0, NULL, 0);
    for (int64_t i = 0; i < w.n_used; i++) {
        const tuff_segment *s = &w.table[w.used[i]];
        int64_t key, end;
        if (!tuff_segments_few(&w.p, s->q_len)) continue;
        span_of(&w, s, &key, &end);
        add(&w, chunk, gaps ? q_end(&w, i) - s->q_begin : s->q_len, s->q_len, s, s->q_begin);
        w.out[(w.n - 1) * ENTRY + TUFF_JOIN_CHUNKS] = (int32_t)chunks_of(key, end);
        chunk += chunks_of(key, end);
    }
}

tuff_work_list tuff_chunk_joins(const tuff_segments *p, int input, bool gaps)
{
    return list_of(p, input, smaller(p->S, p->N) + gaps, 0, gaps, fill_chunk_joins);
}
