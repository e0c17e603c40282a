/* The files of a checkpoint: their names, sizes and hashes. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/stage_os.h"
#include "base/stage_record.h"
#include "train/checkpoint.h"

static tuff_status add(tuff_checkpoint_files *files, const char *name, tuff_checkpoint_file **out_file)
{
    char *copy = tuff_strdup(name);
    if (!copy || !tuff_grow((void **)&files->items, files->count, &files->capacity, sizeof *files->items)) {
        tuff_free(copy);
        return tuff_fail_memory("the list of a checkpoint's files");
    }
    *out_file = &files->items[files->count++];
    **out_file = (tuff_checkpoint_file){.name = copy};
    return TUFF_OK;
}

void tuff_checkpoint_files_free(tuff_checkpoint_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        tuff_free(files->items[i].name);
    tuff_free(files->items);
    *files = (tuff_checkpoint_files){0};
}

uint64_t tuff_checkpoint_files_bytes(const tuff_checkpoint_files *files)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < files->count; i++)
        bytes += files->items[i].bytes;
    return bytes;
}

/* ---- of a directory */

typedef struct listing {
    tuff_checkpoint_files *files;
    const char *folder; /* whose files are listed; NULL: the directory's own */
} listing;

static tuff_status list_one(const char *path, const char *name, void *user)
{
    listing *list = user;
    if (!tuff_stage_name_valid(name, strlen(name))) return TUFF_OK; /* what a writer left */
    if (tuff_is_directory(path)) {
        if (list->folder) return TUFF_OK;
        list->folder = name;
        tuff_status status = tuff_for_each_entry(path, list_one, list);
        list->folder = NULL;
        return status;
    }
    if (!list->folder && strcmp(name, TUFF_CHECKPOINT_STATE) == 0) return TUFF_OK;
    tuff_file opened = {0};
    tuff_checkpoint_file *file;
    tuff_buf full = {0};
    tuff_buf_printf(&full, "%s%s%s", list->folder ? list->folder : "", list->folder ? "/" : "", name);
    tuff_status status = full.failed ? tuff_fail_memory("a path") : tuff_file_open(path, &opened);
    if (status == TUFF_OK) status = add(list->files, full.data, &file);
    if (status == TUFF_OK) file->bytes = opened.size;
    tuff_file_close(&opened);
    tuff_buf_free(&full);
    return status;
}

static int by_name(const void *a, const void *b)
{
    const tuff_checkpoint_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

tuff_status tuff_checkpoint_files_list(const char *directory, tuff_checkpoint_files *out)
{
    *out = (tuff_checkpoint_files){0};
    listing list = {.files = out};
    tuff_status status = tuff_for_each_entry(directory, list_one, &list);
    if (status != TUFF_OK)
        tuff_checkpoint_files_free(out);
    else if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return status;
}

static tuff_status hash_one(tuff_checkpoint_file *file, const char *path, tuff_watched *work)
{
    enum { PIECE = 1 << 20 };
    tuff_sha256 hash;
    tuff_file opened = {0};
    char *bytes = tuff_alloc(PIECE);
    if (!bytes) return tuff_fail_memory("a part of a file");
    tuff_sha256_init(&hash);
    tuff_status status = tuff_file_open(path, &opened);
    file->bytes = opened.size;
    for (uint64_t at = 0; at < opened.size && status == TUFF_OK; at += PIECE) {
        size_t n = opened.size - at < PIECE ? (size_t)(opened.size - at) : PIECE;
        status = tuff_file_read(&opened, at, bytes, n);
        if (status == TUFF_OK) tuff_sha256_update(&hash, bytes, n);
        if (status == TUFF_OK) status = tuff_watched_add(work, n);
    }
    tuff_sha256_hex(&hash, file->sha256);
    tuff_file_close(&opened);
    tuff_free(bytes);
    return status;
}

tuff_status tuff_checkpoint_files_hash(tuff_checkpoint_files *files, const char *directory,
                                       tuff_watched *work)
{
    for (size_t i = 0; i < files->count; i++) {
        char *path = tuff_path_join(directory, files->items[i].name);
        tuff_status status = path ? hash_one(&files->items[i], path, work) : tuff_fail_memory("a path");
        tuff_free(path);
        TUFF_TRY(status);
    }
    return TUFF_OK;
}

/* ---- of trainer_state.json */

static tuff_status parse_one(const cJSON *item, const char *where, tuff_checkpoint_files *files)
{
    int64_t bytes = -1;
    const char *sha256 = NULL;
    tuff_checkpoint_file *file;
    if (!tuff_stage_name_valid(item->string, strlen(item->string)))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a file of a checkpoint cannot be called \"%.80s\"", where,
                         item->string);
    TUFF_TRY(tuff_json_int(item, "bytes", where, &bytes));
    TUFF_TRY(tuff_json_text(item, "sha256", where, &sha256));
    if (bytes < 0 || !sha256 || strlen(sha256) != 64)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the size and the hash of %s are not there", where,
                         item->string);
    TUFF_TRY(add(files, item->string, &file));
    file->bytes = (uint64_t)bytes;
    memcpy(file->sha256, sha256, sizeof file->sha256);
    return TUFF_OK;
}

tuff_status tuff_checkpoint_files_parse(const cJSON *list, const char *where, tuff_checkpoint_files *out)
{
    *out = (tuff_checkpoint_files){0};
    tuff_status status = TUFF_OK;
    if (!cJSON_IsObject(list) || !list->child)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no list of the checkpoint's files", where);
    for (const cJSON *item = list->child; item && status == TUFF_OK; item = item->next)
        status = parse_one(item, where, out);
    if (status != TUFF_OK) tuff_checkpoint_files_free(out);
    return status;
}

void tuff_checkpoint_files_print(const tuff_checkpoint_files *files, tuff_buf *out)
{
    tuff_buf_text(out, "{");
    for (size_t i = 0; i < files->count; i++) {
        const tuff_checkpoint_file *file = &files->items[i];
        tuff_buf_text(out, i ? ",\n        " : "\n        ");
        tuff_json_quote(out, file->name, strlen(file->name));
        tuff_buf_printf(out, ": {\"bytes\": %llu, \"sha256\": \"%s\"}", (unsigned long long)file->bytes,
                        file->sha256);
    }
    tuff_buf_text(out, "\n      }");
}
