#include "train/token_cache.h"

#include <stdio.h>
#include <string.h>
#include <tuff/cache.h>
#include <tuff/version.h>

#include "base/disk.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"
#include "text/fingerprint.h"

#define FOLDER "tokens"
#define ENDING ".ids"

/* Behind the ids and what is kept beside them. What reads them is this machine: numbers are as it has them.
 */
typedef struct footer {
    char magic[16];
    uint64_t count, beside, sum; /* of the ids; bytes; of both */
    uint64_t text_size, windows_lines;
    char text[448]; /* the name of the text, cut if it is long */
    uint64_t order; /* of bytes */
} footer;
static const char magic[16] = "tuff token ids 2";
static const uint64_t byte_order = 0x0102030405060708;

/* So that a disk that lost bytes is noticed. */
static uint64_t add_up(uint64_t sum, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (uint32_t)ids[i]) * 0x100000001b3u;
    return sum;
}

/* ---- names */

enum { CHUNK = 1 << 20 };

/* A stretch of the files that a thread hashes. */
typedef struct hashing {
    const tuff_text_file *file;
    uint64_t first; /* number of the file's chunk that is the first one here */
    char (*hashes)[65];
    tuff_status *statuses;
    char (*reasons)[512];
} hashing;

static tuff_status hash_chunk(const tuff_text_file *file, uint64_t at, char *room, char out[65])
{
    const uint64_t left = file->size - at;
    const size_t size = left < CHUNK ? (size_t)left : CHUNK;
    TUFF_TRY(tuff_text_file_read(file, at, room, size));
    tuff_sha256_hex_of(room, size, out);
    return TUFF_OK;
}

static void hash_chunks(int64_t begin, int64_t end, void *context)
{
    const hashing *h = context;
    char *room = tuff_alloc(CHUNK);
    for (int64_t i = begin; i < end; i++) {
        h->statuses[i] = room ? hash_chunk(h->file, (h->first + (uint64_t)i) * CHUNK, room, h->hashes[i])
                              : tuff_fail_memory("a text");
        if (h->statuses[i] != TUFF_OK)
            snprintf(h->reasons[i], sizeof h->reasons[i], "%s", tuff_error_message());
    }
    tuff_free(room);
}

enum { CHUNKS = 64 }; /* between two looks at the watch */

static tuff_status hash_file(const tuff_text_file *file, tuff_pool *pool, const tuff_watch *watch,
                             tuff_sha256 *hash)
{
    char hashes[CHUNKS][65], reasons[CHUNKS][512];
    tuff_status statuses[CHUNKS];
    const uint64_t chunks = (file->size + CHUNK - 1) / CHUNK;
    for (uint64_t at = 0; at < chunks; at += CHUNKS) {
        const int64_t n = (int64_t)(chunks - at < CHUNKS ? chunks - at : CHUNKS);
        hashing h = {file, at, hashes, statuses, reasons};
        TUFF_TRY(tuff_watch_step(watch, TUFF_PHASE_LOAD, at * CHUNK, file->size));
        tuff_pool_run(pool, n, 1, hash_chunks, &h);
        for (int64_t i = 0; i < n; i++) {
            if (statuses[i] != TUFF_OK) return tuff_fail(statuses[i], "%s", reasons[i]);
            tuff_sha256_update(hash, hashes[i], 64);
        }
    }
    tuff_sha256_update(hash, &file->size, sizeof file->size);
    return TUFF_OK;
}

static bool folder(tuff_buf *out)
{
    if (!tuff_cache_directory(out)) return false;
    tuff_buf_text(out, "/" FOLDER);
    return !out->failed;
}

tuff_status tuff_token_cache_path(const tuff_text_files *files, const tuff_tokenizer *tokenizer,
                                  tuff_view settings, unsigned threads, const tuff_watch *watch,
                                  tuff_buf *out_path, bool *out_can)
{
    tuff_sha256 hash;
    char hex[65];
    tuff_sha256_init(&hash);
    tuff_sha256_update(&hash, magic, sizeof magic);
    tuff_sha256_update(&hash, tuff_version(), strlen(tuff_version()));
    *out_can = folder(out_path);
    if (!*out_can) return TUFF_OK;
    tuff_tokenizer_hash(tokenizer, &hash);
    tuff_sha256_update(&hash, &settings.size, sizeof settings.size);
    tuff_sha256_update(&hash, settings.data, settings.size);
    tuff_pool *pool = tuff_pool_create(threads ? threads : tuff_processors());
    tuff_status status = pool ? TUFF_OK : tuff_fail_memory("threads");
    for (size_t i = 0; i < files->count && status == TUFF_OK; i++)
        status = hash_file(&files->items[i], pool, watch, &hash);
    tuff_pool_destroy(&pool);
    TUFF_TRY(status);
    tuff_sha256_hex(&hash, hex);
    tuff_buf_printf(out_path, "/%.40s" ENDING, hex);
    return out_path->failed ? tuff_fail_memory("a path") : TUFF_OK;
}

