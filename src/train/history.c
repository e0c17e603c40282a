#include "train/history.h"

#include <math.h>
#include <string.h>

static void add_value(tuff_values *s, double value)
{
    if (!isfinite(value)) return;
    s->low = s->count && s->low < value ? s->low : value;
    s->high = s->count && s->high > value ? s->high : value;
    s->sum += value;
    s->count++;
}

static void join(tuff_place *a, const tuff_place *b)
{
    a->last = b->last;
    a->epoch = b->epoch;
    a->tokens += b->tokens;
    a->seconds += b->seconds;
    for (int i = 0; i < TUFF_CURVES; i++) {
        tuff_values *x = &a->of[i];
        const tuff_values *y = &b->of[i];
        if (!y->count) continue;
        x->low = x->count && x->low < y->low ? x->low : y->low;
        x->high = x->count && x->high > y->high ? x->high : y->high;
        x->sum += y->sum;
        x->count += y->count;
    }
}

/* Each group of `size` neighbours becomes one. */
static size_t join_groups(tuff_place *places, size_t count, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (i % size == 0)
            places[n++] = places[i];
        else
            join(&places[n - 1], &places[i]);
    return n;
}

void tuff_history_add(tuff_history *h, int64_t step, double epoch, const double values[TUFF_CURVES],
                      double tokens, double seconds)
{
    tuff_place *last = h->count ? &h->places[h->count - 1] : NULL;
    if (!last || step - last->first >= h->width) {
        if (h->count == TUFF_HISTORY_PLACES) {
            h->count = join_groups(h->places, h->count, 2);
            h->width *= 2;
        }
        if (!h->width) h->width = 1;
        last = &h->places[h->count++];
        *last = (tuff_place){.first = step};
    }
    last->last = step;
    last->epoch = epoch;
    for (int i = 0; i < TUFF_CURVES; i++)
        if (i != TUFF_CURVE_SPEED) add_value(&last->of[i], values[i]);
    if (!(seconds > 0)) return;
    last->tokens += tokens;
    last->seconds += seconds;
    add_value(&last->of[TUFF_CURVE_SPEED], tokens / seconds);
}

size_t tuff_history_join(const tuff_history *h, size_t most, tuff_place *out)
{
    memcpy(out, h->places, h->count * sizeof *out);
    return join_groups(out, h->count, (h->count + most - 1) / most ? (h->count + most - 1) / most : 1);
}

double tuff_place_mean(const tuff_place *p, tuff_curve curve)
{
    const tuff_values *v = &p->of[curve];
    if (!v->count) return (double)NAN;
    return curve == TUFF_CURVE_SPEED ? p->tokens / p->seconds : v->sum / (double)v->count;
}
