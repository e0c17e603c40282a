#include "train/record_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"
#include "base/watch.h"
#include "train/record_cache.h"

tuff_status tuff_record_reader_take_part(tuff_record_reader *r, double share, uint64_t seed, bool held_out)
{
    if (share <= 0) return TUFF_OK;
    r->held_out = held_out ? share : 0;
    return tuff_records_take_part(r->records, share, seed, held_out);
}

static void say(const tuff_record_reader *r, int64_t which)
{
    tuff_log(TUFF_LOG_WARN, "%s%s", r->data->said[which],
             which == TUFF_RECORDS_SAID - 1 ? " (further ones are only counted)" : "");
}

/* A record that is none is counted, and what comes behind it read. */
static tuff_status pass_over(tuff_record_reader *r, tuff_status status)
{
    const bool malformed = status == TUFF_BAD_FORMAT || status == TUFF_INVALID_ARGUMENT;
    if (r->strict || r->refused || !malformed) return status;
    const int64_t which = r->data->malformed++;
    if (which >= TUFF_RECORDS_SAID) return TUFF_OK;
    if (!which) r->first = status;
    r->data->said[which] = tuff_strdup(tuff_error_message());
    if (!r->data->said[which]) return tuff_fail_memory("what is wrong with a record");
    if (r->any_good) say(r, which);
    return TUFF_OK;
}

static void see_good(tuff_record_reader *r)
{
    if (r->any_good) return;
    r->any_good = true;
    for (int64_t i = 0; i < r->data->malformed && i < TUFF_RECORDS_SAID; i++)
        say(r, i);
}

/* What a record adds to. */
typedef struct mark {
    int64_t tokens, sequences, cut;
} mark;

static mark mark_of(const tuff_dataset *data)
{
    return (mark){data->tokens, data->sequences, data->cut};
}

static void go_back(tuff_dataset *data, mark to)
{
    data->tokens = to.tokens;
    data->sequences = to.sequences;
    data->cut = to.cut;
}

/* ---- some records at a time */

enum {
    MANY = 1024,    /* records that are prepared at a time, at most, */
    BYTES = 1 << 20 /* or as many as have so many bytes for each thread, about */
};

typedef struct batch {
    const tuff_record_work *work;
    const tuff_watch *watch; /* of what is alone */
    char *items;
    size_t count, room; /* records; items */
    size_t bytes;       /* of many */
    tuff_pool *pool;    /* NULL: one at a time */
} batch;

static tuff_record_item *item_of(const batch *b, size_t i)
{
    return (tuff_record_item *)(void *)(b->items + i * b->work->item_size);
}

/* A file of less is read before threads have begun. */
static tuff_status begin(batch *b, const tuff_record_reader *r)
{
    uint64_t done, total;
    const unsigned threads = r->threads ? r->threads : tuff_processors();
    tuff_records_position(r->records, &done, &total);
    if (threads > 1 && total >= tuff_records_many && !(b->pool = tuff_pool_create(threads)))
        return tuff_fail_memory("threads");
    b->room = b->pool ? MANY : 1;
    b->bytes = (size_t)BYTES * threads;
    b->items = tuff_alloc_array(b->room, b->work->item_size);
    return b->items ? TUFF_OK : tuff_fail_memory("records");
}

static void end(batch *b)
{
    for (size_t i = 0; i < b->room && b->items; i++)
        b->work->free(item_of(b, i));
    tuff_free(b->items);
    tuff_pool_destroy(&b->pool);
}

static void note_reason(tuff_record_item *item)
{
    snprintf(item->reason, sizeof item->reason, "%s", tuff_error_message());
}

/* *out_more is false behind the last record. */
static tuff_status read_some(tuff_record_reader *r, batch *b, bool *out_more)
{
    const size_t most = r->any_good ? b->room : 1;
    uint64_t done, total, first;
    tuff_records_position(r->records, &first, &total);
    for (b->count = 0, done = first; b->count < most && done - first < b->bytes; b->count++) {
        tuff_record_item *item = item_of(b, b->count);
        TUFF_TRY(tuff_watch_step(r->watch, TUFF_PHASE_TOKENIZE, done, total));
        item->prepared = TUFF_OK;
        item->read = b->work->read(b->work->own, item, out_more);
        item->place = tuff_records_path(r->records);
        item->line = tuff_records_line(r->records);
        if (item->read != TUFF_OK) note_reason(item);
        if (item->read == TUFF_OK && !*out_more) return TUFF_OK;
        *out_more = true;
        tuff_records_position(r->records, &done, &total);
    }
    return TUFF_OK;
}

