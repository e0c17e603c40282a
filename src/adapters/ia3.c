/* IA3 (Liu et al. 2022): vectors that scale what linear layers give, or what feed-forward layers are given.
 */
#include <stdio.h>
#include <string.h>

#include "adapters/adapter.h"
#include "adapters/targets.h"
#include "base/memory.h"

/* As PEFT has them; what is not listed has no default there either. */
static const struct defaults {
    const char *arch, *targets, *feedforward;
} defaults[] = {
    {"gpt2", "c_attn,mlp.c_proj", "mlp.c_proj"},
    {"llama", "k_proj,v_proj,down_proj", "down_proj"},
    {"mistral", "k_proj,v_proj,down_proj", "down_proj"},
    {"qwen2", "q_proj,v_proj,down_proj", "down_proj"},
    {"qwen3", "q_proj,v_proj,down_proj", "down_proj"},
    {"gemma", "q_proj,v_proj,down_proj", "down_proj"},
    {"gemma2", "q_proj,v_proj,down_proj", "down_proj"},
    {"gemma3_text", "q_proj,v_proj,down_proj", "down_proj"},
    {"gpt_neox", "query_key_value,dense_4h_to_h", "dense_4h_to_h"},
    {"phi", "q_proj,v_proj,fc2", "fc2"},
    {"gptj", "q_proj,v_proj,fc_out", "fc_out"},
    {"gpt_neo", "q_proj,v_proj,c_proj", "c_proj"},
    {"t5", "k,v,wo", "wo"},
    {"mt5", "k,v,wi_1", ""},
    {"bart", "q_proj,v_proj,fc2", "fc2"},
    {"bloom", "query_key_value,mlp.dense_4h_to_h", "mlp.dense_4h_to_h"},
    {"falcon", "query_key_value,dense_4h_to_h", "dense_4h_to_h"},
    {"bert", "key,value,output.dense", "output.dense"},
    {"roberta", "key,value,output.dense", "output.dense"},
};

/* A new adapter's; of one from files the tensors tell. */
typedef struct ia3 {
    tuff_targets targets, feedforward;
} ia3;

#define VECTOR ".ia3_l"

static tuff_status add(tuff_adapter *a, const char *module, int64_t size, bool feedforward,
                       const tuff_weight *weight)
{
    const char *name = tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s" VECTOR, module);
    if (!name) return tuff_fail_memory("an adapter");
    return tuff_adapter_add(a, name, feedforward ? 1 : size, feedforward ? size : 1, weight);
}

const char *tuff_ia3_usual(const char *arch, bool feedforward)
{
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (strcmp(defaults[i].arch, arch) == 0)
            return feedforward ? defaults[i].feedforward : defaults[i].targets;
    return NULL;
}

static tuff_status choose_targets(tuff_adapter *a, const tuff_adapter_settings *s, ia3 *own)
{
    const char *arch = a->model->config.arch->name, *targets = s->targets, *feedforward = s->feedforward;
    if (!targets) {
        targets = tuff_ia3_usual(arch, false);
        if (!feedforward) feedforward = tuff_ia3_usual(arch, true);
    }
    if (!targets)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "IA3 has no modules by default for models of type %s; name them as target_modules",
                         arch);
    TUFF_TRY(tuff_targets_parse(targets, "target_modules", &a->arena, &own->targets));
    if (feedforward && *feedforward)
        TUFF_TRY(tuff_targets_parse(feedforward, "feedforward_modules", &a->arena, &own->feedforward));
    for (size_t i = 0; !own->targets.all && i < own->feedforward.count; i++) {
        bool listed = false;
        for (size_t k = 0; k < own->targets.count; k++)
            listed = listed || strcmp(own->feedforward.names[i], own->targets.names[k]) == 0;
        if (!listed)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "feedforward_modules has \"%s\", which target_modules has not; it must be in both",
                own->feedforward.names[i]);
    }
    return TUFF_OK;
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    ia3 *own = a->own = tuff_arena_alloc(&a->arena, sizeof *own);
    if (!own) return tuff_fail_memory("an adapter");
    TUFF_TRY(choose_targets(a, s, own));
    for (size_t i = 0; i < a->model->params.count; i++) {
        const tuff_param *p = &a->model->params.items[i];
        char module[256];
        if (!tuff_adaptable(p, module) || !tuff_targets_match(&own->targets, module)) continue;
        bool feedforward = tuff_targets_match(&own->feedforward, module);
        TUFF_TRY(add(a, module, p->shape[feedforward ? 1 : 0], feedforward, NULL));
    }
    TUFF_TRY(tuff_targets_check(&own->targets, a->model));
    return tuff_targets_check(&own->feedforward, a->model);
}

