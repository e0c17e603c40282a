/* Prompt tuning (Lester et al. 2021): rows that come before each sequence's own, trained instead of written.
 */
#include <stdio.h>
#include <string.h>

#include "adapters/virtual.h"
#include "base/rng.h"
#include "models/heads/head.h"

#define TENSOR "prompt_embeddings"

typedef struct prompt {
    const char *text; /* that the rows begin as; NULL: random */
    uint64_t seed;
    int32_t *ids; /* of the text */
    size_t ids_count;
} prompt;

static void free_prompt(tuff_adapter *a)
{
    tuff_free(((prompt *)a->own)->ids);
}

/* What PEFT defines: its class for answers looks for their places, which count the context's tokens, among
 * all tokens, and it has none for masked ones. */
static tuff_status check_head(const tuff_model *model)
{
    const tuff_config *c = &model->config;
    if (tuff_config_has_head(c, &tuff_head_classes) || tuff_config_has_head(c, &tuff_head_tokens))
        return TUFF_OK;
    if (tuff_config_has_head(c, &tuff_head_spans) || tuff_config_has_head(c, &tuff_head_mlm))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: PEFT defines no prompt tuning of a model whose head is: %s (it knows none of "
            "masked tokens, and looks for answers among the virtual tokens, too); take LoRA or IA3",
            model->path, tuff_config_head_title(c));
    if (tuff_config_has_head(c, &tuff_head_seq2seq))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: prompt tuning is of models with one stack of layers; this is an encoder-decoder, for which "
            "PEFT has virtual tokens in both: take LoRA or IA3",
            model->path);
    return tuff_model_need_lm(model);
}

static tuff_status begin(tuff_adapter *a, prompt **out)
{
    TUFF_TRY(check_head(a->model));
    a->own = *out = tuff_arena_alloc(&a->arena, sizeof **out);
    return *out ? TUFF_OK : tuff_fail_memory("an adapter");
}

static tuff_status encode(tuff_adapter *a, prompt *own, const char *text)
{
    const tuff_tokenizer *tokenizer = NULL;
    TUFF_TRY(tuff_model_get_tokenizer(a->model, &tokenizer));
    TUFF_TRY(tuff_tokenizer_encode(tokenizer, text, strlen(text), TUFF_ENCODE_ADD_SPECIAL, &own->ids,
                                   &own->ids_count));
    if (own->ids_count == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "prompt_tuning_init_text has no tokens; give some text, or none at all");
    own->text = tuff_arena_strdup(&a->arena, text);
    return own->text ? TUFF_OK : tuff_fail_memory("an adapter");
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    prompt *own = NULL;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(tuff_virtual_check(a, s->virtual_tokens, "num_virtual_tokens"));
    own->seed = s->seed;
    if (s->init_text) TUFF_TRY(encode(a, own, s->init_text));
    a->virtual_tokens = s->virtual_tokens;
    return tuff_adapter_add(a, TENSOR, s->virtual_tokens, a->model->config.hidden_size, NULL);
}

static tuff_status open(tuff_adapter *a)
{
    prompt *own = NULL;
    const char *file = a->files->config_path;
    int64_t tokens, submodules = 1;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(tuff_json_int(a->files->config, "num_transformer_submodules", file, &submodules));
    if (submodules != 1)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: 'num_transformer_submodules' is %lld; adapters of one stack of layers can be read", file,
            (long long)submodules);
    TUFF_TRY(tuff_virtual_read(a, &tokens));
    const int64_t shape[] = {tokens, a->model->config.hidden_size};
    const tuff_weight *weight = NULL;
    TUFF_TRY(tuff_weights_require(a->files->weights, TENSOR, 2, shape, &weight));
    a->virtual_tokens = tokens;
    return tuff_adapter_add(a, TENSOR, shape[0], shape[1], weight);
}

/* The tokens' rows and the trained ones are one table, of which each token takes its row. */
static tuff_tensor *embeddings(void *self, tuff_net *net, tuff_tensor *x)
{
    const tuff_adapter *a = self;
    const tuff_config *c = net->config;
    tuff_tensor *rows = tuff_input(net->g, "embedding_rows", TUFF_I32, 1, &net->tokens);
    tuff_tensor *own = tuff_adapter_variable(a, net, 0);
    if (c->embed_scale != 0 && c->scales_inputs) own = tuff_scale(net->g, own, c->embed_scale);
    return tuff_gather_rows(net->g, tuff_concat(net->g, (tuff_tensor *[]){x, own}, 2, 0), rows);
}

/* PEFT's RANDOM: a standard normal; its TEXT: what the model makes of the text's tokens, again and again
 * until all virtual tokens have a row. */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const prompt *own = a->own;
    const tuff_config *c = &a->model->config;
    const float scale = c->embed_scale != 0 && !c->scales_inputs ? (float)c->embed_scale : 1;
    const int64_t *shape = a->tensors[index].shape;
    if (!own->text) {
        for (int64_t k = 0; k < shape[0] * shape[1]; k++)
            values[k] = (float)tuff_rng_normal(own->seed, (uint64_t)k, 0, TUFF_STREAM_INIT);
        return TUFF_OK;
    }
    char name[256];
    const char *module = tuff_config_module(c, "token_embd");
    snprintf(name, sizeof name, "%s.weight", module ? module : "");
    const tuff_param *table = tuff_params_find(&a->model->params, name);
    for (int64_t i = 0; i < shape[0]; i++) {
        int64_t id = own->ids[i % (int64_t)own->ids_count];
        if (!table || id >= table->shape[0])
            return tuff_fail(TUFF_INVALID_ARGUMENT, "the token id %lld of prompt_tuning_init_text has no row",
                             (long long)id);
        TUFF_TRY(tuff_model_read(a->model, table, NULL, id, id + 1, values + i * shape[1]));
        for (int64_t k = 0; k < shape[1]; k++)
            values[i * shape[1] + k] *= scale;
    }
    return TUFF_OK;
}

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const prompt *own = a->own;
    const tuff_config *c = &a->model->config;
    tuff_peft_put_begin(out);
    tuff_peft_put_text(out, "auto_mapping", NULL);
    tuff_peft_put_text(out, "base_model_name_or_path", card->base);
    tuff_virtual_put(a, card, c->heads, out);
    tuff_peft_put_text(out, "prompt_tuning_init", own->text && card->base ? "TEXT" : "RANDOM");
    tuff_peft_put_text(out, "prompt_tuning_init_text", own->text);
    tuff_peft_put_text(out, "revision", NULL);
    tuff_peft_put_text(out, "task_type", card->task_type);
    tuff_peft_put_number(out, "token_dim", (double)c->hidden_size);
    tuff_peft_put_text(out, "tokenizer_kwargs", NULL);
    tuff_peft_put_text(out, "tokenizer_name_or_path", own->text ? card->base : NULL);
    tuff_peft_put_end(out);
    return TUFF_OK;
}

const tuff_method tuff_method_prompt = {.peft_type = "PROMPT_TUNING",
                                        .title = "prompt tuning",
                                        .whole_prefix = TUFF_PEFT_BARE_PREFIX,
                                        .points = {.embeddings = embeddings},
                                        .create = create,
                                        .open = open,
                                        .start = start,
                                        .describe = describe,
                                        .free = free_prompt};
