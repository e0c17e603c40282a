/* A model in several GGUF files, as llama.cpp splits it: name-00001-of-00003.gguf and so on. The first has
 * the metadata, each says which part of how many it is, in split.no and split.count. */
#include "formats/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PARTS_LIMIT = 65535 }; /* both numbers are u16 in files that llama.cpp writes */

/* Which part a file is, from 0, of how many; 0 of 1 where it is no part. */
static tuff_status read_place(const tuff_gguf *gguf, int64_t *out_part, int64_t *out_count)
{
    *out_part = 0;
    *out_count = 1;
    TUFF_TRY(tuff_gguf_int(gguf, "split.count", out_count));
    if (*out_count <= 1) {
        *out_count = 1;
        return TUFF_OK;
    }
    TUFF_TRY(tuff_gguf_need_int(gguf, "split.no", out_part));
    if (*out_count > PARTS_LIMIT || *out_part < 0 || *out_part >= *out_count)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: split.no is %" PRId64 " and split.count %" PRId64
                         "; a part of 0 up to their number, at most %d, is expected",
                         gguf->file, *out_part, *out_count, PARTS_LIMIT);
    return TUFF_OK;
}

/* The end of the name of a part, from 0. */
static void name_end(int64_t part, int64_t count, char out[64])
{
    snprintf(out, 64, "-%05" PRId64 "-of-%05" PRId64 ".gguf", part + 1, count);
}

/* The path of part `part`, beside `path`, which is part `own`. */
static tuff_status part_path(const char *path, int64_t own, int64_t part, int64_t count, char **out)
{
    char end[64], other[64];
    name_end(own, count, end);
    name_end(part, count, other);
    *out = NULL;
    if (!tuff_ends_with(path, end))
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: it is part %" PRId64 " of %" PRId64
            " of a model, but its name does not end in %s: rename it, so that the others are found",
            path, own + 1, count, end);
    const size_t stem = strlen(path) - strlen(end);
    *out = tuff_alloc(stem + strlen(other) + 1);
    if (!*out) return tuff_fail_memory("a path");
    memcpy(*out, path, stem);
    memcpy(*out + stem, other, strlen(other));
    if (tuff_is_file(*out)) return TUFF_OK;
    tuff_status status = tuff_fail(TUFF_NOT_FOUND,
                                   "%s: it is part %" PRId64 " of %" PRId64 " of a model, and part %" PRId64
                                   ", %s, is missing",
                                   path, own + 1, count, part + 1, *out);
    tuff_free(*out);
    *out = NULL;
    return status;
}

/* Adds the tensors of part `part` to those of the first. */
static tuff_status add_part(tuff_gguf *first, int64_t part, int64_t count)
{
    char *path = NULL;
    tuff_gguf *gguf = NULL;
    int64_t found = 0, found_count = 0;
    TUFF_TRY(part_path(first->file, 0, part, count, &path));
    tuff_status status = tuff_gguf_open_part(path, first->weights, &gguf);
    if (status == TUFF_OK) status = read_place(gguf, &found, &found_count);
    if (status == TUFF_OK && (found != part || found_count != count))
        status = tuff_fail(TUFF_BAD_FORMAT,
                           "%s: by its split.no and split.count it is part %" PRId64 " of %" PRId64
                           ", by its name part %" PRId64 " of %" PRId64,
                           path, found + 1, found_count, part + 1, count);
    if (gguf) gguf->weights = NULL;
    tuff_gguf_destroy(&gguf);
    tuff_free(path);
    return status;
}

static tuff_status add_parts(tuff_gguf *first, int64_t count)
{
    for (int64_t part = 1; part < count; part++)
        TUFF_TRY(add_part(first, part, count));
    int64_t tensors = (int64_t)first->weights->count;
    TUFF_TRY(tuff_gguf_int(first, "split.tensors.count", &tensors));
    if (tensors != (int64_t)first->weights->count)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: split.tensors.count is %" PRId64 ", but the %" PRId64 " parts have %zu tensors",
                         first->file, tensors, count, first->weights->count);
    return TUFF_OK;
}

tuff_status tuff_gguf_open(const char *path, tuff_gguf **out_gguf)
{
    tuff_status status;
    char *first = NULL;
    int64_t part = 0, count = 1;
    TUFF_GO(tuff_gguf_open_part(path, NULL, out_gguf));
    TUFF_GO(read_place(*out_gguf, &part, &count));
    if (part > 0) {
        tuff_gguf_destroy(out_gguf);
        TUFF_GO(part_path(path, part, 0, count, &first));
        TUFF_GO(tuff_gguf_open_part(first, NULL, out_gguf));
        const int64_t wanted = count;
        TUFF_GO(read_place(*out_gguf, &part, &count));
        if (part != 0 || count != wanted)
            TUFF_GO(tuff_fail(TUFF_BAD_FORMAT,
                              "%s: by its split.no and split.count it is part %" PRId64 " of %" PRId64
                              ", by its name part 1 of %" PRId64,
                              first, part + 1, count, wanted));
    }
    TUFF_GO(add_parts(*out_gguf, count));
done:
    if (status != TUFF_OK) tuff_gguf_destroy(out_gguf);
    tuff_free(first);
    return status;
}
