/* What all methods share: finding one, the tensors on a device and in files. */
#include "adapters/adapter.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "adapters/lora.h"
#include "adapters/tokens.h"
#include "base/file.h"

static const tuff_method *const methods[] = {
#define TUFF_METHOD(name) &tuff_method_##name,
#include "adapters/adapters.def"
#undef TUFF_METHOD
};
enum { METHODS = sizeof methods / sizeof methods[0] };

static const tuff_method *find_method(const char *peft_type)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcasecmp(methods[i]->peft_type, peft_type) == 0) return methods[i];
    return NULL;
}

/* "LORA, IA3, PROMPT_TUNING", for an error text: all, or those that files are of. */
static void list_methods(bool of_files, tuff_buf *out)
{
    for (size_t i = 0; i < METHODS; i++)
        if (methods[i]->open || !of_files)
            tuff_buf_printf(out, "%s%s", out->size ? ", " : "", methods[i]->peft_type);
}

void tuff_adapter_destroy(tuff_adapter **adapter)
{
    tuff_adapter *a = *adapter;
    if (!a) return;
    if (a->method->free && a->own) a->method->free(a);
    tuff_peft_files_close(&a->files);
    tuff_map_free(&a->by_name);
    tuff_map_free(&a->whole_names);
    tuff_free(a->tensors);
    tuff_free(a->fixed);
    tuff_free(a->whole);
    tuff_arena_free(&a->arena);
    tuff_free(a);
    *adapter = NULL;
}

static const tuff_net_points no_points;

static tuff_status new_adapter(const tuff_model *model, const tuff_method *method, tuff_adapter **out_adapter)
{
    tuff_adapter *a = *out_adapter = tuff_alloc(sizeof *a);
    if (!a) return tuff_fail_memory("an adapter");
    a->method = method;
    a->model = model;
    a->hook = (tuff_net_hook){&method->points, a, &a->whole_names};
    a->off = (tuff_net_hook){&no_points, a, &a->whole_names};
    return TUFF_OK;
}

static tuff_status ask_tokens(tuff_adapter *a, const char *tokens)
{
    if (!a->method->token_layer && !tokens)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: the rows of its new tokens are to be trained, which is done beside LoRA, or where all of "
            "the model is trained, but not beside %s",
            a->model->path, a->method->title);
    if (!a->method->token_layer)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "trainable_token_indices is of LoRA, and stands alone as trainable tokens; PEFT has none of %s",
            a->method->title);
    TUFF_TRY(tuff_tokens_ask(a, tokens));
    return tuff_tokens_settle(a);
}

/* Those of the files' config. */
static tuff_status open_tokens(tuff_adapter *a)
{
    static const char key[] = "trainable_token_indices";
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(a->files->config, key);
    const bool set = value && !cJSON_IsNull(value) && !(cJSON_IsObject(value) && !value->child);
    if (set && (!a->method->token_layer || !*a->method->token_layer))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: '%s' is set: that is of LoRA, not of %s",
                         a->files->config_path, key, a->method->title);
    if (set) TUFF_TRY(tuff_tokens_open(a, key, value));
    return tuff_tokens_settle(a);
}

