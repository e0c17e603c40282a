/* Rows of texts, with a number each perhaps: pairs, triplets and the like. */
#ifndef TUFF_TRAIN_PAIRS_H
#define TUFF_TRAIN_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/status.h"
#include "base/text.h"

typedef struct tuff_pairs {
    size_t rows, columns;
    tuff_buf text;  /* all texts, one after the other */
    size_t *ends;   /* [rows * columns]: where each text ends */
    double *scores; /* [rows]; NULL: none were asked for */
    size_t room;    /* rows that there is memory for */
} tuff_pairs;

/* Reads the texts under these columns (at least one), and the numbers under `score` unless that is NULL, of
 * all records of a file. Errors name the line. */
TUFF_MUST_USE tuff_status tuff_pairs_read(const char *path, const char *const *columns, size_t n,
                                          const char *score, tuff_pairs *out_pairs);
void tuff_pairs_free(tuff_pairs *pairs);

tuff_view tuff_pairs_at(const tuff_pairs *pairs, size_t row, size_t column);

/* Whether a text is a finite number as JSON writes it, and which. */
TUFF_MUST_USE tuff_status tuff_pairs_number(tuff_view text, bool *out_is, double *out);

#endif
