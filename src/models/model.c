/* Loading a model: what the path is, its config, its tensors checked against the architecture's list. */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/stage.h"
#include "base/structs.h"
#include "base/users.h"
#include "models/keys.h"
#include "models/vocab.h"

tuff_status tuff_model_read_hf(tuff_model *model, const tuff_hf_files *files)
{
    const char *type = NULL;
    TUFF_TRY(tuff_json_text(model->hf_config, "model_type", files->config, &type));
    if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: model_type is missing", files->config);
    type = tuff_arch_canonical(type);
    model->config.arch = tuff_arch_by_model_type(type);
    if (!model->config.arch)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: model_type is \"%s\"; Tuff runs %s", files->config, type,
                         tuff_arch_names());
    TUFF_TRY(tuff_hf_keys_check(model->hf_config, files->config, type));
    TUFF_TRY(model->config.arch->read_hf(model->hf_config, files->config, &model->config));
    TUFF_TRY(tuff_dropouts_read_hf(model->hf_config, files->config, &model->config));
    TUFF_TRY(tuff_labels_read_hf(model->hf_config, files->config, &model->config));
    TUFF_TRY(tuff_hf_layer_types_check(model->hf_config, files->config, &model->config));
    return tuff_config_check(&model->config, files->config);
}

static void settle_start(tuff_config *c)
{
    if (c->encoder && c->tokens.start < 0) c->tokens.start = c->start_token;
}

static tuff_status check_token(const tuff_model *model, const char *key, int32_t id)
{
    if (id < model->config.vocab_size) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %d, expected 0 to %lld", model->path, key, id,
                     (long long)model->config.vocab_size - 1);
}

/* Tokens that texts must have. One that is not there may be written as -1, but for what all texts begin with.
 */
static tuff_status check_tokens(const tuff_model *model)
{
    static const char start[] = "decoder_start_token_id";
    const tuff_config *c = &model->config;
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(model->hf_generation, start);
    if (!cJSON_IsNumber(given)) given = cJSON_GetObjectItemCaseSensitive(model->hf_config, start);
    if (c->encoder && cJSON_IsNumber(given) && given->valuedouble < 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %.0f, expected 0 to %lld", model->path, start,
                         given->valuedouble, (long long)c->vocab_size - 1);
    if (c->encoder) TUFF_TRY(check_token(model, start, c->tokens.start));
    if (c->encoder) TUFF_TRY(check_token(model, "forced_bos_token_id", c->tokens.first));
    return c->arch->decoder ? check_token(model, "forced_eos_token_id", c->tokens.last) : TUFF_OK;
}

static tuff_status open_hf(tuff_model *model, const tuff_hf_files *files)
{
    /* what the model is comes first: who has one that Tuff does not run need not convert its weights */
    if (!files->config) TUFF_TRY(tuff_hf_need(files, TUFF_HF_WEIGHTS | TUFF_HF_CONFIG));
    TUFF_TRY(tuff_hf_read_object(files->config, &model->hf_config));
    TUFF_TRY(tuff_model_read_hf(model, files));
    TUFF_TRY(tuff_hf_need(files, TUFF_HF_WEIGHTS));
    TUFF_TRY(tuff_hf_tokens_load(files, &model->config.tokens));
    if (files->generation_config)
        TUFF_TRY(tuff_hf_read_object(files->generation_config, &model->hf_generation));
    TUFF_TRY(check_tokens(model));
    settle_start(&model->config);
    TUFF_TRY(tuff_hf_open_weights(files, &model->weights));
    tuff_model_settle_head(model);
    if (files->kind == TUFF_HF_DIRECTORY && files->adapter_config)
        tuff_log(
            TUFF_LOG_WARN,
            "%s holds an adapter beside the model (adapter_config.json): the model is loaded without it, "
            "where transformers would apply it; name the directory as the adapter too",
            files->path);
    return TUFF_OK;
}

/* A model, not something else in the same format. */
static tuff_status check_gguf_kind(const tuff_gguf *gguf)
{
    tuff_view type = tuff_view_of("model");
    TUFF_TRY(tuff_gguf_text(gguf, "general.type", &type));
    if (!tuff_view_is(type, "model"))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: it holds no model: its general.type is \"%.*s\"", gguf->file,
                         (int)(type.size < 40 ? type.size : 40), type.data);
    return TUFF_OK;
}

tuff_status tuff_model_read_gguf(tuff_model *model)
{
    const tuff_gguf *gguf = model->gguf;
    const char *path = gguf->file;
    TUFF_TRY(check_gguf_kind(gguf));
    tuff_view name = {0};
    TUFF_TRY(tuff_gguf_text(gguf, "general.architecture", &name));
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(name.size < 63 ? name.size : 63), name.data ? name.data : "");
    model->config.arch = tuff_arch_by_gguf(text);
    if (!model->config.arch)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: general.architecture is \"%s\"; Tuff runs %s", path, text,
                         tuff_arch_names());
    TUFF_TRY(tuff_gguf_keys_check(gguf, text));
    TUFF_TRY(model->config.arch->read_gguf(gguf, &model->config));
    TUFF_TRY(tuff_labels_read_gguf(gguf, &model->config));
    const tuff_weight *table = tuff_weights_find(gguf->weights, "token_embd.weight");
    if (!table || table->rank != 2)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the tensor token_embd.weight [vocab, hidden] is missing",
                         path);
    model->config.vocab_size = table->shape[0];
    if (model->config.encoder) model->config.encoder->vocab_size = table->shape[0];
    tuff_model_settle_head(model);
    return tuff_config_check(&model->config, path);
}

