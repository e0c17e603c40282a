/* Order by levels: steps that do not wait for each other come together, so that one barrier serves many.
 *
 * A step's level is one more than the highest of those that it must follow: what writes what it reads, what
 * reads or writes what it overwrites, and of nodes with a turn those whose turn is before theirs. Of the
 * steps that are ready, a level takes those that the graph has within a window behind the first of them. Then
 * steps go back down to where the graph has them as far as that takes less memory: a fill waits for who reads
 * it, what is recomputed for who needs it. The numbers stay what they are: no step is made another, none is
 * left out.
 *
 * Memory that is used at one level lies apart, so arenas grow a little: a narrower window is taken where one
 * would grow by more than a twentieth, and the graph's order where none helps. Host steps stay where they
 * are, everything before them before, everything after them after; so does what comes before the first write
 * to a variable, up to which a run can be cancelled as if it had not been. */
#include <string.h>

#include "ir/plan.h"

/* Of an arena: one part in so many, or so many bytes where that is more. */
enum { MOST_GROWTH = 20, MOST_GROWTH_BYTES = 16 << 20 };

/* What one step does to a storage. */
typedef struct access {
    uint32_t step;
    bool write;
    uint64_t begin, end; /* bytes */
} access;

typedef struct orderer {
    tuff_plan *plan;
    uint32_t n;               /* steps */
    tuff_plan_step *steps;    /* in the graph's order */
    access *accesses;         /* by storage, then by step */
    uint32_t *first_access;   /* by tensor id; n_tensors + 1 */
    uint32_t *followers;      /* by step; one that must follow for several reasons is there several times */
    uint32_t *first_follower; /* by step; n + 1 */
    uint32_t *pending;        /* of what a step must follow, what has no level yet */
    uint32_t *level, *latest;
    uint32_t n_levels;
    uint32_t first_writer; /* of a variable; n: none is */
} orderer;

static const tuff_tensor *operand(const tuff_node *node, int i, bool *out_write)
{
    *out_write = i >= node->n_in;
    return *out_write ? node->out[i - node->n_in] : node->in[i];
}

/* ---- who must follow whom */

static void collect_accesses(orderer *o)
{
    size_t n_tensors = o->plan->graph->n_tensors;
    for (int pass = 0; pass < 2; pass++) { /* counts, then fills */
        for (uint32_t s = 0; s < o->n; s++) {
            const tuff_node *node = o->steps[s].node;
            for (int i = 0; i < node->n_in + node->n_out; i++) {
                bool write;
                const tuff_tensor *x = operand(node, i, &write);
                if (!x) continue;
                uint32_t *at = &o->first_access[x->storage->id + (pass == 0)];
                if (pass == 1) {
                    access *a = &o->accesses[*at];
                    *a = (access){.step = s, .write = write};
                    tuff_tensor_reach(x, &a->begin, &a->end);
                }
                ++*at;
            }
        }
        if (pass == 0)
            for (size_t i = 0; i < n_tensors; i++)
                o->first_access[i + 1] += o->first_access[i];
    }
    memmove(o->first_access + 1, o->first_access, n_tensors * sizeof *o->first_access);
    o->first_access[0] = 0;
}

static bool must_follow(const access *later, const access *earlier)
{
    return later->step != earlier->step && (later->write || earlier->write) && later->begin < earlier->end &&
           earlier->begin < later->end;
}

static bool has_write(const orderer *o, size_t storage)
{
    for (uint32_t i = o->first_access[storage]; i < o->first_access[storage + 1]; i++)
        if (o->accesses[i].write) return true;
    return false;
}

static void add_follower(orderer *o, uint32_t of, uint32_t step)
{
    uint32_t *at = &o->first_follower[of + !o->followers];
    if (o->followers) o->followers[*at] = step;
    ++*at;
}

