/* Whether a file's tensors are the parameters of its model: none missing, none to spare. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "models/keys.h"
#include "models/model.h"

static const struct spare {
    const char *archs, *ending;
    bool copy; /* it must be the embedding table once more */
} spares[] = {
#define TUFF_SPARE(archs, ending) {archs, ending, false},
#define TUFF_COPY(archs, ending)  {archs, ending, true},
#define TUFF_UNUSED(class, begins)
#include "models/spare_tensors.def"
#undef TUFF_SPARE
#undef TUFF_COPY
#undef TUFF_UNUSED
};

static const struct unused {
    const char *class, *begins;
} unused_parts[] = {
#define TUFF_SPARE(archs, ending)
#define TUFF_COPY(archs, ending)
#define TUFF_UNUSED(class, begins) {class, begins},
#include "models/spare_tensors.def"
#undef TUFF_SPARE
#undef TUFF_COPY
#undef TUFF_UNUSED
};

const tuff_weights *tuff_model_weights(const tuff_model *model)
{
    return model->gguf ? model->gguf->weights : model->weights;
}

/* Of a Hugging Face file. The weights of LayerNorm were gamma and beta once; transformers reads both. */
static const tuff_weight *find(const tuff_weights *weights, const char *name)
{
    const tuff_weight *weight = tuff_weights_find(weights, name);
    const char *norm = weight ? NULL : strstr(name, "LayerNorm.");
    if (!norm) return weight;
    char old[256];
    norm += strlen("LayerNorm.");
    snprintf(old, sizeof old, "%.*s%s", (int)(norm - name), name,
             strcmp(norm, "bias") == 0 ? "beta" : "gamma");
    return tuff_weights_find(weights, old);
}

/* Of a Hugging Face file, whose names may have the prefix of the model's body or not. */
static const tuff_weight *find_named(const tuff_model *model, const char *name)
{
    const tuff_weight *weight = find(model->weights, name);
    if (weight) return weight;
    const char *prefix = model->config.arch->base_prefix;
    return tuff_starts_with(name, prefix) ? find(model->weights, name + strlen(prefix)) : NULL;
}

const tuff_weight *tuff_model_weight_at(const tuff_model *model, const tuff_param *param, int64_t index)
{
    char text[TUFF_PARAM_NAME];
    const char *name = tuff_param_file_name(param, model->gguf != NULL, index, text);
    if (model->gguf) return name ? tuff_weights_find(model->gguf->weights, name) : NULL;
    if (param->hf.layout == TUFF_LAYOUT_ALTERNATING) return tuff_alternating_weight(model, param, index);
    return find_named(model, param->is_fused ? param->fused.name : name);
}

const tuff_weight *tuff_model_weight(const tuff_model *model, const tuff_param *param)
{
    return tuff_model_weight_at(model, param, 0);
}

int64_t tuff_model_tensors(const tuff_model *model, const tuff_param *param)
{
    if (param->is_fused) return 1;
    return tuff_alternating_packed(model, param) ? 2 : tuff_param_file_tensors(param, model->gguf != NULL);
}

bool tuff_model_has_shape(const tuff_model *model, const tuff_param *param, const tuff_weight *weight,
                          tuff_shape *out_expected)
{
    int64_t want[TUFF_MAX_RANK];
    int rank = tuff_param_file_shape(param, model->gguf != NULL, want);
    if (param->is_fused) {
        rank = param->rank;
        memcpy(want, param->shape, (size_t)rank * sizeof *want);
        if (rank > 2) want[1] *= param->fused.heads;
    }
    const tuff_shape found = tuff_shape_of((int)weight->rank, weight->shape);
    *out_expected = tuff_shape_of(rank, want);
    return tuff_shape_equal(out_expected, &found);
}

tuff_status tuff_model_list_params(tuff_model *model)
{
    TUFF_TRY(tuff_params_list(&model->config, &model->params));
    for (size_t i = 0; i < model->params.count && !model->gguf; i++) {
        tuff_param *p = &model->params.items[i];
        p->is_fused = p->fused.name && !tuff_model_weight(model, p) && find_named(model, p->fused.name);
    }
    return TUFF_OK;
}

static tuff_status check_tensor(const tuff_model *model, const tuff_param *param, int64_t index)
{
    const tuff_weight *weight = tuff_model_weight_at(model, param, index);
    char text[TUFF_PARAM_NAME];
    if (!weight)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the tensor %s of a %s model with %lld layers is missing",
                         model->path,
                         tuff_param_file_name(param, model->gguf && param->gguf.name, index, text),
                         model->config.arch->name, (long long)model->config.layers);
    TUFF_TRY(tuff_weight_check_readable(weight));
    tuff_shape expected;
    if (tuff_model_has_shape(model, param, weight, &expected)) return TUFF_OK;
    const tuff_shape found = tuff_shape_of((int)weight->rank, weight->shape);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s has shape %s, the config expects %s", weight->file,
                     weight->name, tuff_shape_text(&found), tuff_shape_text(&expected));
}

