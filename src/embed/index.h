/* An index inside. */
#ifndef TUFF_EMBED_INDEX_H
#define TUFF_EMBED_INDEX_H

#include <tuff/embed.h>

#include "base/status.h"

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
