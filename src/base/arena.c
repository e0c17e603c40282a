#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { BLOCK_SIZE = 64 * 1024 - 64, ALIGNMENT = 16 };

struct tuff_arena_block {
    tuff_arena_block *next;
    size_t size; /* bytes of room after the header */
};

static size_t header_size(void)
{
    return (sizeof(tuff_arena_block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *tuff_arena_alloc(tuff_arena *arena, size_t size)
{
    if (!tuff_add_size(size, ALIGNMENT - 1, &size)) return NULL;
    size -= size % ALIGNMENT;
    if (!arena->block || arena->block->size - arena->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE, total;
        if (!tuff_add_size(room, header_size(), &total)) return NULL;
        tuff_arena_block *block = tuff_alloc(total);
        if (!block) return NULL;
        block->size = room;
        if (size > BLOCK_SIZE && arena->block) {
            /* A block of its own, behind the current one, whose free room stays in use. */
            block->next = arena->block->next;
            arena->block->next = block;
            return (uint8_t *)block + header_size();
        }
        block->next = arena->block;
        arena->block = block;
        arena->used = 0;
    }
    void *pointer = (uint8_t *)arena->block + header_size() + arena->used;
    arena->used += size;
    return pointer;
}

void *tuff_arena_array(tuff_arena *arena, size_t count, size_t size)
{
    size_t total;
    return tuff_mul_size(count, size, &total) ? tuff_arena_alloc(arena, total) : NULL;
}

char *tuff_arena_strdup(tuff_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tuff_arena_alloc(arena, size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

char *tuff_arena_printf(tuff_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = length < 0 ? NULL : tuff_arena_alloc(arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void tuff_arena_free(tuff_arena *arena)
{
    tuff_arena_block *block = arena->block;
    while (block) {
        tuff_arena_block *next = block->next;
        tuff_free(block);
        block = next;
    }
    *arena = (tuff_arena){0};
}