static tuff_status open_tensor(tuff_adapter *a, const tuff_weight *w)
{
    const char *name =
        tuff_starts_with(w->name, TUFF_PEFT_PREFIX) ? w->name + strlen(TUFF_PEFT_PREFIX) : w->name;
    const char *mark = strstr(name, VECTOR);
    if (!mark || (mark[strlen(VECTOR)] != 0 && mark[strlen(VECTOR)] != '.'))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: tensor '%s' is no vector of IA3 (ia3_l)", w->file, w->name);
    const char *module = tuff_arena_printf(&a->arena, "%.*s", (int)(mark - name), name);
    if (!module) return tuff_fail_memory("an adapter");
    const tuff_param *p = tuff_adaptable_find(a->model, module);
    if (!p) return tuff_adaptable_missing(a->model, module, w->file);
    TUFF_TRY(tuff_weight_check_readable(w));
    bool feedforward = w->rank == 2 && w->shape[0] == 1;
    int64_t size = p->shape[feedforward ? 1 : 0];
    if (w->rank != 2 || w->shape[0] != (feedforward ? 1 : size) || w->shape[1] != (feedforward ? size : 1)) {
        char found[100];
        tuff_weight_shape_text(w->rank, w->shape, found, sizeof found);
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s' has shape %s; for this model's layer of %lld to %lld it must be "
                         "[%lld, 1], or [1, %lld] of a feed-forward module",
                         w->file, w->name, found, (long long)p->shape[1], (long long)p->shape[0],
                         (long long)p->shape[0], (long long)p->shape[1]);
    }
    char own[256];
    tuff_adaptable(p, own);
    return add(a, own, size, feedforward, w);
}

static tuff_status open(tuff_adapter *a)
{
    const tuff_weights *weights = a->files->weights;
    if (weights->count == 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no vectors of IA3 (ia3_l)", a->files->weights_path);
    for (size_t i = 0; i < weights->count; i++)
        if (!tuff_adapter_is_whole(a, weights->items[i].name)) TUFF_TRY(open_tensor(a, &weights->items[i]));
    return TUFF_OK;
}

/* The vector of a module as [size], where it scales what the module is given, or what it gives; else NULL. */
static tuff_tensor *vector_of(const tuff_adapter *a, tuff_net *net, const char *module, bool feedforward)
{
    char name[320];
    snprintf(name, sizeof name, TUFF_PEFT_PREFIX "%s" VECTOR, module);
    size_t i = tuff_adapter_find(a, name);
    if (i == SIZE_MAX) return NULL;
    const int64_t *shape = a->tensors[i].shape, size = shape[0] * shape[1];
    if ((shape[0] == 1) != feedforward) return NULL;
    return tuff_reshape(net->g, tuff_adapter_variable(a, net, i), 1, &size);
}

static tuff_tensor *input(void *self, tuff_net *net, const char *module, tuff_tensor *x)
{
    tuff_tensor *scale = vector_of(self, net, module, true);
    return scale ? tuff_mul(net->g, x, scale) : x;
}

static tuff_tensor *linear(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *w,
                           tuff_tensor *y)
{
    (void)x;
    (void)w;
    tuff_tensor *scale = vector_of(self, net, module, false);
    return scale ? tuff_mul(net->g, y, scale) : y;
}

/* The vector that is for a parameter: of a module's weight, or its bias, which it gives too. SIZE_MAX: none.
 */
static size_t vector_for(const tuff_adapter *a, const tuff_param *p)
{
    char name[TUFF_PARAM_NAME + 64];
    const char *ending = tuff_ends_with(p->name, ".weight") ? ".weight" : ".bias";
    if (!tuff_ends_with(p->name, ending)) return SIZE_MAX;
    snprintf(name, sizeof name, TUFF_PEFT_PREFIX "%.*s" VECTOR, (int)(strlen(p->name) - strlen(ending)),
             p->name);
    const size_t i = tuff_adapter_find(a, name);
    return i != SIZE_MAX && (p->rank == 2 || a->tensors[i].shape[0] != 1) ? i : SIZE_MAX;
}

static bool changes(const tuff_adapter *a, const tuff_param *p)
{
    return vector_for(a, p) != SIZE_MAX;
}

static tuff_status merge(const tuff_adapter *a, const tuff_param *p, int64_t begin, int64_t end,
                         float *values)
{
    const size_t i = vector_for(a, p);
    const bool inputs = a->tensors[i].shape[0] == 1;
    const int64_t columns = tuff_param_columns(p), size = inputs ? columns : tuff_param_rows(p);
    float *scales = tuff_alloc_array((size_t)size, sizeof *scales);
    if (!scales) return tuff_fail_memory("an adapter's weights");
    const tuff_status status = tuff_adapter_read(a, i, 0, inputs ? 1 : size, scales);
    for (int64_t r = begin; r < end && status == TUFF_OK; r++)
        for (int64_t k = 0; k < columns; k++, values++)
            *values = (float)((double)*values * scales[inputs ? k : r]);
    tuff_free(scales);
    return status;
}

static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const int64_t *shape = a->tensors[index].shape;
    for (int64_t k = 0; k < shape[0] * shape[1]; k++)
        values[k] = 1;
    return TUFF_OK;
}

