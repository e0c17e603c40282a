/* Adapters in a model's weights, instead of beside them. */
#include "adapters/tokens.h"

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

static tuff_status merge(const tuff_model *base, const char *directory, tuff_model **out_model)
{
    tuff_adapter *adapter = NULL;
    TUFF_TRY(tuff_adapter_open(base, directory, NULL, &adapter));
    if (!adapter->method->merge) {
        const tuff_status none = tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: no weights of a model can hold what %s adds to it, so that it is not merged: leave it "
            "beside the model, and name both (--model, --adapter)",
            directory, adapter->method->title);
        tuff_adapter_destroy(&adapter);
        return none;
    }
    tuff_status status = adapter->method->check_merge ? adapter->method->check_merge(adapter) : TUFF_OK;
    for (int i = 0; base->config.tied && status == TUFF_OK && i < adapter->row_count; i++)
        if (tuff_config_has_output(&base->config) && !(adapter->rows[i].table && adapter->rows[i].head))
            status = tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: it has rows of %s that are not those of the table and the head both, which are one in this "
                "model, so that it is not merged; leave it beside the model",
                directory, adapter->rows[i].module);
    if (status != TUFF_OK) {
        tuff_adapter_destroy(&adapter);
        return status;
    }
    const tuff_merge with = {.changes = changes, .rows = rows, .free = free_adapter, .self = adapter};
    return tuff_model_with_merge(base, with, out_model);
}

tuff_status tuff_model_merged(const tuff_model *base, const char *adapter, tuff_model **out_model)
{
    tuff_model *headed = NULL; /* with the adapter's head, where it has one */
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(base);
    TUFF_NEED(adapter);
    tuff_status status = tuff_model_adapted(base, adapter, &headed);
    if (status == TUFF_OK) status = merge(headed ? headed : base, adapter, out_model);
    tuff_model_destroy(&headed);
    return status;
}
