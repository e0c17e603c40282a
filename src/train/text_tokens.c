#include "train/text_tokens.h"

#include "base/log.h"
#include "base/memory.h"
#include "text/pieces.h"
#include "train/text_encode.h"

enum {
    LONG = 1 << 20,  /* texts of fewer bytes are encoded as they are: it takes a moment, and little memory */
    MUCH = 64 * LONG /* that more are in memory at once is more than a note */
};

static tuff_status take(void *user, const int32_t *ids, size_t count)
{
    return tuff_ids_append(user, ids, count) ? TUFF_OK : tuff_fail_memory("the token ids of a text");
}

static tuff_text_encoding encoding_of(const tuff_text_reading *r, const tuff_text_files *files,
                                      const tuff_parts *parts)
{
    return (tuff_text_encoding){
        .tokenizer = r->tokenizer,
        .parts = parts,
        .threads = r->threads,
        .watched = {.watch = r->watch, .phase = TUFF_PHASE_TOKENIZE, .total = files->size}};
}

static tuff_status into_memory(const tuff_text_reading *r, const tuff_text_files *files,
                               const tuff_parts *parts, tuff_text_tokens *out)
{
    tuff_ids ids = {0};
    tuff_text_encoding e = encoding_of(r, files, parts);
    e.sink = (tuff_id_sink){take, &ids};
    tuff_status status = tuff_text_encode(&e, files);
    if (status != TUFF_OK) {
        tuff_ids_free(&ids);
        return status;
    }
    out->windows_lines = e.windows_lines;
    out->ids = out->memory = ids.data;
    out->count = (int64_t)ids.size;
    for (int64_t i = 0; i < out->count; i++)
        if (out->ids[i] > out->largest) out->largest = out->ids[i];
    return TUFF_OK;
}

static tuff_status encode_to(tuff_token_writer *w, const tuff_text_reading *r, const tuff_text_files *files,
                             const tuff_parts *parts, const char *text)
{
    tuff_text_encoding e = encoding_of(r, files, parts);
    e.sink = (tuff_id_sink){tuff_token_writer_take, w};
    TUFF_TRY(tuff_text_encode(&e, files));
    return tuff_token_writer_commit(w, text, files->size, e.windows_lines);
}

/* *out_there is false where the disk does not take them, which is said. */
static tuff_status into_cache(const char *path, const tuff_text_reading *r, const tuff_text_files *files,
                              const tuff_parts *parts, const char *text, tuff_text_tokens *out,
                              bool *out_there)
{
    tuff_token_writer w;
    tuff_status status = tuff_token_writer_open(path, &w);
    if (status == TUFF_OK) status = encode_to(&w, r, files, parts, text);
    tuff_token_writer_abort(&w);
    *out_there = status == TUFF_OK && tuff_token_cache_open(path, &out->file);
    if (status != TUFF_OK && !w.failed) return status;
    if (!*out_there)
        tuff_log(TUFF_LOG_WARN, "the token ids of %s stay in memory, as they cannot be kept on the disk: %s",
                 text, status == TUFF_OK ? path : tuff_error_message());
    return TUFF_OK;
}

/* From the cache, where they are made if they are not there. */
static tuff_status by_cache(const tuff_text_reading *r, const tuff_text_files *files, const tuff_parts *parts,
                            const char *text, tuff_text_tokens *out)
{
    tuff_buf path = {0};
    bool can = false;
    tuff_status status =
        tuff_token_cache_path(files, r->tokenizer, (tuff_view){0}, r->threads, r->watch, &path, &can);
    if (status == TUFF_OK && can && tuff_token_cache_open(path.data, &out->file)) {
        tuff_log(TUFF_LOG_INFO, "the token ids of %s are in %s", text, path.data);
    } else if (status == TUFF_OK && can) {
        status = into_cache(path.data, r, files, parts, text, out, &can);
    }
    tuff_buf_free(&path);
    if (status != TUFF_OK) return status;
    if (!can) return into_memory(r, files, parts, out);
    out->ids = out->file.ids;
    out->count = out->file.count;
    out->largest = out->file.largest;
    out->windows_lines = out->file.windows_lines;
    return TUFF_OK;
}

static void say_whole(const tuff_text_files *files, const tuff_parts *parts, const char *text)
{
    tuff_log(
        files->size < MUCH ? TUFF_LOG_INFO : TUFF_LOG_WARN,
        "%s: each file of its %llu MB is encoded as a whole, in memory, as this tokenizer's texts cannot be cut: %s",
        text, (unsigned long long)(files->size >> 20), parts->why);
}

static tuff_status load(const tuff_text_reading *r, const tuff_text_files *files, const char *text,
                        tuff_text_tokens *out)
{
    tuff_parts parts;
    bool can;
    if (files->size < LONG) return into_memory(r, files, NULL, out);
    TUFF_TRY(tuff_parts_begin(r->tokenizer, &parts, &can));
    if (!can) say_whole(files, &parts, text);
    const tuff_parts *cut = can ? &parts : NULL;
    return r->no_cache ? into_memory(r, files, cut, out) : by_cache(r, files, cut, text, out);
}

tuff_status tuff_text_tokens_load(const char *path, const tuff_text_reading *reading, tuff_text_tokens *out)
{
    tuff_text_files files;
    *out = (tuff_text_tokens){0};
    tuff_status status = tuff_text_files_open(path, reading->allow_json, &files);
    if (status == TUFF_OK) status = load(reading, &files, path, out);
    if (status == TUFF_OK) tuff_text_say_windows_lines(path, out->windows_lines);
    tuff_text_files_close(&files);
    if (status != TUFF_OK) tuff_text_tokens_free(out);
    return status;
}

void tuff_text_tokens_free(tuff_text_tokens *tokens)
{
    tuff_free(tokens->memory);
    tuff_token_file_close(&tokens->file);
    *tokens = (tuff_text_tokens){0};
}
