/* Figures that say how good a model is, from what it gave. All arithmetic is double. */
#ifndef TUFF_TRAIN_METRICS_H
#define TUFF_TRAIN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

/* The correlation of x[0..n) and y[0..n); NaN where all of one are equal or n is 0. */
double tuff_pearson(const double *x, const double *y, size_t n);
/* That of their ranks, equal ones sharing the mean of theirs (Spearman 1904); NaN also where a value is. */
TUFF_MUST_USE tuff_status tuff_spearman(const double *x, const double *y, size_t n, double *out);

/* Of one query: relevant[0..n) says which of its hits, best first, count; `all` is how many documents count,
 * found or not, at least 1. As sentence-transformers' InformationRetrievalEvaluator. */
/* The gains 1 / log2(rank + 1) of the first k, as a share of the most there could be (Jarvelin and
 * Kekalainen 2002, of yes and no). */
double tuff_ndcg_at(const bool *relevant, size_t n, size_t all, size_t k);
/* 1 / the rank of the first that counts; 0: none of the first k does. */
double tuff_reciprocal_rank_at(const bool *relevant, size_t n, size_t k);
/* How many of the first k count. */
size_t tuff_found_at(const bool *relevant, size_t n, size_t k);
/* The mean of the precisions at each that counts, over min(k, all). */
double tuff_average_precision_at(const bool *relevant, size_t n, size_t all, size_t k);

#endif
