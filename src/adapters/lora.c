#include "adapters/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/lora_impl.h"
#include "base/rng.h"

static bool last_part_is(const char *module, const char *name)
{
    size_t n = strlen(module), size = strlen(name);
    return tuff_ends_with(module, name) && (n == size || module[n - size - 1] == '.');
}

/* The module of a linear layer's weight: its name without ".weight"; false for embeddings, norms and the
 * head. */
bool tuff_lora_adaptable(const tuff_param *p, char module[256])
{
    if (p->rank != 2 || p->role != TUFF_ROLE_MATRIX || !tuff_ends_with(p->name, ".weight")) return false;
    if (p->whole) return false;
    snprintf(module, 256, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
    return strcmp(module, "lm_head") != 0;
}

/* Cuts "q_proj, v_proj" at its commas, without the spaces around names. */
static tuff_status split_targets(tuff_lora *lora, const char *targets)
{
    size_t most = 1;
    for (const char *at = targets; *at; at++)
        most += *at == ',';
    lora->targets = tuff_arena_array(&lora->arena, most, sizeof *lora->targets);
    if (!lora->targets) return tuff_fail_memory("an adapter");
    for (const char *at = targets; *at;) {
        at += strspn(at, ", ");
        size_t size = strcspn(at, ",");
        const char *next = at + size;
        while (size && at[size - 1] == ' ')
            size--;
        if (size) {
            char *name = tuff_arena_alloc(&lora->arena, size + 1);
            if (!name) return tuff_fail_memory("an adapter");
            memcpy(name, at, size);
            lora->targets[lora->target_count++] = name;
        }
        at = next;
    }
    return TUFF_OK;
}

/* True when some target names the module; marks all that do. */
static bool targeted(const tuff_lora *lora, const char *module, bool *found)
{
    bool any = false;
    for (size_t i = 0; i < lora->target_count; i++)
        if (last_part_is(module, lora->targets[i])) found[i] = any = true;
    return any;
}

tuff_status tuff_lora_add(tuff_lora *lora, const char *module, int64_t in, int64_t out, int64_t rank,
                          double scale)
{
    if (!tuff_grow((void **)&lora->modules, lora->count, &lora->capacity, sizeof *lora->modules))
        return tuff_fail_memory("an adapter");
    tuff_lora_module m = {.in = in, .out = out, .rank = rank, .scale = scale};
    m.module = tuff_arena_strdup(&lora->arena, module);
    m.a = tuff_arena_printf(&lora->arena, "base_model.model.%s.lora_A.weight", module);
    m.b = tuff_arena_printf(&lora->arena, "base_model.model.%s.lora_B.weight", module);
    if (!m.module || !m.a || !m.b ||
        !tuff_map_put(&lora->by_module, module, strlen(module), (uint32_t)lora->count))
        return tuff_fail_memory("an adapter");
    lora->modules[lora->count++] = m;
    return TUFF_OK;
}

/* The last parts of all modules that can be adapted, for an error text. */
static void list_targets(const tuff_model *model, tuff_buf *out)
{
    for (size_t i = 0; i < model->params.count; i++) {
        char module[256];
        if (!tuff_lora_adaptable(&model->params.items[i], module)) continue;
        const char *last = strrchr(module, '.');
        last = last ? last + 1 : module;
        if (!out->data || !strstr(out->data, last)) tuff_buf_printf(out, "%s%s", out->size ? ", " : "", last);
    }
}

const char *tuff_lora_refusal(const tuff_model *model, const char *module)
{
    if (!last_part_is(module, "lm_head")) return NULL;
    return model->config.tied ? "is the embedding table (the head is tied to it), which Tuff does not adapt"
                              : "is the head, a linear layer that Tuff does not adapt";
}

static tuff_status unknown_target(const tuff_model *model, const char *target)
{
    const char *refusal = tuff_lora_refusal(model, target);
    tuff_buf known = {0};
    list_targets(model, &known);
    tuff_status status = tuff_fail(TUFF_INVALID_ARGUMENT, "lora_target \"%s\" %s; this %s model has %s",
                                   target, refusal ? refusal : "names no linear layer",
                                   model->config.arch->name, known.data ? known.data : "none");
    tuff_buf_free(&known);
    return status;
}

static tuff_status add_targeted(tuff_lora *lora, const tuff_lora_params *params, bool all, bool *found)
{
    for (size_t i = 0; i < lora->model->params.count; i++) {
        const tuff_param *p = &lora->model->params.items[i];
        char module[256];
        if (!tuff_lora_adaptable(p, module) || !(all || targeted(lora, module, found))) continue;
        TUFF_TRY(tuff_lora_add(lora, module, p->shape[1], p->shape[0], params->rank,
                               params->alpha / (double)params->rank));
    }
    return TUFF_OK;
}

static tuff_status create(tuff_lora *lora, const tuff_lora_params *params)
{
    const tuff_model *model = lora->model;
    const char *targets = params->targets ? params->targets : model->config.arch->lora_target;
    if (params->rank < 1 || params->rank > 65536)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_rank is %lld, expected 1 to 65536",
                         (long long)params->rank);
    if (!(params->alpha > 0) || !isfinite(params->alpha))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_alpha is %g, expected a number above 0", params->alpha);
    if (!(params->dropout >= 0 && params->dropout < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_dropout is %g, expected at least 0 and below 1",
                         params->dropout);
    lora->dropout = params->dropout;
    lora->rank = params->rank;
    lora->alpha = params->alpha;
    lora->seed = params->seed;
    bool all = strcmp(targets, "all-linear") == 0;
    if (!all) TUFF_TRY(split_targets(lora, targets));
    if (!all && lora->target_count == 0) return unknown_target(model, targets);
    bool *found = tuff_arena_array(&lora->arena, lora->target_count, sizeof *found);
    if (!found) return tuff_fail_memory("an adapter");
    TUFF_TRY(add_targeted(lora, params, all, found));
    for (size_t i = 0; i < lora->target_count; i++)
        if (!found[i]) return unknown_target(model, lora->targets[i]);
    return TUFF_OK;
}

tuff_status tuff_lora_new(const tuff_model *model, tuff_lora **out_lora)
{
    *out_lora = tuff_alloc(sizeof **out_lora);
    if (!*out_lora) return tuff_fail_memory("an adapter");
    (*out_lora)->model = model;
    return TUFF_OK;
}

tuff_status tuff_lora_create(const tuff_model *model, const tuff_lora_params *params, tuff_lora **out_lora)
{
    TUFF_TRY(tuff_lora_new(model, out_lora));
    tuff_status status = create(*out_lora, params);
    if (status != TUFF_OK) tuff_lora_destroy(out_lora);
    return status;
}

void tuff_lora_destroy(tuff_lora **lora)
{
    tuff_lora *l = *lora;
    if (!l) return;
    tuff_peft_destroy(&l->peft);
    tuff_map_free(&l->by_module);
    tuff_free(l->modules);
    tuff_arena_free(&l->arena);
    tuff_free(l);
    *lora = NULL;
}

size_t tuff_lora_count(const tuff_lora *lora)
{
    return lora->count;
}
const tuff_lora_module *tuff_lora_at(const tuff_lora *lora, size_t index)
{
    return &lora->modules[index];
}

static tuff_tensor *linear(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *y)
{
    tuff_lora *lora = self;
    uint32_t i;
    if (!tuff_map_get(&lora->by_module, module, strlen(module), &i)) return y;
    const tuff_lora_module *m = &lora->modules[i];
    tuff_graph *g = net->g;
    tuff_tensor *a = tuff_variable(g, m->a, TUFF_F32, 2, (int64_t[]){m->rank, m->in});
    tuff_tensor *b = tuff_variable(g, m->b, TUFF_F32, 2, (int64_t[]){m->out, m->rank});
    if (lora->training && lora->dropout > 0) {
        tuff_tensor *seed = tuff_graph_leaf(g, "dropout_seed");
        if (!seed) seed = tuff_input(g, "dropout_seed", TUFF_U32, 1, (int64_t[]){3});
        x = tuff_dropout(g, x, seed, lora->dropout, TUFF_STREAM_DROPOUT + i);
    }
    tuff_tensor *low = tuff_matmul(g, x, tuff_transpose(g, a));
    return tuff_add(g, y, tuff_scale(g, tuff_matmul(g, low, tuff_transpose(g, b)), m->scale));
}

const tuff_linear_hook *tuff_lora_hook(tuff_lora *lora, bool training)
{
    lora->hook = (tuff_linear_hook){linear, lora};
    lora->training = training;
    return &lora->hook;
}

static tuff_status upload_one(const tuff_lora *lora, size_t i, tuff_store *store)
{
    const tuff_lora_module *m = &lora->modules[i];
    tuff_buffer *a = NULL, *b = NULL;
    TUFF_TRY(tuff_store_add(store, m->a, TUFF_F32, 2, (int64_t[]){m->rank, m->in}, &a));
    TUFF_TRY(tuff_store_add(store, m->b, TUFF_F32, 2, (int64_t[]){m->out, m->rank}, &b));
    int64_t n_a = m->rank * m->in, n_b = m->out * m->rank;
    float *values = tuff_alloc_array((size_t)(n_a > n_b ? n_a : n_b), sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status = TUFF_OK;
    const tuff_peft_pair *pair = lora->peft ? tuff_peft_find(lora->peft, m->module) : NULL;
    if (pair) {
        status = tuff_weight_read(pair->a, TUFF_F32, values);
        if (status == TUFF_OK) status = tuff_buffer_write(a, 0, values, n_a);
        if (status == TUFF_OK) status = tuff_weight_read(pair->b, TUFF_F32, values);
        if (status == TUFF_OK) status = tuff_buffer_write(b, 0, values, n_b);
    } else {
        /* kaiming_uniform_(a = sqrt 5): uniform in +-1 / sqrt(in) (He et al. 2015; peft's LoraLayer). B stays
         * zero. */
        double bound = 1.0 / sqrt((double)m->in);
        for (int64_t k = 0; k < n_a; k++)
            values[k] = (float)(bound * (2 * tuff_rng_uniform(lora->seed, (uint64_t)k, 0,
                                                              TUFF_STREAM_INIT + (uint32_t)i) -
                                         1));
        status = tuff_buffer_write(a, 0, values, n_a);
    }
    tuff_free(values);
    return status;
}

tuff_status tuff_lora_upload(const tuff_lora *lora, tuff_store *store)
{
    for (size_t i = 0; i < lora->count; i++)
        TUFF_TRY(tuff_note(upload_one(lora, i, store), "adapter of %s", lora->modules[i].module));
    return TUFF_OK;
}

tuff_status tuff_lora_upload_model(const tuff_model *model, const tuff_lora *lora, bool trained,
                                   int64_t rope_positions, const tuff_watch *watch, tuff_store *store)
{
    TUFF_TRY(tuff_model_upload(model, trained, watch, store));
    TUFF_TRY(tuff_model_upload_tables(model, rope_positions, watch, store));
    return lora ? tuff_lora_upload(lora, store) : TUFF_OK;
}
