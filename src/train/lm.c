#include "train/lm.h"

#include <string.h>

#include "base/memory.h"

tuff_status tuff_lm_check_data(const tuff_model *model, const tuff_dataset *data)
{
    const tuff_config *c = &model->config;
    TUFF_TRY(tuff_model_need_lm(model));
    if (c->rope_theta == 0 && data->block_size > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the block size is %lld, but the model has only %lld positions; use a smaller one",
                         (long long)data->block_size, (long long)c->max_positions);
    int32_t largest = tuff_dataset_largest(data);
    if (largest >= c->vocab_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the text has token id %d, the model's vocabulary only %lld",
                         largest, (long long)c->vocab_size);
    return TUFF_OK;
}

tuff_status tuff_lm_upload(const tuff_lm *lm, tuff_store *store)
{
    return tuff_lora_upload_model(lm->model, lm->lora, lm->trains_model, lm->rope_positions, lm->watch,
                                  store);
}

static tuff_tensor *build_logits(const tuff_lm *lm, bool train, tuff_graph *g)
{
    tuff_net net = {.g = g,
                    .config = &lm->model->config,
                    .tokens = lm->batch * lm->length,
                    .sequences = lm->batch,
                    .params = lm->trains_model ? NULL : &lm->model->params,
                    .train_base = train && lm->trains_model,
                    .rope_positions = lm->rope_positions,
                    .hook = lm->lora ? tuff_lora_hook(lm->lora, train) : NULL};
    tuff_net_begin(&net);
    return tuff_net_logits(&net, tuff_net_hidden(&net), false);
}

/* A scalar; `out_count` may be NULL. */
static tuff_tensor *build_loss(const tuff_lm *lm, bool train, tuff_graph *g, tuff_tensor **out_count)
{
    int64_t n = lm->batch * lm->length;
    tuff_tensor *labels = tuff_input(g, "labels", TUFF_I32, 1, &n);
    return tuff_cross_entropy(g, build_logits(lm, train, g), labels, out_count);
}

tuff_status tuff_lm_logits_program(const tuff_lm *lm, tuff_device *device, tuff_program **out_program)
{
    *out_program = NULL;
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_output(g, "logits", build_logits(lm, false, g));
    return tuff_program_create(device, &g, out_program);
}

tuff_status tuff_lm_eval_program(const tuff_lm *lm, tuff_device *device, tuff_program **out_program)
{
    *out_program = NULL;
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_tensor *count = NULL;
    tuff_output(g, "loss", build_loss(lm, false, g, &count));
    tuff_output(g, "count", count);
    return tuff_program_create(device, &g, out_program);
}

size_t tuff_lm_trained_count(const tuff_lm *lm)
{
    return lm->lora ? 2 * tuff_lora_count(lm->lora) : lm->model->params.count;
}

tuff_trained tuff_lm_trained(const tuff_lm *lm, size_t index)
{
    if (!lm->lora) {
        const tuff_param *p = &lm->model->params.items[index];
        return (tuff_trained){p->name, p->rank, {p->shape[0], p->shape[1]}, tuff_param_is_matrix(p)};
    }
    const tuff_lora_module *m = tuff_lora_at(lm->lora, index / 2);
    if (index % 2) return (tuff_trained){m->b, 2, {m->out, m->rank}, true};
    return (tuff_trained){m->a, 2, {m->rank, m->in}, true};
}

static tuff_tensor *state(tuff_graph *g, const char *prefix, const tuff_trained *t)
{
    const char *name = tuff_arena_printf(&g->arena, "%s%s", prefix, t->name);
    if (!name) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming %s", t->name);
    return tuff_variable(g, name, TUFF_F32, t->rank, t->shape);
}

/* Loss and gradients of a batch, in the accumulators where there are some. */
static void differentiate(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g, tuff_tensor **params,
                          tuff_tensor **grads, size_t n)
{
    bool sum = train->step == TUFF_LM_ACCUMULATE;
    tuff_tensor *loss = build_loss(lm, true, g, NULL);
    for (size_t i = 0; i < n && g->status == TUFF_OK; i++)
        params[i] = tuff_graph_leaf(g, tuff_lm_trained(lm, i).name);
    tuff_tensor *share = sum ? tuff_scale(g, loss, 1.0 / (double)train->accumulation) : loss;
    tuff_graph_grad(g, share, params, n, grads);
    tuff_output(g, "loss", loss);
    for (size_t i = 0; sum && i < n; i++) {
        tuff_trained t = tuff_lm_trained(lm, i);
        grads[i] = tuff_accumulate(g, state(g, "grad.", &t), grads[i]);
    }
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
                   tuff_tensor **grads, size_t n, tuff_adamw_slot *slots)
{
    tuff_tensor *norm = tuff_grad_norm(g, grads, n);
    tuff_tensor *lr = tuff_input(g, "lr", TUFF_F32, 0, NULL);
    tuff_tensor *counter = tuff_variable(g, "adam.state", TUFF_F32, 1, (int64_t[]){4});
    counter = tuff_optimizer_step(g, counter, norm, &train->adamw);
    for (size_t i = 0; i < n; i++) {
        tuff_trained t = tuff_lm_trained(lm, i);
        slots[i] = (tuff_adamw_slot){.struct_size = sizeof *slots,
                                     .param = params[i],
                                     .grad = grads[i],
                                     .m = state(g, "adam.m.", &t),
                                     .v = state(g, "adam.v.", &t),
                                     .decay = t.decay || train->decay_all};
    }
    tuff_adamw(g, slots, n, lr, norm, counter, &train->adamw);
    tuff_output(g, "norm", norm);
    tuff_output(g, "state", counter);
    for (size_t i = 0; i < n && train->step == TUFF_LM_UPDATE; i++)
        tuff_assign(g, grads[i], 0.0);
}

