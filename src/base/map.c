#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"

/* Keys lie one after another in map->keys; an entry is free while `used` is 0. */
struct tuff_map_entry {
    size_t offset, size;
    uint32_t hash, value;
    uint32_t used;
};

static uint64_t mix(uint64_t hash, uint64_t word, uint64_t seed)
{
    hash = (hash ^ word) * seed;
    hash ^= hash >> 29;
    hash *= 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static uint32_t hash_of(const void *key, size_t size)
{
    const char *bytes = key;
    uint64_t seed = tuff_hash_seed(), hash = mix(seed, size, seed), word;
    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash, word, seed);
    }
    word = 0;
    if (size) memcpy(&word, bytes, size);
    return (uint32_t)mix(hash, word, seed);
}

/* The entry with this key, or the free one where it belongs. There is always a free entry. */
static tuff_map_entry *find(const tuff_map *map, const void *key, size_t size, uint32_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        tuff_map_entry *entry = &map->entries[i];
        if (!entry->used) return entry;
        if (entry->hash == hash && entry->size == size &&
            (size == 0 || memcmp(map->keys.data + entry->offset, key, size) == 0))
            return entry;
    }
}

static bool rehash(tuff_map *map)
{
    size_t capacity;
    if (!tuff_mul_size(map->capacity, 2, &capacity)) return false;
    if (capacity < 16) capacity = 16;
    tuff_map_entry *entries = tuff_alloc_array(capacity, sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < map->capacity; i++) {
        const tuff_map_entry *old = &map->entries[i];
        if (!old->used) continue;
        size_t at = old->hash & (capacity - 1);
        while (entries[at].used)
            at = (at + 1) & (capacity - 1);
        entries[at] = *old;
    }
    tuff_free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return true;
}

bool tuff_map_put(tuff_map *map, const void *key, size_t size, uint32_t value)
{
    /* At most two thirds full. */
    if (map->count + 1 > map->capacity - map->capacity / 3 && !rehash(map)) return false;
    uint32_t hash = hash_of(key, size);
    tuff_map_entry *entry = find(map, key, size, hash);
    if (!entry->used) {
        size_t offset = map->keys.size;
        tuff_buf_bytes(&map->keys, key, size);
        if (map->keys.failed) {
            map->keys.failed = false;
            return false;
        }
        *entry = (tuff_map_entry){.offset = offset, .size = size, .hash = hash, .used = 1};
        map->count++;
    }
    entry->value = value;
    return true;
}

bool tuff_map_get(const tuff_map *map, const void *key, size_t size, uint32_t *out_value)
{
    if (map->count == 0) return false;
    const tuff_map_entry *entry = find(map, key, size, hash_of(key, size));
    if (!entry->used) return false;
    *out_value = entry->value;
    return true;
}

void tuff_map_free(tuff_map *map)
{
    tuff_free(map->entries);
    tuff_buf_free(&map->keys);
    *map = (tuff_map){0};
}
