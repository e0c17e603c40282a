/* What a post-processor puts around a text and around a pair of texts. */
#ifndef TUFF_TEXT_TEMPLATE_H
#define TUFF_TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

enum {
    TUFF_TEMPLATE_LIMIT = 64, /* parts */
    TUFF_PART_FIRST = -1,     /* in the place of an id: the text */
    TUFF_PART_SECOND = -2     /* the second text of a pair */
};

typedef struct tuff_template_part {
    int32_t id;   /* of a special token, or one of the texts */
    int32_t type; /* token_type_ids of what stands here */
} tuff_template_part;

typedef struct tuff_template {
    tuff_template_part parts[TUFF_TEMPLATE_LIMIT];
    size_t count; /* 0: the tokenizer has no such template */
} tuff_template;

TUFF_MUST_USE tuff_status tuff_template_add(tuff_template *t, int32_t id, int32_t type, const char *where);
/* Special tokens in it. */
size_t tuff_template_specials(const tuff_template *t);
/* The ids before the text, and those behind it, of a template for one text. */
size_t tuff_template_before(const tuff_template *t);
size_t tuff_template_after(const tuff_template *t);

/* Templates for one text and for two as most models have them. Ids below 0 are left out: between `before` and
 * `after` stand the texts, each with `after` behind it; `between` goes before the second. */
void tuff_template_fill(tuff_template *single, tuff_template *pair, int32_t before, int32_t after,
                        int32_t between, bool second_type);

#endif
