/* Records that are held out, and the others. */
#include <math.h>

#include "base/rng.h"
#include "formats/records_inside.h"

tuff_status tuff_records_take_part(tuff_records *r, double share, uint64_t seed, bool held_out)
{
    if (!r->file.path)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s comes through a pipe, and cannot be read twice, for what is held out and for the "
            "rest; write it into a file",
            r->path);
    r->share = share;
    r->seed = seed;
    r->held_out = held_out;
    return TUFF_OK;
}

/* Where stretch i begins: each has one record that is held out. */
static uint64_t begin_of(double share, uint64_t stretch)
{
    return (uint64_t)ceil((double)stretch / share - 1e-9);
}

static bool is_held_out(const tuff_records *r, uint64_t number)
{
    uint64_t stretch = (uint64_t)((double)number * r->share);
    while (begin_of(r->share, stretch + 1) <= number)
        stretch++;
    while (begin_of(r->share, stretch) > number)
        stretch--;
    const uint64_t begin = begin_of(r->share, stretch), end = begin_of(r->share, stretch + 1);
    const double at = tuff_rng_uniform(r->seed, stretch, 0, TUFF_STREAM_HELD_OUT) * (double)(end - begin);
    return number == begin + (uint64_t)at;
}

bool tuff_records_is_wanted(tuff_records *r)
{
    const uint64_t number = r->number++;
    return r->share <= 0 || is_held_out(r, number) == r->held_out;
}
