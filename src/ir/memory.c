/* The memory plan: lifetimes of results become offsets in arena blocks.
 *
 * Results that share memory (views, in-place updates, outputs that take over a dying input) form one group
 * with one lifetime. Lifetimes are counted in levels, so that reuse makes no step wait for another of its
 * level. Groups are placed by decreasing size, then again by time of birth, each at the lowest offset that is
 * free during its life; the smaller arena of the two wins. */
#include <stdlib.h>
#include <string.h>

#include "ir/plan.h"

enum { ALIGNMENT = 64, LAST_LEVEL = 0x7fffffff };

typedef struct group {
    uint64_t size, offset;
    uint32_t block;
    int first, last;            /* levels */
    const tuff_node *last_user; /* NULL: whoever reads the plan's results */
    int others;                 /* the last level at which another node looks at it; -1: none does */
    int parent;                 /* union-find; itself when a root */
    bool used;
} group;

struct key;

typedef struct planner {
    tuff_plan *plan;
    group *groups; /* by tensor id of the storage; scratch of node i at n_tensors + i */
    size_t n;
    uint64_t limit;
    struct key *order; /* roots in placing order */
    size_t n_order;
    int *placed; /* roots already placed, by block and offset */
    size_t n_placed;
    uint64_t *blocks;
    size_t n_blocks;
} planner;

typedef struct key {
    uint64_t size;
    int first, root;
} key;

static int find(const planner *p, int i)
{
    while (p->groups[i].parent != i)
        i = p->groups[i].parent;
    return i;
}

/* By levels that do not descend. */
static void touch(group *g, const tuff_plan_step *step)
{
    int level = (int)step->level;
    if (!g->used) {
        g->first = level;
        g->others = -1;
    } else if (g->last_user != step->node) {
        g->others = g->last;
    }
    g->used = true;
    g->last = level;
    g->last_user = step->node;
}

/* In the arena: results' own storages. */
static int group_of(const planner *p, const tuff_tensor *x)
{
    return x && x->storage->kind == TUFF_TENSOR_RESULT ? find(p, (int)x->storage->id) : -1;
}

static void lifetimes(planner *p)
{
    const tuff_graph *g = p->plan->graph;
    for (size_t i = 0; i < p->n; i++)
        p->groups[i] = (group){.parent = (int)i};
    for (size_t s = 0; s < p->plan->n_steps; s++) {
        const tuff_plan_step *step = &p->plan->steps[s];
        for (int k = 0; k < step->node->n_in + step->node->n_out; k++) {
            const tuff_tensor *x =
                k < step->node->n_in ? step->node->in[k] : step->node->out[k - step->node->n_in];
            int i = group_of(p, x);
            if (i < 0) continue;
            touch(&p->groups[i], step);
            p->groups[i].size = tuff_tensor_bytes(x->storage);
        }
        uint64_t scratch = step->launch ? step->launch->scratch_bytes
                                        : (step->op->cpu_scratch ? step->op->cpu_scratch(step->node) : 0);
        if (scratch) {
            group *own = &p->groups[g->n_tensors + step->node->id];
            own->size = scratch;
            touch(own, step);
        }
    }
    for (size_t i = 0; i < p->plan->n_outputs; i++) {
        int k = group_of(p, p->plan->outputs[i].tensor);
        if (k < 0) continue;
        p->groups[k].last = LAST_LEVEL;
        p->groups[k].last_user = NULL;
    }
}

/* May the output `o` of the step's node take over input `i`? Its last use, at a level of its own, whole,
 * contiguous, the same size, and no other operand of the node looks at that memory under another shape. */
static bool can_alias(const planner *p, const tuff_plan_step *step, int o, int i)
{
    const tuff_tensor *out = step->node->out[o], *in = step->node->in[i];
    if (!in || out->storage != out || in->storage->kind != TUFF_TENSOR_RESULT) return false;
    if (!tuff_tensor_contiguous(in) || in->offset != 0 || tuff_tensor_bytes(in) != tuff_tensor_bytes(out) ||
        tuff_tensor_bytes(in->storage) != tuff_tensor_bytes(in) || in->dtype != out->dtype)
        return false;
    int root = group_of(p, in);
    const group *g = &p->groups[root];
    if (g->last_user != step->node || g->others >= (int)step->level || g->size != tuff_tensor_bytes(in))
        return false;
    for (int k = 0; k < step->node->n_in; k++)
        if (k != i && step->node->in[k] && group_of(p, step->node->in[k]) == root &&
            !(tuff_tensor_contiguous(step->node->in[k]) &&
              tuff_shape_equal(&step->node->in[k]->shape, &in->shape)))
            return false;
    for (int k = 0; k < step->node->n_out; k++)
        if (k != o && group_of(p, step->node->out[k]) == root) return false; /* taken, or updated in place */
    return true;
}