/* The modules of all vectors, or of those of feed-forward modules, by their whole names: what an adapter that
 * was opened is for. */
static tuff_status list_modules(const tuff_adapter *a, bool feedforward_only, tuff_arena *arena,
                                tuff_targets *out)
{
    out->names = tuff_arena_array(arena, a->count, sizeof *out->names);
    if (!out->names) return tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < a->count; i++) {
        const char *module = a->tensors[i].name + strlen(TUFF_PEFT_PREFIX);
        if (feedforward_only && a->tensors[i].shape[0] != 1) continue;
        out->names[out->count] =
            tuff_arena_printf(arena, "%.*s", (int)(strlen(module) - strlen(VECTOR)), module);
        if (!out->names[out->count++]) return tuff_fail_memory("an adapter's config");
    }
    return TUFF_OK;
}

static void put_targets(tuff_buf *out, const char *key, const tuff_targets *targets)
{
    if (targets->all)
        tuff_peft_put_text(out, key, "all-linear");
    else
        tuff_peft_put_list(out, key, targets->names, targets->count);
}

static void print(const tuff_adapter *a, const ia3 *own, const tuff_adapter_card *card, tuff_buf *out)
{
    bool conv1d = false;
    for (size_t i = 0; i < a->model->params.count; i++) {
        const tuff_param *p = &a->model->params.items[i];
        char module[256];
        conv1d = conv1d || (tuff_adaptable(p, module) && p->hf.layout == TUFF_LAYOUT_TRANSPOSED);
    }
    tuff_peft_put_begin(out);
    tuff_peft_put_text(out, "auto_mapping", NULL);
    tuff_peft_put_text(out, "base_model_name_or_path", card->base);
    tuff_peft_put_text(out, "exclude_modules", NULL);
    tuff_peft_put_bool(out, "fan_in_fan_out", conv1d);
    put_targets(out, "feedforward_modules", &own->feedforward);
    tuff_peft_put_bool(out, "inference_mode", true);
    tuff_peft_put_bool(out, "init_ia3_weights", true);
    tuff_peft_put_modules(out, card->modules, card->module_count);
    tuff_peft_put_text(out, "peft_type", "IA3");
    tuff_peft_put_text(out, "revision", NULL);
    put_targets(out, "target_modules", &own->targets);
    tuff_peft_put_text(out, "task_type", card->task_type);
    tuff_peft_put_end(out);
}

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    ia3 listed = {0};
    tuff_arena arena = {0};
    tuff_status status = TUFF_OK;
    if (a->own) {
        listed = *(const ia3 *)a->own;
    } else {
        TUFF_GO(list_modules(a, false, &arena, &listed.targets));
        TUFF_GO(list_modules(a, true, &arena, &listed.feedforward));
    }
    print(a, &listed, card, out);
done:
    tuff_arena_free(&arena);
    return status;
}

const tuff_method tuff_method_ia3 = {.peft_type = "IA3",
                                     .title = "IA3",
                                     .whole_prefix = TUFF_PEFT_PREFIX,
                                     .points = {.input = input, .linear = linear},
                                     .create = create,
                                     .open = open,
                                     .start = start,
                                     .describe = describe,
                                     .changes = changes,
                                     .merge = merge};
