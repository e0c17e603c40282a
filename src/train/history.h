/* What the steps of a training were like, in bounded memory: the longer it goes, the more steps share a
 * place. */
#ifndef TUFF_TRAIN_HISTORY_H
#define TUFF_TRAIN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tuff_curve {
    TUFF_CURVE_LOSS,
    TUFF_CURVE_RATE,  /* of learning */
    TUFF_CURVE_NORM,  /* of the gradient, before clipping */
    TUFF_CURVE_SPEED, /* tokens per second */
    TUFF_CURVES
} tuff_curve;

/* Values of several steps; those that are not finite are left out. */
typedef struct tuff_values {
    double sum, low, high;
    int64_t count;
} tuff_values;
/* Steps first..last. */
typedef struct tuff_place {
    int64_t first, last;
    double epoch;           /* behind the last */
    double tokens, seconds; /* of those steps whose time is known */
    tuff_values of[TUFF_CURVES];
} tuff_place;

enum { TUFF_HISTORY_PLACES = 512 };
typedef struct tuff_history {
    tuff_place places[TUFF_HISTORY_PLACES];
    size_t count;
    int64_t width; /* steps of a place; 0: none yet */
} tuff_history;

/* `seconds` 0: not known, and so is the speed, which is none of `values`. */
void tuff_history_add(tuff_history *history, int64_t step, double epoch, const double values[TUFF_CURVES],
                      double tokens, double seconds);
/* Joins neighbours until there are at most `most`, at least 1, into `out`, which has room for all that there
 * are; returns how many. */
size_t tuff_history_join(const tuff_history *history, size_t most, tuff_place *out);
/* NaN where there are none; of speeds: tokens over seconds, of all the steps together. */
double tuff_place_mean(const tuff_place *place, tuff_curve curve);

#endif