static void alias_outputs(planner *p)
{
    for (size_t s = 0; s < p->plan->n_steps; s++) {
        const tuff_plan_step *step = &p->plan->steps[s];
        if (step->phase > 0) continue;
        for (int o = 0; o < step->node->n_out && o < 3; o++)
            for (int i = 0; i < step->node->n_in && i < 32; i++) {
                if (!(step->op->may_alias[o] >> i & 1u) || !can_alias(p, step, o, i)) continue;
                int from = group_of(p, step->node->out[o]), to = group_of(p, step->node->in[i]);
                p->groups[from].parent = to;
                p->groups[to].last = p->groups[from].last;
                p->groups[to].last_user = p->groups[from].last_user;
                if (p->groups[from].others > p->groups[to].others)
                    p->groups[to].others = p->groups[from].others;
                break;
            }
    }
}

static int by_size(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->root - y->root;
}

static int by_birth(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->size != y->size ? (x->size > y->size ? -1 : 1) : x->root - y->root;
}

static uint64_t aligned(uint64_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The lowest offset in `block` that is free during g's life. Placed groups are sorted by block and offset. */
static uint64_t lowest_offset(const planner *p, const group *g, uint32_t block, bool no_reuse)
{
    uint64_t at = 0;
    for (size_t i = 0; i < p->n_placed; i++) {
        const group *other = &p->groups[p->placed[i]];
        if (other->block != block) continue;
        if (!no_reuse && (other->last < g->first || g->last < other->first)) continue;
        if (other->offset >= at + aligned(g->size)) return at;
        if (other->offset + aligned(other->size) > at) at = other->offset + aligned(other->size);
    }
    return at;
}

static void insert_placed(planner *p, int root)
{
    const group *g = &p->groups[root];
    size_t i = p->n_placed++;
    for (; i > 0; i--) {
        const group *before = &p->groups[p->placed[i - 1]];
        if (before->block < g->block || (before->block == g->block && before->offset <= g->offset)) break;
        p->placed[i] = p->placed[i - 1];
    }
    p->placed[i] = root;
}

static uint64_t place_all(planner *p, bool no_reuse)
{
    p->n_placed = p->n_blocks = 0;
    for (size_t i = 0; i < p->n_order; i++) {
        group *g = &p->groups[p->order[i].root];
        for (g->block = 0;; g->block++) {
            if (g->block == p->n_blocks) p->blocks[p->n_blocks++] = 0;
            g->offset = lowest_offset(p, g, g->block, no_reuse);
            if (g->offset + aligned(g->size) <= p->limit) break;
        }
        if (g->offset + aligned(g->size) > p->blocks[g->block])
            p->blocks[g->block] = g->offset + aligned(g->size);
        insert_placed(p, p->order[i].root);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < p->n_blocks; i++)
        total += p->blocks[i];
    return total;
}

static tuff_status collect(planner *p)
{
    const tuff_graph *g = p->plan->graph;
    for (size_t i = 0; i < p->n; i++) {
        const group *root = &p->groups[i];
        if (!root->used || root->parent != (int)i) continue;
        if (aligned(root->size) > p->limit) {
            const tuff_tensor *x = i < g->n_tensors ? g->tensors[i] : NULL;
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "a result of %s %s needs %llu bytes, but the device allows %llu in one allocation; use a "
                "smaller batch or a shorter block",
                x && x->producer ? tuff_op_name(x->producer->op) : "a step's scratch",
                x ? tuff_shape_text(&x->shape) : "", (unsigned long long)root->size,
                (unsigned long long)p->limit);
        }
        p->order[p->n_order++] = (key){root->size, root->first, (int)i};
    }
    return TUFF_OK;
}

/* The most bytes alive at any one level: no arena can be smaller. */
static uint64_t lower_bound(const planner *p)
{
    uint64_t most = 0;
    const tuff_plan *plan = p->plan;
    uint32_t n_levels = plan->n_steps ? plan->steps[plan->n_steps - 1].level + 1 : 0;
    for (uint32_t level = 0; level < n_levels; level++) {
        uint64_t live = 0;
        for (size_t i = 0; i < p->n_order; i++) {
            const group *g = &p->groups[p->order[i].root];
            if (g->first <= (int)level && (int)level <= g->last) live += g->size;
        }
        if (live > most) most = live;
    }
    return most;
}

