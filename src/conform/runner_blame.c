/* Which kernel is at fault where a case fails: each of those that took part is run with all others on the
 * host. */
#include <stdio.h>
#include <string.h>

#include "conform/runner.h"
#include "ir/op.h"

enum { MOST_LAUNCHES = 32 };

void tuff_blame_free(tuff_blame *blame)
{
    tuff_free(blame->launches);
    tuff_free(blame->kernels);
    *blame = (tuff_blame){0};
}

void tuff_outcome_free(tuff_outcome *outcome)
{
    tuff_buf_free(&outcome->message);
    tuff_blame_free(&outcome->blame);
}

static void add_kernel(tuff_blame *blame, size_t kernel)
{
    for (size_t i = 0; i < blame->n_kernels; i++)
        if (blame->kernels[i] == kernel) return;
    if (tuff_grow((void **)&blame->kernels, blame->n_kernels, &blame->kernels_capacity,
                  sizeof *blame->kernels))
        blame->kernels[blame->n_kernels++] = kernel;
}

static bool same_launch(const tuff_dispatch *a, const tuff_dispatch *b)
{
    return a->shader == b->shader && a->n_spec == b->n_spec &&
           memcmp(a->spec, b->spec, (size_t)a->n_spec * sizeof *a->spec) == 0 &&
           memcmp(a->groups, b->groups, sizeof a->groups) == 0;
}

static void add_launch(tuff_blame *blame, size_t kernel, const tuff_dispatch *dispatch)
{
    if (blame->n_launches == MOST_LAUNCHES) return;
    for (size_t i = 0; i < blame->n_launches; i++)
        if (blame->launches[i].kernel == kernel && same_launch(&blame->launches[i].dispatch, dispatch))
            return;
    if (!tuff_grow((void **)&blame->launches, blame->n_launches, &blame->launches_capacity,
                   sizeof *blame->launches))
        return;
    tuff_blamed_launch *launch = &blame->launches[blame->n_launches++];
    *launch = (tuff_blamed_launch){.kernel = kernel};
    launch->dispatch.shader = dispatch->shader;
    launch->dispatch.n_spec = dispatch->n_spec;
    memcpy(launch->dispatch.spec, dispatch->spec, sizeof dispatch->spec);
    memcpy(launch->dispatch.groups, dispatch->groups, sizeof dispatch->groups);
}

void tuff_blame_plan(tuff_blame *blame, const tuff_plan *plan)
{
    if (blame->n_kernels > 0) return;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        size_t kernel = tuff_rows_index(step->node->op, step->row);
        add_kernel(blame, kernel);
        for (size_t i = 0; step->launch != NULL && i < step->launch->n; i++)
            add_launch(blame, kernel, step->launch->dispatches[i]);
    }
    blame->n_plan_kernels = blame->n_kernels;
}

static tuff_op op_of(size_t kernel)
{
    return (tuff_op)(kernel / (TUFF_MAX_ROWS + 1));
}

static int row_of(size_t kernel)
{
    return (int)(kernel % (TUFF_MAX_ROWS + 1)) - 1;
}

/* True when the case fails with this kernel and no other. */
static bool fails_alone(const tuff_suite *suite, const tuff_case *c, const tuff_build_options *build,
                        const tuff_expected *expected, size_t kernel)
{
    int force[TUFF_OP_COUNT];
    for (int i = 0; i < TUFF_OP_COUNT; i++)
        force[i] = i == (int)op_of(kernel) ? row_of(kernel) : TUFF_ROW_HOST;
    const tuff_run_options options = {.isolate = true,
                                      .force_row = force,
                                      .host_steps = true,
                                      .hook = suite->hook,
                                      .hook_context = suite->hook_context};
    tuff_outcome outcome = {0};
    tuff_case_run *run = NULL;
    if (tuff_case_build(c, build, &run) == TUFF_OK)
        tuff_case_execute(run, expected, suite->device, &options, &outcome, NULL);
    bool failed = outcome.verdict != TUFF_VERDICT_HELD && outcome.status == TUFF_OK;
    tuff_case_destroy(&run);
    tuff_outcome_free(&outcome);
    return failed;
}

static bool is_kept(const tuff_blame *blame, size_t kernel)
{
    for (size_t i = 0; i < blame->n_kernels; i++)
        if (blame->kernels[i] == kernel) return true;
    return false;
}

void tuff_blame_search(const tuff_suite *suite, const tuff_case *c, const tuff_build_options *build,
                       const tuff_expected *expected, tuff_outcome *outcome)
{
    tuff_blame *blame = &outcome->blame;
    if (blame->n_kernels == 1) blame->found = true;
    if (blame->n_kernels <= 1 || suite->device->caps.is_host || outcome->status != TUFF_OK) return;
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < blame->n_kernels; i++) /* the guilty move to the front */
        if (row_of(blame->kernels[i]) >= 0 && fails_alone(suite, c, build, expected, blame->kernels[i])) {
            size_t kernel = blame->kernels[i];
            blame->kernels[i] = blame->kernels[n];
            blame->kernels[n++] = kernel;
        }
    if (n == 0) return;
    blame->n_kernels = n;
    blame->found = true;
    for (size_t i = 0; i < blame->n_launches; i++)
        if (is_kept(blame, blame->launches[i].kernel)) blame->launches[kept++] = blame->launches[i];
    blame->n_launches = kept;
}

static void put_names(const tuff_blame *blame, tuff_buf *out)
{
    for (size_t i = 0; i < blame->n_kernels; i++) {
        char name[TUFF_KERNEL_NAME];
        tuff_buf_printf(out, "%s%s", i > 0 ? ", " : "", tuff_kernel_name(blame->kernels[i], name));
    }
}

const char *tuff_kernel_name(size_t kernel, char text[TUFF_KERNEL_NAME])
{
    const tuff_op_info *op = tuff_op_info_of(op_of(kernel));
    int row = row_of(kernel);
    snprintf(text, TUFF_KERNEL_NAME, "%.60s/%.60s", op->name, row < 0 ? "host" : op->rows[row].name);
    return text;
}

void tuff_blame_text(const tuff_suite *suite, const tuff_outcome *outcome, tuff_buf *out)
{
    const tuff_blame *blame = &outcome->blame;
    if (blame->n_kernels == 0) return;
    if (blame->found && blame->n_plan_kernels == 1) {
        put_names(blame, out);
        tuff_buf_text(out, " is the only kernel that took part");
    } else if (blame->found) {
        put_names(blame, out);
        tuff_buf_text(out, blame->n_kernels == 1 ? " is at fault: the case fails"
                                                 : " are each at fault: the case fails");
        tuff_buf_text(out, " with it while all other operations run on the host");
    } else {
        if (!suite->device->caps.is_host && outcome->status == TUFF_OK)
            tuff_buf_text(out, "no kernel makes it fail alone, with all others on the host; ");
        tuff_buf_text(out, "the kernels that took part: ");
        put_names(blame, out);
    }
}
