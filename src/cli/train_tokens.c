/* New tokens of a model that is to be trained, and which ones a chat template would like to have. */
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

/* What the formats of templates of Tuff's own write around messages. */
static const struct {
    const char *template, *tokens[3];
} wanted[] = {{"chatml", {"<|im_start|>", "<|im_end|>", NULL}},
              {"llama3", {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
              {"gemma", {"<start_of_turn>", "<end_of_turn>", NULL}},
              {"phi3", {"<|user|>", "<|assistant|>", "<|end|>"}}};

/* Says how they become tokens where they are none: as text each costs several, and no chat ends at one. */
static void advise(const tuff_cli_train_options *o, const tuff_model *model)
{
    const tuff_tokenizer *t = NULL;
    char missing[128] = "";
    if (!o->data.chat_template || o->common.quiet || tuff_model_get_tokenizer(model, &t) != TUFF_OK) return;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        for (int k = 0; k < 3 && strcmp(wanted[i].template, o->data.chat_template) == 0; k++) {
            const char *token = wanted[i].tokens[k];
            const size_t size = strlen(missing);
            if (!token || tuff_tokenizer_id(t, token, strlen(token)) >= 0) continue;
            snprintf(missing + size, sizeof missing - size, "%s%s", size ? "," : "", token);
        }
    if (*missing)
        tuff_cli_say(
            "tuff: warning: --chat-template %s writes what are no tokens of this model, but several for each: "
            "--add-special-tokens '%s' makes them tokens",
            o->data.chat_template, missing);
}

/* The texts between commas, cut in place. */
static size_t cut(char *text, const char **tokens)
{
    size_t n = 0;
    for (char *at = text; at; n++) {
        char *comma = strchr(at, ',');
        tokens[n] = at;
        if (comma) *comma = 0;
        at = comma ? comma + 1 : NULL;
    }
    return n;
}

static tuff_status grow(const char *list, const tuff_model *base, tuff_model **out)
{
    const size_t size = strlen(list);
    char *text = malloc(size + 1);
    const char **tokens = malloc((size + 1) * sizeof *tokens);
    tuff_status status = TUFF_OUT_OF_MEMORY;
    if (text && tokens) {
        memcpy(text, list, size + 1);
        status = tuff_model_with_tokens(base, tokens, cut(text, tokens), out);
    }
    free(text);
    free(tokens);
    return status;
}

void tuff_cli_train_tell_tokens(const tuff_cli_train_options *o, const tuff_model *base,
                                const tuff_model *grown)
{
    advise(o, grown ? grown : base);
    if (!grown || o->common.quiet) return;
    tuff_model_info before = TUFF_MODEL_INFO_INIT, now = TUFF_MODEL_INFO_INIT;
    const tuff_tokenizer *tokenizers[2] = {NULL, NULL};
    if (tuff_model_get_info(base, &before) != TUFF_OK || tuff_model_get_info(grown, &now) != TUFF_OK ||
        tuff_model_get_tokenizer(base, &tokenizers[0]) != TUFF_OK ||
        tuff_model_get_tokenizer(grown, &tokenizers[1]) != TUFF_OK)
        return;
    tuff_cli_row("tokens",
                 "%u new ones; the table of tokens has %lld rows, %lld of them new, the mean of the others",
                 tuff_tokenizer_vocab_size(tokenizers[1]) - tuff_tokenizer_vocab_size(tokenizers[0]),
                 (long long)now.vocab_size, (long long)(now.vocab_size - before.vocab_size));
}

tuff_status tuff_cli_train_load(const tuff_cli_train_options *o, tuff_model **out_base,
                                tuff_model **out_grown, const tuff_model **out_model)
{
    tuff_status status = tuff_model_load(o->model, out_base);
    if (status == TUFF_OK && o->special_tokens) status = grow(o->special_tokens, *out_base, out_grown);
    *out_model = *out_grown ? *out_grown : *out_base;
    return status;
}