void tuff_tensor_reach(const tuff_tensor *x, uint64_t *out_begin, uint64_t *out_end)
{
    int64_t reach = 0;
    for (int i = 0; i < x->shape.rank; i++)
        reach += (x->shape.dim[i] - 1) * x->stride[i];
    *out_begin = tuff_dtype_bytes(x->dtype, x->offset);
    *out_end = *out_begin + tuff_dtype_bytes(x->dtype, reach + 1);
}

static void locate(const planner *p, const tuff_tensor *x, tuff_location *out)
{
    *out = (tuff_location){.kind = TUFF_MEMORY_NONE};
    if (!x) return;
    uint64_t base = 0;
    const tuff_tensor *root = x->storage;
    if (root->kind == TUFF_TENSOR_RESULT) {
        const group *g = &p->groups[find(p, (int)root->id)];
        out->kind = TUFF_MEMORY_ARENA;
        out->index = g->block;
        base = g->offset;
    } else if (root->kind == TUFF_TENSOR_VARIABLE) {
        out->kind = TUFF_MEMORY_VARIABLE;
        while (p->plan->variables[out->index].tensor != root)
            out->index++;
    } else {
        out->kind = TUFF_MEMORY_INPUT;
        while (p->plan->inputs[out->index].tensor != root)
            out->index++;
        base = p->plan->inputs[out->index].offset;
    }
    tuff_tensor_reach(x, &out->begin, &out->end);
    out->begin += base;
    out->end += base;
    out->offset = out->begin;
}

static void locate_all(planner *p)
{
    tuff_plan *plan = p->plan;
    for (size_t s = 0; s < plan->n_steps; s++) {
        tuff_plan_step *step = &plan->steps[s];
        for (int i = 0; i < step->node->n_in; i++)
            locate(p, step->node->in[i], &step->in[i]);
        for (int i = 0; i < step->node->n_out; i++)
            locate(p, step->node->out[i], &step->out[i]);
        const group *scratch = &p->groups[plan->graph->n_tensors + step->node->id];
        if (scratch->used)
            step->scratch = (tuff_location){TUFF_MEMORY_ARENA, scratch->block, scratch->offset,
                                            scratch->offset, scratch->offset + scratch->size};
    }
    for (size_t i = 0; i < plan->n_outputs; i++)
        locate(p, plan->outputs[i].tensor, &plan->outputs[i].location);
}

static tuff_status plan_memory(planner *p, const tuff_plan_options *options)
{
    lifetimes(p);
    if (!options->no_alias && !options->no_reuse) alias_outputs(p);
    TUFF_TRY(collect(p));
    qsort(p->order, p->n_order, sizeof *p->order, by_birth);
    uint64_t birth = place_all(p, options->no_reuse);
    qsort(p->order, p->n_order, sizeof *p->order, by_size);
    uint64_t size = place_all(p, options->no_reuse);
    if (birth < size) {
        qsort(p->order, p->n_order, sizeof *p->order, by_birth);
        size = place_all(p, options->no_reuse);
    }
    tuff_plan *plan = p->plan;
    plan->blocks = tuff_arena_array(&plan->arena, p->n_blocks + 1, sizeof *plan->blocks);
    if (!plan->blocks) return tuff_fail_memory("a memory plan");
    memcpy(plan->blocks, p->blocks, p->n_blocks * sizeof *plan->blocks);
    plan->n_blocks = p->n_blocks;
    plan->arena_bytes = size;
    plan->live_bytes = lower_bound(p);
    locate_all(p);
    return TUFF_OK;
}

tuff_status tuff_plan_memory(tuff_plan *plan, const tuff_plan_options *options)
{
    planner p = {.plan = plan, .n = plan->graph->n_tensors + plan->graph->n_nodes};
    p.limit = options->max_block ? options->max_block : plan->caps.max_allocation;
    if (!p.limit) p.limit = UINT64_MAX / 2;
    p.groups = tuff_alloc_array(p.n, sizeof *p.groups);
    p.order = tuff_alloc_array(p.n, sizeof *p.order);
    p.placed = tuff_alloc_array(p.n, sizeof *p.placed);
    p.blocks = tuff_alloc_array(p.n + 1, sizeof *p.blocks);
    bool ok = p.groups && p.order && p.placed && p.blocks;
    tuff_status status = ok ? plan_memory(&p, options) : tuff_fail_memory("a memory plan");
    tuff_free(p.groups);
    tuff_free(p.order);
    tuff_free(p.placed);
    tuff_free(p.blocks);
    return status;
}