/* ---- reading */

static bool read_footer(const tuff_file *file, footer *out)
{
    if (file->size < sizeof *out) return false;
    if (tuff_file_read(file, file->size - sizeof *out, out, sizeof *out) != TUFF_OK) return false;
    const uint64_t size = file->size - sizeof *out;
    return memcmp(out->magic, magic, sizeof magic) == 0 && out->order == byte_order && out->beside <= size &&
           out->beside % sizeof(int32_t) == 0 && out->count == (size - out->beside) / sizeof(int32_t) &&
           out->count * sizeof(int32_t) + out->beside == size;
}

static bool check_ids(tuff_token_file *f, uint64_t sum)
{
    const uint64_t found = add_up(0, f->ids, (size_t)f->count + f->beside.size / sizeof *f->ids);
    for (int64_t i = 0; i < f->count; i++) {
        if (f->ids[i] < 0) return false;
        if (f->ids[i] > f->largest) f->largest = f->ids[i];
    }
    return found == sum;
}

bool tuff_token_cache_open(const char *path, tuff_token_file *out)
{
    footer foot;
    tuff_file file = {0};
    *out = (tuff_token_file){0};
    if (!tuff_is_regular_file(path) || tuff_file_open(path, &file) != TUFF_OK) return false;
    bool whole = read_footer(&file, &foot) && tuff_pages_open(&file, &out->pages) == TUFF_OK;
    tuff_file_close(&file);
    if (whole) {
        out->ids = out->pages.data;
        out->count = (int64_t)foot.count;
        out->beside = (tuff_view){(const char *)(out->ids + foot.count), (size_t)foot.beside};
        out->windows_lines = foot.windows_lines;
        whole = check_ids(out, foot.sum);
    }
    if (!whole) tuff_token_file_close(out);
    if (whole) tuff_touch_file(path);
    return whole;
}

void tuff_token_file_close(tuff_token_file *file)
{
    tuff_pages_close(&file->pages);
    *file = (tuff_token_file){0};
}

/* ---- writing */

static tuff_status failed(tuff_token_writer *w, tuff_status status)
{
    w->failed = w->failed || (status != TUFF_OK && status != TUFF_OUT_OF_MEMORY);
    return status;
}

tuff_status tuff_token_writer_open(const char *path, tuff_token_writer *out)
{
    tuff_buf directory = {0};
    const char *name = tuff_path_name(path);
    *out = (tuff_token_writer){.path = path};
    tuff_buf_bytes(&directory, path, (size_t)(name - path) - 1);
    tuff_status status =
        directory.failed ? tuff_fail_memory("a path") : tuff_make_directories(directory.data);
    tuff_buf_free(&directory);
    if (status == TUFF_OK) tuff_remove_stream(path);
    if (status == TUFF_OK) status = tuff_writer_open(path, &out->writer);
    return failed(out, status);
}

tuff_status tuff_token_writer_take(void *writer, const int32_t *ids, size_t count)
{
    tuff_token_writer *w = writer;
    w->count += count;
    w->sum = add_up(w->sum, ids, count);
    return failed(w, tuff_writer_write(w->writer, ids, count * sizeof *ids));
}

/* Numbers behind it are to be at multiples of 8. */
static tuff_status fill_up(tuff_token_writer *w)
{
    const int32_t zeros[2] = {0, 0};
    const size_t odd = (size_t)((w->count * sizeof(int32_t) + w->beside) % 8);
    if (!odd) return TUFF_OK;
    w->beside += 8 - odd;
    w->sum = add_up(w->sum, zeros, (8 - odd) / sizeof *zeros); /* a word that was begun is in it */
    return tuff_writer_write(w->writer, zeros, 8 - odd);
}

