/* Retrieval: are the documents that answer a query the nearest to it? */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/measure.h>

#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "embed/embedder.h"
#include "embed/index.h"
#include "formats/records.h"
#include "train/metrics.h"
#include "train/qrels.h"

enum {
    PIECE = 1024, /* records that are embedded at a time */
    HITS = 100,   /* that count */
    TAKEN = 200   /* that are looked at: among equally near ones ids decide which count, not rows */
};
static const size_t ranks[TUFF_RETRIEVAL_RANKS] = TUFF_RETRIEVAL_RANK_LIST;

/* Texts with ids and their vectors, of length 1. */
typedef struct collection {
    const char *path, *prompt;
    tuff_buf ids;
    size_t *id_ends;
    uint32_t *numbers; /* as the judgements count ids; NONE: they do not know it */
    float *vectors;
    size_t n, room, embedded;
    tuff_map seen;  /* ids */
    tuff_buf texts; /* of the piece at hand */
    size_t ends[PIECE];
} collection;
#define NONE UINT32_MAX

typedef struct work {
    tuff_embedder *embedder;
    const char *fields[2];
    tuff_watched work;      /* in bytes of the file at hand */
    tuff_watched_call call; /* what embeds a part of it */
    tuff_qrels qrels;
    collection queries, documents;
    tuff_retrieval_result result;
} work;

/* ---- texts to vectors ---- */

static tuff_view id_of(const collection *c, size_t i)
{
    size_t begin = i ? c->id_ends[i - 1] : 0;
    return (tuff_view){c->ids.data ? c->ids.data + begin : "", c->id_ends[i] - begin};
}

static tuff_status reserve(collection *c, int64_t dimensions)
{
    if (c->n < c->room) return TUFF_OK;
    size_t room = c->room ? 2 * c->room : PIECE;
    size_t *ends = tuff_realloc_array(c->id_ends, room, sizeof *ends);
    if (ends) c->id_ends = ends;
    uint32_t *numbers = tuff_realloc_array(c->numbers, room, sizeof *numbers);
    if (numbers) c->numbers = numbers;
    float *vectors = tuff_realloc_array(c->vectors, room, (size_t)dimensions * sizeof *vectors);
    if (vectors) c->vectors = vectors;
    if (!ends || !numbers || !vectors) return tuff_fail_memory("vectors");
    c->room = room;
    return TUFF_OK;
}

static void to_length_1(float *x, int64_t n)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    for (int64_t i = 0; i < n && squares > 0; i++)
        x[i] = (float)((double)x[i] / sqrt(squares));
}

/* The piece's texts to vectors. */
static tuff_status flush(work *w, collection *c)
{
    const char *texts[PIECE];
    size_t sizes[PIECE], n = c->n - c->embedded, at = 0;
    int64_t d = w->embedder->dimensions;
    for (size_t i = 0; i < n; at = c->ends[i++]) {
        texts[i] = c->texts.data ? c->texts.data + at : "";
        sizes[i] = c->ends[i] - at;
    }
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    params.prompt = c->prompt;
    params.watch = &w->call.each;
    float *out = c->vectors + c->embedded * (size_t)d;
    TUFF_TRY(tuff_note(tuff_embed(w->embedder, texts, sizes, n, &params, out, &result), "%s", c->path));
    for (size_t i = 0; i < n; i++)
        to_length_1(out + i * (size_t)d, d);
    w->result.truncated += result.truncated;
    c->embedded = c->n;
    tuff_buf_clear(&c->texts);
    return TUFF_OK;
}

static tuff_status add(work *w, collection *c, const tuff_view record[2], uint32_t number)
{
    TUFF_TRY(reserve(c, w->embedder->dimensions));
    tuff_buf_bytes(&c->ids, record[0].data, record[0].size);
    tuff_buf_bytes(&c->texts, record[1].data, record[1].size);
    if (c->ids.failed || c->texts.failed) return tuff_fail_memory("texts");
    c->id_ends[c->n] = c->ids.size;
    c->numbers[c->n] = number;
    c->ends[c->n - c->embedded] = c->texts.size;
    c->n++;
    return c->n - c->embedded == PIECE ? flush(w, c) : TUFF_OK;
}

