/* Words as numbers, and how many n-grams two texts share: what BLEU, chrF and ROUGE count. */
#ifndef TUFF_TRAIN_NGRAMS_H
#define TUFF_TRAIN_NGRAMS_H

#include "base/status.h"
#include "base/text.h"

/* A growing list of words, or of characters; begins as zeros. */
typedef struct tuff_words {
    int32_t *ids;
    size_t count, capacity;
} tuff_words;

TUFF_MUST_USE tuff_status tuff_words_add(tuff_words *words, int32_t id);
/* Adds the number of a word, which `numbers` has or gets: equal words have equal numbers. */
TUFF_MUST_USE tuff_status tuff_words_add_text(tuff_words *words, tuff_map *numbers, tuff_view word);
void tuff_words_free(tuff_words *words);

/* How many n-grams of `order` words there are. */
int64_t tuff_ngrams_count(const tuff_words *words, size_t order);
/* How many of them two lists share, each as often as both have it. */
TUFF_MUST_USE tuff_status tuff_ngrams_shared(const tuff_words *a, const tuff_words *b, size_t order,
                                             int64_t *out);

/* The next word of a text, between white space as Python's str.split takes it; *at begins as 0. False: there
 * are no more. A byte that is no UTF-8 counts as a character. */
bool tuff_words_next(tuff_view text, size_t *at, tuff_view *out);
/* Without the white space at its end. */
tuff_view tuff_words_strip_end(tuff_view text);

#endif
