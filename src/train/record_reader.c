#include "train/record_reader.h"

#include "base/log.h"
#include "base/watch.h"

/* A record that is none is counted, and what comes behind it read. */
static tuff_status pass_over(tuff_record_reader *r, tuff_status status)
{
    enum { TELL = 3 };
    const bool malformed = status == TUFF_BAD_FORMAT || status == TUFF_INVALID_ARGUMENT;
    if (r->strict || r->refused || !malformed) return status;
    if (r->data->malformed++ < TELL)
        tuff_log(TUFF_LOG_WARN, "%s%s", tuff_error_message(),
                 r->data->malformed == TELL ? " (further ones are only counted)" : "");
    return TUFF_OK;
}

tuff_status tuff_record_reader_run(tuff_record_reader *r, tuff_record_take *take, void *own)
{
    for (bool there = true; there;) {
        uint64_t done, total;
        tuff_records_position(r->records, &done, &total);
        TUFF_TRY(tuff_watch_step(r->watch, TUFF_PHASE_TOKENIZE, done, total));
        const tuff_status status = take(own, &there);
        if (status == TUFF_OK) continue;
        TUFF_TRY(pass_over(r, status));
        there = true;
    }
    return TUFF_OK;
}
