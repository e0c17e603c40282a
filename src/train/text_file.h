/* Text files that are tokenized: what they are, whether they are text, their bytes. */
#ifndef TUFF_TRAIN_TEXT_FILE_H
#define TUFF_TRAIN_TEXT_FILE_H

#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

/* A file, or what came through a pipe, which is all in memory. {0} is none. */
typedef struct tuff_text_file {
    char *path;
    tuff_file file;
    tuff_buf stream;
    bool streamed;
    uint64_t size;
} tuff_text_file;

/* The files of a path: that one, or those of a directory in the order of their names. */
typedef struct tuff_text_files {
    tuff_text_file *items;
    size_t count;
    uint64_t size; /* of all */
} tuff_text_files;
/* Opens them. INVALID_ARGUMENT where there is no text at all, UNSUPPORTED, unless `allow_json`, for records.
 * To be closed also after a failure. */
TUFF_MUST_USE tuff_status tuff_text_files_open(const char *path, bool allow_json, tuff_text_files *out);
void tuff_text_files_close(tuff_text_files *files);

/* The most that one text, or one that cannot be cut, may have in memory. */
static const size_t tuff_text_limit = (size_t)1 << 32;

TUFF_MUST_USE tuff_status tuff_text_file_read(const tuff_text_file *file, uint64_t offset, void *out,
                                              size_t size);
/* Whether it is text in UTF-8. */
bool tuff_text_is_valid(tuff_view text);
/* Says where in a file that is none. OK: it is. */
TUFF_MUST_USE tuff_status tuff_text_file_check(const tuff_text_file *file);
/* The warning of lines that end as on Windows; 0: none. */
void tuff_text_say_windows_lines(const char *path, uint64_t lines);

#endif
