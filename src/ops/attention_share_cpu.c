/* Which thread runs which blocks of attention on the host. Blocks stand in the order of segments, then heads,
 * then tiles; a thread's are those that begin within its part of their costs, so every thread finds out by
 * itself which these are. */
#include "backend/cpu/kernels.h"
#include "ops/attention_cpu.h"

enum { OWN_COST = 16 }; /* of a block, whatever it sees, in keys */

static int64_t cost_of(const tuff_attention_shares *s, const int32_t *tile)
{
    const tuff_segments *p = &s->p->s;
    const tuff_segment segment = {tile[TUFF_TILE_Q_BEGIN], tile[TUFF_TILE_Q_LEN], tile[TUFF_TILE_KV_BEGIN],
                                  tile[TUFF_TILE_KV_LEN]};
    int64_t first = tile[TUFF_TILE_FIRST], last = first + tile[TUFF_TILE_LIVE] - 1, begin, end, ignored;
    int64_t start = (int64_t)segment.kv_len - segment.q_len, heads = s->keys ? p->G : 1;
    if (last < first) return OWN_COST;
    if (s->keys) {
        tuff_segments_queries(p, &segment, first, last, &begin, &end);
    } else {
        tuff_segments_keys(p, segment.kv_len, start + first / p->G, &begin, &ignored);
        tuff_segments_keys(p, segment.kv_len, start + last / p->G, &ignored, &end);
    }
    return OWN_COST + (begin < end ? end - begin : 0) * heads;
}

/* The tiles from `first` on that are of its segment; returns the end of them. */
static int64_t segment_end(const tuff_attention_shares *s, int64_t first, int64_t *out_cost)
{
    int64_t i = first;
    *out_cost = 0;
    do
        *out_cost += cost_of(s, s->tiles + i * TUFF_ATTENTION_ENTRY);
    while (++i < s->n_tiles && s->tiles[i * TUFF_ATTENTION_ENTRY + TUFF_TILE_FIRST] > 0);
    return i;
}

typedef struct sharing {
    const tuff_attention_shares *s;
    int64_t cost, parts;
} sharing;

static int64_t boundary(const sharing *w, int64_t part)
{
    return part < w->parts ? (int64_t)((double)w->cost * (double)part / (double)w->parts) : w->cost;
}

static sharing sharing_of(const tuff_attention_shares *s)
{
    sharing w = {.s = s};
    int64_t heads = s->p->Hkv, threads = tuff_thread_count(), blocks = 0, cost;
    for (int64_t first = 0, end; first < s->n_tiles; first = end) {
        end = segment_end(s, first, &cost);
        w.cost += cost * heads;
        blocks += s->whole ? heads : (end - first) * heads;
    }
    w.parts = threads < blocks ? threads : blocks;
    return w;
}

/* Those of the tiles from first up to end, of which the first begins at cost `at`, that begin in low to high.
 */
static void run_some(const tuff_attention_shares *s, int64_t head, int64_t first, int64_t end, int64_t at,
                     int64_t low, int64_t high)
{
    for (; first < end && at < low; first++)
        at += cost_of(s, s->tiles + first * TUFF_ATTENTION_ENTRY);
    int64_t stop = first;
    for (; stop < end && at < high; stop++)
        at += cost_of(s, s->tiles + stop * TUFF_ATTENTION_ENTRY);
    if (first < stop) s->run(s->operands, head, s->tiles + first * TUFF_ATTENTION_ENTRY, stop - first);
}

static void run_parts(int64_t part, int64_t parts_end, void *context)
{
    const sharing *w = context;
    const tuff_attention_shares *s = w->s;
    int64_t low = boundary(w, part), high = boundary(w, parts_end), at = 0, cost;
    for (int64_t first = 0, end; first < s->n_tiles; first = end) {
        end = segment_end(s, first, &cost);
        for (int64_t head = 0; head < s->p->Hkv; head++, at += cost) {
            if (at + cost <= low || at >= high) continue;
            if (!s->whole)
                run_some(s, head, first, end, at, low, high);
            else if (at >= low)
                s->run(s->operands, head, s->tiles + first * TUFF_ATTENTION_ENTRY, end - first);
        }
    }
}

void tuff_attention_share(const tuff_attention_shares *shares)
{
    sharing w = sharing_of(shares);
    tuff_parallel(w.parts, 1, run_parts, &w);
}

int64_t tuff_attention_longest_share(const tuff_attention_shares *shares, int64_t *out_all)
{
    sharing w = sharing_of(shares);
    int64_t longest = 0, part = 0, mine = 0, at = 0, cost;
    for (int64_t first = 0, end; first < shares->n_tiles; first = end) {
        end = segment_end(shares, first, &cost);
        for (int64_t head = 0; head < shares->p->Hkv; head++, at += cost) {
            while (at >= boundary(&w, part + 1)) {
                part++;
                mine = 0;
            }
            mine += cost;
            if (mine > longest) longest = mine;
        }
    }
    *out_all = w.cost;
    return longest;
}
