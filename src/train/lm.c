#include "train/lm.h"

#include <string.h>

tuff_status tuff_lm_upload(const tuff_lm *lm, tuff_store *store)
{
    return tuff_adapter_upload_model(lm->model, lm->adapter, lm->trains_model, lm->rope_positions, lm->watch,
                                     store);
}

tuff_status tuff_lm_check_length(const tuff_lm *lm, const tuff_dataset *data)
{
    const tuff_config *c = &lm->model->config;
    int64_t before = tuff_adapter_virtual_tokens(lm->adapter);
    int64_t longest = data->block_size ? data->block_size : data->longest;
    for (int64_t i = 0; !data->block_size && i < data->sequences; i++) {
        int64_t length = data->starts[i + 1] - data->starts[i];
        longest = length > longest ? length : longest;
    }
    if (before == 0 || !c->learned_positions || longest + before <= c->max_positions) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%lld virtual tokens and %s of %lld need more than the %lld positions of the model; use a "
        "smaller %s",
        (long long)before, data->block_size ? "blocks" : "a text", (long long)longest,
        (long long)c->max_positions, data->block_size ? "block size" : "longest text (max_length)");
}

tuff_status tuff_lm_reserve(tuff_lm *lm)
{
    lm->rope_positions += tuff_adapter_virtual_tokens(lm->adapter);
    /* a reference is what the model says without its adapter, also where that has parameters whole */
    const tuff_task *task = lm->data->task;
    if (lm->adapter) lm->adapter->keeps_own = task->reference && task->reference(lm->data) > 0;
    return tuff_lm_check_length(lm, lm->data);
}

static tuff_task_use use_of(tuff_lm_step step, bool gradient)
{
    if (gradient) return TUFF_TASK_TRAIN;
    return step == TUFF_LM_REFERENCE ? TUFF_TASK_REFERENCE
           : step == TUFF_LM_LOGITS  ? TUFF_TASK_LOGITS
                                     : TUFF_TASK_MEASURE;
}

/* The sum of a batch's losses, also as output "loss"; NULL where there are none. */
static tuff_tensor *build_loss(const tuff_lm *lm, const tuff_lm_train *train, bool gradient, tuff_graph *g)
{
    const tuff_task_graph at = {.model = lm->model,
                                .data = lm->data,
                                .shape = train->shape,
                                .pass = train->pass,
                                .label_smoothing = lm->label_smoothing,
                                .use = use_of(train->step, gradient)};
    tuff_net net = {.g = g,
                    .config = &lm->model->config,
                    .tokens = train->shape.tokens,
                    .sequences = train->shape.sequences,
                    .source_tokens = lm->model->config.encoder ? train->shape.rows : 0,
                    .params = lm->trains_model ? NULL : &lm->model->params,
                    .train_base = gradient && lm->trains_model,
                    .noise = gradient && lm->noise,
                    .dropouts = gradient ? &lm->dropouts : NULL,
                    .rope_positions = lm->rope_positions,
                    .hook = train->step == TUFF_LM_REFERENCE ? tuff_adapter_off(lm->adapter)
                                                             : tuff_adapter_hook(lm->adapter, gradient)};
    tuff_tensor *loss = lm->data->task->loss(&at, &net);
    if (loss) tuff_output(g, "loss", loss);
    return loss;
}

/* The parameter number `index` of those that are trained whole, beside an adapter or without one; NULL: there
 * are fewer, *out_count of them. */
static const tuff_param *whole_param(const tuff_lm *lm, size_t index, size_t *out_count)
{
    *out_count = 0;
    for (size_t i = 0; i < lm->model->params.count; i++) {
        const tuff_param *p = &lm->model->params.items[i];
        bool trained = lm->adapter ? tuff_adapter_trains(lm->adapter, p) : p->role != TUFF_ROLE_FIXED;
        if (trained && (*out_count)++ == index) return p;
    }
    return NULL;
}

size_t tuff_lm_candidate_count(const tuff_lm *lm)
{
    size_t whole;
    whole_param(lm, SIZE_MAX, &whole);
    return whole + (lm->adapter ? lm->adapter->count : 0);
}

tuff_trained tuff_lm_candidate(const tuff_lm *lm, size_t index)
{
    size_t own = lm->adapter ? lm->adapter->count : 0, count;
    if (index >= own) {
        const tuff_param *p = whole_param(lm, index - own, &count);
        tuff_trained t = {.name = p->name,
                          .rank = p->rank,
                          .table = p->role == TUFF_ROLE_TABLE,
                          .decay = tuff_group_decays(p)};
        memcpy(t.shape, p->shape, sizeof t.shape);
        tuff_group_set(&lm->groups, &lm->model->config, &t);
        return t;
    }
    const tuff_adapter_tensor *own_tensor = &lm->adapter->tensors[index];
    tuff_trained t = {.name = own_tensor->name,
                      .rank = own_tensor->rank,
                      .shape = {own_tensor->shape[0], own_tensor->shape[1]},
                      .decay = true};
    tuff_group_set(&lm->groups, &lm->model->config, &t);
    return t;
}

size_t tuff_lm_trained_count(const tuff_lm *lm)
{
    return lm->selected ? lm->selected->count : tuff_lm_candidate_count(lm);
}

tuff_trained tuff_lm_trained(const tuff_lm *lm, size_t index)
{
    return tuff_lm_candidate(lm, lm->selected ? lm->selected->items[index].candidate : index);
}

int tuff_lm_trained_phase(const tuff_lm *lm, size_t index)
{
    return lm->selected ? lm->selected->items[index].phase : 0;
}

