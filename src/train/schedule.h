/* Learning rates by step. */
#ifndef TUFF_TRAIN_SCHEDULE_H
#define TUFF_TRAIN_SCHEDULE_H

#include <tuff/train.h>

/* The rate of optimizer step `step` (0 is the first) of `total`, as Hugging Face's get_scheduler: linear
 * warm-up from 0 over `warmup` steps, then linear or half-cosine decay to 0 at `total`, or constant. */
double tuff_schedule_rate(tuff_schedule schedule, double peak, int64_t step, int64_t warmup, int64_t total);

#endif
