/* What cJSON lets through: a strict look at hostile bytes before they are parsed. */
#ifndef TUFF_BASE_JSON_SCAN_H
#define TUFF_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum {
    TUFF_JSON_DEPTH = 64, /* real files nest fewer than ten levels */
    /* The largest real file, a tokenizer of 262,144 tokens with its merges as pairs, has 1.9 million. A value
     * takes up to 120 bytes in cJSON's tree, so the tree of a file takes half a gigabyte at most, beside its
     * longer strings. */
    TUFF_JSON_VALUES = 4 << 20
};

/* What is wrong with a text. */
typedef struct tuff_json_fault {
    const char *what; /* a constant; NULL: it is one of the others below */
    size_t offset;    /* the byte it is wrong at */
    tuff_view twice;  /* a key that its object has twice, as the text spells it; data NULL: none */
    bool too_many;    /* values */
    bool no_memory;   /* the look did not come to its end */
} tuff_json_fault;

/* Checks nesting, the number of values, strings (UTF-8, escapes, control characters), numbers, stray bytes
 * and that no object has a key twice, however it is spelled. True when clean. The grammar of commas and
 * colons is left to the parser. */
bool tuff_json_scan(const char *data, size_t size, tuff_json_fault *out_fault);

#endif
