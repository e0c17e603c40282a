/* PEFT's TRAINABLE_TOKENS: rows of the tokens' table are trained, and nothing else. */
#include <string.h>

#include "adapters/tokens.h"
#include "base/memory.h"

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    if (s->tokens || a->model->new_id_count) return TUFF_OK; /* which are listed then */
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s: trainable tokens are wanted, but trainable_token_indices does not say which",
                     a->model->path);
}

/* target_modules and token_indices as one: {"embed_tokens": [3, 7]}. */
static cJSON *by_module(const cJSON *config)
{
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(config, "token_indices"),
                *targets = cJSON_GetObjectItemCaseSensitive(config, "target_modules");
    const cJSON *first = cJSON_IsArray(targets) ? targets->child : targets;
    if (!cJSON_IsString(first)) return cJSON_Duplicate(ids, true);
    cJSON *all = cJSON_CreateObject();
    bool ok = all != NULL;
    for (const cJSON *item = first; item && ok; item = first == targets ? NULL : item->next) {
        cJSON *copy = cJSON_Duplicate(ids, true);
        ok = copy && cJSON_IsString(item) && cJSON_AddItemToObject(all, item->valuestring, copy);
        if (!ok) cJSON_Delete(copy);
    }
    if (ok) return all;
    cJSON_Delete(all);
    return NULL;
}

static tuff_status open(tuff_adapter *a)
{
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(a->files->config, "token_indices")))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: 'token_indices' must be a list of tokens' ids",
                         a->files->config_path);
    cJSON *value = by_module(a->files->config);
    if (!value) return tuff_fail_memory("an adapter's config");
    const tuff_status status = tuff_tokens_open(a, "token_indices", value);
    cJSON_Delete(value);
    return status;
}

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const tuff_token_rows *r = a->rows;
    tuff_buf ids = {0};
    const char *modules[TUFF_MOST_TOKEN_ROWS];
    for (int i = 0; i < a->row_count; i++)
        modules[i] = a->rows[i].module;
    tuff_buf_char(&ids, '[');
    for (int64_t i = 0; i < r->count; i++)
        tuff_buf_printf(&ids, "%s\n    %d", i ? "," : "", r->ids[i]);
    tuff_buf_text(&ids, "\n  ]");
    tuff_status status = ids.failed ? tuff_fail_memory("an adapter's config") : TUFF_OK;
    if (status == TUFF_OK) {
        tuff_peft_put_begin(out);
        tuff_peft_put_text(out, "auto_mapping", NULL);
        tuff_peft_put_text(out, "base_model_name_or_path", card->base);
        tuff_peft_put_bool(out, "inference_mode", true);
        tuff_peft_put_bool(out, "init_weights", true);
        tuff_peft_put_text(out, "peft_type", "TRAINABLE_TOKENS");
        tuff_peft_put_text(out, "revision", NULL);
        tuff_peft_put_list(out, "target_modules", modules, (size_t)a->row_count);
        tuff_peft_put_text(out, "task_type", card->task_type);
        tuff_peft_put_json(out, "token_indices", ids.data);
        tuff_peft_put_end(out);
    }
    tuff_buf_free(&ids);
    return status;
}

static bool changes(const tuff_adapter *a, const tuff_param *param)
{
    (void)a;
    (void)param;
    return false; /* beside the rows */
}

static tuff_status merge(const tuff_adapter *a, const tuff_param *param, int64_t begin, int64_t end,
                         float *values)
{
    (void)a;
    (void)param;
    (void)begin;
    (void)end;
    (void)values;
    return TUFF_OK;
}

const tuff_method tuff_method_trainable_tokens = {.peft_type = "TRAINABLE_TOKENS",
                                                  .title = "trainable tokens",
                                                  .whole_prefix = TUFF_PEFT_PREFIX,
                                                  .token_layer = "",
                                                  .create = create,
                                                  .open = open,
                                                  .describe = describe,
                                                  .changes = changes,
                                                  .merge = merge};