/* Takes a record in; `only_known`: only if the judgements know its id. */
static tuff_status take(work *w, collection *c, const tuff_view record[2], const tuff_map *known,
                        bool only_known, uint64_t line)
{
    uint32_t number = NONE, other;
    if (tuff_map_get(&c->seen, record[0].data, record[0].size, &other))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s, line %llu: the id \"%.*s\" is there twice", c->path,
                         (unsigned long long)line, (int)(record[0].size < 40 ? record[0].size : 40),
                         record[0].data);
    if (!tuff_map_put(&c->seen, record[0].data, record[0].size, 0)) return tuff_fail_memory("ids");
    bool is_known = tuff_map_get(known, record[0].data, record[0].size, &number);
    if (!is_known) number = NONE;
    return is_known || !only_known ? add(w, c, record, number) : TUFF_OK;
}

static tuff_status read_all(work *w, collection *c, const tuff_map *known, bool only_known)
{
    tuff_records *records = NULL;
    tuff_view record[2];
    uint64_t done;
    bool there = true;
    tuff_status status = tuff_records_open(c->path, TUFF_RECORDS_AUTO, w->fields, 2, &records);
    while (status == TUFF_OK && there) {
        tuff_records_position(records, &done, &w->work.total);
        if (c->n == c->embedded) {
            w->work.done = done;
            status = tuff_watched_tell(&w->work);
        }
        if (status == TUFF_OK) status = tuff_records_next(records, record, &there);
        if (status == TUFF_OK && there)
            status = take(w, c, record, known, only_known, tuff_records_line(records));
    }
    tuff_records_close(&records);
    if (status == TUFF_OK && c->n > c->embedded) status = flush(w, c);
    tuff_buf_free(&c->texts);
    w->work.done = w->work.total;
    return status == TUFF_OK ? tuff_watched_tell(&w->work) : status;
}

static void free_collection(collection *c)
{
    tuff_buf_free(&c->ids);
    tuff_buf_free(&c->texts);
    tuff_map_free(&c->seen);
    tuff_free(c->id_ends);
    tuff_free(c->numbers);
    tuff_free(c->vectors);
}

/* ---- figures ---- */

typedef struct scored {
    float score;
    tuff_view id;
    uint32_t number;
} scored;

/* NaN is below all numbers. */
static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    bool xn = isnan(x->score), yn = isnan(y->score);
    if (xn != yn) return xn ? 1 : -1;
    if (!xn && x->score != y->score) return x->score > y->score ? -1 : 1;
    size_t least = x->id.size < y->id.size ? x->id.size : y->id.size;
    int order = least ? memcmp(x->id.data, y->id.data, least) : 0;
    return order ? order : x->id.size < y->id.size ? -1 : x->id.size > y->id.size;
}

static void count_query(work *w, uint32_t query, const tuff_hit *hits, size_t n)
{
    scored list[TAKEN];
    bool relevant[HITS];
    tuff_retrieval_result *r = &w->result;
    for (size_t i = 0; i < n; i++)
        list[i] = (scored){hits[i].score, id_of(&w->documents, (size_t)hits[i].row),
                           w->documents.numbers[hits[i].row]};
    qsort(list, n, sizeof *list, by_score);
    if (n > HITS) n = HITS;
    for (size_t i = 0; i < n; i++)
        relevant[i] = list[i].number != NONE && tuff_qrels_relevant(&w->qrels, query, list[i].number);
    size_t all = tuff_qrels_of(&w->qrels, query);
    r->ndcg_at_10 += tuff_ndcg_at(relevant, n, all, 10);
    r->mrr_at_10 += tuff_reciprocal_rank_at(relevant, n, 10);
    r->map_at_100 += tuff_average_precision_at(relevant, n, all, 100);
    for (int i = 0; i < TUFF_RETRIEVAL_RANKS; i++) {
        double found = (double)tuff_found_at(relevant, n, ranks[i]);
        r->accuracy[i] += found > 0;
        r->precision[i] += found / (double)ranks[i];
        r->recall[i] += found / (double)all;
    }
}

static tuff_status count_all(work *w)
{
    const collection *q = &w->queries, *d = &w->documents;
    size_t k = d->n < TAKEN ? d->n : TAKEN;
    tuff_index *index = NULL;
    tuff_hit *hits = tuff_alloc_array(q->n, k * sizeof *hits);
    tuff_status status = hits ? TUFF_OK : tuff_fail_memory("hits");
    if (status == TUFF_OK)
        status =
            tuff_index_over(d->vectors, (int64_t)d->n, w->embedder->dimensions, w->embedder->device, &index);
    if (status == TUFF_OK) status = tuff_index_search(index, q->vectors, q->n, k, w->work.watch, hits);
    for (size_t i = 0; i < q->n && status == TUFF_OK; i++)
        count_query(w, q->numbers[i], hits + i * k, k);
    tuff_index_destroy(&index);
    tuff_free(hits);
    return status;
}

