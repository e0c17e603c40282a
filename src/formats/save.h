/* Writing tensors without a second copy of the model: the format asks for each tensor when its turn comes. */
#ifndef TUFF_FORMATS_SAVE_H
#define TUFF_FORMATS_SAVE_H

#include "formats/weights.h"

/* A tensor to be written, in row-major Hugging Face order for every format. */
typedef struct tuff_save_item {
    const char *name;
    tuff_storage storage;
    unsigned rank;
    int64_t shape[TUFF_MAX_RANK];
} tuff_save_item;

/* Takes the bytes of one tensor, in as many pieces as is convenient. */
typedef struct tuff_sink {
    tuff_writer *writer;
    const char *file, *tensor;
    size_t left; /* bytes still to come */
} tuff_sink;
TUFF_MUST_USE tuff_status tuff_sink_write(tuff_sink *sink, const void *data, size_t size);

/* Called once per tensor, in file order; writes exactly its bytes, little-endian, to the sink. `index` is
 * into the caller's list. A failure ends the save and leaves no file. */
typedef tuff_status (*tuff_save_fn)(void *user, size_t index, tuff_sink *sink);

/* For the formats. Bytes of an item; INVALID_ARGUMENT for a bad name, storage, rank or shape, naming it. */
TUFF_MUST_USE tuff_status tuff_save_item_size(const tuff_save_item *item, const char *file,
                                              size_t *out_bytes);
/* Sizes of all items (tuff_free them) after checking that no name comes twice. */
TUFF_MUST_USE tuff_status tuff_save_items_check(const tuff_save_item *items, size_t count, const char *file,
                                                size_t **out_sizes);
/* Has `fn` write item `index`, `size` bytes, and checks that it wrote them all. */
TUFF_MUST_USE tuff_status tuff_save_data(tuff_writer *writer, const char *file, const tuff_save_item *items,
                                         size_t index, size_t size, tuff_save_fn fn, void *user);

#endif
