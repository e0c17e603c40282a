#include "text/pace.h"

#include "base/watch.h"

tuff_status tuff_pace_ask(tuff_pace *pace)
{
    pace->work = 0;
    double share = pace->length ? (double)pace->at / (double)pace->length : 0;
    uint64_t done = pace->start + (uint64_t)(share * (double)pace->size);
    return tuff_watch_step(pace->watch, TUFF_PHASE_TOKENIZE, done < pace->total ? done : pace->total,
                           pace->total);
}
