/* An array that grows with the data it holds: in memory while it is small, then in pages of a file without a
 * name in the user's cache directory, which the system writes back and fetches as it needs the room. So it
 * may be larger than the machine's memory. Where there is no such directory, or its disk is full, it stays in
 * memory, which is logged. */
#ifndef TUFF_BASE_COLUMN_H
#define TUFF_BASE_COLUMN_H

#include <stdbool.h>
#include <stddef.h>

/* {0} is empty. */
typedef struct tuff_column {
    void *data;    /* moves as it grows */
    size_t room;   /* bytes */
    int handle;    /* of the file, + 1; 0: it is in memory */
    bool stays;    /* in memory, however large it is */
    bool borrowed; /* of somebody else, who outlives it; it does not grow */
} tuff_column;

/* From so many bytes on it is a file. Tests set it. */
extern size_t tuff_column_limit;

/* Makes room for so many bytes; new ones have any value. False: out of memory; it is as it was then. */
bool tuff_column_reserve(tuff_column *column, size_t bytes);
/* Puts bytes behind the first `used`. False: out of memory. */
bool tuff_column_put(tuff_column *column, size_t used, const void *data, size_t size);
void tuff_column_free(tuff_column *column);

#endif
