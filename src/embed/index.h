/* An index inside. */
#ifndef TUFF_EMBED_INDEX_H
#define TUFF_EMBED_INDEX_H

#include <tuff/embed.h>

#include "base/file.h"
#include "base/status.h"
#include "formats/npy.h"
#include "runtime/session.h"

typedef enum tuff_row_type { TUFF_ROW_F32, TUFF_ROW_F16, TUFF_ROW_INT8, TUFF_ROW_BITS } tuff_row_type;

struct tuff_index {
    tuff_device *device;
    tuff_file file;    /* none: the array is in memory */
    const char *where; /* in errors */
    tuff_npy array;
    tuff_row_type type;
    int64_t count, dimensions, piece; /* piece: vectors of one */
    tuff_session *session;            /* NULL: bits, which the host compares; or none yet */
    bool resident;                    /* all pieces are in the store */
    float *host;                      /* a piece on its way; NULL: bits */
    uint8_t *raw;                     /* the same as the file has it; NULL: all of it is in memory */
    float *own;                       /* vectors that may change; NULL: it has none, or they are another's */
    size_t capacity;                  /* of these, in vectors */
    bool can_change, changed;         /* changed: since it was put on the device */
};

/* The device that it will be on. */
void tuff_index_use(tuff_index *index, tuff_device *device);
/* Whether a vector is finite; `row` is for the error. */
TUFF_MUST_USE tuff_status tuff_index_check(const tuff_index *index, const float *vector, int64_t row);

typedef struct tuff_index_limits {
    uint64_t piece_bytes;    /* of f32 that are compared at a time, about */
    uint64_t resident_bytes; /* of f32 that stay on the device; a larger array passes through it */
} tuff_index_limits;

/* As tuff_index_open, with other limits: no result depends on them. */
TUFF_MUST_USE tuff_status tuff_index_open_within(const char *path, tuff_device *device,
                                                 const tuff_index_limits *limits, tuff_index **out_index);

/* The same over vectors [n, dimensions] in memory, which must stay as they are until it is destroyed. */
TUFF_MUST_USE tuff_status tuff_index_over(const float *vectors, int64_t n, int64_t dimensions,
                                          tuff_device *device, tuff_index **out_index);

#endif
