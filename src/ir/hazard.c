/* Hazards: which steps must wait. A barrier orders everything before it against everything after it, so the
 * fewest barriers come from placing one just before the first step that conflicts with any step since the
 * last. */
#include "ir/plan.h"

static bool overlap(const tuff_location *a, const tuff_location *b)
{
    if (a->kind != b->kind || a->index != b->index) return false;
    if (a->kind != TUFF_MEMORY_ARENA && a->kind != TUFF_MEMORY_VARIABLE) return false;
    return a->begin < b->end && b->begin < a->end;
}

static bool any_overlap(const tuff_location *a, int n_a, const tuff_location *b, int n_b)
{
    for (int i = 0; i < n_a; i++)
        for (int k = 0; k < n_b; k++)
            if (overlap(&a[i], &b[k])) return true;
    return false;
}

bool tuff_steps_conflict(const tuff_plan_step *earlier, const tuff_plan_step *later)
{
    int e_in = earlier->node->n_in, e_out = earlier->node->n_out;
    int l_in = later->node->n_in, l_out = later->node->n_out;
    return any_overlap(earlier->out, e_out, later->in, l_in) ||   /* read after write */
           any_overlap(earlier->in, e_in, later->out, l_out) ||   /* write after read */
           any_overlap(earlier->out, e_out, later->out, l_out) || /* write after write */
           any_overlap(&earlier->scratch, 1, later->in, l_in) ||
           any_overlap(&earlier->scratch, 1, later->out, l_out) ||
           any_overlap(&earlier->scratch, 1, &later->scratch, 1) ||
           any_overlap(earlier->in, e_in, &later->scratch, 1) ||
           any_overlap(earlier->out, e_out, &later->scratch, 1);
}

tuff_status tuff_plan_hazards(tuff_plan *plan)
{
    size_t since = 0; /* the first step after the last barrier */
    for (size_t i = 0; i < plan->n_steps; i++) {
        plan->steps[i].barrier = false;
        for (size_t k = since; k < i && !plan->steps[i].barrier; k++)
            if (tuff_steps_conflict(&plan->steps[k], &plan->steps[i])) {
                plan->steps[i].barrier = true;
                since = i;
            }
    }
    return TUFF_OK;
}