static void go_over_turns(orderer *o)
{
    for (uint32_t s = 0; s < o->n; s++) {
        const uint32_t turn = o->steps[s].node->turn;
        for (uint32_t k = 0; turn && k < s; k++)
            if (o->steps[k].node->turn == turn - 1) add_follower(o, k, s);
    }
}

/* Counts followers, or, once there is room for them, fills them in. */
static void go_over_followers(orderer *o)
{
    go_over_turns(o);
    for (size_t x = 0; x < o->plan->graph->n_tensors; x++) {
        if (!has_write(o, x)) continue;
        for (uint32_t i = o->first_access[x]; i < o->first_access[x + 1]; i++)
            for (uint32_t k = i + 1; k < o->first_access[x + 1]; k++) {
                if (!must_follow(&o->accesses[k], &o->accesses[i])) continue;
                add_follower(o, o->accesses[i].step, o->accesses[k].step);
            }
    }
}

static tuff_status find_followers(orderer *o)
{
    collect_accesses(o);
    go_over_followers(o);
    for (uint32_t s = 0; s < o->n; s++)
        o->first_follower[s + 1] += o->first_follower[s];
    o->followers = tuff_alloc_array((size_t)o->first_follower[o->n] + 1, sizeof *o->followers);
    if (!o->followers) return tuff_fail_memory("ordering a plan");
    go_over_followers(o);
    memmove(o->first_follower + 1, o->first_follower, o->n * sizeof *o->first_follower);
    o->first_follower[0] = 0;
    return TUFF_OK;
}

/* ---- levels */

static bool is_host_step(const orderer *o, uint32_t s)
{
    return !o->steps[s].launch && !o->plan->caps.is_host;
}

static bool writes_variable(const tuff_plan_step *step)
{
    for (int i = 0; i < step->node->n_out; i++)
        if (step->node->out[i]->storage->kind == TUFF_TENSOR_VARIABLE) return true;
    return false;
}

enum { NO_LEVEL = UINT32_MAX };

/* Gives the next level to the first step that has none and to others within the window. */
static void fill_level(orderer *o, uint32_t first, uint32_t window)
{
    bool skipped = false;
    uint32_t end = o->n - first > window ? first + window : o->n;
    for (uint32_t s = first; s < end; s++) {
        if (o->level[s] != NO_LEVEL) continue;
        if (is_host_step(o, s) && s != first) break;
        if (o->pending[s] || (s == o->first_writer && skipped)) {
            skipped = true;
            continue;
        }
        o->level[s] = o->n_levels;
        if (is_host_step(o, s)) break;
    }
    for (uint32_t s = first; s < end; s++)
        if (o->level[s] == o->n_levels)
            for (uint32_t i = o->first_follower[s]; i < o->first_follower[s + 1]; i++)
                o->pending[o->followers[i]]--;
    o->n_levels++;
}

static void find_levels(orderer *o, uint32_t window)
{
    memset(o->pending, 0, o->n * sizeof *o->pending);
    for (uint32_t i = 0; i < o->first_follower[o->n]; i++)
        o->pending[o->followers[i]]++;
    for (uint32_t s = 0; s < o->n; s++)
        o->level[s] = NO_LEVEL;
    o->n_levels = 0;
    for (uint32_t s = 0; s < o->n; s++)
        if (o->level[s] == NO_LEVEL) fill_level(o, s, window);
}

/* ---- back down, where that takes less memory */

typedef struct span {
    uint32_t first, last;
    bool none;
} span;

static void widen(span *to, uint32_t level)
{
    to->first = to->none || level < to->first ? level : to->first;
    to->last = to->none || level > to->last ? level : to->last;
    to->none = false;
}

static double length(span of, uint32_t with)
{
    widen(&of, with);
    return (double)(of.last - of.first);
}

/* When others than the step use a result. */
static span used_by_others(const orderer *o, const tuff_tensor *storage, uint32_t step)
{
    span used = {.none = true};
    for (uint32_t i = o->first_access[storage->id]; i < o->first_access[storage->id + 1]; i++)
        if (o->accesses[i].step != step) widen(&used, o->level[o->accesses[i].step]);
    if (storage->output_name) widen(&used, o->n_levels);
    return used;
}

