/* Conversations that share a row of tokens. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "train/tasks/sft.h"

typedef struct piece {
    int64_t length;
    uint32_t sequence;
} piece;

/* Rows by the room that they have left: `first[room]` begins a list of them, `next` goes on; a bit of `some`
 * says whether there is one. */
typedef struct rooms {
    int64_t *first, *next;
    uint64_t *some;
    int64_t most; /* room */
} rooms;

static int longest_first(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->sequence < y->sequence ? -1 : 1;
}

/* The least room that holds a length; -1: no row has it. */
static int64_t least_room(const rooms *r, int64_t length)
{
    int64_t word = length / 64;
    uint64_t bits = r->some[word] & ~(uint64_t)0 << length % 64;
    while (!bits && ++word <= r->most / 64)
        bits = r->some[word];
    return bits ? 64 * word + __builtin_ctzll(bits) : -1;
}

static int64_t take_row(rooms *r, int64_t room)
{
    const int64_t row = r->first[room];
    r->first[room] = r->next[row];
    if (r->first[room] < 0) r->some[room / 64] &= ~((uint64_t)1 << room % 64);
    return row;
}

static void put_row(rooms *r, int64_t room, int64_t row)
{
    r->next[row] = r->first[room];
    r->first[room] = row;
    r->some[room / 64] |= (uint64_t)1 << room % 64;
}

/* Which row each sequence goes to, into row_of; the number of rows. */
static int64_t choose_rows(rooms *r, const piece *pieces, int64_t n, int64_t *row_of)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t length = pieces[i].length, room = least_room(r, length);
        const int64_t row = room < 0 ? rows++ : take_row(r, room);
        put_row(r, (room < 0 ? r->most : room) - length, row);
        row_of[pieces[i].sequence] = row;
    }
    return rows;
}

/* The sequences of each row in the order of the file. */
static void fill_rows(tuff_sft *own, const int64_t *row_of, int64_t sequences)
{
    for (int64_t i = 0; i < sequences; i++)
        own->rows[row_of[i] + 1]++;
    for (int64_t row = 0; row < own->row_count; row++) {
        if (own->rows[row + 1] > own->row_most) own->row_most = own->rows[row + 1];
        own->rows[row + 1] += own->rows[row];
    }
    for (int64_t i = 0; i < sequences; i++)
        own->members[own->rows[row_of[i]]++] = (uint32_t)i;
    for (int64_t row = own->row_count; row > 0; row--)
        own->rows[row] = own->rows[row - 1];
    own->rows[0] = 0;
}

tuff_status tuff_sft_pack_rows(tuff_dataset *data, int64_t tokens)
{
    const size_t n = (size_t)data->sequences, sizes = (size_t)tokens + 1;
    tuff_sft *own = data->own;
    rooms r = {.first = tuff_alloc_array(sizes, sizeof *r.first),
               .next = tuff_alloc_array(n, sizeof *r.next),
               .some = tuff_alloc_array(sizes / 64 + 1, sizeof *r.some),
               .most = tokens};
    piece *pieces = tuff_alloc_array(n, sizeof *pieces);
    int64_t *row_of = tuff_alloc_array(n, sizeof *row_of);
    own->rows = tuff_alloc_array(n + 1, sizeof *own->rows);
    own->members = tuff_alloc_array(n, sizeof *own->members);
    const bool good = r.first && r.next && r.some && pieces && row_of && own->rows && own->members;
    if (good) {
        memset(r.first, 0xff, sizes * sizeof *r.first);
        for (size_t i = 0; i < n; i++)
            pieces[i] = (piece){tuff_dataset_length(data, (uint32_t)i), (uint32_t)i};
        qsort(pieces, n, sizeof *pieces, longest_first);
        own->row_count = choose_rows(&r, pieces, data->sequences, row_of);
        fill_rows(own, row_of, data->sequences);
    }
    tuff_free(r.first);
    tuff_free(r.next);
    tuff_free(r.some);
    tuff_free(pieces);
    tuff_free(row_of);
    return good ? TUFF_OK : tuff_fail_memory("rows of conversations");
}

/* Adds a row of the sequences from `sequence` on, whose numbers are members[0..n) of their part; NULL: of
 * one.
 */
static void add_row(tuff_sft *own, uint32_t sequence, const uint32_t *members, int64_t n)
{
    int64_t *end = &own->rows[own->row_count + 1];
    *end = own->rows[own->row_count++];
    for (int64_t i = 0; i < n; i++)
        own->members[(*end)++] = sequence + (members ? members[i] : 0);
    if (n > own->row_most) own->row_most = n;
}

tuff_status tuff_sft_join_rows(tuff_dataset *into, const tuff_dataset *const *parts, size_t n)
{
    tuff_sft *own = into->own;
    uint32_t first = 0;
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any = any || (parts[i]->task == into->task && ((const tuff_sft *)parts[i]->own)->rows);
    if (!any) return TUFF_OK;
    own->rows = tuff_alloc_array((size_t)into->sequences + 1, sizeof *own->rows);
    own->members = tuff_alloc_array((size_t)into->sequences, sizeof *own->members);
    if (!own->rows || !own->members) return tuff_fail_memory("rows of conversations");
    for (size_t i = 0; i < n; i++) {
        const tuff_dataset *part = parts[i];
        const tuff_sft *rows = part->task == into->task ? part->own : NULL;
        const int64_t count = rows ? part->sequences : tuff_dataset_blocks(part);
        if (rows && rows->rows)
            for (int64_t r = 0; r < rows->row_count; r++)
                add_row(own, first, rows->members + rows->rows[r], rows->rows[r + 1] - rows->rows[r]);
        else
            for (int64_t s = 0; s < count; s++)
                add_row(own, first + (uint32_t)s, NULL, 1);
        first += (uint32_t)count;
    }
    return TUFF_OK;
}

const uint32_t *tuff_sft_members(const tuff_dataset *data, const uint32_t *example, int64_t *out_count)
{
    const tuff_sft *own = data->own;
    *out_count = 1;
    if (!own->rows) return example;
    *out_count = own->rows[*example + 1] - own->rows[*example];
    return own->members + own->rows[*example];
}
