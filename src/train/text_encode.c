#include "train/text_encode.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"
#include "train/line_ends.h"

enum {
    PART = 1 << 18, /* bytes that are encoded at a time, about */
    PARTS = 4,      /* of a thread at a time */
    REASON = 1024
};

/* A part of a text, and what became of it. */
typedef struct part {
    tuff_view text;
    bool first;        /* of its file */
    size_t begin, end; /* ids of the range that it was encoded with */
    int64_t range;     /* the number of that one's first part, which owns them */
    tuff_ids ids;      /* of all parts of a range, where it is the first one */
    tuff_status status;
    char reason[REASON];
} part;

/* The stretch of a file that is at hand, and its parts. */
typedef struct window {
    const tuff_text_encoding *encoding;
    const tuff_text_file *file;
    char *data;
    size_t room, size;
    uint64_t read; /* bytes of the file */
    bool begins;   /* with the file */
    part *parts;
    size_t count, most;
    tuff_pool *pool;
} window;

/* ---- in threads */

static void note_failure(part *p, tuff_status status)
{
    p->status = status;
    snprintf(p->reason, sizeof p->reason, "%s", tuff_error_message());
}

static tuff_status encode_part(const window *w, tuff_encoder *e, tuff_buf *room, part *p)
{
    if (!tuff_text_is_valid(p->text)) TUFF_TRY(tuff_text_file_check(w->file));
    TUFF_TRY(tuff_parts_encode(w->encoding->parts, e, p->text, p->first, room, &p->begin));
    p->end = e->pieces.ids.size;
    return TUFF_OK;
}

static void encode_range(int64_t begin, int64_t end, void *context)
{
    const window *w = context;
    part *parts = w->parts;
    tuff_encoder e;
    tuff_buf room = {0};
    tuff_status status = tuff_encoder_begin(&e, w->encoding->tokenizer, 0, false, NULL, 0);
    if (status != TUFF_OK) note_failure(&parts[begin], status);
    for (int64_t i = begin; i < end && status == TUFF_OK; i++) {
        status = encode_part(w, &e, &room, &parts[i]);
        if (status != TUFF_OK) note_failure(&parts[i], status);
        parts[i].range = begin;
    }
    parts[begin].ids = e.pieces.ids;
    e.pieces.ids = (tuff_ids){0};
    tuff_encoder_end(&e);
    tuff_buf_free(&room);
}

/* ---- windows */

/* Out of memory, by bytes that are encoded at once. */
static tuff_status say_too_long(const tuff_text_file *file, size_t size)
{
    if (size <= 2 * PART) return tuff_fail_memory("a text");
    return tuff_fail(
        TUFF_OUT_OF_MEMORY,
        "%s: out of memory while encoding %zu bytes of it at once, as they have no space or line end "
        "between words, where they could be cut: break them",
        file->path, size);
}

static tuff_status grow(window *w, size_t least)
{
    size_t room = w->room ? w->room : least;
    while (room <= w->size)
        room *= 2;
    if (room > tuff_text_limit)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: %zu bytes of it have no space or line end between words, where they could be cut, and at most "
            "%zu bytes are encoded at a time: break them",
            w->file->path, w->size, tuff_text_limit / 2);
    if (room == w->room) return TUFF_OK;
    char *data = tuff_realloc_array(w->data, room, 1);
    if (!data) return say_too_long(w->file, w->size);
    w->data = data;
    w->room = room;
    return TUFF_OK;
}

static uint64_t left(const window *w)
{
    return w->file->size - w->read;
}

/* Reads on, and turns line ends. One whose \r was the last byte is turned with the next stretch: no part ends
 * with it. */
static tuff_status fill(window *w, tuff_text_encoding *e)
{
    const uint64_t more = left(w);
    const size_t size = more < w->room - w->size ? (size_t)more : w->room - w->size;
    TUFF_TRY(tuff_text_file_read(w->file, w->read, w->data + w->size, size));
    const size_t from = w->size && w->data[w->size - 1] == '\r' ? w->size - 1 : w->size;
    size_t turned = w->size + size - from;
    e->windows_lines += tuff_turn_line_ends(w->data + from, &turned);
    w->size = from + turned;
    w->read += size;
    return TUFF_OK;
}

static tuff_status add_part(window *w, size_t at, size_t size)
{
    if (w->count == w->most) {
        const size_t most = w->most ? 2 * w->most : 64;
        part *parts = tuff_realloc_array(w->parts, most, sizeof *parts);
        if (!parts) return tuff_fail_memory("a text");
        w->parts = parts;
        w->most = most;
    }
    w->parts[w->count++] = (part){.text = {w->data + at, size}, .first = w->begins && at == 0};
    return TUFF_OK;
}

