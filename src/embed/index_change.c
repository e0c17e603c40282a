/* An index of vectors in memory: made of them, more of them, fewer. */
#include <string.h>

#include "base/memory.h"
#include "embed/index.h"
#include "runtime/device.h"

static tuff_status check_vectors(const tuff_index *index, const float *vectors, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        TUFF_TRY(tuff_index_check(index, vectors + i * index->dimensions, i));
    return TUFF_OK;
}

/* Room for so many more. */
static tuff_status reserve(tuff_index *index, int64_t n)
{
    enum { FIRST = 64 };
    const size_t need = (size_t)index->count + (size_t)n, most = SIZE_MAX / 4;
    size_t capacity = index->capacity ? index->capacity : FIRST;
    if (need > most) return tuff_fail_memory("the vectors of an index");
    while (capacity < need)
        capacity *= 2;
    if (capacity == index->capacity) return TUFF_OK;
    float *own = tuff_realloc_array(index->own, capacity, (size_t)index->dimensions * sizeof *own);
    if (!own) return tuff_fail_memory("the vectors of an index");
    index->own = own;
    index->array.data = (const uint8_t *)own;
    index->capacity = capacity;
    return TUFF_OK;
}

/* What the searches see. */
static void set_count(tuff_index *index, int64_t count)
{
    index->count = count;
    index->changed = true;
    index->array = (tuff_npy){.type = "<f4",
                              .item_bytes = sizeof *index->own,
                              .rank = 2,
                              .shape = {count, index->dimensions},
                              .data = (const uint8_t *)index->own};
}

static tuff_status add(tuff_index *index, const float *vectors, int64_t n)
{
    TUFF_TRY(reserve(index, n));
    TUFF_TRY(check_vectors(index, vectors, n));
    if (n)
        memcpy(index->own + index->count * index->dimensions, vectors,
               (size_t)(n * index->dimensions) * sizeof *vectors);
    set_count(index, index->count + n);
    return TUFF_OK;
}

tuff_status tuff_index_create(const float *vectors, int64_t n, int64_t dimensions, tuff_device *device,
                              tuff_index **out_index)
{
    enum { MOST_DIMENSIONS = 1 << 20 };
    TUFF_NEED_OUT(out_index);
    TUFF_NEED_MANY(vectors, n);
    TUFF_NEED(device);
    if (n < 0 || dimensions < 1 || dimensions > MOST_DIMENSIONS)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "an index of %lld vectors of %lld numbers; expected 0 or more, of 1 to %d numbers",
                         (long long)n, (long long)dimensions, MOST_DIMENSIONS);
    tuff_index *index = tuff_alloc(sizeof *index);
    if (!index) return tuff_fail_memory("an index");
    index->where = "the vectors of the index";
    index->dimensions = dimensions;
    index->can_change = true;
    tuff_index_use(index, device);
    tuff_status status = add(index, vectors, n);
    if (status != TUFF_OK)
        tuff_index_destroy(&index);
    else
        *out_index = index;
    return status;
}

static tuff_status check_changeable(const tuff_index *index)
{
    if (index->can_change) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: an index of a file does not change; tuff_index_create makes one that does",
                     index->where);
}

tuff_status tuff_index_add(tuff_index *index, const float *vectors, int64_t n)
{
    TUFF_NEED(index);
    TUFF_NEED_MANY(vectors, n);
    TUFF_TRY(check_changeable(index));
    if (n < 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "%lld vectors are to be added", (long long)n);
    return n ? add(index, vectors, n) : TUFF_OK;
}

/* Marks the rows that go; one may be named twice. */
static tuff_status mark(const tuff_index *index, const int64_t *rows, size_t n, bool *gone)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i] < 0 || rows[i] >= index->count)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "row %lld is to be removed of an index of %lld vectors",
                             (long long)rows[i], (long long)index->count);
        gone[rows[i]] = true;
    }
    return TUFF_OK;
}

tuff_status tuff_index_remove(tuff_index *index, const int64_t *rows, size_t n)
{
    TUFF_NEED(index);
    TUFF_NEED_MANY(rows, n);
    TUFF_TRY(check_changeable(index));
    bool *gone = n ? tuff_alloc_array((size_t)index->count + 1, sizeof *gone) : NULL;
    if (n && !gone) return tuff_fail_memory("the rows to be removed");
    tuff_status status = mark(index, rows, n, gone);
    int64_t left = 0;
    for (int64_t i = 0; i < index->count && n && status == TUFF_OK; i++) {
        const size_t d = (size_t)index->dimensions;
        if (gone[i]) continue;
        if (left != i)
            memcpy(index->own + (size_t)left * d, index->own + (size_t)i * d, d * sizeof *index->own);
        left++;
    }
    if (n && status == TUFF_OK) set_count(index, left);
    tuff_free(gone);
    return status;
}