tuff_status tuff_adapter_create(const tuff_model *model, const tuff_adapter_settings *settings,
                                tuff_adapter **out_adapter)
{
    *out_adapter = NULL;
    const tuff_method *method = find_method(settings->peft_type);
    if (!method) {
        tuff_buf known = {0};
        list_methods(false, &known);
        tuff_status status =
            tuff_fail(TUFF_INVALID_ARGUMENT, "peft_type is \"%s\", which Tuff does not have; it has %s",
                      settings->peft_type, known.data ? known.data : "others");
        tuff_buf_free(&known);
        return status;
    }
    TUFF_TRY(new_adapter(model, method, out_adapter));
    tuff_status status = method->create(*out_adapter, settings);
    if (status == TUFF_OK && (settings->tokens || model->new_id_count))
        status = ask_tokens(*out_adapter, settings->tokens);
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

static tuff_status open_files(const tuff_model *model, tuff_peft_files **files, const tuff_log_receiver *log,
                              tuff_adapter **out_adapter)
{
    const tuff_method *method = find_method((*files)->kind);
    if (!method || !method->open) {
        tuff_buf known = {0};
        list_methods(true, &known);
        tuff_status status =
            tuff_fail(TUFF_UNSUPPORTED, "%s: 'peft_type' is '%s'; adapters of type %s can be read",
                      (*files)->config_path, (*files)->kind, known.data ? known.data : "LORA");
        tuff_buf_free(&known);
        return status;
    }
    TUFF_TRY(new_adapter(model, method, out_adapter));
    (*out_adapter)->files = *files;
    (*out_adapter)->path = (*files)->weights_path;
    (*out_adapter)->weights = (*files)->weights;
    (*out_adapter)->log = log;
    *files = NULL;
    tuff_status status = tuff_peft_refuse((*out_adapter)->files->config, (*out_adapter)->files->config_path);
    if (status == TUFF_OK) status = tuff_adapter_find_whole(*out_adapter);
    if (status == TUFF_OK) status = method->open(*out_adapter);
    if (status == TUFF_OK) status = open_tokens(*out_adapter);
    (*out_adapter)->log = NULL;
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

/* Of a GGUF's adapter.type. */
static tuff_status method_of(const tuff_gguf *gguf, const tuff_method **out)
{
    tuff_view type = {0}, kind = {0};
    char text[64];
    TUFF_TRY(tuff_gguf_text(gguf, "general.type", &type));
    TUFF_TRY(tuff_gguf_text(gguf, "adapter.type", &kind));
    if (!tuff_view_is(type, "adapter"))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it is no adapter: its general.type is \"%.*s\"", gguf->file,
                         (int)(type.size < 40 ? type.size : 40), type.data ? type.data : "");
    snprintf(text, sizeof text, "%.*s", (int)(kind.size < 63 ? kind.size : 63), kind.data ? kind.data : "");
    *out = find_method(text);
    if (*out && (*out)->open_gguf) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: its adapter.type is \"%s\"; adapters of type lora can be read",
                     gguf->file, text);
}

