#include "models/importance.h"

#include <string.h>

#include <tuff/importance.h>

#include "base/status.h"

/* A column that the text never used still counts by this share of the mean. */
#define LEAST 1e-3

tuff_status tuff_importance_add(tuff_importance *importance, const char *name, int64_t columns)
{
    uint32_t index;
    if (tuff_map_get(&importance->by_name, name, strlen(name), &index)) return TUFF_OK;
    if (!tuff_grow((void **)&importance->items, importance->count, &importance->capacity,
                   sizeof *importance->items))
        return tuff_fail_memory("importances");
    tuff_importance_item *item = &importance->items[importance->count];
    *item = (tuff_importance_item){
        .name = tuff_arena_strdup(&importance->arena, name),
        .columns = columns,
        .sums = tuff_arena_array(&importance->arena, (size_t)columns, sizeof *item->sums)};
    if (!item->name || !item->sums ||
        !tuff_map_put(&importance->by_name, item->name, strlen(item->name), (uint32_t)importance->count))
        return tuff_fail_memory("importances");
    importance->count++;
    return TUFF_OK;
}

tuff_status tuff_importance_weights(const tuff_importance *importance, const char *name, int64_t columns,
                                    float **out)
{
    uint32_t index;
    double mean = 0;
    *out = NULL;
    if (!tuff_map_get(&importance->by_name, name, strlen(name), &index)) return TUFF_OK;
    const tuff_importance_item *item = &importance->items[index];
    if (item->columns != columns)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the importances are another model's: %s has %lld columns, theirs %lld", name,
                         (long long)columns, (long long)item->columns);
    for (int64_t i = 0; i < columns; i++)
        mean += item->sums[i] / (double)columns;
    if (!(mean > 0)) return TUFF_OK;
    *out = tuff_alloc_array((size_t)columns, sizeof **out);
    if (!*out) return tuff_fail_memory("importances");
    for (int64_t i = 0; i < columns; i++)
        (*out)[i] = (float)(item->sums[i] / mean + LEAST);
    return TUFF_OK;
}

void tuff_importance_destroy(tuff_importance **importance)
{
    tuff_importance *i = importance ? *importance : NULL;
    if (!i) return;
    tuff_free(i->items);
    tuff_map_free(&i->by_name);
    tuff_arena_free(&i->arena);
    tuff_free(i);
    *importance = NULL;
}
