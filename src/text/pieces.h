/* What the models make of words: ids and, where they are wanted, the bytes that each id stands for. */
#ifndef TUFF_TEXT_PIECES_H
#define TUFF_TEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/tokenizer.h>

/* A growable list of ids. {0} is empty. */
typedef struct tuff_ids {
    int32_t *data;
    size_t size, capacity;
} tuff_ids;
TUFF_MUST_USE bool tuff_ids_add(tuff_ids *ids, int32_t id); /* false: out of memory */
TUFF_MUST_USE bool tuff_ids_append(tuff_ids *ids, const int32_t *data, size_t count);
void tuff_ids_free(tuff_ids *ids);

/* {0} is empty and keeps no spans. */
typedef struct tuff_pieces {
    tuff_ids ids;
    tuff_span *spans; /* as many as ids; only where traced */
    size_t span_capacity;
    bool traced;
} tuff_pieces;
TUFF_MUST_USE bool tuff_pieces_add(tuff_pieces *pieces, int32_t id, size_t start, size_t end);
/* `spans` may be NULL where the list is not traced. */
TUFF_MUST_USE bool tuff_pieces_append(tuff_pieces *pieces, const int32_t *ids, const tuff_span *spans,
                                      size_t count);
/* Moves the spans from piece `first` on by `by` bytes. */
void tuff_pieces_move(tuff_pieces *pieces, size_t first, size_t by);
void tuff_pieces_free(tuff_pieces *pieces);

#endif