static tuff_status open_gguf(const tuff_model *model, const char *path, const tuff_log_receiver *log,
                             tuff_adapter **out_adapter)
{
    tuff_gguf *gguf = NULL;
    const tuff_method *method = NULL;
    TUFF_TRY(tuff_gguf_open(path, &gguf));
    tuff_status status = method_of(gguf, &method);
    if (status == TUFF_OK) status = new_adapter(model, method, out_adapter);
    if (status != TUFF_OK) {
        tuff_gguf_destroy(&gguf);
        return status;
    }
    (*out_adapter)->path = gguf->file;
    (*out_adapter)->weights = gguf->weights;
    (*out_adapter)->log = log;
    status = method->open_gguf(*out_adapter, gguf);
    (*out_adapter)->log = NULL;
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

static tuff_status open_sum(const tuff_model *model, const char *text, const tuff_log_receiver *log,
                            tuff_adapter **out_adapter)
{
    TUFF_TRY(new_adapter(model, &tuff_method_lora, out_adapter));
    const tuff_status status = tuff_lora_open_sum(*out_adapter, text, log);
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

tuff_status tuff_adapter_open(const tuff_model *model, const char *directory, const tuff_log_receiver *log,
                              tuff_adapter **out_adapter)
{
    tuff_peft_files *files = NULL;
    *out_adapter = NULL;
    if (tuff_lora_is_sum(directory)) return open_sum(model, directory, log, out_adapter);
    if (tuff_is_file(directory)) return open_gguf(model, directory, log, out_adapter);
    TUFF_TRY(tuff_peft_files_open(directory, &files));
    tuff_status status = open_files(model, &files, log, out_adapter);
    tuff_peft_files_close(&files);
    return status;
}

const tuff_net_hook *tuff_adapter_hook(tuff_adapter *adapter, bool training)
{
    if (!adapter) return NULL;
    adapter->training = training;
    return &adapter->hook;
}

const tuff_net_hook *tuff_adapter_off(const tuff_adapter *adapter)
{
    return adapter ? &adapter->off : NULL;
}

int64_t tuff_adapter_virtual_tokens(const tuff_adapter *adapter)
{
    return adapter ? adapter->virtual_tokens : 0;
}

bool tuff_adapter_silent(const tuff_adapter *adapter)
{
    return adapter && adapter->silent;
}

/* ---- tensors */

tuff_status tuff_adapter_add(tuff_adapter *a, const char *name, int64_t rows, int64_t columns,
                             const tuff_weight *weight)
{
    if (!tuff_grow((void **)&a->tensors, a->count, &a->capacity, sizeof *a->tensors))
        return tuff_fail_memory("an adapter");
    tuff_adapter_tensor t = {.name = tuff_arena_strdup(&a->arena, name),
                             .rank = columns ? 2 : 1,
                             .shape = {rows, columns ? columns : 1},
                             .weight = weight};
    if (!t.name || !tuff_map_put(&a->by_name, name, strlen(name), (uint32_t)a->count))
        return tuff_fail_memory("an adapter");
    if (weight) TUFF_TRY(tuff_weight_check_finite(weight));
    a->tensors[a->count++] = t;
    return TUFF_OK;
}

size_t tuff_adapter_find(const tuff_adapter *adapter, const char *name)
{
    uint32_t i;
    return tuff_map_get(&adapter->by_name, name, strlen(name), &i) ? i : SIZE_MAX;
}

tuff_tensor *tuff_adapter_variable(const tuff_adapter *adapter, tuff_net *net, size_t index)
{
    const tuff_adapter_tensor *t = &adapter->tensors[index];
    tuff_tensor *x = tuff_graph_leaf(net->g, t->name);
    return x ? x : tuff_variable(net->g, t->name, TUFF_F32, t->rank, t->shape);
}

tuff_status tuff_adapter_add_fixed(tuff_adapter *a, const char *name, int64_t rows, int64_t columns)
{
    if (!name || !tuff_grow((void **)&a->fixed, a->fixed_count, &a->fixed_capacity, sizeof *a->fixed))
        return tuff_fail_memory("an adapter");
    a->fixed[a->fixed_count++] =
        (tuff_adapter_tensor){.name = name, .rank = columns ? 2 : 1, .shape = {rows, columns ? columns : 1}};
    return TUFF_OK;
}

tuff_tensor *tuff_adapter_fixed(const tuff_adapter *adapter, tuff_net *net, size_t index)
{
    const tuff_adapter_tensor *t = &adapter->fixed[index];
    tuff_tensor *x = tuff_graph_leaf(net->g, t->name);
    return x ? x : tuff_variable(net->g, t->name, TUFF_F32, t->rank, t->shape);
}

tuff_status tuff_adapter_read(const tuff_adapter *a, size_t index, int64_t begin, int64_t end, float *out)
{
    const tuff_adapter_tensor *t = &a->tensors[index];
    TUFF_TRY(tuff_weights_check_files(a->weights));
    if (t->gathered) return a->method->gather(a, index, begin, end, out);
    if (!t->rows_of) return tuff_weight_read_rows(t->weight, begin, end, TUFF_F32, out);
    for (int64_t r = begin; r < end; r++, out += t->shape[1]) {
        const int64_t from = tuff_param_gguf_row(t->rows_of, r);
        TUFF_TRY(tuff_weight_read_rows(t->weight, from, from + 1, TUFF_F32, out));
    }
    return TUFF_OK;
}

static tuff_status first_values(const tuff_adapter *a, const tuff_adapter_tensor *t, size_t i, float *values)
{
    const bool trained = t == &a->tensors[i];
    const tuff_token_rows *rows = trained ? tuff_tokens_of(a, i) : tuff_tokens_of_fixed(a, i);
    if (trained && (t->weight || t->gathered))
        return tuff_adapter_read(a, i, 0, t->rank > 1 ? t->shape[0] : 1, values);
    if (rows && trained) return tuff_tokens_start(a, rows, values);
    if (!rows) return trained ? a->method->start(a, i, values) : a->method->fill(a, i, values);
    tuff_tokens_fill(rows, t->shape[1], values);
    return TUFF_OK;
}

static tuff_status upload_one(const tuff_adapter *a, const tuff_adapter_tensor *t, size_t i,
                              tuff_store *store)
{
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, t->name, TUFF_F32, t->rank, t->shape, &buffer));
    int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status = first_values(a, t, i, values);
    if (status == TUFF_OK) status = tuff_buffer_write(buffer, 0, values, n);
    tuff_free(values);
    return status;
}

tuff_status tuff_adapter_upload(const tuff_adapter *adapter, tuff_store *store)
{
    for (size_t i = 0; i < adapter->count; i++)
        TUFF_TRY(
            tuff_note(upload_one(adapter, &adapter->tensors[i], i, store), "%s", adapter->tensors[i].name));
    for (size_t i = 0; i < adapter->fixed_count; i++)
        TUFF_TRY(tuff_note(upload_one(adapter, &adapter->fixed[i], i, store), "%s", adapter->fixed[i].name));
    return tuff_adapter_upload_whole(adapter, store);
}

tuff_status tuff_adapter_upload_model(const tuff_model *model, const tuff_adapter *adapter, bool trained,
                                      int64_t positions, const tuff_watch *watch, tuff_store *store)
{
    TUFF_TRY(tuff_model_upload(model, trained, watch, store));
    TUFF_TRY(tuff_model_upload_tables(model, positions, watch, store));
    return adapter ? tuff_adapter_upload(adapter, store) : TUFF_OK;
}
