/* Which head a model has, and whether its output is the embedding table. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "models/heads/head.h"
#include "models/keys.h"
#include "models/model.h"

enum { NAME_SIZE = 128 };

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

static const tuff_head_spec *by_class(const tuff_arch *arch, const char *ending)
{
    for (const tuff_head_spec *s = arch->heads; ending && *ending && s->head; s++)
        if (tuff_has_word(s->head->hf_classes, ending)) return s;
    return NULL;
}

/* Whether the file has a part of a head: a module with a weight, or a tensor. */
static bool has_part(const tuff_model *model, const tuff_part *part)
{
    char name[NAME_SIZE];
    if (model->gguf && part->kind == TUFF_PART_UNNAMED) return false;
    snprintf(name, sizeof name, "%s.weight", model->gguf ? part->gguf : part->hf);
    const tuff_weights *weights = tuff_model_weights(model);
    return tuff_weights_find(weights, name) ||
           tuff_weights_find(weights, model->gguf ? part->gguf : part->hf);
}

/* Parts that the file has; *out_all: that is all of them, but for an output that the table may stand for. */
static int count_parts(const tuff_model *model, const tuff_head_spec *spec, bool *out_all)
{
    int found = 0;
    *out_all = true;
    for (const tuff_part *p = spec->parts; p->hf; p++) {
        bool there = has_part(model, p);
        found += there;
        if (!there && strcmp(p->gguf, "output") != 0) *out_all = false;
    }
    return found;
}

static const tuff_head_spec *by_tensors(const tuff_model *model)
{
    for (const tuff_head_spec *s = model->config.arch->heads; s->head; s++) {
        bool all;
        if (count_parts(model, s, &all) && all) return s;
    }
    return NULL;
}

/* Tensors decide where the class says nothing. An encoder may lack the tensors of its class's head: then it
 * was saved for its states. */
static const tuff_head_spec *choose(const tuff_model *model)
{
    const tuff_arch *arch = model->config.arch;
    const char *ending = class_ending(model);
    const tuff_head_spec *spec = by_class(arch, ending);
    bool all;
    if (!spec && (spec = by_tensors(model))) return spec;
    if (!spec) {
        /* a decoder's output may be its embedding table: a language model without a tensor for it */
        bool without = ending && strcmp(ending, "Model") == 0 && !model->config.tied;
        return arch->decoder && !without ? arch->heads : NULL;
    }
    if (arch->decoder || count_parts(model, spec, &all)) return spec;
    tuff_log(TUFF_LOG_INFO,
             "%s: its class is %s%s, but it has no tensor of a head for %s: it has its layers alone",
             model->path, arch->hf_class, ending, spec->head->title);
    return NULL;
}

const tuff_weight *tuff_model_output(const tuff_model *model)
{
    const char *module = tuff_config_module(&model->config, "output");
    char name[NAME_SIZE];
    if (!module || !tuff_config_has_output(&model->config)) return NULL;
    snprintf(name, sizeof name, "%s.weight", model->gguf ? "output" : module);
    return tuff_weights_find(tuff_model_weights(model), name);
}

/* The embedding table's name in Hugging Face's files. */
static void table_name(const tuff_config *config, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s.weight", tuff_config_module(config, "token_embd"));
}

const tuff_weight *tuff_model_table(const tuff_model *model)
{
    char name[NAME_SIZE];
    table_name(&model->config, name);
    const tuff_param param = {.name = name, .hf.name = name, .gguf.name = "token_embd.weight"};
    return tuff_model_weight(model, &param);
}

/* Files of the layers alone name their tensors without the base's prefix, and are written as they were read.
 */
static bool is_bare(const tuff_model *model)
{
    char name[NAME_SIZE];
    table_name(&model->config, name);
    return !model->config.head && (model->gguf || !tuff_weights_find(model->weights, name));
}

void tuff_model_settle_head(tuff_model *model)
{
    tuff_config *c = &model->config;
    c->head = choose(model);
    c->bare = is_bare(model);
    const tuff_weight *table = tuff_model_table(model), *output = tuff_model_output(model);
    const char *bias =
        tuff_config_has_head(c, &tuff_head_seq2seq) ? tuff_config_module(c, "output.bias") : NULL;
    c->logits_bias = bias && !model->gguf && tuff_weights_find(model->weights, bias);
    if (c->arch->ties && !output) c->tied = true;
    if (model->gguf) {
        /* llama.cpp's converter writes the head of GPT-2 a second time; it is the same tensor */
        bool twice = c->arch == &tuff_arch_gpt2 && output && table && tuff_weight_is_copy(output, table);
        c->tied = !output || twice;
    } else if (c->tied && output && table && !tuff_weight_is_copy(output, table)) {
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
    if (tuff_config_has_head(c, &tuff_head_lm)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: a language model is needed here; this is %s %s, whose head is: %s", model->path,
                     tuff_config_kind(c), c->arch->name, tuff_config_head_title(c));
}
