/* What optimizers share: finding one, the variables that it keeps, the step around its update. */
#include "train/optimizers/optimizer.h"

#include <stdio.h>
#include <string.h>

#include "ir/graph.h"

static const tuff_optimizer *const optimizers[] = {
#define TUFF_OPTIMIZER(name) &tuff_optimizer_##name,
#include "train/optimizers/optimizers.def"
#undef TUFF_OPTIMIZER
};
enum { OPTIMIZERS = sizeof optimizers / sizeof optimizers[0] };

static bool is_called(const tuff_optimizer *o, const char *name)
{
    if (strcmp(name, o->name) == 0) return true;
    for (const char *const *alias = o->aliases; alias && *alias; alias++)
        if (strcmp(name, *alias) == 0) return true;
    return false;
}

tuff_status tuff_optimizer_find(const char *name, const tuff_optimizer **out_optimizer)
{
    *out_optimizer = name ? NULL : optimizers[0];
    tuff_buf known = {0};
    for (size_t i = 0; i < OPTIMIZERS && !*out_optimizer; i++) {
        const tuff_optimizer *o = optimizers[i];
        if (is_called(o, name)) *out_optimizer = o;
        tuff_buf_printf(&known, "%s%s", i ? ", " : "", o->name);
    }
    tuff_status status = TUFF_OK;
    if (!*out_optimizer)
        status = tuff_fail(TUFF_INVALID_ARGUMENT, "optim is \"%s\", which Tuff does not have; it has %s",
                           name, known.data ? known.data : "others");
    tuff_buf_free(&known);
    return status;
}

static const tuff_optimizer *chosen(const tuff_optimizer_settings *settings)
{
    return settings->optimizer ? settings->optimizer : optimizers[0];
}

tuff_status tuff_optimizer_take_args(tuff_optimizer_settings *settings, const char *text)
{
    char of[64];
    const tuff_optimizer *o = chosen(settings);
    TUFF_ASSERT(o->n_args <= TUFF_OPTIMIZER_ARGS);
    snprintf(of, sizeof of, "the optimizer %s", o->name);
    TUFF_TRY(tuff_settings_read(text, "optim_args", of, o->args, o->n_args, settings->args));
    return o->check ? o->check(settings) : TUFF_OK;
}

void tuff_optimizer_put_args(const tuff_optimizer_settings *settings, tuff_buf *out)
{
    const tuff_optimizer *o = chosen(settings);
    tuff_settings_put(o->args, o->n_args, settings->args, out);
}

size_t tuff_optimizer_list(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                           tuff_optimizer_state out[TUFF_OPTIMIZER_STATES])
{
    memset(out, 0, TUFF_OPTIMIZER_STATES * sizeof *out);
    return chosen(settings)->states(settings, trained, out);
}

tuff_optimizer_state tuff_optimizer_like(const tuff_trained *trained, const char *prefix)
{
    tuff_optimizer_state state = {.prefix = prefix, .dtype = TUFF_F32, .rank = trained->rank};
    memcpy(state.shape, trained->shape, sizeof state.shape);
    return state;
}

static tuff_tensor *variable(tuff_graph *g, const tuff_optimizer_state *state, const char *of)
{
    const char *name = tuff_arena_printf(&g->arena, "%s%s", state->prefix, of);
    if (!name) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming %s", of);
    return tuff_variable(g, name, state->dtype, state->rank, state->shape);
}

tuff_counter_name tuff_optimizer_counter(int phase)
{
    tuff_counter_name name = {"optimizer.state"};
    if (phase > 0) snprintf(name.text, sizeof name.text, "optimizer.state.%d", phase);
    return name;
}

static tuff_tensor *step_counter(const tuff_optimizer_settings *settings, tuff_graph *g, int phase,
                                 tuff_tensor *norm)
{
    const tuff_adamw_params betas = {
        .struct_size = sizeof betas, .beta1 = settings->beta1, .beta2 = settings->beta2};
    const char *name = tuff_arena_strdup(&g->arena, tuff_optimizer_counter(phase).text);
    if (!name) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the counter of a step");
    return tuff_optimizer_step(g, tuff_variable(g, name, TUFF_F32, 1, (int64_t[]){4}), norm, &betas);
}

