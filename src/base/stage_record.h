/* The record of a commit: what is still to be done when a stage's files are put in place. It may come from a
 * directory that somebody else made, so it is read as hostile: names only, of files and of files in folders,
 * nothing that leads elsewhere. */
#ifndef TUFF_BASE_STAGE_RECORD_H
#define TUFF_BASE_STAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"

typedef struct tuff_stage_entry {
    char *name;
    uint64_t size; /* of the new file; of no meaning for one that is removed */
    bool remove;
} tuff_stage_entry;

typedef struct tuff_stage_record {
    tuff_stage_entry *entries;
    size_t count, capacity;
} tuff_stage_record;

enum { TUFF_STAGE_RECORD_LIMIT = 1 << 20 }; /* bytes of a record */

/* True for what may be an entry: a file's name of printable UTF-8, or that of a folder and of a file in it
 * with a
 * "/" between, none of them "." or "..", or one that stages and writers use themselves. */
bool tuff_stage_name_valid(const char *name, size_t size);
TUFF_MUST_USE tuff_status tuff_stage_record_add(tuff_stage_record *record, const char *name, uint64_t size,
                                                bool remove);
bool tuff_stage_record_has(const tuff_stage_record *record, const char *name);
void tuff_stage_record_print(const tuff_stage_record *record, tuff_buf *out);
/* BAD_FORMAT, naming `where`, for anything that tuff_stage_record_print does not write. */
TUFF_MUST_USE tuff_status tuff_stage_record_parse(const char *text, size_t size, const char *where,
                                                  tuff_stage_record *out);
void tuff_stage_record_free(tuff_stage_record *record);

#endif