static tuff_status open_gguf(tuff_model *model, const char *path)
{
    TUFF_TRY(tuff_gguf_open(path, &model->gguf));
    TUFF_TRY(tuff_model_read_gguf(model));
    TUFF_TRY(tuff_vocab_tokens(model->gguf, &model->config.tokens));
    TUFF_TRY(tuff_model_read_gguf_sampling(model));
    settle_start(&model->config);
    return TUFF_OK;
}

/* 16 bits stay, and blocks, whose rows may move as a whole; all else becomes f32. */
static tuff_dtype stored_as(const tuff_param *p, const tuff_weight *weight)
{
    const tuff_block block = tuff_storage_block(weight->storage);
    if (!tuff_param_is_matrix(p)) return TUFF_F32;
    if (block != TUFF_BLOCK_COUNT)
        return p->rank >= 2 && p->gguf.added == 0 && p->gguf.skip == 0 ? tuff_dtype_of_block(block)
                                                                       : TUFF_F32;
    return weight->storage == TUFF_STORE_F16    ? TUFF_F16
           : weight->storage == TUFF_STORE_BF16 ? TUFF_BF16
                                                : TUFF_F32;
}

/* How it is stored where all its tensors are stored alike, else f32; the file's bytes of it. */
static uint64_t set_stored(const tuff_model *model, tuff_param *p)
{
    const int64_t tensors = tuff_model_tensors(model, p);
    uint64_t bytes = 0;
    if (tuff_alternating_packed(model, p)) {
        p->stored = TUFF_MXFP4;
        return 0;
    }
    p->stored = stored_as(p, tuff_model_weight(model, p));
    for (int64_t i = 0; i < tensors; i++) {
        const tuff_weight *weight = tuff_model_weight_at(model, p, i);
        if (stored_as(p, weight) != p->stored) p->stored = TUFF_F32;
        bytes += weight->bytes;
    }
    return bytes;
}

uint64_t tuff_model_settle_types(tuff_model *model)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model->params.count; i++)
        bytes += set_stored(model, &model->params.items[i]);
    return bytes;
}

static tuff_status list_params(tuff_model *model, const tuff_watch *watch)
{
    TUFF_TRY(tuff_model_list_params(model));
    TUFF_TRY(tuff_model_check_tensors(model));
    const uint64_t total = tuff_model_settle_types(model);
    uint64_t done = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        /* what is packed was looked at already */
        const int64_t tensors = tuff_alternating_packed(model, p) ? 0 : tuff_model_tensors(model, p);
        for (int64_t k = 0; k < tensors; k++) {
            const tuff_weight *weight = tuff_model_weight_at(model, p, k);
            TUFF_TRY(tuff_weight_check_finite_watched(weight, tuff_model_weights(model), watch, done, total));
            done += weight->bytes;
        }
    }
    return tuff_watch_step(watch, TUFF_PHASE_LOAD, total, total);
}

/* A model without a usable tokenizer still trains on ids and converts; the reason is kept for who asks. */
static tuff_status load_tokenizer(tuff_model *model, const tuff_hf_files *files)
{
    tuff_status status = model->gguf ? tuff_vocab_load(model->gguf, &model->tokenizer)
                                     : tuff_tokenizer_load(files->directory, &model->tokenizer);
    if (status == TUFF_OK)
        return tuff_note(tuff_tokenizer_check_model(model->tokenizer, (uint32_t)model->config.vocab_size),
                         "%s", model->path);
    if (status == TUFF_OUT_OF_MEMORY || status == TUFF_BAD_FORMAT) return status;
    model->tokenizer_error = tuff_strdup(tuff_error_message());
    return model->tokenizer_error ? TUFF_OK : tuff_fail_memory("an error text");
}

static tuff_status load(tuff_model *model, const char *path, const tuff_watch *watch)
{
    TUFF_TRY(tuff_watch_check(watch));
    model->config.tokens = (tuff_hf_tokens){.bos = -1, .pad = -1, .start = -1, .first = -1, .last = -1};
    model->path = tuff_strdup(path);
    if (!model->path) return tuff_fail_memory("a model");
    tuff_hf_files *files = NULL;
    TUFF_TRY(tuff_hf_locate(path, &files));
    tuff_status status = files->kind == TUFF_HF_GGUF ? open_gguf(model, files->gguf) : open_hf(model, files);
    if (status == TUFF_OK) status = list_params(model, watch);
    if (status == TUFF_OK) status = load_tokenizer(model, files);
    tuff_hf_files_destroy(&files);
    return status;
}

