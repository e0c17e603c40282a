/* Zip archives whose entries are stored as they are, such as PyTorch's: where each entry lies. */
#ifndef TUFF_FORMATS_ZIP_H
#define TUFF_FORMATS_ZIP_H

#include "base/file.h"
#include "base/memory.h"

/* An archive's bytes: in memory, or in a file of which nothing has been read yet. */
typedef struct tuff_zip_source {
    const uint8_t *data;
    size_t size;
    const tuff_file *file; /* NULL: all bytes are at `data` */
    const char *path;      /* for error texts */
} tuff_zip_source;

typedef struct tuff_zip_entry {
    const char *name;
    size_t at, size; /* of its bytes within the archive */
    size_t header;   /* where its own header begins */
} tuff_zip_entry;

typedef struct tuff_zip {
    tuff_zip_entry *entries; /* in the order of the directory */
    size_t count;
    tuff_map by_name;
    tuff_arena arena;
} tuff_zip;

/* Reads the directory; zip64 too. Entries that are compressed or encrypted are UNSUPPORTED; those that lie
 * outside the file, in each other, or are there twice are BAD_FORMAT. */
TUFF_MUST_USE tuff_status tuff_zip_open(const tuff_zip_source *source, tuff_zip **out_zip);
void tuff_zip_destroy(tuff_zip **zip);
/* NULL when absent. */
const tuff_zip_entry *tuff_zip_find(const tuff_zip *zip, const char *name);
/* All bytes of an entry into an empty buffer; more than `limit` are UNSUPPORTED. */
TUFF_MUST_USE tuff_status tuff_zip_read(const tuff_zip_source *source, const tuff_zip_entry *entry,
                                        size_t limit, tuff_buf *out);

#endif