static void divide(tuff_retrieval_result *r, double n)
{
    r->ndcg_at_10 /= n;
    r->mrr_at_10 /= n;
    r->map_at_100 /= n;
    for (int i = 0; i < TUFF_RETRIEVAL_RANKS; i++) {
        r->accuracy[i] /= n;
        r->precision[i] /= n;
        r->recall[i] /= n;
    }
}

/* Relevant documents that are not there, of the queries that are. */
static tuff_status count_missing(work *w)
{
    int64_t all = 0;
    bool *there = tuff_alloc_array(w->qrels.documents.count + 1, sizeof *there);
    if (!there) return tuff_fail_memory("ids");
    for (size_t i = 0; i < w->documents.n; i++)
        if (w->documents.numbers[i] != NONE) there[w->documents.numbers[i]] = true;
    for (size_t i = 0; i < w->queries.n; i++) {
        uint32_t query = w->queries.numbers[i];
        all += (int64_t)tuff_qrels_of(&w->qrels, query);
        for (size_t k = w->qrels.begins[query]; k < w->qrels.begins[query + 1]; k++)
            w->result.missing += !there[w->qrels.items[k].document];
    }
    tuff_free(there);
    if (w->result.missing < all) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "none of the documents that the judgements call relevant is in %s: are its ids the ones that "
        "the judgements use?",
        w->documents.path);
}

static tuff_status measure(work *w, const char *qrels)
{
    TUFF_TRY(tuff_qrels_read(qrels, &w->qrels));
    TUFF_TRY(read_all(w, &w->queries, &w->qrels.queries, true));
    if (!w->queries.n)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s calls no document relevant to any of the queries of %s: are its ids the ones that the "
            "judgements use?",
            qrels, w->queries.path);
    TUFF_TRY(read_all(w, &w->documents, &w->qrels.documents, false));
    TUFF_TRY(count_missing(w));
    TUFF_TRY(count_all(w));
    w->result.queries = (int64_t)w->queries.n;
    w->result.documents = (int64_t)w->documents.n;
    divide(&w->result, (double)w->queries.n);
    return TUFF_OK;
}

static const char *prompt_of(const tuff_embedder *e, const char *wanted, const char *const *names)
{
    const char *prompt = wanted;
    for (; *names && !prompt; names++)
        prompt = tuff_embedder_prompt(e, *names);
    return prompt ? prompt : "";
}

tuff_status tuff_measure_retrieval(tuff_embedder *embedder, const char *documents, const char *queries,
                                   const char *qrels, const tuff_retrieval_params *params,
                                   tuff_retrieval_result *out_result)
{
    static const char *const of_queries[] = {"query", NULL}, *const of_documents[] = {"document", "passage",
                                                                                      "corpus", NULL};
    TUFF_NEED(embedder);
    TUFF_NEED(documents);
    TUFF_NEED(queries);
    TUFF_NEED(qrels);
    TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_RETRIEVAL_RESULT_INIT, truncated));
    tuff_retrieval_params p = TUFF_RETRIEVAL_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_RETRIEVAL_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    work *w = tuff_alloc(sizeof *w);
    if (!w) return tuff_fail_memory("an evaluation");
    *w = (work){
        .embedder = embedder,
        .fields = {p.id ? p.id : "_id", p.text ? p.text : "text"},
        .work = {.watch = p.watch ? p.watch : embedder->watch, .phase = TUFF_PHASE_EMBED, .unit = "bytes"},
        .queries = {.path = queries, .prompt = prompt_of(embedder, p.query_prompt, of_queries)},
        .documents = {.path = documents, .prompt = prompt_of(embedder, p.document_prompt, of_documents)},
        .result = TUFF_RETRIEVAL_RESULT_INIT};
    tuff_watched_call_begin(&w->call, &w->work);
    tuff_status status = measure(w, qrels);
    const tuff_retrieval_result result = w->result;
    tuff_qrels_free(&w->qrels);
    free_collection(&w->queries);
    free_collection(&w->documents);
    tuff_free(w);
    TUFF_TRY(status);
    return TUFF_GIVE(out_result, &result, TUFF_RETRIEVAL_RESULT_INIT, truncated);
}