typedef struct loading {
    const char *path;
    const tuff_watch *watch;
    tuff_model *model; /* NULL after a failure */
} loading;

static void drop(void *user)
{
    loading *work = user;
    tuff_model_destroy(&work->model);
}

static tuff_status load_one(void *user)
{
    loading *work = user;
    work->model = tuff_alloc(sizeof *work->model);
    if (!work->model) return tuff_fail_memory("a model");
    tuff_status status = load(work->model, work->path, work->watch);
    if (status != TUFF_OK) drop(work);
    return status;
}

tuff_status tuff_model_load(const char *path, tuff_model **out_model)
{
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(path);
    return tuff_model_load_watched(path, NULL, out_model);
}

tuff_status tuff_model_load_watched(const char *path, const tuff_watch *watch, tuff_model **out_model)
{
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(path);
    TUFF_TRY(tuff_watch_check(watch));
    loading work = {.path = path, .watch = watch};
    tuff_status status =
        tuff_is_directory(path) ? tuff_stage_read(path, load_one, drop, &work) : load_one(&work);
    *out_model = work.model;
    return status;
}

static void free_model(tuff_model *m)
{
    cJSON_Delete(m->new_labels);
    tuff_params_free(&m->params);
    cJSON_Delete(m->hf_config);
    if (m->base) {
        if (m->merge.free) m->merge.free(m->merge.self);
        tuff_tokenizer_destroy(&m->own_tokenizer);
        cJSON_Delete(m->own_generation);
        tuff_free(m->own_ids);
        tuff_model_let_go(m->base);
        tuff_free(m);
        return;
    }
    tuff_tokenizer_destroy(&m->tokenizer);
    tuff_weights_destroy(&m->weights);
    tuff_gguf_destroy(&m->gguf);
    cJSON_Delete(m->hf_generation);
    tuff_config_free(&m->config);
    tuff_free(m->tokenizer_error);
    tuff_free(m->path);
    tuff_free(m);
}

/* All of a model but this count is the same for as long as it lives. */
static tuff_model *counted(const tuff_model *model)
{
    return (tuff_model *)(uintptr_t)model;
}

void tuff_model_keep(const tuff_model *model)
{
    if (model) tuff_user_comes(&counted(model)->users);
}

void tuff_model_let_go(const tuff_model *model)
{
    if (model && tuff_user_goes(&counted(model)->users)) free_model(counted(model));
}

void tuff_model_destroy(tuff_model **model)
{
    if (!model) return;
    tuff_model_let_go(*model);
    *model = NULL;
}

tuff_status tuff_model_get_tokenizer(const tuff_model *model, const tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(model);
    *out_tokenizer = model->tokenizer;
    return model->tokenizer ? TUFF_OK : tuff_fail(TUFF_NOT_FOUND, "%s", model->tokenizer_error);
}

tuff_dtype tuff_model_matrix_dtype(const tuff_model *model)
{
    int64_t elements[TUFF_DTYPE_COUNT] = {0};
    tuff_dtype most = TUFF_F32;
    int types = 0;
    if (model->merge.rows || model->new_id_count) return tuff_model_matrix_dtype(model->base);
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        /* llama.cpp's files have routers as f32, whatever the rest is */
        if (tuff_param_is_matrix(p) && !p->router) elements[p->stored] += tuff_param_elements(p);
    }
    for (int i = 0; i < TUFF_DTYPE_COUNT; i++) {
        types += elements[i] > 0;
        if (elements[i] > elements[most]) most = (tuff_dtype)i;
    }
    return types == 1 || tuff_dtype_is_block(most) ? most : TUFF_F32;
}

int64_t tuff_model_parameters(const tuff_model *model)
{
    int64_t count = 0;
    for (size_t i = 0; i < model->params.count; i++)
        count += tuff_param_elements(&model->params.items[i]);
    return count;
}

tuff_status tuff_model_get_info(const tuff_model *model, tuff_model_info *out_info)
{
    TUFF_NEED(model);
    const tuff_config *c = &model->config;
    const tuff_model_info info = {.struct_size = sizeof info,
                                  .architecture = c->arch->name,
                                  .vocab_size = c->vocab_size,
                                  .hidden_size = c->hidden_size,
                                  .layers = c->layers,
                                  .heads = c->heads,
                                  .kv_heads = c->kv_heads,
                                  .head_dim = c->head_dim,
                                  .intermediate_size = c->intermediate_size,
                                  .context_length = c->max_positions,
                                  .tied = c->tied,
                                  .parameters = tuff_model_parameters(model),
                                  .dtype = tuff_model_matrix_dtype(model),
                                  .encoder_decoder = c->encoder != NULL,
                                  .weight_bytes = tuff_model_weight_bytes(model, false)};
    return TUFF_GIVE(out_info, &info, TUFF_MODEL_INFO_INIT, dtype);
}
