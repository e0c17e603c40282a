#include "train/trained_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/* ---- names near to a pattern that matches none */

enum { LONGEST = 64, NEAREST = 3 };

/* Edits (Levenshtein 1966) that lead from one text to the other; the texts are cut at LONGEST. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[LONGEST + 1];
    a_size = a_size < LONGEST ? a_size : LONGEST;
    b_size = b_size < LONGEST ? b_size : LONGEST;
    for (size_t k = 0; k <= b_size; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_size; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_size; k++) {
            const size_t changed = corner + (a[i - 1] != b[k - 1]);
            corner = row[k];
            const size_t other = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            row[k] = changed < other ? changed : other;
        }
    }
    return row[b_size];
}

typedef struct near_names {
    tuff_view names[NEAREST];
    size_t edits[NEAREST], count;
} near_names;

static void note_near(near_names *near, tuff_view name, size_t edits)
{
    size_t at = near->count;
    for (size_t i = 0; i < near->count; i++)
        if (near->names[i].size == name.size && memcmp(near->names[i].data, name.data, name.size) == 0)
            return;
    while (at > 0 && near->edits[at - 1] > edits)
        at--;
    if (at == NEAREST) return;
    if (near->count < NEAREST) near->count++;
    for (size_t i = near->count - 1; i > at; i--) {
        near->names[i] = near->names[i - 1];
        near->edits[i] = near->edits[i - 1];
    }
    near->names[at] = name;
    near->edits[at] = edits;
}

/* Single parts of names, and what they end with. */
static tuff_status unknown(const char *setting, tuff_view pattern, const tuff_candidate *candidates,
                           size_t count)
{
    near_names near = {.count = 0};
    tuff_buf text = {0};
    for (size_t i = 0; i < count; i++)
        for (const char *part = candidates[i].name; part;) {
            const size_t size = strcspn(part, "."), rest = strlen(part);
            note_near(&near, (tuff_view){part, size}, distance(pattern.data, pattern.size, part, size));
            note_near(&near, (tuff_view){part, rest}, distance(pattern.data, pattern.size, part, rest));
            part = part[size] ? part + size + 1 : NULL;
        }
    for (size_t i = 0; i < near.count; i++)
        tuff_buf_printf(&text, "%s%.*s", i ? ", " : "", (int)near.names[i].size, near.names[i].data);
    tuff_status status =
        tuff_fail(TUFF_INVALID_ARGUMENT,
                  "%s has \"%.*s\", which matches no tensor that could be trained; the nearest names are %s "
                  "(a tensor is \"%s\"; patterns match whole parts between dots)",
                  setting, (int)pattern.size, pattern.data, text.data ? text.data : "others",
                  count ? candidates[0].name : "");
    tuff_buf_free(&text);
    return status;
}

/* ---- what is frozen all along */

enum { FROZEN = -1, FREE = 0 };

/* Sets `to` where any pattern of the list matches. */
static tuff_status mark(const char *setting, const char *list, const tuff_candidate *candidates, size_t count,
                        int to, int *marks)
{
    tuff_view pattern;
    size_t patterns = 0;
    while (list && tuff_list_next(&list, &pattern)) {
        bool any = false;
        patterns++;
        for (size_t i = 0; i < count; i++) {
            if (!tuff_name_matches(pattern.data, pattern.size, candidates[i].name)) continue;
            marks[i] = to;
            any = true;
        }
        if (!any) return unknown(setting, pattern, candidates, count);
    }
    return patterns
               ? TUFF_OK
               : tuff_fail(TUFF_INVALID_ARGUMENT, "%s is empty, expected names or patterns of them", setting);
}

static tuff_status freeze(const tuff_candidate *candidates, size_t count, const tuff_trained_set_params *p,
                          int *marks)
{
    for (size_t i = 0; i < count; i++)
        marks[i] = p->train_only ? FROZEN : FREE;
    if (p->train_only) TUFF_TRY(mark("train_only", p->train_only, candidates, count, FREE, marks));
    if (p->freeze) TUFF_TRY(mark("freeze", p->freeze, candidates, count, FROZEN, marks));
    for (size_t i = 0; i < count && p->top_layers > 0; i++)
        if (candidates[i].above > p->top_layers) marks[i] = FROZEN;
    return TUFF_OK;
}

/* ---- phases */

