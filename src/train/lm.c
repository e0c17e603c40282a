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
    int64_t before = tuff_adapter_virtual_tokens(lm->adapter), longest = data->block_size;
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
    return tuff_lm_check_length(lm, lm->data);
}

/* The sum of a batch's losses, also as output "loss"; NULL where there are none. */
static tuff_tensor *build_loss(const tuff_lm *lm, const tuff_lm_train *train, bool gradient, tuff_graph *g)
{
    const tuff_task_graph at = {.model = lm->model,
                                .data = lm->data,
                                .shape = train->shape,
                                .pass = train->pass,
                                .use = gradient                        ? TUFF_TASK_TRAIN
                                       : train->step == TUFF_LM_LOGITS ? TUFF_TASK_LOGITS
                                                                       : TUFF_TASK_MEASURE};
    tuff_net net = {.g = g,
                    .config = &lm->model->config,
                    .tokens = train->shape.tokens,
                    .sequences = train->shape.sequences,
                    .source_tokens = lm->model->config.encoder ? train->shape.rows : 0,
                    .params = lm->trains_model ? NULL : &lm->model->params,
                    .train_base = gradient && lm->trains_model,
                    .rope_positions = lm->rope_positions,
                    .hook = tuff_adapter_hook(lm->adapter, gradient)};
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
        bool trained = lm->adapter ? p->whole : p->role != TUFF_ROLE_FIXED;
        if (trained && (*out_count)++ == index) return p;
    }
    return NULL;
}

size_t tuff_lm_trained_count(const tuff_lm *lm)
{
    size_t whole;
    whole_param(lm, SIZE_MAX, &whole);
    return whole + (lm->adapter ? lm->adapter->count : 0);
}

tuff_trained tuff_lm_trained(const tuff_lm *lm, size_t index)
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

static tuff_tensor *state(tuff_graph *g, const char *prefix, const tuff_trained *t)
{
    const char *name = tuff_arena_printf(&g->arena, "%s%s", prefix, t->name);
    if (!name) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming %s", t->name);
    return tuff_variable(g, name, TUFF_F32, t->rank, t->shape);
}

/* Loss and gradients of a batch, in the accumulators where there are some; false: the pass has no loss. */
static bool differentiate(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g, tuff_tensor **params,
                          tuff_tensor **grads, size_t n)
{
    bool sum = train->step == TUFF_LM_ACCUMULATE;
    tuff_tensor *loss = build_loss(lm, train, true, g);
    if (!loss) return false;
    for (size_t i = 0; i < n && g->status == TUFF_OK; i++) {
        const char *name = tuff_lm_trained(lm, i).name;
        params[i] = tuff_graph_leaf(g, name);
        if (!params[i])
            tuff_graph_fail(
                g, TUFF_UNSUPPORTED,
                "%s has no part in %s and cannot be trained by it: train an adapter (lora_rank), or a "
                "model without that head",
                name, lm->data->task->title);
    }
    tuff_graph_grad_of(g, loss, tuff_input(g, "weight", TUFF_F32, 0, NULL), params, n, grads);
    for (size_t i = 0; sum && i < n; i++) {
        tuff_trained t = tuff_lm_trained(lm, i);
        grads[i] = tuff_accumulate(g, state(g, "grad.", &t), grads[i]);
    }
    return true;
}

/* The trained tensors and their accumulators, as other programs left them. */
static void take_sums(const tuff_lm *lm, tuff_graph *g, tuff_tensor **params, tuff_tensor **grads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tuff_trained t = tuff_lm_trained(lm, i);
        params[i] = state(g, "", &t);
        grads[i] = state(g, "grad.", &t);
    }
}

static void update(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g, tuff_tensor *const *params,
                   tuff_tensor **grads, size_t n, tuff_trained *trained)
{
    for (size_t i = 0; i < n; i++) {
        trained[i] = tuff_lm_trained(lm, i);
        trained[i].decay = trained[i].decay || train->decay_all;
    }
    tuff_optimizer_build(&train->optimizer, g, trained, params, grads, n);
    for (size_t i = 0; i < n && train->step == TUFF_LM_UPDATE; i++)
        tuff_assign(g, grads[i], 0.0);
}

static tuff_status build_train(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g)
{
    size_t n = tuff_lm_trained_count(lm);
    tuff_tensor **params = tuff_arena_array(&g->arena, n, sizeof *params);
    tuff_tensor **grads = tuff_arena_array(&g->arena, n, sizeof *grads);
    tuff_trained *trained = tuff_arena_array(&g->arena, n, sizeof *trained);
    if (!params || !grads || !trained) return tuff_fail_memory("the graph of a training step");
    if (train->step == TUFF_LM_UPDATE)
        take_sums(lm, g, params, grads, n);
    else if (!differentiate(lm, train, g, params, grads, n))
        return tuff_graph_status(g);
    if (train->step != TUFF_LM_ACCUMULATE) update(lm, train, g, params, grads, n, trained);
    return tuff_graph_status(g);
}

tuff_status tuff_lm_build(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g)
{
    if (train->step != TUFF_LM_MEASURE && train->step != TUFF_LM_LOGITS) return build_train(lm, train, g);
    build_loss(lm, train, false, g);
    return tuff_graph_status(g);
}
