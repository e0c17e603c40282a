/* Lists of names with wildcards, as users give them for cases and operations. */
#ifndef TUFF_CONFORM_PATTERNS_H
#define TUFF_CONFORM_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

/* True when the whole text matches: '*' stands for any characters, dots too, '?' for one, "[ab0-9]" for one
 * of those, "[!ab]" for one that is not among those. */
bool tuff_glob(const char *pattern, size_t size, const char *text);

/* A list is separated by commas or line ends. Blanks around a pattern do not count, nor does what follows a
 * '#' in its line, where that begins the line or stands behind a blank. */
typedef struct tuff_pattern {
    const char *text;
    size_t size;
} tuff_pattern;
/* Gives the next pattern and moves *at behind it; false at the end. `*at` begins as the list, which may be
 * NULL. */
bool tuff_next_pattern(const char **at, tuff_pattern *out);
bool tuff_patterns_match(const char *list, const char *text);

#endif
