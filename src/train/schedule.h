/* Learning rates by step, as transformers' get_scheduler has them. */
#ifndef TUFF_TRAIN_SCHEDULE_H
#define TUFF_TRAIN_SCHEDULE_H

#include <tuff/train.h>

#include "base/status.h"
#include "base/text.h"

enum { TUFF_SCHEDULE_SETTINGS = 6 }; /* the most that any has */

/* The rates of a run. */
typedef struct tuff_rates {
    tuff_schedule schedule;
    double peak;
    int64_t warmup, total; /* steps: of the rise from 0, of the run */
    double settings[TUFF_SCHEDULE_SETTINGS];
} tuff_rates;

/* `settings` as in train/kwargs.h; NULL: none are given. Errors: TUFF_INVALID_ARGUMENT for what the
 * schedule does not have, or lacks. */
TUFF_MUST_USE tuff_status tuff_rates_make(tuff_schedule schedule, double peak, int64_t warmup, int64_t total,
                                          const char *settings, tuff_rates *out_rates);
/* Of optimizer step `step`; 0 is the first. */
double tuff_rates_at(const tuff_rates *rates, int64_t step);
const char *tuff_schedule_name(tuff_schedule schedule);
/* The settings that it has, also those that were preset. */
void tuff_rates_put(const tuff_rates *rates, tuff_buf *out);

#endif
