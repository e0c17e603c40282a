/* The optimizer's counts of steps, one for each phase of unfreezing, where a training goes on with other
 * phases than its checkpoint had. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "formats/safetensors.h"
#include "train/checkpoint.h"

enum { NONE = -1 };

static const char *text_of(const cJSON *settings, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(settings, key);
    return cJSON_IsString(item) && *item->valuestring ? item->valuestring : NULL;
}

/* What was trained then. How long its epochs were changes no phase's number. */
static tuff_status select_then(const tuff_checkpoint *c, const tuff_trainer *t, tuff_trained_set *out)
{
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(c->own, "settings");
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(settings, "unfreeze_top_layers");
    const tuff_trained_set_params p = {.freeze = text_of(settings, "freeze"),
                                       .train_only = text_of(settings, "train_only"),
                                       .schedule = text_of(settings, "unfreeze_schedule"),
                                       .top_layers =
                                           cJSON_IsNumber(layers) ? (int64_t)layers->valuedouble : 0,
                                       .epoch_steps = 1,
                                       .total_steps = INT64_MAX};
    return tuff_note(tuff_trainer_select(t, &p, out), "%s", c->state);
}

/* The steps that a phase of the checkpoint counted. */
static tuff_status steps_of(const tuff_weights *states, int phase, double *out_steps)
{
    float state[4] = {0, 0, 0, 0};
    const tuff_weight *weight =
        phase == NONE ? NULL : tuff_weights_find(states, tuff_optimizer_counter(phase).text);
    if (weight && weight->storage == TUFF_STORE_F32 && tuff_weight_elements(weight) == 4)
        TUFF_TRY(tuff_weight_stored_part(weight, 0, sizeof state, state));
    *out_steps = (double)state[0];
    return TUFF_OK;
}

static tuff_status differ(const tuff_checkpoint *c, const tuff_trainer *t, size_t a, double steps_a, size_t b,
                          double steps_b)
{
    const char *x = tuff_lm_trained(&t->runs.lm, a).name, *y = tuff_lm_trained(&t->runs.lm, b).name;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s: there %s was trained for %.0f steps and %s for %.0f, but here both begin at once, and %s counts the "
        "steps of both as one: go on with the freeze, train_only, unfreeze_top_layers and unfreeze_schedule of "
        "the checkpoint, or begin a new training of what it holds",
        c->directory, x, steps_a, y, steps_b, t->runs.optimizer.optimizer->name);
}

/* `phases`: of each candidate, in the checkpoint. */
static tuff_status find(const tuff_checkpoint *c, const tuff_trainer *t, const tuff_weights *states,
                        const int *phases, int *out_then)
{
    const tuff_trained_set *now = &t->selected;
    for (int phase = 0; phase < now->phases; phase++) {
        size_t first = SIZE_MAX;
        double all = 0, steps;
        out_then[phase] = NONE;
        for (size_t i = 0; i < now->count; i++) {
            const int then = phases[now->items[i].candidate];
            if (now->items[i].phase != phase) continue;
            TUFF_TRY(steps_of(states, then, &steps));
            if (first == SIZE_MAX) {
                first = i;
                all = steps;
            }
            if (steps != all && t->runs.optimizer.optimizer->counts)
                return differ(c, t, first, all, i, steps);
            if (out_then[phase] == NONE) out_then[phase] = then;
        }
    }
    return TUFF_OK;
}

/* Of another optimizer nothing is taken, not even the count of its steps. */
bool tuff_checkpoint_same_optimizer(const tuff_checkpoint *c, const tuff_trainer *t)
{
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(c->own, "settings");
    const char *optim = text_of(settings, "optim");
    return optim && strcmp(optim, t->runs.optimizer.optimizer->name) == 0;
}

static tuff_status match(const tuff_checkpoint *c, const tuff_trainer *t, const tuff_weights *states,
                         int *phases, int *out_then)
{
    tuff_trained_set then = {.count = 0};
    for (size_t i = 0; i < tuff_lm_candidate_count(&t->runs.lm); i++)
        phases[i] = NONE;
    tuff_status status = select_then(c, t, &then);
    for (size_t i = 0; status == TUFF_OK && i < then.count; i++)
        phases[then.items[i].candidate] = then.items[i].phase;
    if (status == TUFF_OK) status = find(c, t, states, phases, out_then);
    tuff_trained_set_free(&then);
    return status;
}

tuff_status tuff_checkpoint_phases(const tuff_checkpoint *c, const tuff_trainer *t,
                                   const tuff_weights *states, int **out_then)
{
    const size_t now = (size_t)t->selected.phases;
    int *phases = tuff_alloc_array(tuff_lm_candidate_count(&t->runs.lm) + 1, sizeof *phases);
    int *then = *out_then = tuff_alloc_array(now, sizeof *then);
    tuff_status status = phases && then ? TUFF_OK : tuff_fail_memory("the phases of a training");
    for (size_t i = 0; then && i < now; i++)
        then[i] = NONE;
    if (status == TUFF_OK && tuff_checkpoint_same_optimizer(c, t)) status = match(c, t, states, phases, then);
    tuff_free(phases);
    return status;
}

tuff_status tuff_checkpoint_open_states(const tuff_checkpoint *c, tuff_weights **out_states)
{
    char *path = tuff_path_join(c->directory, TUFF_CHECKPOINT_OPTIMIZER);
    *out_states = NULL;
    if (!path) return tuff_fail_memory("a path");
    const tuff_status status = tuff_safetensors_open(path, out_states);
    tuff_free(path);
    return status;
}

tuff_status tuff_checkpoint_check_phases(const tuff_checkpoint *c, const tuff_trainer *t)
{
    tuff_weights *states = NULL;
    int *then = NULL;
    tuff_status status = tuff_checkpoint_open_states(c, &states);
    if (status == TUFF_OK) status = tuff_checkpoint_phases(c, t, states, &then);
    tuff_free(then);
    tuff_weights_destroy(&states);
    return status;
}
