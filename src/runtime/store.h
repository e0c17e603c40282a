/* Named buffers on one device: the weights of a model, the state of an optimizer, caches and tables. */
#ifndef TUFF_RUNTIME_STORE_H
#define TUFF_RUNTIME_STORE_H

#include <tuff/program.h>

#include "base/status.h"

typedef struct tuff_store tuff_store;

/* The device must outlive the store. */
TUFF_MUST_USE tuff_status tuff_store_create(tuff_device *device, tuff_store **out_store);
void tuff_store_destroy(tuff_store **store);
tuff_device *tuff_store_device(const tuff_store *store);
/* Destroys all its buffers, to which no program may be bound. */
void tuff_store_clear(tuff_store *store);

/* Adds a zeroed buffer; *out_buffer (may be NULL) stays owned by the store. A name twice is an error. */
TUFF_MUST_USE tuff_status tuff_store_add(tuff_store *store, const char *name, tuff_dtype dtype, int rank,
                                         const int64_t *dims, tuff_buffer **out_buffer);
/* Puts a zeroed buffer of another type in the place of one that is there, to which no program may be bound.
 */
TUFF_MUST_USE tuff_status tuff_store_retype(tuff_store *store, const char *name, tuff_dtype dtype);
/* NULL when absent. */
tuff_buffer *tuff_store_find(const tuff_store *store, const char *name);
/* Each of two buffers that are there, of one shape, goes under the other's name: for who looks up
 * names or binds programs from here on. */
void tuff_store_exchange(tuff_store *store, const char *a, const char *b);
/* Binds every buffer to the program's variable of its name. The store must outlive the program. */
TUFF_MUST_USE tuff_status tuff_store_bind(const tuff_store *store, tuff_program *program);
/* The same, but for those of names that `but` (NULL: none) has, too. */
TUFF_MUST_USE tuff_status tuff_store_bind_but(const tuff_store *store, const tuff_store *but,
                                              tuff_program *program);
/* Bytes of all its buffers. */
uint64_t tuff_store_bytes(const tuff_store *store);
/* What is in it, in the order of adding. */
size_t tuff_store_count(const tuff_store *store);
tuff_buffer *tuff_store_at(const tuff_store *store, size_t index, const char **out_name);

#endif
