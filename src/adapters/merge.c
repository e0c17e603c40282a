/* Adapters in a model's weights, instead of beside them. */
#include <string.h>

#include "adapters/tokens.h"
#include "base/file.h"
#include "text/extend.h"

static bool changes(const void *self, const tuff_param *param)
{
    const tuff_adapter *adapter = self;
    return tuff_adapter_whole_of(adapter, param) || tuff_tokens_change(adapter, param) ||
           adapter->method->changes(adapter, param);
}

static tuff_status rows(const void *self, const tuff_param *param, int64_t begin, int64_t end, float *values)
{
    const tuff_adapter *adapter = self;
    const tuff_adapter_whole *whole = tuff_adapter_whole_of(adapter, param);
    tuff_status status = TUFF_OK;
    if (whole)
        status = tuff_adapter_read_whole(adapter, whole, begin, end, values);
    else if (adapter->method->changes(adapter, param))
        status = adapter->method->merge(adapter, param, begin, end, values);
    if (status == TUFF_OK) status = tuff_tokens_merge(adapter, param, begin, end, values);
    return tuff_note(status, "%s: merging", adapter->path);
}

static void free_adapter(void *self)
{
    tuff_adapter *adapter = self;
    tuff_adapter_destroy(&adapter);
}

/* Whether it changes the tokens' table and not the head, or otherwise, which are one matrix in the model. */
static bool unties(const tuff_adapter *a)
{
    const tuff_config *c = &a->model->config;
    bool apart = a->method->unties && a->method->unties(a);
    for (int i = 0; i < a->row_count; i++)
        apart = apart || !(a->rows[i].table && a->rows[i].head);
    return apart && c->tied && tuff_config_has_output(c);
}

static tuff_status open(const tuff_model *base, const char *directory, tuff_adapter **out)
{
    TUFF_TRY(tuff_adapter_open(base, directory, NULL, out));
    if ((*out)->method->merge) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: no weights of a model can hold what %s adds to it, so that it is not merged: leave it "
        "beside the model, and name both (--model, --adapter)",
        directory, (*out)->method->title);
}

static tuff_status merge(const tuff_model *base, const char *directory, tuff_model **out_model)
{
    tuff_adapter *adapter = NULL;
    tuff_model *untied = NULL;
    tuff_status status = open(base, directory, &adapter);
    if (status == TUFF_OK && unties(adapter)) {
        tuff_adapter_destroy(&adapter);
        status = tuff_model_changed(
            base, &(tuff_model_change){.rows = base->config.vocab_size, .untie = true}, &untied);
        if (status == TUFF_OK) status = open(untied, directory, &adapter);
    }
    if (status == TUFF_OK) {
        const tuff_merge with = {.changes = changes, .rows = rows, .free = free_adapter, .self = adapter};
        status = tuff_model_with_merge(untied ? untied : base, with, out_model);
    } else {
        tuff_adapter_destroy(&adapter);
    }
    tuff_model_destroy(&untied); /* kept by what is merged */
    return status;
}

/* The template that the adapter was trained by, beside it, is that of the result. */
static tuff_status take_template(const tuff_model *base, const char *directory, tuff_model **out_model)
{
    enum { MOST = 1 << 22 };
    tuff_buf text = {0};
    char *path = tuff_path_join(directory, "chat_template.jinja");
    tuff_status status = path ? TUFF_OK : tuff_fail_memory("a path");
    tuff_model_change change = {.rows = base->config.vocab_size};
    const tuff_piece own =
        base->tokenizer ? tuff_tokenizer_chat_template(base->tokenizer) : (tuff_piece){NULL, 0};
    if (status == TUFF_OK && base->tokenizer && tuff_is_file(path))
        status = tuff_read_file(path, MOST, &text);
    const bool other =
        text.size && !(own.data && own.size == text.size && memcmp(own.data, text.data, text.size) == 0);
    if (status == TUFF_OK && other)
        status = tuff_tokenizer_extend(base->tokenizer, NULL, 0, NULL, (tuff_piece){text.data, text.size},
                                       &change.tokenizer);
    if (status == TUFF_OK && other) status = tuff_model_changed(base, &change, out_model);
    tuff_buf_free(&text);
    tuff_free(path);
    return status;
}

tuff_status tuff_model_merged(const tuff_model *base, const char *adapter, tuff_model **out_model)
{
    tuff_model *headed = NULL; /* with the adapter's head and tokens, where it has such */
    tuff_model *speaking = NULL;
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(base);
    TUFF_NEED(adapter);
    tuff_status status = tuff_model_adapted(base, adapter, &headed);
    if (status == TUFF_OK) status = take_template(headed ? headed : base, adapter, &speaking);
    const tuff_model *from = speaking ? speaking : headed ? headed : base;
    if (status == TUFF_OK) status = merge(from, adapter, out_model);
    tuff_model_destroy(&speaking); /* kept by what is merged */
    tuff_model_destroy(&headed);
    return status;
}
