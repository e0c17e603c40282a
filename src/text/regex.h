/* Unicode regular expressions over PCRE2, with the classes of the Oniguruma patterns that tokenizer.json
 * holds. */
#ifndef TUFF_TEXT_REGEX_H
#define TUFF_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/pace.h"

/* Immutable once compiled. */
typedef struct tuff_regex tuff_regex;
TUFF_MUST_USE tuff_status tuff_regex_compile(tuff_view pattern, const char *where, tuff_regex **out_regex);
void tuff_regex_destroy(tuff_regex **regex);

/* Appends the pattern that matches exactly `text`; short ones are sought without PCRE2. */
void tuff_regex_quote(tuff_view text, tuff_buf *pattern);

/* Where a search in one text stands; one thread at a time. */
typedef struct tuff_regex_search {
    const tuff_regex *regex;
    void *match, *context;
    const char *text; /* valid UTF-8 */
    size_t size, from;
    tuff_pace *pace; /* NULL: nobody watches */
    uint64_t credit; /* for places that are hard to match */
    size_t window;   /* bytes at which a match may begin in one call of PCRE2, at least 1 */
    uint32_t limit;  /* how hard the next place may be */
    bool empties;    /* matches that are empty are found too, past the end of the last one; not of literals */
} tuff_regex_search;
/* Allocates; then search one text after another with tuff_regex_aim. */
TUFF_MUST_USE tuff_status tuff_regex_begin(const tuff_regex *regex, tuff_pace *pace,
                                           tuff_regex_search *search);
void tuff_regex_aim(tuff_regex_search *search, tuff_view text);
/* The next match, [*out_start, *out_end), which is not empty unless `empties` asks for those; *out_found is
 * false after the last. */
TUFF_MUST_USE tuff_status tuff_regex_next(tuff_regex_search *search, size_t *out_start, size_t *out_end,
                                          bool *out_found);
void tuff_regex_end(tuff_regex_search *search);

#endif
