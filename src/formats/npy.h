/* NumPy's .npy, version 1.0: written row by row, and read for tests. */
#ifndef TUFF_FORMATS_NPY_H
#define TUFF_FORMATS_NPY_H

#include "base/file.h"
#include "formats/weights.h"

/* An array of int32, C order, being written under a temporary name. */
typedef struct tuff_npy_writer tuff_npy_writer;
TUFF_MUST_USE tuff_status tuff_npy_create(const char *path, unsigned rank, const int64_t *shape,
                                          tuff_npy_writer **out_writer);
TUFF_MUST_USE tuff_status tuff_npy_append(tuff_npy_writer *writer, const int32_t *items, size_t count);
/* Frees the writer, also on failure. INVALID_ARGUMENT when not all items were appended. */
TUFF_MUST_USE tuff_status tuff_npy_commit(tuff_npy_writer **writer);
void tuff_npy_abort(tuff_npy_writer **writer);

/* An array as a file describes it. */
typedef struct tuff_npy {
    char type[8]; /* descr: "<i4", "<f4", ... */
    unsigned item_bytes;
    unsigned rank;
    int64_t shape[TUFF_MAX_RANK];
    uint64_t at;         /* where its items begin in the file */
    const uint8_t *data; /* the same within the bytes given; NULL where they were not */
    size_t count;
} tuff_npy;
/* Little-endian numbers in C order, rank up to 4. */
TUFF_MUST_USE tuff_status tuff_npy_parse(const uint8_t *data, size_t size, const char *file, tuff_npy *out);
/* The same by the header alone, which is read; the items are left to the caller. */
TUFF_MUST_USE tuff_status tuff_npy_read_header(const tuff_file *file, tuff_npy *out);

#endif