static tuff_status build_train(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g)
{
    size_t n = tuff_lm_trained_count(lm);
    tuff_tensor **params = tuff_arena_array(&g->arena, n, sizeof *params);
    tuff_tensor **grads = tuff_arena_array(&g->arena, n, sizeof *grads);
    tuff_adamw_slot *slots = tuff_arena_array(&g->arena, n, sizeof *slots);
    if (!params || !grads || !slots) return tuff_fail_memory("the graph of a training step");
    if (train->step == TUFF_LM_UPDATE)
        take_sums(lm, g, params, grads, n);
    else
        differentiate(lm, train, g, params, grads, n);
    if (train->step != TUFF_LM_ACCUMULATE) update(lm, train, g, params, grads, n, slots);
    return tuff_graph_status(g);
}

tuff_status tuff_lm_train_program(const tuff_lm *lm, const tuff_lm_train *train, tuff_device *device,
                                  tuff_program **out_program)
{
    *out_program = NULL;
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_status status = build_train(lm, train, g);
    if (status == TUFF_OK) return tuff_program_create(device, &g, out_program);
    tuff_graph_destroy(&g);
    return status;
}

size_t tuff_lm_index_size(const tuff_lm *lm)
{
    return tuff_embedding_index_size((size_t)(lm->batch * lm->length));
}

/* Every sequence fills its row of the batch. */
static tuff_status set_segments(const tuff_lm *lm, tuff_program *program)
{
    size_t bytes = (size_t)lm->batch * 4 * sizeof(int32_t);
    int32_t *table = tuff_alloc(bytes);
    if (!table) return tuff_fail_memory("segments");
    for (int64_t b = 0; b < lm->batch; b++) {
        table[4 * b] = table[4 * b + 2] = (int32_t)(b * lm->length);
        table[4 * b + 1] = table[4 * b + 3] = (int32_t)lm->length;
    }
    tuff_status status = tuff_program_input(program, "segments", table, bytes);
    tuff_free(table);
    return status;
}

static tuff_status set_positions(tuff_program *program, int32_t *positions, int32_t *index, size_t n,
                                 size_t index_size)
{
    TUFF_TRY(tuff_program_input(program, "positions", positions, n * sizeof *positions));
    TUFF_TRY(tuff_embedding_index(positions, n, index));
    return tuff_program_input(program, "positions_index", index, index_size * sizeof *index);
}

tuff_status tuff_lm_set_positions(const tuff_lm *lm, tuff_program *program)
{
    size_t n = (size_t)(lm->batch * lm->length);
    int32_t *positions = tuff_alloc_array(n, sizeof *positions);
    int32_t *index = tuff_alloc_array(tuff_lm_index_size(lm), sizeof *index);
    tuff_status status = positions && index ? TUFF_OK : tuff_fail_memory("positions");
    for (size_t i = 0; i < n && status == TUFF_OK; i++)
        positions[i] = (int32_t)(i % (size_t)lm->length);
    if (status == TUFF_OK) status = set_positions(program, positions, index, n, tuff_lm_index_size(lm));
    if (status == TUFF_OK) status = set_segments(lm, program);
    tuff_free(positions);
    tuff_free(index);
    return status;
}

tuff_status tuff_lm_set_batch(const tuff_lm *lm, tuff_program *program, const int32_t *ids,
                              const int32_t *labels, int32_t *index_scratch)
{
    size_t n = (size_t)(lm->batch * lm->length), bytes = n * sizeof *ids;
    TUFF_TRY(tuff_program_input(program, "ids", ids, bytes));
    TUFF_TRY(tuff_program_input(program, "labels", labels, bytes));
    TUFF_TRY(tuff_embedding_index(ids, n, index_scratch));
    return tuff_program_input(program, "ids_index", index_scratch,
                              tuff_lm_index_size(lm) * sizeof *index_scratch);
}
