#include "train/record_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/watch.h"

tuff_status tuff_record_reader_take_part(tuff_record_reader *r, const tuff_data_params *p)
{
    if (p->validation_split <= 0) return TUFF_OK;
    return tuff_records_take_part(r->records, p->validation_split, p->split_seed, p->held_out);
}

static void say(const tuff_record_reader *r, int64_t which)
{
    tuff_log(TUFF_LOG_WARN, "%s%s", r->said[which],
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
    snprintf(r->said[which], sizeof r->said[which], "%s", tuff_error_message());
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

tuff_status tuff_record_reader_run(tuff_record_reader *r, tuff_record_take *take, void *own)
{
    for (bool there = true; there;) {
        const mark before = mark_of(r->data);
        uint64_t done, total;
        tuff_records_position(r->records, &done, &total);
        TUFF_TRY(tuff_watch_step(r->watch, TUFF_PHASE_TOKENIZE, done, total));
        const tuff_status status = take(own, &there);
        if (status == TUFF_OK && there) see_good(r);
        if (status == TUFF_OK) continue;
        TUFF_TRY(pass_over(r, status));
        go_back(r->data, before);
        there = true;
    }
    r->data->windows_lines = (int64_t)tuff_records_windows_lines(r->records);
    if (r->data->windows_lines)
        tuff_log(TUFF_LOG_INFO, "%s: lines end as on Windows (\\r\\n), %lld of them; they are read as \\n",
                 r->path, (long long)r->data->windows_lines);
    return TUFF_OK;
}

tuff_status tuff_record_reader_next(tuff_record_reader *r, size_t n, tuff_view *values, bool *out_there)
{
    TUFF_TRY(tuff_records_next(r->records, values, out_there));
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
    return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: %s", r->path,
                     (unsigned long long)tuff_records_line(r->records), what);
}

tuff_status tuff_record_reader_none(const tuff_record_reader *r)
{
    const long long bad = (long long)r->data->malformed;
    if (!bad) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no records", r->path);
    if (bad == 1) return tuff_fail(r->first, "%s; the file has no other record", r->said[0]);
    return tuff_fail(r->first, "%s; all %lld records of the file are malformed", r->said[0], bad);
}

tuff_status tuff_record_reader_end(const tuff_record_reader *r, int64_t left)
{
    if (!left) return tuff_record_reader_none(r);
    if (r->data->malformed)
        tuff_log(TUFF_LOG_INFO, "%s: %lld malformed records are left out", r->path,
                 (long long)r->data->malformed);
    return TUFF_OK;
}
