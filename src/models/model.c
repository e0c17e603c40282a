/* Loading a model: what the path is, its config, its tensors checked against the architecture's list. */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "models/vocab.h"

tuff_status tuff_model_read_hf(tuff_model *model, const tuff_hf_files *files)
{
    const char *type = NULL;
    TUFF_TRY(tuff_json_text(model->hf_config, "model_type", files->config, &type));
    if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: model_type is missing", files->config);
    model->config.arch = tuff_arch_by_model_type(type);
    if (!model->config.arch)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: model_type is \"%s\"; Tuff runs %s", files->config, type,
                         tuff_arch_names());
    TUFF_TRY(model->config.arch->read_hf(model->hf_config, files->config, &model->config));
    return tuff_config_check(&model->config, files->config);
}

/* Whether both hold the same bytes. */
static bool is_copy(const tuff_weight *a, const tuff_weight *b)
{
    return a->storage == b->storage && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

void tuff_model_settle_head(tuff_model *model)
{
    const tuff_arch *arch = model->config.arch;
    const tuff_param param = {.name = arch->token_table, .gguf = "token_embd.weight"};
    const tuff_weight *table = tuff_model_weight(model, &param);
    const tuff_weight *head = model->gguf ? tuff_weights_find(model->gguf->weights, "output.weight")
                                          : tuff_weights_find(model->weights, "lm_head.weight");
    if (model->gguf) {
        /* llama.cpp's converter writes the head of GPT-2 a second time; it is the same tensor */
        bool twice = arch == &tuff_arch_gpt2 && head && table && is_copy(head, table);
        model->config.tied = !head || twice;
    } else if (model->config.tied && head && table && !is_copy(head, table)) {
        model->config.tied = false;
        tuff_log(
            TUFF_LOG_INFO,
            "%s: config.json ties the head to the embedding table, but lm_head.weight holds other numbers; "
            "they are used",
            model->path);
    }
}

static tuff_status open_hf(tuff_model *model, const tuff_hf_files *files)
{
    TUFF_TRY(tuff_hf_need(files, TUFF_HF_CONFIG | TUFF_HF_WEIGHTS));
    TUFF_TRY(tuff_hf_read_object(files->config, &model->hf_config));
    TUFF_TRY(tuff_model_read_hf(model, files));
    TUFF_TRY(tuff_hf_tokens_load(files, &model->config.tokens));
    if (files->generation_config)
        TUFF_TRY(tuff_hf_read_object(files->generation_config, &model->hf_generation));
    TUFF_TRY(tuff_hf_open_weights(files, &model->weights));
    tuff_model_settle_head(model);
    return TUFF_OK;
}

tuff_status tuff_model_read_gguf(tuff_model *model)
{
    const tuff_gguf *gguf = model->gguf;
    const char *path = gguf->file;
    tuff_view name = {0};
    TUFF_TRY(tuff_gguf_text(gguf, "general.architecture", &name));
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(name.size < 63 ? name.size : 63), name.data ? name.data : "");
    model->config.arch = tuff_arch_by_gguf(text);
    if (!model->config.arch)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: general.architecture is \"%s\"; Tuff runs %s", path, text,
                         tuff_arch_names());
    TUFF_TRY(model->config.arch->read_gguf(gguf, &model->config));
    const tuff_weight *table = tuff_weights_find(gguf->weights, "token_embd.weight");
    if (!table || table->rank != 2)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the tensor token_embd.weight [vocab, hidden] is missing",
                         path);
    model->config.vocab_size = table->shape[0];
    tuff_model_settle_head(model);
    return tuff_config_check(&model->config, path);
}

static tuff_status open_gguf(tuff_model *model, const char *path)
{
    TUFF_TRY(tuff_gguf_open(path, &model->gguf));
    TUFF_TRY(tuff_model_read_gguf(model));
    return tuff_vocab_tokens(model->gguf, &model->config.tokens);
}

const tuff_weight *tuff_model_weight(const tuff_model *model, const tuff_param *param)
{
    if (model->gguf) return tuff_weights_find(model->gguf->weights, param->gguf);
    const tuff_weight *weight = tuff_weights_find(model->weights, param->name);
    if (weight) return weight;
    const char *prefix = model->config.arch->base_prefix;
    return tuff_starts_with(param->name, prefix)
               ? tuff_weights_find(model->weights, param->name + strlen(prefix))
               : NULL;
}

tuff_status tuff_model_check_param(const tuff_model *model, const tuff_param *param)
{
    const tuff_weight *weight = tuff_model_weight(model, param);
    if (!weight)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the tensor %s of a %s model with %lld layers is missing",
                         model->path, model->gguf ? param->gguf : param->name, model->config.arch->name,
                         (long long)model->config.layers);
    TUFF_TRY(tuff_weight_check_readable(weight));
    bool transposed = !model->gguf && (param->flags & TUFF_PARAM_CONV1D);
    int64_t want[2] = {param->shape[transposed ? 1 : 0], param->shape[transposed ? 0 : 1]};
    bool fits = weight->rank == (unsigned)param->rank && weight->shape[0] == want[0] &&
                (param->rank == 1 || weight->shape[1] == want[1]);
    if (!fits) {
        tuff_shape expected = tuff_shape_of(param->rank, want),
                   found = tuff_shape_of((int)weight->rank, weight->shape);
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s has shape %s, the config expects %s", weight->file,
                         weight->name, tuff_shape_text(&found), tuff_shape_text(&expected));
    }
    return TUFF_OK;
}