static tuff_optimizer_slot slot_of(const tuff_optimizer_settings *settings, tuff_graph *g,
                                   const tuff_trained *t, tuff_tensor *param, tuff_tensor *grad)
{
    tuff_optimizer_state states[TUFF_OPTIMIZER_STATES];
    size_t count = tuff_optimizer_list(settings, t, states);
    tuff_optimizer_slot slot = {.param = param,
                                .grad = grad,
                                .decay = t->decay,
                                .lr_scale = t->lr_scale,
                                .weight_decay = t->weight_decay};
    for (size_t k = 0; k < count; k++)
        slot.states[k] = variable(g, &states[k], t->name);
    return slot;
}

void tuff_optimizer_build(const tuff_optimizer_settings *settings, tuff_graph *g, const tuff_trained *trained,
                          const int *phases, tuff_tensor *const *params, tuff_tensor *const *grads, size_t n)
{
    tuff_tensor *norm = tuff_grad_norm(g, grads, n), *lr = tuff_input(g, "lr", TUFF_F32, 0, NULL);
    tuff_optimizer_slot *slots = tuff_arena_array(&g->arena, n, sizeof *slots);
    if (!slots) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
        return;
    }
    tuff_output(g, "norm", norm);
    size_t done = 0;
    for (int phase = 0; done < n && g->status == TUFF_OK; phase++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            if (phases[i] == phase) slots[count++] = slot_of(settings, g, &trained[i], params[i], grads[i]);
        if (!count) continue;
        tuff_tensor *counter = step_counter(settings, g, phase, norm);
        chosen(settings)->update(settings, g, slots, count, lr, norm, counter);
        if (!done) tuff_output(g, "state", counter);
        done += count;
    }
}

tuff_status tuff_optimizer_add_states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                                      tuff_store *store)
{
    tuff_optimizer_state states[TUFF_OPTIMIZER_STATES];
    size_t count = tuff_optimizer_list(settings, trained, states);
    for (size_t k = 0; k < count; k++) {
        tuff_buf name = {0};
        tuff_buf_printf(&name, "%s%s", states[k].prefix, trained->name);
        tuff_status status = name.failed ? tuff_fail_memory("optimizer state")
                                         : tuff_store_add(store, name.data, states[k].dtype, states[k].rank,
                                                          states[k].shape, NULL);
        tuff_buf_free(&name);
        TUFF_TRY(status);
    }
    return TUFF_OK;
}

tuff_status tuff_optimizer_add_counter(tuff_store *store, int phase)
{
    return tuff_store_add(store, tuff_optimizer_counter(phase).text, TUFF_F32, 1, (int64_t[]){4}, NULL);
}

uint64_t tuff_optimizer_bytes(const tuff_optimizer_settings *settings, const tuff_trained *trained)
{
    tuff_optimizer_state states[TUFF_OPTIMIZER_STATES];
    size_t count = tuff_optimizer_list(settings, trained, states);
    uint64_t bytes = 0;
    for (size_t k = 0; k < count; k++) {
        const tuff_shape shape = tuff_shape_of(states[k].rank, states[k].shape);
        bytes += (uint64_t)tuff_shape_count(&shape) * (uint64_t)tuff_dtype_size(states[k].dtype);
    }
    return bytes;
}

tuff_momentum_slot *tuff_optimizer_momentum_slots(tuff_graph *g, const tuff_optimizer_slot *slots, size_t n)
{
    tuff_momentum_slot *out = tuff_arena_array(&g->arena, n, sizeof *out);
    if (!out) tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
    for (size_t i = 0; out && i < n; i++)
        out[i] = (tuff_momentum_slot){.struct_size = sizeof *out,
                                      .param = slots[i].param,
                                      .grad = slots[i].grad,
                                      .momentum = slots[i].states[0],
                                      .decay = slots[i].decay,
                                      .lr_scale = slots[i].lr_scale,
                                      .weight_decay = slots[i].weight_decay};
    return out;
}
