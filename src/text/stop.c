#include <string.h>
#include <tuff/sampler.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

struct tuff_stop {
    tuff_view *strings; /* in memory of their own */
    size_t count;
    tuff_buf text;   /* the last answer and what is held back behind it */
    size_t answered; /* bytes of `text` given away */
    bool stopped;
};

tuff_status tuff_stop_create(const char *const *strings, size_t count, tuff_stop **out_stop)
{
    TUFF_NEED_OUT(out_stop);
    TUFF_NEED_MANY(strings, count);
    tuff_stop *stop = *out_stop = tuff_alloc(sizeof *stop);
    if (stop) stop->strings = tuff_alloc_array(count, sizeof *stop->strings);
    tuff_status status = stop && stop->strings ? TUFF_OK : tuff_fail_memory("stop strings");
    for (size_t i = 0; i < count && status == TUFF_OK; i++) {
        if (!strings[i] || !*strings[i]) {
            status = tuff_fail(TUFF_INVALID_ARGUMENT,
                               "stop string %zu is empty, expected at least one character", i + 1);
            break;
        }
        char *copy = tuff_strdup(strings[i]);
        if (!copy)
            status = tuff_fail_memory("stop strings");
        else
            stop->strings[stop->count++] = tuff_view_of(copy);
    }
    if (status != TUFF_OK) tuff_stop_destroy(out_stop);
    return status;
}

void tuff_stop_destroy(tuff_stop **stop)
{
    if (!stop) return;
    if (!stop || !*stop) return;
    for (size_t i = 0; i < (*stop)->count; i++)
        tuff_free((void *)(*stop)->strings[i].data);
    tuff_free((*stop)->strings);
    tuff_buf_free(&(*stop)->text);
    tuff_free(*stop);
    *stop = NULL;
}

/* The first place where a whole stop string starts, else where one starts that later text may complete, else
 * the text's size. */
static size_t find(const tuff_stop *stop, tuff_view text, bool *out_whole)
{
    size_t partial = text.size;
    *out_whole = false;
    for (size_t at = 0; at < text.size; at++) {
        for (size_t i = 0; i < stop->count; i++) {
            tuff_view string = stop->strings[i];
            size_t left = text.size - at, compared = left < string.size ? left : string.size;
            if (memcmp(text.data + at, string.data, compared) != 0) continue;
            *out_whole = compared == string.size;
            if (*out_whole) return at;
            if (at < partial) partial = at;
        }
    }
    return partial;
}

/* Leaves only what was held back. */
static void drop_answered(tuff_stop *stop)
{
    if (!stop->answered) return;
    stop->text.size -= stop->answered;
    memmove(stop->text.data, stop->text.data + stop->answered, stop->text.size);
    stop->answered = 0;
}

tuff_status tuff_stop_feed(tuff_stop *stop, const char *text, size_t size, const char **out_text,
                           size_t *out_size, bool *out_stopped)
{
    TUFF_NEED(out_text);
    TUFF_NEED(out_size);
    TUFF_NEED(out_stopped);
    TUFF_NEED(stop);
    TUFF_NEED_MANY(text, size);
    *out_text = "";
    *out_size = 0;
    *out_stopped = stop->stopped;
    if (stop->stopped) return TUFF_OK;
    drop_answered(stop);
    tuff_buf_bytes(&stop->text, text, size);
    if (stop->text.failed) {
        stop->text.failed = false;
        return tuff_fail_memory("watching for stop strings");
    }
    stop->answered = find(stop, (tuff_view){stop->text.data, stop->text.size}, out_stopped);
    stop->stopped = *out_stopped;
    *out_text = stop->text.data;
    *out_size = stop->answered;
    return TUFF_OK;
}

void tuff_stop_flush(tuff_stop *stop, const char **out_text, size_t *out_size)
{
    if (out_text) *out_text = "";
    if (out_size) *out_size = 0;
    if (!stop || !out_text || !out_size) return;
    drop_answered(stop);
    if (stop->stopped) stop->text.size = 0;
    *out_text = stop->text.size ? stop->text.data : "";
    *out_size = stop->answered = stop->text.size;
    stop->stopped = false;
}
