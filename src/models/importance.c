#include "models/importance.h"

#include <string.h>

#include <tuff/importance.h>

#include "base/status.h"

/* A column that the text never used still counts by this share of the mean. */
#define LEAST 1e-3

tuff_status tuff_importance_add(tuff_importance *importance, const char *name, int64_t matrices,
                                int64_t columns)
{
    uint32_t index;
    if (tuff_map_get(&importance->by_name, name, strlen(name), &index)) return TUFF_OK;
    if (!tuff_grow((void **)&importance->items, importance->count, &importance->capacity,
                   sizeof *importance->items))
        return tuff_fail_memory("importances");
    tuff_importance_item *item = &importance->items[importance->count];
    *item = (tuff_importance_item){
        .name = tuff_arena_strdup(&importance->arena, name),
        .matrices = matrices,
        .columns = columns,
        .sums = tuff_arena_array(&importance->arena, (size_t)(matrices * columns), sizeof *item->sums)};
    if (!item->name || !item->sums ||
        !tuff_map_put(&importance->by_name, item->name, strlen(item->name), (uint32_t)importance->count))
        return tuff_fail_memory("importances");
    importance->count++;
    return TUFF_OK;
}

/* Of one matrix; false: no token came to it. */
static bool weigh(const double *sums, int64_t columns, float *out)
{
    double mean = 0;
    for (int64_t i = 0; i < columns; i++)
        mean += sums[i] / (double)columns;
    for (int64_t i = 0; i < columns; i++)
        out[i] = mean > 0 ? (float)(sums[i] / mean + LEAST) : 1;
    return mean > 0;
}

tuff_status tuff_importance_weights(const tuff_importance *importance, const char *name, int64_t matrices,
                                    int64_t columns, float **out)
{
    uint32_t index;
    bool known = false;
    *out = NULL;
    if (!tuff_map_get(&importance->by_name, name, strlen(name), &index)) return TUFF_OK;
    const tuff_importance_item *item = &importance->items[index];
    if (item->columns != columns || item->matrices != matrices)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the importances are another model's: %s has %lld x %lld columns, theirs %lld x %lld", name,
            (long long)matrices, (long long)columns, (long long)item->matrices, (long long)item->columns);
    *out = tuff_alloc_array((size_t)(matrices * columns), sizeof **out);
    if (!*out) return tuff_fail_memory("importances");
    for (int64_t i = 0; i < matrices; i++)
        if (weigh(item->sums + i * columns, columns, *out + i * columns)) known = true;
    if (known) return TUFF_OK;
    tuff_free(*out);
    *out = NULL;
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