static tuff_status list_params(tuff_model *model)
{
    model->config.arch->list_params(&model->config, &model->params);
    if (model->params.failed) return tuff_fail_memory("the list of a model's parameters");
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *param = &model->params.items[i];
        TUFF_TRY(tuff_model_check_param(model, param));
        TUFF_TRY(tuff_weight_check_finite(tuff_model_weight(model, param)));
    }
    return TUFF_OK;
}

/* A model without a usable tokenizer still trains on ids and converts; the reason is kept for who asks. */
static tuff_status load_tokenizer(tuff_model *model, const tuff_hf_files *files)
{
    tuff_status status = model->gguf ? tuff_vocab_load(model->gguf, &model->tokenizer)
                                     : tuff_hf_need(files, TUFF_HF_TOKENIZER);
    if (status == TUFF_OK && !model->gguf) status = tuff_tokenizer_load(files->directory, &model->tokenizer);
    if (status == TUFF_OK)
        return tuff_note(tuff_tokenizer_check_model(model->tokenizer, (uint32_t)model->config.vocab_size),
                         "%s", model->path);
    if (status == TUFF_OUT_OF_MEMORY || status == TUFF_BAD_FORMAT) return status;
    model->tokenizer_error = tuff_strdup(tuff_error_message());
    return model->tokenizer_error ? TUFF_OK : tuff_fail_memory("an error text");
}

static tuff_status load(tuff_model *model, const char *path)
{
    model->config.tokens.bos = model->config.tokens.pad = -1;
    model->path = tuff_strdup(path);
    if (!model->path) return tuff_fail_memory("a model");
    tuff_hf_files *files = NULL;
    TUFF_TRY(tuff_hf_locate(path, &files));
    tuff_status status = files->kind == TUFF_HF_GGUF ? open_gguf(model, files->gguf) : open_hf(model, files);
    if (status == TUFF_OK) status = list_params(model);
    if (status == TUFF_OK) status = load_tokenizer(model, files);
    tuff_hf_files_destroy(&files);
    return status;
}

tuff_status tuff_model_load(const char *path, tuff_model **out_model)
{
    *out_model = NULL;
    tuff_model *model = tuff_alloc(sizeof *model);
    if (!model) return tuff_fail_memory("a model");
    tuff_status status = load(model, path);
    if (status != TUFF_OK)
        tuff_model_destroy(&model);
    else
        *out_model = model;
    return status;
}

void tuff_model_destroy(tuff_model **model)
{
    tuff_model *m = *model;
    if (!m) return;
    tuff_tokenizer_destroy(&m->tokenizer);
    tuff_weights_destroy(&m->weights);
    tuff_gguf_destroy(&m->gguf);
    cJSON_Delete(m->hf_config);
    cJSON_Delete(m->hf_generation);
    tuff_free(m->params.items);
    tuff_arena_free(&m->params.arena);
    tuff_free(m->tokenizer_error);
    tuff_free(m->path);
    tuff_free(m);
    *model = NULL;
}

tuff_status tuff_model_get_tokenizer(const tuff_model *model, const tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = model->tokenizer;
    return model->tokenizer ? TUFF_OK : tuff_fail(TUFF_NOT_FOUND, "%s", model->tokenizer_error);
}

tuff_dtype tuff_model_matrix_dtype(const tuff_model *model, tuff_matrix_policy policy)
{
    if (policy == TUFF_MATRIX_F32) return TUFF_F32;
    tuff_storage common = TUFF_STORE_COUNT;
    for (size_t i = 0; i < model->params.count; i++) {
        if (!(model->params.items[i].flags & TUFF_PARAM_MATRIX)) continue;
        tuff_storage s = tuff_model_weight(model, &model->params.items[i])->storage;
        if (common != TUFF_STORE_COUNT && s != common) return TUFF_F32;
        common = s;
    }
    return common == TUFF_STORE_F16 ? TUFF_F16 : common == TUFF_STORE_BF16 ? TUFF_BF16 : TUFF_F32;
}

tuff_model_info tuff_model_get_info(const tuff_model *model)
{
    const tuff_config *c = &model->config;
    tuff_model_info info = {.architecture = c->arch->name,
                            .vocab_size = c->vocab_size,
                            .hidden_size = c->hidden_size,
                            .layers = c->layers,
                            .heads = c->heads,
                            .kv_heads = c->kv_heads,
                            .head_dim = c->head_dim,
                            .intermediate_size = c->intermediate_size,
                            .context_length = c->max_positions,
                            .tied = c->tied,
                            .dtype = tuff_model_matrix_dtype(model, TUFF_MATRIX_AS_STORED)};
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        info.parameters += p->shape[0] * (p->rank == 2 ? p->shape[1] : 1);
    }
    return info;
}
