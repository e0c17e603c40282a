/* Kernels that promise it give the same bits for an entry of a batch whatever else is in it. */
#include <string.h>

#include "conform/runner.h"
#include "ir/op.h"

/* A case run twice: alone with n entries, and with more around them. */
typedef struct pair {
    const tuff_suite *suite;
    const tuff_case *c;
    tuff_build_options build;
    const int *force;
    tuff_outcome *outcome;
    int axis;              /* the parameter that is the number of entries */
    int64_t n, more, skip; /* entries alone, in all, and before those that are compared */
} pair;

enum { MOST_STEPS = 8 };

/* What served a plan; the two plans must agree. */
typedef struct served {
    const tuff_suite *suite;
    size_t kernels[MOST_STEPS]; /* tuff_rows_index of each step */
    size_t n;
    bool promised; /* by every step but those that make integers */
    tuff_blame blame;
} served;

/* Makes numbers of rows and the like: exact, and no part of them an entry's. */
static bool makes_integers(const tuff_node *node)
{
    for (int o = 0; o < node->n_out; o++)
        if (tuff_dtype_is_float(node->out[o]->dtype)) return false;
    return true;
}

static void look(tuff_plan *plan, void *context)
{
    served *s = context;
    if (s->suite->hook != NULL) s->suite->hook(plan, s->suite->hook_context);
    tuff_blame_plan(&s->blame, plan);
    s->promised = plan->n_steps > 0 && plan->n_steps <= MOST_STEPS;
    for (size_t i = 0; i < plan->n_steps && s->promised; i++) {
        const tuff_plan_step *step = &plan->steps[i];
        const bool promises = tuff_is_batch_free(tuff_op_info_of(step->node->op), step->row);
        if (!promises && makes_integers(step->node)) continue;
        s->kernels[s->n++] = tuff_rows_index(step->node->op, step->row);
        s->promised = promises;
    }
}

static tuff_status build(const pair *p, int64_t entries, tuff_case_run **out_run)
{
    tuff_case resized = *p->c;
    resized.p[p->axis] = entries;
    return tuff_case_build(&resized, &p->build, out_run);
}

/* Gives the leaves of `alone` the values that their entries have among more. */
static tuff_status cut(const pair *p, tuff_case_run *alone, const tuff_case_run *among)
{
    if (alone->n_leaves != among->n_leaves || alone->n_checks != among->n_checks)
        return tuff_fail(TUFF_INTERNAL, "the case is another one with a larger batch");
    for (size_t i = 0; i < alone->n_leaves; i++) {
        if (alone->leaves[i].tensor->kind == TUFF_TENSOR_INPUT)
            continue; /* what there is, not what is in it */
        int64_t few = tuff_tensor_count(alone->leaves[i].tensor),
                many = tuff_tensor_count(among->leaves[i].tensor), first = 0;
        if (few != many) {
            if (few * p->more != many * p->n)
                return tuff_fail(TUFF_INTERNAL,
                                 "leaf %zu of the case has no part for each entry of its batch", i);
            first = p->skip * (few / p->n);
        }
        memcpy(alone->leaves[i].values, among->leaves[i].values + first, (size_t)few * sizeof(double));
        if (alone->leaves[i].blocks != NULL)
            memcpy(alone->leaves[i].blocks,
                   among->leaves[i].blocks + tuff_dtype_bytes(alone->leaves[i].tensor->dtype, first),
                   tuff_tensor_bytes(alone->leaves[i].tensor));
    }
    return TUFF_OK;
}

static void compare(const pair *p, const tuff_run_results *alone, const tuff_run_results *among)
{
    for (size_t i = 0; i < alone->n; i++) {
        uint64_t entry = alone->bytes[i] / (uint64_t)p->n;
        if (entry * (uint64_t)p->more != among->bytes[i]) {
            tuff_outcome_fault(p->outcome, TUFF_VERDICT_ERROR,
                               "result %zu of the case has no part for each entry of its batch", i);
            return;
        }
        for (int64_t k = 0; k < p->n; k++)
            if (memcmp(alone->data[i] + (uint64_t)k * entry, among->data[i] + (uint64_t)(p->skip + k) * entry,
                       entry) != 0) {
                tuff_outcome_fault(p->outcome, TUFF_VERDICT_BATCH,
                                   "result %zu: the bits of entry %lld of %lld differ where it is entry %lld "
                                   "of %lld",
                                   i, (long long)k, (long long)p->n, (long long)(p->skip + k),
                                   (long long)p->more);
                return;
            }
    }
}

static bool execute(const pair *p, tuff_case_run *run, tuff_run_results *results, served *kernels)
{
    *kernels = (served){.suite = p->suite};
    const tuff_run_options options = {.isolate = true,
                                      .once = true,
                                      .force_row = p->force,
                                      .out_results = results,
                                      .hook = look,
                                      .hook_context = kernels};
    tuff_case_execute(run, NULL, p->suite->device, &options, p->outcome, NULL);
    return p->outcome->verdict == TUFF_VERDICT_HELD;
}

static bool same_kernels(const served *a, const served *b)
{
    return a->promised && b->promised && a->n == b->n &&
           memcmp(a->kernels, b->kernels, a->n * sizeof *a->kernels) == 0;
}

/* True when the same kernels served both and all of them promise it. */
static bool run_pair(const pair *p)
{
    bool compared = false;
    tuff_case_run *alone = NULL, *among = NULL;
    tuff_run_results results[2] = {{0}};
    served kernels[2] = {{0}};
    tuff_status status = build(p, p->n, &alone);
    if (status == TUFF_OK) status = build(p, p->more, &among);
    if (status == TUFF_OK) status = cut(p, alone, among);
    if (status != TUFF_OK)
        tuff_outcome_fault(p->outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
    else if (execute(p, alone, &results[0], &kernels[0]) && kernels[0].promised &&
             execute(p, among, &results[1], &kernels[1]) && same_kernels(&kernels[0], &kernels[1])) {
        compared = true;
        compare(p, &results[0], &results[1]);
        if (p->outcome->verdict != TUFF_VERDICT_HELD) {
            p->outcome->blame = kernels[0].blame;
            kernels[0].blame = (tuff_blame){0};
        }
        for (size_t i = 0; p->suite->coverage != NULL && i < kernels[0].n; i++)
            p->suite->coverage->rows[kernels[0].kernels[i]].batches++;
    }
    for (int i = 0; i < 2; i++) {
        tuff_run_results_free(&results[i]);
        tuff_blame_free(&kernels[i].blame);
    }
    tuff_case_destroy(&alone);
    tuff_case_destroy(&among);
    return compared;
}

void tuff_batch_check(const tuff_suite *suite, const tuff_case *c, const tuff_case_run *built,
                      const int *force, tuff_outcome *outcome)
{
    if (built->batch_param < 0 || outcome->verdict != TUFF_VERDICT_HELD) return;
    int64_t n = c->p[built->batch_param];
    pair p = {.suite = suite,
              .c = c,
              .build = {.seed = built->seed},
              .force = force,
              .outcome = outcome,
              .axis = built->batch_param,
              .n = n};
    /* many on both sides; one more before, also where that many are served by another kernel */
    const int64_t more[2] = {2 * n + 3, n + 1}, skip[2] = {n / 2 + 1, 1};
    for (int i = 0; i < 2 && outcome->verdict == TUFF_VERDICT_HELD; i++) {
        p.more = more[i];
        p.skip = skip[i];
        if (run_pair(&p) && !suite->full) break;
    }
}
