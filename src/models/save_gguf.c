/* One GGUF file of a model. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "models/heads/head.h"
#include "models/save_source.h"
#include "models/vocab.h"

enum { QUANTIZATION_VERSION = 2 }; /* of the blocks' formats */

/* Parameters that GGUF has names for. */
static size_t named(const tuff_params *params)
{
    size_t n = 0;
    for (size_t i = 0; i < params->count; i++)
        n += params->items[i].gguf.name != NULL;
    return n;
}

/* What the file lacks, and what it says and llama.cpp does not do. */
static void say_lost(const tuff_model *model, bool without_head, const char *path)
{
    const tuff_config *c = &model->config;
    const tuff_activation run =
        c->layer.gated && c->arch->gguf_gated ? c->arch->gguf_gated : c->arch->gguf_activation;
    if (without_head)
        tuff_log(TUFF_LOG_WARN,
                 "%s: GGUF has no names for the tensors of its head (%s): it holds the layers alone", path,
                 tuff_config_head_title(c));
    if (c->layer.activation != run)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: llama.cpp runs this architecture with the activation %s, this model has %s: its results will differ "
            "a little there; in Tuff they do not",
            path, tuff_activation_name(run), tuff_activation_name(c->layer.activation));
    if (tuff_config_has_head(c, &tuff_head_classes) && c->arch->gguf_means != c->head_means)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: llama.cpp gives this architecture's classifiers the %s of a text: its results will differ "
            "there; in Tuff they do not",
            path, c->arch->gguf_means ? "mean of all states" : "state of one token");
    if (c->rope.scaling == TUFF_ROPE_DYNAMIC)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no rotary embeddings that are scaled by the length of a text (dynamic): past %lld "
            "tokens the results of this file will differ",
            path, (long long)c->max_positions);
    if (c->causal && c->layer.window && !c->arch->gguf_windows && c->layer.window < c->max_positions)
        tuff_log(TUFF_LOG_WARN,
                 "%s: llama.cpp runs this architecture without its sliding window of %lld tokens: past that "
                 "length its results will differ there; in Tuff they do not",
                 path, (long long)c->layer.window);
}

/* Which tensors are not of the type that was asked for, and for which reason that is not their place. */
static void say_types(const tuff_save_source *from, const char *path)
{
    const tuff_storage_info *info = tuff_storage_get(tuff_mix_get(from->mix)->type);
    size_t experts = 0, unfit = 0, matrices = 0;
    for (size_t i = 0; i < from->count; i++) {
        const tuff_save_item *item = &from->items[i];
        experts += item->storage == TUFF_STORE_MXFP4;
        if (item->rank < 2 || item->storage == TUFF_STORE_F32) continue;
        matrices++;
        unfit += item->shape[item->rank - 1] % info->block != 0;
    }
    if (unfit)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: rows of %zu of %zu matrices are no multiple of the %u numbers of a block of %s: these are of "
            "types that take more room",
            path, unfit, matrices, info->block, info->name);
    if (from->mix == TUFF_MIX_MXFP4 && !experts)
        tuff_log(TUFF_LOG_WARN, "%s: only experts are written as MXFP4, and the model has none: it is Q8_0",
                 path);
}

/* The result may take the place of the model's only file, not of one that the model has beside others. */
static tuff_status spare_sources(const tuff_model *model, const char *path)
{
    const tuff_weights *weights = tuff_model_weights(model);
    const char *last = "";
    if (model->gguf && tuff_is_same_file(model->path, path)) return TUFF_OK;
    for (size_t i = 0; i < weights->count; i++) {
        const char *file = weights->items[i].file;
        if (strcmp(file, last) != 0 && tuff_is_same_file(file, path))
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "%s holds weights of the model that is read, and the result would replace it: name "
                "another output",
                path);
        last = file;
    }
    return TUFF_OK;
}

tuff_status tuff_model_write_gguf(const tuff_model *model, const tuff_save_params *params, tuff_mix mix,
                                  const char *path)
{
    if (!model->config.arch->gguf)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: GGUF has no architecture for %s; write it as hf", path,
                         model->config.arch->name);
    if (model->config.rope_local.scaling != TUFF_ROPE_PLAIN)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: the rotary positions of layers with a window are scaled (%s), for which GGUF has "
            "no keys; write it as hf",
            path, tuff_rope_scaling_name(model->config.rope_local.scaling));
    tuff_gguf_builder gguf = {0};
    tuff_save_source from = {.model = model,
                             .gguf = true,
                             .mix = mix,
                             .importance = params->importance,
                             .work.watch = params->watch};
    TUFF_TRY(spare_sources(model, path));
    tuff_gguf_put_text(&gguf, "general.architecture", model->config.arch->gguf);
    tuff_gguf_put_text(&gguf, "general.name", tuff_path_name(model->path));
    tuff_gguf_put_u32(&gguf, "general.file_type", tuff_mix_get(mix)->file_type);
    if (tuff_storage_block(tuff_mix_get(mix)->type) != TUFF_BLOCK_COUNT)
        tuff_gguf_put_u32(&gguf, "general.quantization_version", QUANTIZATION_VERSION);
    tuff_model_write_gguf_sampling(model, &gguf);
    model->config.arch->write_gguf(&model->config, &gguf);
    tuff_warn_of_llama_cpp(&model->config);
    tuff_status status =
        tuff_save_source_open(&from, params->threads, params->flags & TUFF_SAVE_REQUANTIZE, path);
    if (status == TUFF_OK && tuff_config_has_head(&model->config, &tuff_head_classes))
        status = tuff_labels_write_gguf(model, &gguf);
    if (status == TUFF_OK && model->tokenizer)
        status = tuff_vocab_write(model->tokenizer, (uint32_t)model->config.vocab_size, &gguf);
    if (status == TUFF_OK) status = tuff_save_sentence_gguf(model, &gguf);
    if (status == TUFF_OK)
        status = tuff_gguf_save(path, &gguf, from.items, from.count, tuff_save_source_write, &from);
    if (status == TUFF_OK) say_lost(model, named(&model->params) < model->params.count, path);
    if (status == TUFF_OK) tuff_save_sentence_say(model, path);
    if (status == TUFF_OK) say_types(&from, path);
    tuff_gguf_builder_free(&gguf);
    tuff_save_source_close(&from);
    return status;
}