static int by_depth(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The depths at which something is to be unfrozen, the highest layers first. Norms alone make no phase: they
 * go with the layer below. */
static size_t list_depths(const tuff_candidate *candidates, const int *marks, size_t count, int64_t *depths)
{
    size_t all = 0, kept = 0;
    for (size_t i = 0; i < count; i++)
        if (marks[i] != FROZEN && candidates[i].is_matrix) depths[all++] = candidates[i].above;
    if (all == 0)
        for (size_t i = 0; i < count; i++)
            if (marks[i] != FROZEN) depths[all++] = candidates[i].above;
    if (all) qsort(depths, all, sizeof *depths, by_depth);
    for (size_t i = 0; i < all; i++)
        if (kept == 0 || depths[i] != depths[kept - 1]) depths[kept++] = depths[i];
    return kept;
}

static tuff_status read_steps(const char *schedule, size_t depths, int64_t *begins, int *out_phases)
{
    tuff_view part;
    const char *at = schedule;
    size_t n = 1;
    while (tuff_list_next(&at, &part)) {
        int64_t step = 0;
        size_t i = 0;
        while (i < part.size && part.data[i] >= '0' && part.data[i] <= '9' && i < 15)
            step = 10 * step + (part.data[i++] - '0');
        if (i < part.size || i == 0)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "unfreeze_schedule is \"%s\", expected one-per-epoch or numbers of steps, \"100,200\"",
                schedule);
        if (step <= begins[n - 1])
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "unfreeze_schedule has %lld after %lld, but steps must be above 0 and rise",
                             (long long)step, (long long)begins[n - 1]);
        if (n >= depths)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "unfreeze_schedule has more steps than there are layers to unfreeze: the first phase "
                "trains what is behind the last layer, and %zu more follow",
                depths - 1);
        begins[n++] = step;
    }
    if (n == 1) return tuff_fail(TUFF_INVALID_ARGUMENT, "unfreeze_schedule is empty, expected steps");
    *out_phases = (int)n;
    return TUFF_OK;
}

static tuff_status plan_phases(const tuff_trained_set_params *p, size_t depths, tuff_trained_set *out)
{
    out->begins = tuff_alloc_array(depths + 1, sizeof *out->begins); /* zeros */
    if (!out->begins) return tuff_fail_memory("the phases of a training");
    out->phases = 1;
    if (!p->schedule) return TUFF_OK;
    if (strcmp(p->schedule, "one-per-epoch") != 0) {
        TUFF_TRY(read_steps(p->schedule, depths, out->begins, &out->phases));
    } else {
        out->phases = depths ? (int)depths : 1;
        for (int k = 1; k < out->phases; k++)
            out->begins[k] = (int64_t)ceil(k * p->epoch_steps - 1e-9);
    }
    /* what no step of this training reaches takes no memory */
    while (out->phases > 1 && out->begins[out->phases - 1] >= p->total_steps)
        out->phases--;
    return TUFF_OK;
}

/* The phase in which a depth comes, if there are so many. */
static int phase_of(int64_t above, const int64_t *depths, size_t count, bool scheduled)
{
    size_t k = 0;
    while (scheduled && k + 1 < count && depths[k] < above)
        k++;
    return (int)k;
}

static tuff_status choose(const tuff_candidate *candidates, size_t count, const tuff_trained_set_params *p,
                          int *marks, int64_t *depths, tuff_trained_set *out)
{
    TUFF_TRY(freeze(candidates, count, p, marks));
    const size_t n = list_depths(candidates, marks, count, depths);
    if (n == 0 && count)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "everything is frozen, and nothing is left to train: see freeze, train_only and "
                         "unfreeze_top_layers");
    TUFF_TRY(plan_phases(p, n, out));
    out->items = tuff_alloc_array(count + 1, sizeof *out->items);
    if (!out->items) return tuff_fail_memory("the phases of a training");
    for (size_t i = 0; i < count; i++) {
        const int phase = phase_of(candidates[i].above, depths, n, p->schedule != NULL);
        if (marks[i] == FREE && phase < out->phases)
            out->items[out->count++] = (tuff_trained_item){.candidate = (uint32_t)i, .phase = phase};
    }
    return TUFF_OK;
}

tuff_status tuff_trained_set_make(const tuff_candidate *candidates, size_t count,
                                  const tuff_trained_set_params *params, tuff_trained_set *out)
{
    *out = (tuff_trained_set){.count = 0};
    int *marks = tuff_alloc_array(count + 1, sizeof *marks);
    int64_t *depths = tuff_alloc_array(count + 1, sizeof *depths);
    tuff_status status = marks && depths ? choose(candidates, count, params, marks, depths, out)
                                         : tuff_fail_memory("the phases of a training");
    tuff_free(marks);
    tuff_free(depths);
    return status;
}

void tuff_trained_set_free(tuff_trained_set *s)
{
    tuff_free(s->items);
    tuff_free(s->begins);
    *s = (tuff_trained_set){.count = 0};
}

int tuff_trained_set_phase(const tuff_trained_set *s, int64_t steps)
{
    int phase = 0;
    while (phase + 1 < s->phases && s->begins[phase + 1] <= steps)
        phase++;
    return phase;
}