/* Scratch memory lives as long as its node's phases are under way. */
static span used_by_phases(const orderer *o, uint32_t s)
{
    const tuff_plan_step *step = &o->steps[s];
    span used = {.none = true};
    for (uint32_t i = s - step->phase; i < s - step->phase + step->n_phases; i++)
        if (i != s) widen(&used, o->level[i]);
    return used;
}

/* Bytes times levels that a step's operands take more of at `to` than at `from`. */
static double costs(const orderer *o, uint32_t s, uint32_t from, uint32_t to)
{
    const tuff_plan_step *step = &o->steps[s];
    const tuff_node *node = step->node;
    double sum = 0;
    bool write;
    for (int i = 0; i < node->n_in + node->n_out; i++) {
        const tuff_tensor *x = operand(node, i, &write);
        if (!x || x->storage->kind != TUFF_TENSOR_RESULT) continue;
        bool again = false;
        for (int k = 0; k < i && !again; k++) {
            const tuff_tensor *before = operand(node, k, &write);
            again = before && before->storage == x->storage;
        }
        if (again) continue;
        span others = used_by_others(o, x->storage, s);
        sum += (length(others, to) - length(others, from)) * (double)tuff_tensor_bytes(x->storage);
    }
    if (step->n_phases > 1 && step->whole) {
        span others = used_by_phases(o, s);
        sum += (length(others, to) - length(others, from)) * (double)step->whole->scratch_bytes;
    }
    return sum;
}

/* Costs change their slope only where another operand begins to live longer. */
static uint32_t cheapest(const orderer *o, uint32_t s, uint32_t from, uint32_t latest)
{
    const tuff_node *node = o->steps[s].node;
    uint32_t best = latest;
    double least = costs(o, s, from, latest);
    for (int i = 0; i < node->n_in; i++) {
        const tuff_tensor *x = node->in[i];
        if (!x || x->storage->kind != TUFF_TENSOR_RESULT) continue;
        span others = used_by_others(o, x->storage, s);
        if (others.none || others.last <= from || others.last >= latest) continue;
        double cost = costs(o, s, from, others.last);
        if (cost < least) {
            least = cost;
            best = others.last;
        }
    }
    return least < 0 ? best : from;
}

/* The graph has a step no later than after the last level of those before it. */
static void find_latest(orderer *o)
{
    uint32_t last = 0;
    for (uint32_t s = 0; s < o->n; s++) {
        o->latest[s] = last > o->level[s] ? last : o->level[s];
        last = o->latest[s];
    }
}

static void sink(orderer *o)
{
    find_latest(o);
    for (uint32_t s = o->n; s-- > 0;) {
        uint32_t latest = o->latest[s], from = o->level[s];
        for (uint32_t i = o->first_follower[s]; i < o->first_follower[s + 1]; i++)
            if (o->level[o->followers[i]] <= latest) latest = o->level[o->followers[i]] - 1;
        if (latest <= from || is_host_step(o, s)) continue;
        o->level[s] = cheapest(o, s, from, latest);
    }
}

/* ---- the plan */

/* Puts the steps in the order of their levels, within one as the graph has them. */
static void arrange(orderer *o)
{
    uint32_t *place = o->latest; /* by level; there are no more levels than steps */
    memset(place, 0, o->n * sizeof *place);
    for (uint32_t s = 0; s < o->n; s++)
        if (o->level[s] + 1 < o->n_levels) place[o->level[s] + 1]++;
    for (uint32_t level = 1; level < o->n_levels; level++)
        place[level] += place[level - 1];
    for (uint32_t s = 0; s < o->n; s++) {
        tuff_plan_step *to = &o->plan->steps[place[o->level[s]]++];
        *to = o->steps[s];
        to->level = o->level[s];
    }
}