static tuff_status check_param(const tuff_model *model, const tuff_param *param)
{
    const int64_t tensors = tuff_model_tensors(model, param);
    if (tuff_alternating_packed(model, param)) return tuff_alternating_check_packed(model, param);
    for (int64_t i = 0; i < tensors; i++)
        TUFF_TRY(check_tensor(model, param, i));
    return TUFF_OK;
}

static bool is_spare(const tuff_model *model, const tuff_weight *weight)
{
    for (size_t i = 0; i < sizeof spares / sizeof *spares; i++) {
        if (!tuff_ends_with(weight->name, spares[i].ending) ||
            !tuff_has_word(spares[i].archs, model->config.arch->name))
            continue;
        const tuff_weight *table = spares[i].copy ? tuff_model_table(model) : NULL;
        return !spares[i].copy || (table && tuff_weight_is_copy(weight, table));
    }
    return false;
}

/* Whether it belongs to a part of a larger model that the class in config.json does without. */
static bool is_unused(const tuff_model *model, const tuff_weight *weight)
{
    for (size_t i = 0; i < sizeof unused_parts / sizeof *unused_parts; i++)
        if (strcmp(unused_parts[i].class, model->config.arch->hf_class) == 0 &&
            tuff_starts_with(weight->name, unused_parts[i].begins))
            return true;
    return false;
}

/* Endings that tell how the weights are packed, or what else the file holds. */
static const struct sign {
    const char *ending, *what;
} signs[] = {
    {".qweight", "weights packed by GPTQ or AWQ are not read"},
    {".qzeros", "weights packed by GPTQ or AWQ are not read"},
    {".g_idx", "weights packed by GPTQ are not read"},
    {".absmax", "weights packed by bitsandbytes are not read"},
    {".SCB", "weights packed by bitsandbytes are not read"},
    {".weight_scale_inv", "8-bit floats with scales beside them are not read"},
    {".weight_scale", "weights with scales beside them are not read"},
    {"_scale", "weights with scales beside them are not read"},
    {".lora_A.weight", "it is an adapter's; merge it first"},
    {"score.weight", "it is a classifier's head, which config.json (architectures) does not name"},
    {"classifier.weight", "it is a classifier's head, which config.json (architectures) does not name"},
};

/* NULL: nothing is known of such a name. */
static const char *sign_of(const char *name)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (tuff_ends_with(name, signs[i].ending)) return signs[i].what;
    return NULL;
}

static tuff_status refuse(const tuff_model *model, const tuff_weight *weight)
{
    const char *what = sign_of(weight->name);
    return tuff_fail(TUFF_UNSUPPORTED, "%s: Tuff's %s of %lld layers has no use for the tensor %s: %s",
                     weight->file, model->config.arch->name, (long long)model->config.layers, weight->name,
                     what ? what : "running it without that tensor would run another model");
}

/* Tensors that no parameter takes; of those the ones whose name tells what they are, or all. */
static tuff_status check_spares(const tuff_model *model, bool telling)
{
    const tuff_weights *weights = tuff_model_weights(model);
    bool *used = tuff_alloc_array(weights->count + 1, sizeof *used);
    if (!used) return tuff_fail_memory("the list of a file's tensors");
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        const int64_t tensors = tuff_model_tensors(model, p);
        for (int64_t k = 0; k < tensors; k++) {
            const tuff_weight *weight = tuff_model_weight_at(model, p, k);
            if (weight) used[weight - weights->items] = true;
        }
    }
    const tuff_weight *head = tuff_model_output(model); /* of a tied model: a copy of the table */
    if (head) used[head - weights->items] = true;
    tuff_status status = TUFF_OK;
    size_t unused = 0;
    for (size_t i = 0; i < weights->count && status == TUFF_OK; i++) {
        const tuff_weight *weight = &weights->items[i];
        if (used[i] || is_spare(model, weight)) continue;
        if (is_unused(model, weight))
            unused++;
        else if (!telling || sign_of(weight->name))
            status = refuse(model, weight);
    }
    if (unused && !telling && status == TUFF_OK)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: %zu tensors are of parts that its class (%sModel, by config.json) does without, such as a "
            "decoder: it is loaded without them, as in transformers",
            model->path, unused, model->config.arch->hf_class);
    tuff_free(used);
    return status;
}

tuff_status tuff_model_check_tensors(const tuff_model *model)
{
    TUFF_TRY(check_spares(model, true)); /* why a parameter is missing, before that it is */
    for (size_t i = 0; i < model->params.count; i++)
        TUFF_TRY(check_param(model, &model->params.items[i]));
    return check_spares(model, false);
}