static tuff_tensor *state(tuff_graph *g, const char *prefix, const tuff_trained *t)
{
    const char *name = tuff_arena_printf(&g->arena, "%s%s", prefix, t->name);
    if (!name) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming %s", t->name);
    return tuff_variable(g, name, TUFF_F32, t->rank, t->shape);
}

/* What a step trains, in the graph that is built. */
typedef struct training {
    tuff_trained *items;
    int *phases;
    tuff_tensor **params, **grads;
    size_t count;
} training;

/* Loss and gradients of a batch, in the accumulators where there are some; false: the pass has no loss. */
static bool differentiate(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g, training *x)
{
    bool sum = train->step == TUFF_LM_ACCUMULATE;
    tuff_tensor *loss = build_loss(lm, train, true, g);
    if (!loss) return false;
    for (size_t i = 0; i < x->count && g->status == TUFF_OK; i++) {
        const char *name = x->items[i].name;
        x->params[i] = tuff_graph_leaf(g, name);
        if (!x->params[i])
            tuff_graph_fail(
                g, TUFF_UNSUPPORTED,
                "%s has no part in %s and cannot be trained by it: train an adapter (lora_rank), or a "
                "model without that head",
                name, lm->data->task->title);
    }
    tuff_graph_grad_of(g, loss, tuff_input(g, "weight", TUFF_F32, 0, NULL), x->params, x->count, x->grads);
    for (size_t i = 0; sum && i < x->count; i++)
        x->grads[i] = tuff_accumulate(g, state(g, "grad.", &x->items[i]), x->grads[i]);
    return true;
}

/* The trained tensors and their accumulators, as other programs left them. */
static void take_sums(tuff_graph *g, training *x)
{
    for (size_t i = 0; i < x->count; i++) {
        x->params[i] = state(g, "", &x->items[i]);
        x->grads[i] = state(g, "grad.", &x->items[i]);
    }
}

static void update(const tuff_lm_train *train, tuff_graph *g, training *x)
{
    for (size_t i = 0; i < x->count; i++)
        x->items[i].decay = x->items[i].decay || train->decay_all;
    tuff_optimizer_build(&train->optimizer, g, x->items, x->phases, x->params, x->grads, x->count);
    for (size_t i = 0; i < x->count && train->step == TUFF_LM_UPDATE; i++)
        tuff_assign(g, x->grads[i], 0.0);
}

/* Lists what is trained by the phase at hand. */
static tuff_status list_trained(const tuff_lm *lm, tuff_graph *g, training *out)
{
    const size_t most = tuff_lm_trained_count(lm);
    *out = (training){.items = tuff_arena_array(&g->arena, most, sizeof *out->items),
                      .phases = tuff_arena_array(&g->arena, most, sizeof *out->phases),
                      .params = tuff_arena_array(&g->arena, most, sizeof *out->params),
                      .grads = tuff_arena_array(&g->arena, most, sizeof *out->grads)};
    if (!out->items || !out->phases || !out->params || !out->grads)
        return tuff_fail_memory("the graph of a training step");
    for (size_t i = 0; i < most; i++) {
        const int phase = tuff_lm_trained_phase(lm, i);
        if (phase > lm->phase) continue;
        out->items[out->count] = tuff_lm_trained(lm, i);
        out->phases[out->count++] = phase;
    }
    return TUFF_OK;
}

static tuff_status build_train(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g)
{
    training x;
    TUFF_TRY(list_trained(lm, g, &x));
    if (train->step == TUFF_LM_UPDATE)
        take_sums(g, &x);
    else if (!differentiate(lm, train, g, &x))
        return tuff_graph_status(g);
    if (train->step != TUFF_LM_ACCUMULATE) update(train, g, &x);
    return tuff_graph_status(g);
}

static tuff_status build_average(const tuff_lm *lm, tuff_graph *g)
{
    const size_t n = tuff_lm_trained_count(lm);
    tuff_tensor **averages = tuff_arena_array(&g->arena, n, sizeof(tuff_tensor *)),
                **values = tuff_arena_array(&g->arena, n, sizeof(tuff_tensor *));
    if (!averages || !values) return tuff_fail_memory("the graph of averages");
    for (size_t i = 0; i < n; i++) {
        const tuff_trained t = tuff_lm_trained(lm, i);
        averages[i] = state(g, TUFF_LM_AVERAGE_PREFIX, &t);
        values[i] = state(g, "", &t);
    }
    tuff_average(g, averages, values, n, tuff_input(g, "rate", TUFF_F32, 0, NULL));
    return tuff_graph_status(g);
}

/* What a graph reads of trained tensors, it reads of their averages. */
static void read_averages(const tuff_lm *lm, tuff_graph *g)
{
    for (size_t i = 0; i < tuff_lm_trained_count(lm) && g->status == TUFF_OK; i++) {
        tuff_tensor *leaf = tuff_graph_leaf(g, tuff_lm_trained(lm, i).name);
        if (!leaf) continue;
        leaf->name = tuff_arena_printf(&g->arena, TUFF_LM_AVERAGE_PREFIX "%s", leaf->name);
        if (!leaf->name) tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming averages");
    }
}

tuff_status tuff_lm_build(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g)
{
    if (train->step == TUFF_LM_AVERAGE) return build_average(lm, g);
    tuff_graph_set_operands(g, lm->operands);
    if (train->step < TUFF_LM_MEASURE) return build_train(lm, train, g);
    build_loss(lm, train, false, g);
    if (train->step == TUFF_LM_REFERENCE)
        tuff_adapter_read_own(lm->adapter, g);
    else if (lm->averaged)
        read_averages(lm, g);
    return tuff_graph_status(g);
}
