/* Segments: which count, and that the lists made of them have each row and each key once, whatever is in the
 * table.
 */
#include <string.h>

#include "kit/kit.h"
#include "ops/attention_lists.h"

enum { MOST = 64, MOST_TOKENS = 4096 };

static void rule_of_use(void **state)
{
    (void)state;
    static const struct {
        tuff_segment table[4];
        int64_t n;
        int32_t used[4];
    } expected[] = {
        {{{0, 4, 0, 4}, {4, 2, 4, 2}}, 2, {0, 1}},
        {{{0, 4, 0, 4}, {0, 0, 0, 0}, {4, 2, 4, 2}}, 2, {0, 2}},
        {{{0, 4, 10, 4}, {4, 2, 0, 2}}, 2, {0, 1}}, /* keys in another order */
        {{{0, 4, 0, 9}, {4, 2, 9, 2}}, 2, {0, 1}},  /* queries are the last of more keys */
        {{{0, 4, 0, 2}}, 1, {0}},                   /* or of fewer */
        {{{4, 2, 4, 2}, {0, 4, 0, 4}}, 1, {0}},     /* begins before the one above ends */
        {{{0, 4, 0, 4}, {3, 2, 4, 2}}, 1, {0}},     /* one query twice */
        {{{0, 4, 0, 4}, {4, 2, 3, 2}}, 1, {0}},     /* one key twice */
        {{{0, 4, 6, 4}, {4, 2, 3, 4}}, 1, {0}},     /* on the other side */
        {{{0, 4, 6, 4}, {4, 2, 0, 12}}, 1, {0}},    /* on both */
        {{{0, 2, 5, 0}, {2, 2, 5, 0}}, 2, {0, 1}},  /* no keys are shared by all */
        {{{-1, 2, 0, 2}, {15, 2, 0, 2}, {0, -2, 0, 2}, {0, 17, 0, 2}}, 0, {0}},
        {{{0, 2, -1, 2}, {0, 2, 19, 2}, {0, 2, 0, -2}, {0, 2, 0, 21}}, 0, {0}},
        {{{INT32_MAX, INT32_MAX, 0, 2}, {0, 2, INT32_MAX, INT32_MAX}, {INT32_MIN, 1, 0, 1}, {14, 2, 18, 2}},
         1,
         {3}},
    };
    const tuff_segments p = {.S = 4, .N = 16, .M = 20, .G = 1, .left = -1, .right = -1};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int32_t used[4], by_keys[4];
        int64_t with_keys, n = tuff_segments_used(&p, expected[i].table, used, by_keys, &with_keys);
        if (n != expected[i].n || memcmp(used, expected[i].used, (size_t)n * sizeof *used) != 0)
            fail_msg("table %zu: %lld are used", i, (long long)n);
    }
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        int64_t left, right, position, begin, end;
    } keys[] = {{-1, -1, 3, 0, 10}, {-1, 0, 3, 0, 4},  {-1, 0, 30, 0, 10}, {1, 0, 3, 2, 4},
                {4, 0, 3, 0, 4},    {0, 0, 9, 9, 10},  {3, 0, 12, 9, 10},  {-1, 2, 3, 0, 6},
                {2, 3, 5, 3, 9},    {-1, 0, -2, 0, 0}, {0, -1, 4, 4, 10},  {3, 0, 20, 10, 10}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        tuff_segments p = {.left = keys[i].left, .right = keys[i].right};
        int64_t begin, end;
        tuff_segments_keys(&p, 10, keys[i].position, &begin, &end);
        assert_int_equal(begin, keys[i].begin);
        assert_int_equal(end, keys[i].end);
    }
    /* a query is among those that see a key exactly when the key is among those that it sees */
    for (int64_t left = -1; left < 4; left++)
        for (int64_t right = -1; right < 4; right++)
            for (int64_t q_len = 1; q_len < 12; q_len += 5) {
                tuff_segments p = {.left = left, .right = right};
                const tuff_segment s = {0, (int32_t)q_len, 0, 7};
                for (int64_t key = 0; key < 7; key++) {
                    int64_t from, to;
                    tuff_segments_queries(&p, &s, key, key, &from, &to);
                    for (int64_t t = 0; t < q_len; t++) {
                        int64_t begin, end;
                        tuff_segments_keys(&p, 7, 7 - q_len + t, &begin, &end);
                        assert_int_equal(t >= from && t < to, key >= begin && key < end);
                    }
                }
            }
}

/* ---- lists over random tables ---- */

static uint32_t seed = 1;
static int64_t draw(int64_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (int64_t)(seed >> 8) % n;
}

