/* Models as files: a Hugging Face directory here, one GGUF in save_gguf.c. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/stage.h"
#include "base/structs.h"
#include "formats/safetensors.h"
#include "models/heads/head.h"
#include "models/save_source.h"

static const char *torch_dtype(tuff_dtype dtype)
{
    return dtype == TUFF_F16 ? "float16" : dtype == TUFF_BF16 ? "bfloat16" : "float32";
}

/* null where there is none: transformers' classes have ids of their own for what is not said. */
static void put_token(const char *key, int32_t id, tuff_buf *json)
{
    tuff_buf_printf(json, "  \"%s\": ", key);
    if (id >= 0)
        tuff_buf_printf(json, "%d,\n", id);
    else
        tuff_buf_text(json, "null,\n");
}

static void put_tokens(const tuff_hf_tokens *tokens, tuff_buf *json)
{
    put_token("bos_token_id", tokens->bos, json);
    put_token("pad_token_id", tokens->pad, json);
    if (tokens->start >= 0) put_token("decoder_start_token_id", tokens->start, json);
    if (tokens->eos_count < 2) {
        put_token("eos_token_id", tokens->eos_count ? tokens->eos[0] : -1, json);
        return;
    }
    tuff_buf_text(json, "  \"eos_token_id\": [");
    for (size_t i = 0; i < tokens->eos_count; i++)
        tuff_buf_printf(json, "%s%d", i ? ", " : "", tokens->eos[i]);
    tuff_buf_text(json, "],\n");
}

/* Sets a text (or, where `text` is NULL, true or false) of an object, in place of the one that is there. */
static bool set_member(cJSON *object, const char *key, const char *text, bool flag)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return text ? cJSON_AddStringToObject(object, key, text) != NULL
                : cJSON_AddBoolToObject(object, key, flag) != NULL;
}

/* Of the class that transformers is to load it with; the first of those that have the head. */
static void put_class_ending(const tuff_config *c, tuff_buf *out)
{
    const char *ending = c->head ? c->head->head->hf_classes : "Model";
    if (tuff_config_has_head(c, &tuff_head_lm) && c->arch->hf_lm_class) ending = c->arch->hf_lm_class;
    tuff_buf_printf(out, "%.*s", (int)strcspn(ending, " "), ending);
}

/* config.json: the one that was read, with its dtype changed, or one made from the config. */
static tuff_status print_config(const tuff_model *model, tuff_dtype dtype, tuff_buf *out)
{
    const tuff_config *c = &model->config;
    if (model->hf_config) {
        cJSON *copy = cJSON_Duplicate(model->hf_config, true);
        const char *key = cJSON_HasObjectItem(model->hf_config, "dtype") ? "dtype" : "torch_dtype";
        bool ok = copy && set_member(copy, key, torch_dtype(dtype), false);
        /* a head beside a config that ties it: readers that trust the config would drop it */
        if (tuff_config_has_output(c) && !c->tied && !c->arch->ties)
            ok = ok && set_member(copy, "tie_word_embeddings", NULL, false);
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "quantization_config"); /* nothing is written packed */
        ok = ok && tuff_json_print(copy, out);
        tuff_buf_char(out, '\n');
        cJSON_Delete(copy);
        return ok && !out->failed ? TUFF_OK : tuff_fail_memory("config.json");
    }
    tuff_buf_printf(out, "{\n  \"architectures\": [\"%s", c->arch->hf_class);
    put_class_ending(c, out);
    tuff_buf_printf(out, "\"],\n  \"model_type\": \"%s\",\n", c->arch->name);
    put_tokens(&c->tokens, out);
    c->arch->write_hf(c, out);
    if (c->head && c->head->head->has_labels) tuff_labels_write_hf(model, out);
    tuff_buf_printf(out, "  \"torch_dtype\": \"%s\",\n  \"vocab_size\": %lld\n}\n", torch_dtype(dtype),
                    (long long)c->vocab_size);
    return out->failed ? tuff_fail_memory("config.json") : TUFF_OK;
}

/* generation_config.json as it was read: it may know more ends of a text than config.json. */
static tuff_status print_generation(const tuff_model *model, tuff_buf *out)
{
    const bool ok = tuff_json_print(model->hf_generation, out);
    tuff_buf_char(out, '\n');
    return ok && !out->failed ? TUFF_OK : tuff_fail_memory("generation_config.json");
}

static tuff_status write_text(const char *directory, const char *name, const tuff_buf *text)
{
    char *path = tuff_path_join(directory, name);
    tuff_status status = path ? tuff_write_file(path, text->data, text->size) : tuff_fail_memory("a path");
    tuff_free(path);
    return status;
}

static tuff_status write_config(const tuff_model *model, tuff_dtype dtype, const char *directory)
{
    tuff_buf text = {0}, generation = {0};
    tuff_status status = print_config(model, dtype, &text);
    if (status == TUFF_OK) status = write_text(directory, "config.json", &text);
    if (status == TUFF_OK && model->hf_generation) status = print_generation(model, &generation);
    if (status == TUFF_OK && model->hf_generation)
        status = write_text(directory, "generation_config.json", &generation);
    tuff_buf_free(&text);
    tuff_buf_free(&generation);
    return status;
}

/* What loaders look for. One of another model that stays would be taken for this one's: an old
 * model.safetensors comes before the index of new shards. */
