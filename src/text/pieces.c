#include "text/pieces.h"

#include <string.h>

#include "base/memory.h"

bool tuff_ids_append(tuff_ids *ids, const int32_t *data, size_t count)
{
    while (ids->capacity - ids->size < count) {
        if (!tuff_grow((void **)&ids->data, ids->capacity, &ids->capacity, sizeof *ids->data)) return false;
    }
    if (count) memcpy(ids->data + ids->size, data, count * sizeof *data);
    ids->size += count;
    return true;
}

bool tuff_ids_add(tuff_ids *ids, int32_t id)
{
    if (!tuff_grow((void **)&ids->data, ids->size, &ids->capacity, sizeof *ids->data)) return false;
    ids->data[ids->size++] = id;
    return true;
}

void tuff_ids_free(tuff_ids *ids)
{
    tuff_free(ids->data);
    *ids = (tuff_ids){0};
}

bool tuff_pieces_add(tuff_pieces *pieces, int32_t id, size_t start, size_t end)
{
    const tuff_span span = {start, end};
    return tuff_pieces_append(pieces, &id, &span, 1);
}

bool tuff_pieces_append(tuff_pieces *pieces, const int32_t *ids, const tuff_span *spans, size_t count)
{
    size_t size = pieces->ids.size;
    if (pieces->traced) {
        while (pieces->span_capacity - size < count) {
            if (!tuff_grow((void **)&pieces->spans, pieces->span_capacity, &pieces->span_capacity,
                           sizeof *pieces->spans))
                return false;
        }
        if (count) memcpy(pieces->spans + size, spans, count * sizeof *spans);
    }
    return tuff_ids_append(&pieces->ids, ids, count);
}

void tuff_pieces_move(tuff_pieces *pieces, size_t first, size_t by)
{
    for (size_t i = first; pieces->traced && i < pieces->ids.size; i++) {
        pieces->spans[i].start += by;
        pieces->spans[i].end += by;
    }
}

void tuff_pieces_free(tuff_pieces *pieces)
{
    tuff_ids_free(&pieces->ids);
    tuff_free(pieces->spans);
    *pieces = (tuff_pieces){0};
}