/* Mostly packed, with gaps, keys in any order, and now and then a row that is no segment. */
static tuff_segments random_table(tuff_segment *table)
{
    tuff_segments p = {.S = 1 + draw(MOST), .G = 1 + draw(5), .cached = draw(3) > 0};
    p.left = draw(2) ? -1 : draw(300);
    p.right = draw(2) ? 0 : draw(2) ? -1 : draw(300);
    int64_t order[MOST];
    for (int64_t i = 0; i < p.S; i++)
        order[i] = i;
    for (int64_t i = p.S - 1; draw(2) && i > 0; i--) {
        int64_t k = draw(i + 1), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    for (int64_t i = 0; i < p.S; i++) {
        p.N += draw(3) ? 0 : draw(40);
        int64_t q_len = draw(4) ? 1 + draw(draw(2) ? 4 : 90) : 0;
        table[i] = (tuff_segment){(int32_t)p.N, (int32_t)q_len, 0, 0};
        p.N += q_len;
    }
    for (int64_t i = 0; i < p.S; i++) {
        tuff_segment *s = &table[order[i]];
        p.M += draw(3) ? 0 : draw(40);
        s->kv_begin = (int32_t)p.M;
        s->kv_len = (int32_t)(draw(3) ? s->q_len : draw(draw(4) ? 60 : 900));
        p.M += s->kv_len;
        int32_t *words = (int32_t *)(void *)s;
        if (draw(12) == 0) words[draw(4)] = (int32_t)(draw(3) ? draw(4000) - 1000 : -draw(INT32_MAX));
    }
    p.N += 1 + draw(5);
    p.M += 1 + draw(5);
    return p;
}

typedef struct filled {
    tuff_work_list list;
    int32_t *words;
    int64_t n;
} filled;

static filled fill(tuff_work_list list, const tuff_segment *table)
{
    size_t words = (size_t)list.words * list.capacity;
    filled f = {.list = list, .words = tuff_alloc_array(words + 1, sizeof(int32_t))};
    assert_non_null(f.words);
    f.words[words] = 12345;
    list.fill(&list, table, f.words);
    assert_int_equal(f.words[words], 12345); /* it stays within its memory */
    f.n = tuff_list_count(&list, f.words);
    for (int64_t i = f.n; i < tuff_list_entries(&list); i++)
        assert_int_equal(f.words[i * TUFF_ATTENTION_ENTRY + TUFF_TILE_ROWS], 0);
    return f;
}

static const int32_t *entry(const filled *f, int64_t i)
{
    return f->words + i * TUFF_ATTENTION_ENTRY;
}

static bool is_used(const tuff_segments *p, const tuff_segment *table, int64_t token,
                    const tuff_segment **out)
{
    int32_t used[MOST], by_keys[MOST];
    int64_t with_keys, n = tuff_segments_used(p, table, used, by_keys, &with_keys);
    for (int64_t i = 0; i < n; i++) {
        *out = &table[used[i]];
        if (token >= (*out)->q_begin && token < (*out)->q_begin + (*out)->q_len) return true;
    }
    return false;
}

/* Every row of q is in one tile or one join, as live exactly when a segment has it. */
static void check_queries(const tuff_segments *p, const tuff_segment *table, int64_t tile, bool few)
{
    static uint8_t seen[MOST_TOKENS * 8];
    bool all_few = few && tuff_segments_all_few(p);
    memset(seen, 0, sizeof seen);
    filled tiles = fill(tuff_query_tiles(p, 0, tile, few), table);
    for (int64_t i = 0; i < tiles.n && !all_few; i++) {
        const int32_t *e = entry(&tiles, i);
        assert_in_range(e[TUFF_TILE_ROWS], 1, tile);
        assert_int_equal(e[TUFF_TILE_FIRST] % tile, 0);
        assert_in_range(e[TUFF_TILE_LIVE], 0, e[TUFF_TILE_ROWS]);
        for (int64_t r = 0; r < e[TUFF_TILE_ROWS]; r++) {
            int64_t row = e[TUFF_TILE_FIRST] + r, token = e[TUFF_TILE_Q_BEGIN] + row / p->G;
            const tuff_segment *s = NULL;
            bool live = is_used(p, table, token, &s);
            assert_in_range(token, 0, p->N - 1);
            assert_int_equal(r < e[TUFF_TILE_LIVE], live);
            seen[token * p->G + row % p->G]++;
            if (!live) continue;
            assert_true(!few || !tuff_segments_few(p, s->q_len));
            assert_true(e[TUFF_TILE_KV_BEGIN] == s->kv_begin && e[TUFF_TILE_KV_LEN] == s->kv_len);
            assert_true(e[TUFF_TILE_Q_BEGIN] == s->q_begin && e[TUFF_TILE_Q_LEN] == s->q_len);
        }
    }
    filled joins = fill(tuff_chunk_joins(p, 0, all_few), table);
    for (int64_t i = 0; i < joins.n && few; i++)
        for (int64_t t = 0; t < entry(&joins, i)[TUFF_TILE_ROWS]; t++)
            for (int64_t g = 0; g < p->G; g++) {
                const tuff_segment *s = NULL;
                int64_t token = entry(&joins, i)[TUFF_TILE_Q_BEGIN] + t;
                seen[token * p->G + g]++;
                assert_int_equal(t < entry(&joins, i)[TUFF_TILE_LIVE], is_used(p, table, token, &s));
            }
    for (int64_t row = 0; row < p->N * p->G; row++)
        if (seen[row] != 1) fail_msg("row %lld is there %d times", (long long)row, seen[row]);
    tuff_free(tiles.words);
    tuff_free(joins.words);
}

static void check_keys(const tuff_segments *p, const tuff_segment *table, int64_t tile)
{
    static uint8_t seen[16 * MOST_TOKENS];
    memset(seen, 0, sizeof seen);
    filled f = fill(tuff_key_tiles(p, 0, tile), table);
    for (int64_t i = 0; i < f.n; i++)
        for (int64_t r = 0; r < entry(&f, i)[TUFF_TILE_ROWS]; r++) {
            const int32_t *e = entry(&f, i);
            int64_t key = e[TUFF_TILE_KV_BEGIN] + e[TUFF_TILE_FIRST] + r;
            assert_in_range(key, 0, p->M - 1);
            assert_int_equal(e[TUFF_TILE_FIRST] % tile, 0);
            assert_int_equal(r < e[TUFF_TILE_LIVE], e[TUFF_TILE_FIRST] + r < e[TUFF_TILE_KV_LEN]);
            seen[key]++;
        }
    for (int64_t key = 0; key < p->M; key++)
        if (seen[key] != 1) fail_msg("key %lld is there %d times", (long long)key, seen[key]);
    tuff_free(f.words);
}

/* The chunks of a join are the keys that its queries see, in order and cut at multiples from the segment's
 * first. */
static void check_chunks(const tuff_segments *p, const tuff_segment *table)
{
    filled chunks = fill(tuff_key_chunks(p, 0), table), joins = fill(tuff_chunk_joins(p, 0, false), table);
    int64_t next = 0;
    for (int64_t i = 0; i < joins.n; i++) {
        const int32_t *j = entry(&joins, i);
        int64_t begin, end, ignored, start = (int64_t)j[TUFF_TILE_KV_LEN] - j[TUFF_TILE_Q_LEN];
        tuff_segments_keys(p, j[TUFF_TILE_KV_LEN], start, &begin, &ignored);
        tuff_segments_keys(p, j[TUFF_TILE_KV_LEN], start + j[TUFF_TILE_Q_LEN] - 1, &ignored, &end);
        assert_int_equal(j[TUFF_TILE_FIRST], next);
        for (int64_t c = 0; c < j[TUFF_JOIN_CHUNKS]; c++, next++) {
            const int32_t *e = entry(&chunks, next);
            assert_int_equal(e[TUFF_TILE_FIRST], begin);
            assert_int_equal(e[TUFF_TILE_FIRST] / TUFF_CHUNK,
                             (e[TUFF_TILE_FIRST] + e[TUFF_TILE_ROWS] - 1) / TUFF_CHUNK);
            assert_int_equal(e[TUFF_TILE_KV_BEGIN], j[TUFF_TILE_KV_BEGIN]);
            assert_int_equal(e[TUFF_TILE_Q_BEGIN], j[TUFF_TILE_Q_BEGIN]);
            begin += e[TUFF_TILE_ROWS];
        }
        assert_int_equal(begin < end ? begin : end, end);
    }
    assert_int_equal(next, chunks.n);
    tuff_free(chunks.words);
    tuff_free(joins.words);
}

static void lists_have_each_row_once(void **state)
{
    (void)state;
    static const int64_t tiles[] = {4, 16, 32};
    tuff_segment table[MOST];
    for (int i = 0; i < 60; i++) {
        tuff_segments p = random_table(table);
        assert_true(p.N < MOST_TOKENS && p.M < 16 * MOST_TOKENS);
        for (int t = 0; t < 3; t++) {
            check_queries(&p, table, tiles[t], false);
            check_queries(&p, table, tiles[t], true);
            check_keys(&p, table, tiles[t]);
        }
        check_chunks(&p, table);
    }
}

/* A decoding step: nothing but few queries, and the rows that are left over go to the joins. */
static void joins_take_what_no_tiles_take(void **state)
{
    (void)state;
    const tuff_segment table[3] = {{1, 1, 600, 300}, {3, 1, 0, 3}, {0, 0, 0, 0}};
    tuff_segments p = {.S = 3, .N = 6, .M = 900, .G = 1, .left = -1, .right = 0};
    assert_false(tuff_segments_all_few(&p)); /* keys that were just made are as many as the queries */
    p.cached = true;
    assert_true(tuff_segments_all_few(&p));
    check_queries(&p, table, 32, true);
    check_chunks(&p, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_of_use),
        cmocka_unit_test(ranges),
        cmocka_unit_test(lists_have_each_row_once),
        cmocka_unit_test(joins_take_what_no_tiles_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
