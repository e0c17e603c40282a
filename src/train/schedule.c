#include "train/schedule.h"

#include <math.h>

double tuff_schedule_rate(tuff_schedule schedule, double peak, int64_t step, int64_t warmup, int64_t total)
{
    if (step < warmup) return peak * (double)step / (double)warmup;
    if (schedule == TUFF_SCHEDULE_CONSTANT) return peak;
    int64_t decay = total - warmup > 1 ? total - warmup : 1;
    double progress = (double)(step - warmup) / (double)decay;
    if (progress > 1) progress = 1;
    if (schedule == TUFF_SCHEDULE_LINEAR) return peak * (1 - progress);
    return peak * 0.5 * (1 + cos(3.14159265358979323846 * progress));
}
