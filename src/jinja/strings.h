/* Text as Python's str has it: of characters, with Unicode's notion of space and case. */
#ifndef TUFF_JINJA_STRINGS_H
#define TUFF_JINJA_STRINGS_H

#include "jinja/run.h"

/* The first place of `what` in `in` from a byte on. */
bool tuff_jinja_search(tuff_jinja_run *run, tuff_view in, tuff_view what, size_t from, size_t *out_at);
/* The last place that ends at `to` or before. */
bool tuff_jinja_search_back(tuff_jinja_run *run, tuff_view in, tuff_view what, size_t to, size_t *out_at);
size_t tuff_jinja_characters(tuff_view text);
/* The byte at which character `index` begins. */
size_t tuff_jinja_byte_of(tuff_view text, size_t index);
/* Without what is in `chars`, or space where that is {NULL, 0}, at its ends; sides: 1 left, 2 right. */
tuff_view tuff_jinja_strip(tuff_view text, tuff_view chars, unsigned sides);
typedef enum tuff_jinja_case {
    TUFF_JINJA_UPPER,
    TUFF_JINJA_LOWER,
    TUFF_JINJA_CAPITALIZE,
    TUFF_JINJA_TITLE, /* as the method has it: a letter behind none is upper */
    TUFF_JINJA_WORDS, /* as the filter has it: behind space, -, and opening brackets */
    TUFF_JINJA_SWAP
} tuff_jinja_case;
bool tuff_jinja_change_case(tuff_jinja_run *run, tuff_jinja_case how, const tuff_jinja_value *text,
                            tuff_jinja_value *out);
/* What all characters of a text, of which there is one at least, are. */
typedef enum tuff_jinja_class {
    TUFF_JINJA_ISALPHA,
    TUFF_JINJA_ISDIGIT,
    TUFF_JINJA_ISALNUM,
    TUFF_JINJA_ISSPACE,
    TUFF_JINJA_ISUPPER, /* those that have a case, of which there is one at least */
    TUFF_JINJA_ISLOWER
} tuff_jinja_class;
bool tuff_jinja_all_are(tuff_view text, tuff_jinja_class what);
/* Parts by `separator`, or by runs of space where that is {NULL, 0}; `most` cuts, or any number below 0. */
bool tuff_jinja_split(tuff_jinja_run *run, tuff_view text, tuff_view separator, int64_t most, bool from_right,
                      tuff_jinja_value *out);
bool tuff_jinja_lines(tuff_jinja_run *run, tuff_view text, bool keep_ends, tuff_jinja_list **out);
bool tuff_jinja_replace(tuff_jinja_run *run, tuff_view text, tuff_view old, tuff_view new, int64_t most,
                        tuff_jinja_value *out);
/* str() of all items, with `between` between them; methods take texts alone. */
bool tuff_jinja_join(tuff_jinja_run *run, tuff_view between, const tuff_jinja_list *items, bool texts_alone,
                     tuff_jinja_value *out);

#endif
