#include "train/qrels.h"

#include <stdlib.h>

#include "base/memory.h"
#include "formats/records.h"
#include "train/pairs.h"

enum { MOST_PARTS = 4 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts a line at its blanks; how many parts it has, MOST_PARTS + 1 for more than MOST_PARTS. */
static int cut(tuff_view line, tuff_view parts[MOST_PARTS])
{
    int n = 0;
    for (size_t at = 0;; n++) {
        while (at < line.size && is_blank(line.data[at]))
            at++;
        if (at == line.size || n > MOST_PARTS) return n;
        size_t end = at;
        while (end < line.size && !is_blank(line.data[end]))
            end++;
        if (n < MOST_PARTS) parts[n] = (tuff_view){line.data + at, end - at};
        at = end;
    }
}

/* The number of an id, a new one for one that was not seen before. */
static tuff_status number_of(tuff_map *map, tuff_view id, uint32_t *out)
{
    if (tuff_map_get(map, id.data, id.size, out)) return TUFF_OK;
    if (map->count >= UINT32_MAX) return tuff_fail(TUFF_UNSUPPORTED, "more than 4 billion ids");
    *out = (uint32_t)map->count;
    return tuff_map_put(map, id.data, id.size, *out) ? TUFF_OK : tuff_fail_memory("ids");
}

static tuff_status add(tuff_qrels *q, tuff_view query, tuff_view document)
{
    tuff_qrel item;
    TUFF_TRY(number_of(&q->queries, query, &item.query));
    TUFF_TRY(number_of(&q->documents, document, &item.document));
    if (!tuff_grow((void **)&q->items, q->count, &q->room, sizeof *q->items))
        return tuff_fail_memory("judgements");
    q->items[q->count++] = item;
    return TUFF_OK;
}

static tuff_status read_line(tuff_qrels *q, tuff_view line, uint64_t number, const char *path)
{
    tuff_view parts[MOST_PARTS];
    int n = cut(line, parts);
    if (n == 0) return TUFF_OK;
    if (n != 3 && n != 4)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s, line %llu: it has %s parts, expected \"query iteration document relevance\" or "
                         "\"query document relevance\"",
                         path, (unsigned long long)number,
                         n > MOST_PARTS ? "more than 4"
                         : n == 1       ? "1"
                                        : "2");
    double relevance = 0;
    bool is = false;
    TUFF_TRY(tuff_pairs_number(parts[n - 1], &is, &relevance));
    if (!is && number == 1) return TUFF_OK;
    if (!is)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s, line %llu: its relevance is \"%.*s\", expected a number such as 1", path,
                         (unsigned long long)number, (int)(parts[n - 1].size < 40 ? parts[n - 1].size : 40),
                         parts[n - 1].data);
    return relevance > 0 ? add(q, parts[0], parts[n - 2]) : TUFF_OK;
}

static int by_query(const void *a, const void *b)
{
    const tuff_qrel *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return x->document < y->document ? -1 : x->document > y->document;
}

/* Sorts, drops what is there twice, and finds where each query's begin. */
static tuff_status arrange(tuff_qrels *q)
{
    size_t kept = 0, at = 0;
    q->begins = tuff_alloc_array(q->queries.count + 1, sizeof *q->begins);
    if (!q->begins) return tuff_fail_memory("judgements");
    if (q->count) qsort(q->items, q->count, sizeof *q->items, by_query);
    for (size_t i = 0; i < q->count; i++)
        if (i == 0 || by_query(&q->items[i], &q->items[i - 1]) != 0) q->items[kept++] = q->items[i];
    q->count = kept;
    for (size_t query = 0; query <= q->queries.count; query++) {
        while (at < q->count && q->items[at].query < query)
            at++;
        q->begins[query] = at;
    }
    return TUFF_OK;
}

tuff_status tuff_qrels_read(const char *path, tuff_qrels *out_qrels)
{
    *out_qrels = (tuff_qrels){0};
    tuff_records *records = NULL;
    tuff_view line;
    bool there = true;
    tuff_status status = tuff_records_open(path, TUFF_RECORDS_LINES, NULL, 0, &records);
    while (status == TUFF_OK && there) {
        status = tuff_records_next(records, &line, &there);
        if (status == TUFF_OK && there) status = read_line(out_qrels, line, tuff_records_line(records), path);
    }
    tuff_records_close(&records);
    if (status == TUFF_OK) status = arrange(out_qrels);
    if (status != TUFF_OK) tuff_qrels_free(out_qrels);
    return status;
}

void tuff_qrels_free(tuff_qrels *qrels)
{
    tuff_map_free(&qrels->queries);
    tuff_map_free(&qrels->documents);
    tuff_free(qrels->items);
    tuff_free(qrels->begins);
    *qrels = (tuff_qrels){0};
}

size_t tuff_qrels_of(const tuff_qrels *qrels, uint32_t query)
{
    return qrels->begins[query + 1] - qrels->begins[query];
}

bool tuff_qrels_relevant(const tuff_qrels *qrels, uint32_t query, uint32_t document)
{
    const tuff_qrel item = {query, document};
    return bsearch(&item, qrels->items + qrels->begins[query], tuff_qrels_of(qrels, query), sizeof item,
                   by_query) != NULL;
}
