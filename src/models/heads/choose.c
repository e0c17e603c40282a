/* Which head a model has, and whether its output is the embedding table. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "models/heads/head.h"
#include "models/model.h"

/* What the name of the class in config.json ends with: "ForCausalLM"; NULL when there is none of this
 * architecture. */
static const char *class_ending(const tuff_model *model)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(model->hf_config, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
    const char *begin = model->config.arch->hf_class;
    if (!cJSON_IsString(first) || !tuff_starts_with(first->valuestring, begin)) return NULL;
    return first->valuestring + strlen(begin);
}

const tuff_weight *tuff_model_output(const tuff_model *model)
{
    const char *module = model->gguf ? "output" : tuff_arch_module(model->config.arch, "output");
    char name[96];
    if (!module) return NULL;
    snprintf(name, sizeof name, "%s.weight", module);
    return tuff_weights_find(tuff_model_weights(model), name);
}

/* The embedding table's name in Hugging Face's files. */
static void table_name(const tuff_arch *arch, char name[96])
{
    snprintf(name, 96, "%s.weight", tuff_arch_module(arch, "token_embd"));
}

static const tuff_weight *find_table(const tuff_model *model)
{
    char name[96];
    table_name(model->config.arch, name);
    const tuff_param param = {.name = name, .gguf.name = "token_embd.weight"};
    return tuff_model_weight(model, &param);
}

static bool is_copy(const tuff_weight *a, const tuff_weight *b)
{
    return a->storage == b->storage && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* A decoder is a language model also where its class says nothing of a head, when it needs no tensor for
 * that. */
static const tuff_head *choose(const tuff_model *model)
{
    const char *ending = class_ending(model);
    bool without = ending && strcmp(ending, "Model") == 0 && !model->config.tied && !tuff_model_output(model);
    return model->config.arch->decoder && !without ? &tuff_head_lm : NULL;
}

/* Files of the layers alone name their tensors without the base's prefix, and are written as they were read.
 */
static bool is_bare(const tuff_model *model)
{
    char name[96];
    table_name(model->config.arch, name);
    return !model->config.head && (model->gguf || !tuff_weights_find(model->weights, name));
}

void tuff_model_settle_head(tuff_model *model)
{
    tuff_config *c = &model->config;
    c->head = choose(model);
    c->bare = is_bare(model);
    const tuff_weight *table = find_table(model), *output = tuff_model_output(model);
    if (model->gguf) {
        /* llama.cpp's converter writes the head of GPT-2 a second time; it is the same tensor */
        bool twice = c->arch == &tuff_arch_gpt2 && output && table && is_copy(output, table);
        c->tied = !output || twice;
    } else if (c->tied && output && table && !is_copy(output, table)) {
        c->tied = false;
        tuff_log(
            TUFF_LOG_INFO,
            "%s: config.json ties the head to the embedding table, but %s holds other numbers; they are used",
            model->path, output->name);
    }
}

tuff_status tuff_model_need_lm(const tuff_model *model)
{
    const tuff_config *c = &model->config;
    if (c->head == &tuff_head_lm) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED, "%s: this %s model is no language model, which this needs; %s; its head: %s",
        model->path, c->arch->name,
        c->causal ? "it gives the states of its layers" : "it is an encoder, which reads texts whole",
        tuff_head_title(c->head));
}