static size_t count_barriers(const tuff_plan *plan)
{
    size_t n = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        n += plan->steps[s].barrier;
    return n;
}

static tuff_status lay_out(tuff_plan *plan, const tuff_plan_options *options)
{
    TUFF_TRY(tuff_plan_memory(plan, options));
    TUFF_TRY(tuff_plan_hazards(plan));
    plan->order.barriers = count_barriers(plan);
    return TUFF_OK;
}

static tuff_status by_levels(orderer *o, const tuff_plan_options *options)
{
    tuff_plan *plan = o->plan;
    const uint32_t windows[] = {o->n, 256, 64, 16};
    const uint64_t least = plan->order.graph_arena_bytes, part = least / MOST_GROWTH;
    const uint64_t most = least + (part > MOST_GROWTH_BYTES ? part : MOST_GROWTH_BYTES);
    TUFF_TRY(find_followers(o));
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        if (i > 0 && windows[i] >= o->n) continue;
        find_levels(o, windows[i]);
        sink(o);
        arrange(o);
        TUFF_TRY(lay_out(plan, options));
        plan->order.by_levels =
            plan->arena_bytes <= most && plan->order.barriers < plan->order.graph_barriers;
        if (plan->order.by_levels) return TUFF_OK;
    }
    memcpy(plan->steps, o->steps, o->n * sizeof *o->steps);
    return lay_out(plan, options);
}

static tuff_status begin(orderer *o)
{
    const tuff_plan *plan = o->plan;
    size_t n_operands = 0;
    for (uint32_t s = 0; s < o->n; s++)
        n_operands += (size_t)(plan->steps[s].node->n_in + plan->steps[s].node->n_out);
    o->steps = tuff_alloc_array(o->n, sizeof *o->steps);
    o->accesses = tuff_alloc_array(n_operands + 1, sizeof *o->accesses);
    o->first_access = tuff_alloc_array(plan->graph->n_tensors + 1, sizeof *o->first_access);
    o->first_follower = tuff_alloc_array((size_t)o->n + 1, sizeof *o->first_follower);
    o->pending = tuff_alloc_array(o->n, sizeof *o->pending);
    o->level = tuff_alloc_array(o->n, sizeof *o->level);
    o->latest = tuff_alloc_array(o->n, sizeof *o->latest);
    if (!o->steps || !o->accesses || !o->first_access || !o->first_follower || !o->pending || !o->level ||
        !o->latest)
        return tuff_fail_memory("ordering a plan");
    memcpy(o->steps, plan->steps, o->n * sizeof *o->steps);
    for (o->first_writer = 0; o->first_writer < o->n; o->first_writer++)
        if (writes_variable(&o->steps[o->first_writer])) break;
    return TUFF_OK;
}

tuff_status tuff_plan_order(tuff_plan *plan, const tuff_plan_options *options)
{
    for (size_t s = 0; s < plan->n_steps; s++)
        plan->steps[s].level = (uint32_t)s;
    TUFF_TRY(lay_out(plan, options));
    plan->order.graph_barriers = plan->order.barriers;
    plan->order.graph_arena_bytes = plan->arena_bytes;
    bool wanted =
        options->order == TUFF_ORDER_AUTO ? !plan->caps.is_host : options->order == TUFF_ORDER_LEVELS;
    if (!wanted || plan->n_steps < 2) return TUFF_OK;
    orderer o = {.plan = plan, .n = (uint32_t)plan->n_steps};
    tuff_status status = begin(&o);
    if (status == TUFF_OK) status = by_levels(&o, options);
    tuff_free(o.steps);
    tuff_free(o.accesses);
    tuff_free(o.first_access);
    tuff_free(o.followers);
    tuff_free(o.first_follower);
    tuff_free(o.pending);
    tuff_free(o.level);
    tuff_free(o.latest);
    return status;
}
