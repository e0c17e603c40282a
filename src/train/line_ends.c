#include "train/line_ends.h"

#include <string.h>

size_t tuff_turn_line_ends(char *data, size_t *size)
{
    const char *end = data + *size;
    char *to = *size ? memchr(data, '\r', *size) : NULL;
    size_t turned = 0;
    for (const char *from = to; from && from < end; from++) {
        if (*from == '\r' && from + 1 < end && from[1] == '\n')
            turned++;
        else
            *to++ = *from;
    }
    *size -= turned;
    return turned;
}
