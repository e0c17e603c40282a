/* Segments of attention: which are used, and the work lists that kernels make of them. Lists are of entries
 * of shaders/args/attention.h; tiles count from a segment's start and chunks from its kv_begin, so an entry
 * says the same whatever else is in the table. */
#ifndef TUFF_OPS_ATTENTION_LISTS_H
#define TUFF_OPS_ATTENTION_LISTS_H

#include <stdbool.h>

#include "ir/launch.h"
#include "shaders/args/attention.h"

typedef struct tuff_segment {
    int32_t q_begin, q_len, kv_begin, kv_len; /* the queries are the last q_len of kv_len positions */
} tuff_segment;

/* What the lists of an attention are made of. Keys k are seen by the query at p when p - k <= left and k - p
 * <= right; below 0: no limit. */
typedef struct tuff_segments {
    int64_t S, N, M; /* segments; rows of q; rows of k and v */
    int64_t G;       /* heads that share a key-value head */
    int64_t left, right;
    bool cached; /* keys and values outlive a run: there may be many more of them than queries */
} tuff_segments;

/* The rule: a segment is used when it has queries, lies within q and k, begins behind the queries of those
 * before it, and shares no key with them; others count as unused. Writes the numbers of those that are used
 * to used[S], in their order, and those of them that have keys to by_keys[S], in the order of their keys;
 * returns how many the former are, *out_with_keys the latter. */
int64_t tuff_segments_used(const tuff_segments *p, const tuff_segment *table, int32_t *used, int32_t *by_keys,
                           int64_t *out_with_keys);

/* The keys that a query at `position` sees among kv_len: *begin up to, not including, *end; none when *begin
 * >= *end.
 */
void tuff_segments_keys(const tuff_segments *p, int64_t kv_len, int64_t position, int64_t *begin,
                        int64_t *end);
/* The queries of a segment that see some of its keys first to last. */
void tuff_segments_queries(const tuff_segments *p, const tuff_segment *s, int64_t first, int64_t last,
                           int64_t *begin, int64_t *end);

enum {
    TUFF_FEW_ROWS =
        8,           /* queries times heads per key-value head up to which keys are cut into chunks instead */
    TUFF_CHUNK = 256 /* keys */
};
/* A segment of so many queries takes the way of chunks. It follows from the segment and the graph alone. */
static inline bool tuff_segments_few(const tuff_segments *p, int64_t q_len)
{
    return p->cached && (q_len == 1 || q_len * p->G <= TUFF_FEW_ROWS);
}
/* True when no segment can have more. */
static inline bool tuff_segments_all_few(const tuff_segments *p)
{
    return tuff_segments_few(p, p->N);
}
/* Rows of the parts of a chunk. */
static inline int64_t tuff_segments_part_rows(const tuff_segments *p)
{
    return p->G > TUFF_FEW_ROWS ? p->G : TUFF_FEW_ROWS;
}

/* Lists of the input `input`. Every row of q is in one entry of the tiles, but for those of segments of few
 * queries, where `few` says that they go another way. */
tuff_work_list tuff_query_tiles(const tuff_segments *p, int input, int64_t tile, bool few);
/* Every row of k and v is in one entry. */
tuff_work_list tuff_key_tiles(const tuff_segments *p, int input, int64_t tile);
/* The keys of segments of few queries, as far as these see them. */
tuff_work_list tuff_key_chunks(const tuff_segments *p, int input);
/* What puts those together; with `gaps` also the rows of q in no segment, where no tiles take them. */
tuff_work_list tuff_chunk_joins(const tuff_segments *p, int input, bool gaps);

/* Entries that may be in use, from the first on: the size of a grid. What is behind them is room of the fill
 * function's own. */
uint32_t tuff_list_entries(const tuff_work_list *list);
/* Entries in use, once it is filled. */
int64_t tuff_list_count(const tuff_work_list *list, const int32_t *words);

#endif
