/* Host memory. Everything goes through here, so that tests can make each allocation fail. */
#ifndef TUFF_BASE_MEMORY_H
#define TUFF_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/host.h>
#include <tuff/status.h>

/* Zeroed memory, or NULL. A size of 0 gives a valid pointer. */
void *tuff_alloc(size_t size);
/* Zeroed array; NULL also when count * size overflows. */
void *tuff_alloc_array(size_t count, size_t size);
/* Grows or shrinks an array (new part not zeroed); NULL leaves the old one valid. */
void *tuff_realloc_array(void *pointer, size_t count, size_t size);
/* Not zeroed, aligned to `alignment` (a power of two, up to 4096); free with tuff_free_aligned. */
void *tuff_alloc_aligned(size_t size, size_t alignment);
void tuff_free_aligned(void *pointer);
char *tuff_strdup(const char *text);
/* Whether the C library's heap has so much more for this thread now: for libraries that do not look whether
 * they were given what they asked it for. */
bool tuff_heap_room_for(size_t bytes);

/* Doubles the capacity of `*items` when `count == *capacity`. For `T *items; size_t count, capacity`. */
bool tuff_grow(void **items, size_t count, size_t *capacity, size_t item_size);

/* a + b and a * b; false when the result does not fit. */
static inline bool tuff_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool tuff_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* A bump allocator: everything is freed at once. Memory is zeroed and aligned to 16. Not thread-safe. */
typedef struct tuff_arena_block tuff_arena_block;
typedef struct tuff_arena {
    tuff_arena_block *block;
    size_t used;
} tuff_arena;
void *tuff_arena_alloc(tuff_arena *arena, size_t size); /* NULL on failure */
void *tuff_arena_array(tuff_arena *arena, size_t count, size_t size);
char *tuff_arena_strdup(tuff_arena *arena, const char *text);
char *tuff_arena_printf(tuff_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tuff_arena_free(tuff_arena *arena);

#endif
