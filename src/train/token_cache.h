/* Token ids of long texts and records, kept in the user's cache directory by what they depend on: the texts'
 * bytes, the tokenizer, and settings. A file of it has its name once it is whole, and is never changed: two
 * processes that make the same one at once put the same bytes in its place. */
#ifndef TUFF_TRAIN_TOKEN_CACHE_H
#define TUFF_TRAIN_TOKEN_CACHE_H

#include <tuff/tokenizer.h>

#include "base/pages.h"
#include "base/watch.h"
#include "train/text_file.h"

/* Beyond this much, what was not used for the longest time goes. */
#define TUFF_TOKEN_CACHE_LIMIT ((uint64_t)20 << 30)

typedef struct tuff_token_file {
    tuff_pages pages;
    const int32_t *ids;
    int64_t count;
    int32_t largest;
    uint64_t windows_lines;
    tuff_view beside; /* what is kept with the ids; at a multiple of 4 */
} tuff_token_file;

/* The path of the ids of these texts. It reads them all, on several threads. *out_can is false where there is
 * no cache directory. */
TUFF_MUST_USE tuff_status tuff_token_cache_path(const tuff_text_files *files, const tuff_tokenizer *tokenizer,
                                                tuff_view settings, unsigned threads, const tuff_watch *watch,
                                                tuff_buf *out_path, bool *out_can);
/* False: there is none that is whole. */
bool tuff_token_cache_open(const char *path, tuff_token_file *out);
void tuff_token_file_close(tuff_token_file *file);

/* A file that is being made. */
typedef struct tuff_token_writer {
    tuff_writer *writer;
    const char *path;
    uint64_t count, beside, sum;
    bool failed; /* the disk, not the text, is why it could not be made */
} tuff_token_writer;
TUFF_MUST_USE tuff_status tuff_token_writer_open(const char *path, tuff_token_writer *out);
/* As a tuff_id_sink has it. */
TUFF_MUST_USE tuff_status tuff_token_writer_take(void *writer, const int32_t *ids, size_t count);
/* Behind all ids: puts something beside them, at a multiple of 8 of the file. */
TUFF_MUST_USE tuff_status tuff_token_writer_beside(tuff_token_writer *writer, const void *data, size_t size);
/* Gives it its name; `text` is what it was made of, for those who look. */
TUFF_MUST_USE tuff_status tuff_token_writer_commit(tuff_token_writer *writer, const char *text,
                                                   uint64_t text_size, uint64_t windows_lines);
void tuff_token_writer_abort(tuff_token_writer *writer);

#endif
