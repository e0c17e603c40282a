#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/status.h"
#include "base/structs.h"

static tuff_allocator allocator; /* malloc == NULL: the C library's */
static atomic_uint_fast64_t allocations, live;

tuff_status tuff_set_allocator(const tuff_allocator *replacement)
{
    tuff_allocator taken = TUFF_ALLOCATOR_INIT;
    TUFF_TRY(TUFF_TAKE(&taken, replacement, TUFF_ALLOCATOR_INIT, user));
    if (replacement && !(taken.malloc && taken.realloc && taken.free))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "an allocator needs malloc, realloc and free; %s is NULL",
                         !taken.malloc    ? "malloc"
                         : !taken.realloc ? "realloc"
                                          : "free");
    allocator = taken;
    return TUFF_OK;
}

tuff_status tuff_get_host_stats(tuff_host_stats *out_stats)
{
    tuff_host_stats stats = TUFF_HOST_STATS_INIT;
    stats.allocations = atomic_load(&allocations);
    stats.live = atomic_load(&live);
    return TUFF_GIVE(out_stats, &stats, TUFF_HOST_STATS_INIT, live);
}

static void count_allocation(bool is_new)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    if (is_new) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
}

void *tuff_alloc(size_t size)
{
    if (size == 0) size = 1;
    void *pointer;
    if (allocator.malloc) {
        pointer = allocator.malloc(size, allocator.user);
        if (pointer) memset(pointer, 0, size);
    } else {
        pointer = calloc(1, size); /* large blocks come zeroed from the system, untouched */
    }
    if (pointer) count_allocation(true);
    return pointer;
}

bool tuff_heap_room_for(size_t bytes)
{
    void *volatile memory = malloc(bytes); /* volatile: else a compiler leaves both out */
    free(memory);
    return memory != NULL;
}

void *tuff_alloc_array(size_t count, size_t size)
{
    size_t total;
    return tuff_mul_size(count, size, &total) ? tuff_alloc(total) : NULL;
}

void *tuff_realloc_array(void *pointer, size_t count, size_t size)
{
    size_t total;
    if (!tuff_mul_size(count, size, &total)) return NULL;
    if (total == 0) total = 1;
    void *moved =
        allocator.malloc ? allocator.realloc(pointer, total, allocator.user) : realloc(pointer, total);
    if (moved) count_allocation(pointer == NULL);
    return moved;
}

void tuff_free(void *pointer)
{
    if (!pointer) return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    if (allocator.malloc)
        allocator.free(pointer, allocator.user);
    else
        free(pointer);
}

/* The block's own start is kept just before the aligned address. */
void *tuff_alloc_aligned(size_t size, size_t alignment)
{
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    size_t total;
    if (!tuff_add_size(size, alignment - 1 + sizeof(void *), &total)) return NULL;
    uint8_t *block = allocator.malloc ? allocator.malloc(total, allocator.user) : malloc(total);
    if (!block) return NULL;
    count_allocation(true);
    size_t skip = sizeof(void *) + alignment - 1;
    uint8_t *aligned = block + skip - ((uintptr_t)(block + skip) & (alignment - 1));
    if (alignment >= TUFF_LARGE_PAGE) { /* pages that an earlier owner of the memory has touched */
        tuff_give_back(block, (size_t)(aligned - block));
        tuff_give_back(aligned + size, total - size - (size_t)(aligned - block));
    }
    memcpy(aligned - sizeof(void *), &block, sizeof(void *));
    return aligned;
}

void tuff_free_aligned(void *pointer)
{
    if (!pointer) return;
    void *block;
    memcpy(&block, (uint8_t *)pointer - sizeof(void *), sizeof(void *));
    tuff_free(block);
}

char *tuff_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tuff_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

bool tuff_grow(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) return true;
    size_t wanted;
    if (!tuff_mul_size(*capacity, 2, &wanted)) return false;
    if (wanted < 8) wanted = 8;
    void *moved = tuff_realloc_array(*items, wanted, item_size);
    if (!moved) return false;
    *items = moved;
    *capacity = wanted;
    return true;
}