/* Cuts the window into parts; *out_end is where the last one ends. */
static tuff_status cut(window *w, size_t *out_end)
{
    const bool last = left(w) == 0;
    size_t at = 0;
    w->count = 0;
    while (at < w->size) {
        const tuff_view rest = {w->data + at, w->size - at};
        size_t size = 0;
        for (size_t most = PART; !size && most < 2 * rest.size; most *= 2)
            size = tuff_parts_cut(w->encoding->parts, rest, most);
        if (last && (!size || rest.size < PART + PART / 2)) size = rest.size;
        if (!size) break;
        TUFF_TRY(add_part(w, at, size));
        at += size;
    }
    *out_end = at;
    return TUFF_OK;
}

static tuff_status hand_over(const window *w)
{
    const tuff_id_sink *sink = &w->encoding->sink;
    for (size_t i = 0; i < w->count; i++) {
        const part *p = &w->parts[i];
        if (p->status == TUFF_OUT_OF_MEMORY) return say_too_long(w->file, p->text.size);
        if (p->status != TUFF_OK) return tuff_fail(p->status, "%s", p->reason);
        if (p->end > p->begin)
            TUFF_TRY(sink->take(sink->user, w->parts[p->range].ids.data + p->begin, p->end - p->begin));
    }
    return TUFF_OK;
}

static tuff_status encode_window(window *w)
{
    tuff_pool_run(w->pool, (int64_t)w->count, 1, encode_range, w);
    tuff_status status = hand_over(w);
    for (size_t i = 0; i < w->count; i++)
        tuff_ids_free(&w->parts[i].ids);
    return status;
}

static tuff_status encode_in_parts(window *w, tuff_text_encoding *e)
{
    const size_t least = (size_t)PART * PARTS * tuff_pool_threads(w->pool);
    w->read = w->size = 0;
    w->begins = true;
    for (uint64_t done = 0; left(w) || w->size;) {
        size_t end = 0;
        TUFF_TRY(grow(w, least));
        TUFF_TRY(fill(w, e));
        TUFF_TRY(cut(w, &end));
        if (!end) continue; /* with more room */
        TUFF_TRY(encode_window(w));
        memmove(w->data, w->data + end, w->size - end);
        w->size -= end;
        w->begins = false;
        TUFF_TRY(tuff_watched_add(&e->watched, w->read - w->size - done));
        done = w->read - w->size;
    }
    return w->file->streamed ? TUFF_OK : tuff_file_check(&w->file->file);
}

/* ---- whole texts */

static tuff_status encode_all(tuff_text_encoding *e, const tuff_text_file *file, char *text, size_t size)
{
    int32_t *ids = NULL;
    size_t n = 0;
    tuff_watched_call call;
    if (!tuff_text_is_valid((tuff_view){text, size})) TUFF_TRY(tuff_text_file_check(file));
    e->windows_lines += tuff_turn_line_ends(text, &size);
    e->watched.part = file->size;
    tuff_watched_call_begin(&call, &e->watched);
    TUFF_TRY(tuff_tokenizer_encode_watched(e->tokenizer, text, size, 0, &call.each, &ids, &n));
    e->watched.part = 0;
    tuff_status status = n ? e->sink.take(e->sink.user, ids, n) : TUFF_OK;
    tuff_free(ids);
    return status == TUFF_OK ? tuff_watched_add(&e->watched, file->size) : status;
}

static tuff_status encode_whole(tuff_text_encoding *e, const tuff_text_file *file)
{
    if (file->size > tuff_text_limit)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s has %llu bytes; with this tokenizer texts are encoded whole, and at most %zu bytes "
            "can be: cut the file into several, in a directory",
            file->path, (unsigned long long)file->size, tuff_text_limit);
    const size_t size = (size_t)file->size;
    char *text = tuff_alloc_array(size, 1);
    tuff_status status = text ? tuff_text_file_read(file, 0, text, size) : tuff_fail_memory("a text");
    if (status == TUFF_OK) status = encode_all(e, file, text, size);
    tuff_free(text);
    if (status != TUFF_OUT_OF_MEMORY) return status;
    return tuff_fail(
        status,
        "%s: out of memory while encoding all its %zu bytes at once, as this tokenizer's texts are not cut: "
        "cut the file into several, in a directory",
        file->path, size);
}

static tuff_status encode_files(tuff_text_encoding *e, const tuff_text_files *files, window *w)
{
    for (size_t i = 0; i < files->count; i++) {
        const tuff_text_file *file = &files->items[i];
        if (file->size == 0) continue;
        w->file = file;
        TUFF_TRY(e->parts ? encode_in_parts(w, e) : encode_whole(e, file));
    }
    return TUFF_OK;
}

tuff_status tuff_text_encode(tuff_text_encoding *e, const tuff_text_files *files)
{
    window w = {.encoding = e};
    if (e->parts) w.pool = tuff_pool_create(e->threads ? e->threads : tuff_processors());
    if (e->parts && !w.pool) return tuff_fail_memory("threads");
    tuff_status status = tuff_watched_tell(&e->watched);
    if (status == TUFF_OK) status = encode_files(e, files, &w);
    tuff_free(w.data);
    tuff_free(w.parts);
    tuff_pool_destroy(&w.pool);
    return status;
}