tuff_status tuff_token_writer_beside(tuff_token_writer *w, const void *data, size_t size)
{
    const char *at = data;
    tuff_status status = fill_up(w);
    for (size_t part; size && status == TUFF_OK; at += part, size -= part) {
        int32_t words[1024] = {0};
        part = size < sizeof words ? size : sizeof words;
        memcpy(words, at, part);
        w->sum = add_up(w->sum, words, (part + 3) / 4);
        status = tuff_writer_write(w->writer, at, part);
        w->beside += part;
    }
    if (status == TUFF_OK) status = fill_up(w);
    return failed(w, status);
}

void tuff_token_writer_abort(tuff_token_writer *w)
{
    if (w->writer) tuff_writer_abort(&w->writer);
}

/* ---- what there is of it */

/* Calls back with each file of the cache. */
static tuff_status each(void (*fn)(const tuff_cached_text *text, void *user), void *user)
{
    tuff_buf directory = {0};
    tuff_names names = {0};
    tuff_status status = TUFF_OK;
    if (folder(&directory) && tuff_is_directory(directory.data))
        status = tuff_directory_files(directory.data, &names);
    const char *name = names.text.data;
    for (size_t i = 0; i < names.count; i++, name += strlen(name) + 1) {
        footer foot;
        tuff_file file = {0};
        char *path = tuff_ends_with(name, ENDING) ? tuff_path_join(directory.data, name) : NULL;
        if (!path || tuff_file_open(path, &file) != TUFF_OK) {
            tuff_free(path);
            continue;
        }
        if (!read_footer(&file, &foot)) memset(&foot, 0, sizeof foot);
        foot.text[sizeof foot.text - 1] = 0;
        fn(&(tuff_cached_text){.struct_size = sizeof(tuff_cached_text),
                               .path = path,
                               .text = foot.text,
                               .size = file.size,
                               .tokens = foot.count,
                               .used = file.changed / 1000000000u},
           user);
        tuff_file_close(&file);
        tuff_free(path);
    }
    tuff_names_free(&names);
    tuff_buf_free(&directory);
    return status;
}

/* The file that was not used for the longest time, but for the one that is to stay. */
typedef struct oldest {
    const char *keep;
    char path[4096];
    uint64_t used, size, total;
} oldest;

static void look(const tuff_cached_text *text, void *user)
{
    oldest *o = user;
    o->total += text->size;
    if (strcmp(text->path, o->keep) == 0 || (o->path[0] && text->used >= o->used)) return;
    if (snprintf(o->path, sizeof o->path, "%s", text->path) >= (int)sizeof o->path) o->path[0] = 0;
    o->used = text->used;
    o->size = text->size;
}

/* What is looked at by others stays there for them. */
static void keep_limit(const char *keep)
{
    for (;;) {
        oldest o = {.keep = keep};
        if (each(look, &o) != TUFF_OK || o.total <= TUFF_TOKEN_CACHE_LIMIT || !o.path[0]) return;
        if (!tuff_disk_remove(o.path)) return;
    }
}

tuff_status tuff_token_writer_commit(tuff_token_writer *w, const char *text, uint64_t text_size,
                                     uint64_t windows_lines)
{
    footer foot = {.count = w->count,
                   .beside = w->beside,
                   .sum = w->sum,
                   .text_size = text_size,
                   .windows_lines = windows_lines,
                   .order = byte_order};
    memcpy(foot.magic, magic, sizeof magic);
    snprintf(foot.text, sizeof foot.text, "%s", text);
    tuff_status status = tuff_writer_write(w->writer, &foot, sizeof foot);
    if (status == TUFF_OK)
        status = tuff_writer_commit(&w->writer);
    else
        tuff_writer_abort(&w->writer);
    if (status == TUFF_OK) keep_limit(w->path);
    return failed(w, status);
}

tuff_status tuff_cache_list_texts(void (*fn)(const tuff_cached_text *text, void *user), void *user)
{
    TUFF_NEED(fn);
    return each(fn, user);
}

static void forget(const tuff_cached_text *text, void *user)
{
    if (!tuff_disk_remove(text->path)) *(bool *)user = true;
}

tuff_status tuff_cache_remove_texts(void)
{
    bool failed = false;
    TUFF_TRY(each(forget, &failed));
    return failed ? tuff_fail(TUFF_IO, "not all token ids of texts could be removed from the cache")
                  : TUFF_OK;
}