static const char *const looked_for[] = {"config.json",
                                         "generation_config.json",
                                         "model.safetensors",
                                         "model.safetensors.index.json",
                                         "tokenizer.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "vocab.txt",
                                         "tokenizer_config.json",
                                         "added_tokens.json",
                                         "special_tokens_map.json",
                                         "chat_template.jinja",
                                         "chat_layout.txt",
                                         "spiece.model",
                                         "sentencepiece.bpe.model",
                                         "tokenizer.model",
                                         "spm.model",
                                         "modules.json",
                                         "sentence_bert_config.json",
                                         "config_sentence_transformers.json"};
enum { LOOKED_FOR = sizeof looked_for / sizeof looked_for[0] };

tuff_status tuff_model_write_hf(const tuff_model *model, const tuff_store *store, tuff_dtype dtype,
                                const tuff_watch *watch, tuff_stage *stage)
{
    const char *at = tuff_stage_path(stage);
    tuff_stage_replaces(stage, looked_for, LOOKED_FOR);
    tuff_save_source from = {
        .model = model, .store = store, .mix = tuff_mix_of(tuff_dtype_name(dtype)), .work.watch = watch};
    tuff_status status = tuff_save_source_open(&from, 0, false, at);
    if (status == TUFF_OK) status = write_config(model, dtype, at);
    if (status == TUFF_OK && model->tokenizer) status = tuff_tokenizer_save(model->tokenizer, at);
    if (status == TUFF_OK)
        status = tuff_safetensors_save_sharded(at, "model", from.items, from.count, 0, tuff_save_source_write,
                                               &from);
    tuff_save_source_close(&from);
    return status;
}

static tuff_status save_hf(const tuff_model *model, tuff_dtype dtype, const tuff_watch *watch,
                           const char *directory)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = tuff_model_write_hf(model, NULL, dtype, watch, stage);
    if (status == TUFF_OK) status = tuff_save_sentence_hf(model, tuff_stage_path(stage));
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

/* Of a mix that Hugging Face's files can have. */
static tuff_dtype dtype_of(tuff_mix mix)
{
    return mix == TUFF_MIX_F16 ? TUFF_F16 : mix == TUFF_MIX_BF16 ? TUFF_BF16 : TUFF_F32;
}

/* The type of a name, which suits the format. */
static tuff_status mix_of(const tuff_model *model, const tuff_save_params *params, const char *path,
                          tuff_mix *out_mix)
{
    const tuff_dtype stored = tuff_model_matrix_dtype(model);
    if (!params->type && model->merge.rows && !tuff_dtype_is_float(stored))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: the model's weights are quantized (%s), and those with an adapter in them are other "
            "numbers: say in which type they are to be written (tuff_save_params.type, --dtype)",
            path, tuff_dtype_name(stored));
    const char *name =
        params->type ? params->type : tuff_dtype_name(tuff_dtype_is_float(stored) ? stored : TUFF_F32);
    *out_mix = tuff_mix_of(name);
    if (*out_mix == TUFF_MIX_COUNT)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: weights cannot be written as '%s'; f32, f16, bf16, q8_0, q4_k_m and others can, see "
            "tuff_save_type and tuff help convert",
            path, name);
    if (params->format == TUFF_FORMAT_HF &&
        tuff_storage_block(tuff_mix_get(*out_mix)->type) != TUFF_BLOCK_COUNT)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: a Hugging Face directory holds weights as f32, f16 or bf16, not as %s, which GGUF "
            "files have: write it as gguf",
            path, name);
    return TUFF_OK;
}

const char *tuff_save_type(size_t index)
{
    return index < TUFF_MIX_COUNT ? tuff_mix_get((tuff_mix)index)->name : NULL;
}

tuff_status tuff_model_save_with(const tuff_model *model, const tuff_save_params *params, const char *path)
{
    tuff_save_params p = TUFF_SAVE_PARAMS_INIT;
    tuff_mix mix;
    TUFF_NEED(model);
    TUFF_NEED(path);
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_SAVE_PARAMS_INIT, reserved));
    TUFF_TRY(tuff_watch_check(p.watch));
    if (p.format != TUFF_FORMAT_HF && p.format != TUFF_FORMAT_GGUF)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: there is no file format %d", path, (int)p.format);
    if (p.threads > TUFF_MOST_THREADS || (p.flags & ~(uint32_t)TUFF_SAVE_REQUANTIZE) != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %u threads (at most %d), flags %#x (known is %#x)", path,
                         p.threads, TUFF_MOST_THREADS, p.flags, (unsigned)TUFF_SAVE_REQUANTIZE);
    TUFF_TRY(mix_of(model, &p, path, &mix));
    return p.format == TUFF_FORMAT_GGUF ? tuff_model_write_gguf(model, &p, mix, path)
                                        : save_hf(model, dtype_of(mix), p.watch, path);
}

tuff_status tuff_model_save_watched(const tuff_model *model, tuff_file_format format, tuff_dtype dtype,
                                    const tuff_watch *watch, const char *path)
{
    TUFF_NEED(model);
    TUFF_NEED(path);
    TUFF_TRY(tuff_watch_check(watch));
    if (!tuff_dtype_is_float(dtype))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "weights cannot be stored as %s; use f32, f16 or bf16",
                         tuff_dtype_name(dtype));
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.format = format;
    params.type = tuff_dtype_name(dtype);
    params.watch = watch;
    return tuff_model_save_with(model, &params, path);
}

tuff_status tuff_model_save(const tuff_model *model, tuff_file_format format, tuff_dtype dtype,
                            const char *path)
{
    TUFF_NEED(model);
    TUFF_NEED(path);
    return tuff_model_save_watched(model, format, dtype, NULL, path);
}