static void prepare(int64_t begin, int64_t end, void *context)
{
    const batch *b = context;
    for (int64_t i = begin; i < end; i++) {
        tuff_record_item *item = item_of(b, (size_t)i);
        if (item->read != TUFF_OK) continue;
        item->prepared = b->work->prepare(b->work->own, b->watch, item);
        if (item->prepared != TUFF_OK) note_reason(item);
    }
}

tuff_status tuff_record_item_fail(const tuff_record_item *item)
{
    return tuff_fail(item->prepared, "%s", item->reason);
}

static tuff_status take_some(tuff_record_reader *r, batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        tuff_record_item *item = item_of(b, i);
        const mark before = mark_of(r->data);
        r->place = item->place;
        r->line = item->line;
        const tuff_status status = item->read != TUFF_OK ? tuff_fail(item->read, "%s", item->reason)
                                                         : b->work->take(b->work->own, item);
        if (status == TUFF_OK) see_good(r);
        if (status == TUFF_OK) continue;
        TUFF_TRY(pass_over(r, status));
        go_back(r->data, before);
    }
    return TUFF_OK;
}

static tuff_status run(tuff_record_reader *r, batch *b)
{
    TUFF_TRY(begin(b, r));
    for (bool more = true; more;) {
        TUFF_TRY(read_some(r, b, &more));
        b->watch = b->count == 1 ? r->watch : NULL;
        if (b->pool)
            tuff_pool_run(b->pool, (int64_t)b->count, 1, prepare, b);
        else
            prepare(0, (int64_t)b->count, b);
        TUFF_TRY(take_some(r, b));
    }
    return TUFF_OK;
}

static tuff_status run_all(tuff_record_reader *r, const tuff_record_work *work)
{
    batch b = {.work = work};
    const tuff_status status = run(r, &b);
    end(&b);
    r->data->windows_lines = (int64_t)tuff_records_windows_lines(r->records);
    return status;
}

/* What the cache has of them. */
static tuff_status take_kept(tuff_record_reader *r)
{
    TUFF_TRY(tuff_record_cache_take(r->data->cache, r->data));
    tuff_log(TUFF_LOG_INFO, "the token ids of %s are in the cache", r->path);
    see_good(r);
    return TUFF_OK;
}

tuff_status tuff_record_reader_run(tuff_record_reader *r, const tuff_record_work *work)
{
    const tuff_view settings = {r->settings.data, r->settings.size};
    if (r->settings.failed) return tuff_fail_memory("the settings of a data set");
    if (settings.size)
        TUFF_TRY(
            tuff_record_cache_look(r->path, r->tokenizer, settings, r->threads, r->watch, &r->data->cache));
    TUFF_TRY(tuff_record_cache_found(r->data->cache) ? take_kept(r) : run_all(r, work));
    if (r->data->windows_lines)
        tuff_log(TUFF_LOG_INFO, "%s: lines end as on Windows (\\r\\n), %lld of them; they are read as \\n",
                 r->path, (long long)r->data->windows_lines);
    return TUFF_OK;
}

void tuff_record_reader_close(tuff_record_reader *r)
{
    tuff_records_close(&r->records);
    tuff_buf_free(&r->settings);
}

tuff_status tuff_record_reader_next(tuff_record_reader *r, size_t n, tuff_view *values, bool *out_there)
{
    const tuff_status status = tuff_records_next(r->records, values, out_there);
    r->place = tuff_records_path(r->records);
    r->line = tuff_records_line(r->records);
    TUFF_TRY(status);
    for (size_t i = 0; i < n && *out_there; i++) {
        if (!tuff_utf8_valid(values[i].data, values[i].size))
            return tuff_record_reader_fail(r, "its text is not UTF-8");
        if (values[i].size && memchr(values[i].data, 0, values[i].size))
            return tuff_record_reader_fail(r, "it has a NUL byte");
    }
    return TUFF_OK;
}

tuff_status tuff_record_reader_fail(const tuff_record_reader *r, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: %s", r->place, (unsigned long long)r->line, what);
}

tuff_status tuff_record_reader_none(const tuff_record_reader *r)
{
    const long long bad = (long long)r->data->malformed;
    if (!bad && r->held_out > 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: a share of %g holds out none of its records, which are few; take a larger one",
                         r->path, r->held_out);
    if (!bad) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no records", r->path);
    if (bad == 1) return tuff_fail(r->first, "%s; the file has no other record", r->data->said[0]);
    return tuff_fail(r->first, "%s; all %lld records of the file are malformed", r->data->said[0], bad);
}

tuff_status tuff_record_reader_end(const tuff_record_reader *r, int64_t left)
{
    if (!left) return tuff_record_reader_none(r);
    if (r->data->malformed)
        tuff_log(TUFF_LOG_INFO, "%s: %lld malformed records are left out", r->path,
                 (long long)r->data->malformed);
    return TUFF_OK;
}
