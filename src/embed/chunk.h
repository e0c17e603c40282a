/* Chunks inside. */
#ifndef TUFF_EMBED_CHUNK_H
#define TUFF_EMBED_CHUNK_H

#include <tuff/embed.h>

#include "base/status.h"

typedef struct tuff_chunks {
    tuff_chunk *items;
    size_t count, capacity;
} tuff_chunks;

/* Appends the chunks of texts[0..n), whose records are counted from `first`. */
TUFF_MUST_USE tuff_status tuff_chunk_texts(tuff_embedder *embedder, const char *const *texts,
                                           const size_t *sizes, size_t n, const tuff_chunk_params *params,
                                           int64_t first, tuff_chunks *out);
/* Their vectors [chunks, dimensions], freed with tuff_free. */
TUFF_MUST_USE tuff_status tuff_chunk_vectors(tuff_embedder *embedder, const char *const *texts,
                                             const tuff_chunk_params *params, int64_t first,
                                             const tuff_chunks *chunks, float **out_vectors,
                                             tuff_embed_result *out_result);
/* The path of a table beside an array of vectors: "vectors.chunks.npy" of "vectors.npy"; NULL: no memory. */
char *tuff_table_path(const char *vectors, const char *ending);

#endif
