/* Parameters that are trained whole beside an adapter, PEFT's modules_to_save: a new head, mostly; and
 * biases. They take the place of the model's; a model that has no such head gets one. */
#include <stdio.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/disk.h"
#include "base/file.h"
#include "formats/hf_config.h"
#include "models/heads/head.h"

#define LABELS "adapter_labels.json"

/* A parameter's name, from that of a tensor: PEFT has the biases of modules that it adapts, and a table, in a
 * layer within. */
static void name_of(const char *text, char name[256])
{
    static const char *const within[] = {TUFF_TOKENS_LAYER TUFF_PEFT_BASE_WEIGHT, ".base_layer.bias",
                                         TUFF_PEFT_BASE_WEIGHT};
    snprintf(name, 256, "%s", text);
    for (int i = 0; i < 3; i++)
        if (tuff_ends_with(text, within[i])) {
            snprintf(name, 256, "%.*s%s", (int)(strlen(text) - strlen(within[i])), text,
                     strrchr(within[i], '.'));
            return;
        }
}

/* The head of a language model as transformers calls it, whose files have another name for it (GPT-NeoX). */
static const tuff_param *output_of(const tuff_model *model, const char *name)
{
    char own[256];
    const char *output = tuff_config_module(&model->config, "output");
    if (!output || !tuff_starts_with(name, "lm_head.")) return NULL;
    snprintf(own, sizeof own, "%s%s", output, strchr(name, '.'));
    return tuff_params_find(&model->params, own);
}

/* The parameter of a tensor in the files; NULL: none. */
static const tuff_param *param_of(const tuff_model *model, const tuff_weight *weight)
{
    static const char *const prefixes[] = {TUFF_PEFT_PREFIX, TUFF_PEFT_BARE_PREFIX, ""};
    const tuff_param *p = NULL;
    for (size_t i = 0; !p && i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!tuff_starts_with(weight->name, prefixes[i])) continue;
        char name[256], whole[320];
        name_of(weight->name + strlen(prefixes[i]), name);
        snprintf(whole, sizeof whole, "%s%s", model->config.arch->base_prefix, name);
        p = tuff_params_find(&model->params, name);
        if (!p) p = tuff_params_find(&model->params, whole);
        if (!p) p = output_of(model, name);
    }
    return p;
}

static tuff_status check(const tuff_param *p, const tuff_weight *w)
{
    TUFF_TRY(tuff_weight_check_readable(w));
    if (p->hf.layout != TUFF_LAYOUT_ROWS)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: it has %s whole, a matrix that files hold the other way round; such are not read", w->file,
            w->name);
    const tuff_shape expected = tuff_shape_of(p->rank, p->shape),
                     found = tuff_shape_of((int)w->rank, w->shape);
    if (!tuff_shape_equal(&expected, &found))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s has shape %s, the model's has %s", w->file, w->name,
                         tuff_shape_text(&found), tuff_shape_text(&expected));
    return tuff_weight_check_finite(w);
}

/* The tokens' embeddings. */
static bool is_table(const tuff_model *model, const tuff_param *p)
{
    char name[TUFF_PARAM_NAME];
    snprintf(name, sizeof name, "%s.weight", tuff_config_module(&model->config, "token_embd"));
    return strcmp(p->name, name) == 0;
}

static tuff_status add(tuff_adapter *a, tuff_adapter_whole one)
{
    const char *name = one.param->name;
    if (!tuff_grow((void **)&a->whole, a->whole_count, &a->whole_capacity, sizeof *a->whole) ||
        !tuff_map_put(&a->whole_names, name, strlen(name), (uint32_t)a->whole_count))
        return tuff_fail_memory("an adapter");
    a->whole[a->whole_count++] = one;
    return TUFF_OK;
}

/* Whether the file has the model's own numbers. */
static tuff_status compare(const tuff_model *model, const tuff_param *p, const tuff_weight *w, bool *out_same)
{
    enum { PIECE = 1 << 20 };
    const int64_t rows = tuff_param_rows(p), columns = tuff_param_columns(p), step = PIECE / columns + 1,
                  most = step < rows ? step : rows;
    float *ours = tuff_alloc_array((size_t)(most * columns), sizeof *ours),
          *theirs = tuff_alloc_array((size_t)(most * columns), sizeof *theirs);
    tuff_status status = ours && theirs ? TUFF_OK : tuff_fail_memory("rows of a table");
    *out_same = true;
    for (int64_t r = 0, end; r < rows && status == TUFF_OK && *out_same; r = end) {
        end = r + step < rows ? r + step : rows;
        status = tuff_model_read(model, p, NULL, r, end, ours);
        if (status == TUFF_OK) status = tuff_weight_read_rows(w, r, end, TUFF_F32, theirs);
        for (int64_t k = 0; k < (end - r) * columns && status == TUFF_OK; k++)
            *out_same = *out_same && ours[k] == theirs[k];
    }
    tuff_free(ours);
    tuff_free(theirs);
    return status;
}

/* The table of a tied model, which files may have a second time as the head; NULL: they do not. */
static const tuff_weight *table_twice(const tuff_adapter *a)
{
    const tuff_weight *head = tuff_weights_find(a->files->weights, TUFF_PEFT_PREFIX "lm_head.weight");
    for (size_t i = 0; head && a->model->config.tied && i < a->files->weights->count; i++) {
        const tuff_weight *w = &a->files->weights->items[i];
        const tuff_param *p = w == head ? NULL : param_of(a->model, w);
        if (p && is_table(a->model, p) && tuff_weight_is_copy(head, w)) return w;
    }
    return NULL;
}

tuff_status tuff_adapter_find_whole(tuff_adapter *a)
{
    const tuff_weights *weights = a->files->weights;
    const tuff_weight *both = table_twice(a);
    for (size_t i = 0; i < weights->count; i++) {
        const tuff_weight *w = &weights->items[i];
        const tuff_param *p = param_of(a->model, w);
        if (!p && a->model->config.tied && !both && strcmp(w->name, TUFF_PEFT_PREFIX "lm_head.weight") == 0)
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: it has %s whole, but the head of this model is its embedding table",
                             w->file, w->name);
        if (!p) continue;
        if (tuff_ends_with(w->name, TUFF_PEFT_BASE_WEIGHT)) {
            bool same = false;
            TUFF_TRY(check(p, w));
            TUFF_TRY(compare(a->model, p, w, &same));
            if (same) continue;
        }
        const bool of_both = w == both || tuff_ends_with(w->name, TUFF_TOKENS_LAYER TUFF_PEFT_BASE_WEIGHT);
        if (a->model->config.tied && tuff_config_has_output(&a->model->config) && !of_both &&
            is_table(a->model, p))
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: it has %s whole, and the head of this model is that table, which PEFT would leave as it was "
                "for the head alone: such an adapter is not read; have PEFT merge it (merge_and_unload)",
                w->file, w->name);
        TUFF_TRY(check(p, w));
        const tuff_adapter_whole *twin = tuff_adapter_whole_of(a, p);
        if (twin)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: '%s' and '%s' are the same parameter of the model",
                             w->file, twin->name, w->name);
        TUFF_TRY(add(a, (tuff_adapter_whole){p, w, w->name}));
    }
    return TUFF_OK;
}

/* Whether files have it in one tensor with others, as gpt-oss' experts have their biases. */
static bool is_part(const tuff_params *params, const tuff_param *param)
{
    for (size_t i = 0; i < params->count; i++)
        if (&params->items[i] != param && strcmp(params->items[i].hf.name, param->hf.name) == 0) return true;
    return false;
}

tuff_status tuff_adapter_add_whole(tuff_adapter *a, const tuff_param *param, const char *name)
{
    if (is_part(&a->model->params, param))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: all biases would be trained, among them %s, which is a part of the tensor %s: such are "
            "not saved beside an adapter; take a LoRA, with bias none or lora_only",
            a->model->path, param->name, param->hf.name);
    return add(a, (tuff_adapter_whole){param, NULL, name});
}

bool tuff_adapter_trains(const tuff_adapter *a, const tuff_param *param)
{
    return param->whole || tuff_adapter_whole_of(a, param);
}

bool tuff_param_is_bias(const tuff_param *param)
{
    return param->role == TUFF_ROLE_BIAS && tuff_ends_with(param->name, ".bias");
}

const tuff_adapter_whole *tuff_adapter_whole_of(const tuff_adapter *a, const tuff_param *param)
{
    uint32_t i;
    return tuff_map_get(&a->whole_names, param->name, strlen(param->name), &i) ? &a->whole[i] : NULL;
}

tuff_status tuff_adapter_read_whole(const tuff_adapter *a, const tuff_adapter_whole *one, int64_t begin,
                                    int64_t end, float *out)
{
    TUFF_TRY(tuff_weights_check_files(a->weights));
    if (one->param->rank > 1) return tuff_weight_read_rows(one->weight, begin, end, TUFF_F32, out);
    float *all = tuff_alloc_array((size_t)one->param->shape[0], sizeof *all);
    if (!all) return tuff_fail_memory("an adapter's weights");
    const tuff_status status = tuff_weight_read(one->weight, TUFF_F32, all);
    for (int64_t r = begin; r < end && status == TUFF_OK; r++)
        out[r - begin] = all[r];
    tuff_free(all);
    return status;
}

const char *tuff_adapter_whole_text(const tuff_adapter *a)
{
    return a->whole_count ? a->whole[0].param->name : "none";
}

bool tuff_adapter_is_whole(const tuff_adapter *a, const char *name)
{
    for (size_t i = 0; i < a->whole_count; i++)
        if (a->whole[i].weight && strcmp(a->whole[i].weight->name, name) == 0) return true;
    return false;
}

/* ---- on a device */

/* The model's buffer goes under another name, and a new one takes its place. */
static tuff_status keep_own(const tuff_param *p, tuff_store *store)
{
    tuff_buf own = {0};
    tuff_buf_text(&own, TUFF_ADAPTER_OWN_PREFIX);
    tuff_buf_text(&own, p->name);
    tuff_status status = own.failed ? tuff_fail_memory("an adapter's weights")
                                    : tuff_store_add(store, own.data, TUFF_F32, p->rank, p->shape, NULL);
    if (status == TUFF_OK) tuff_store_exchange(store, p->name, own.data);
    tuff_buf_free(&own);
    return status;
}

uint64_t tuff_adapter_own_bytes(const tuff_adapter *a)
{
    uint64_t bytes = 0;
    for (size_t i = 0; a && a->keeps_own && i < a->whole_count; i++)
        bytes += tuff_dtype_bytes(a->whole[i].param->stored, tuff_param_elements(a->whole[i].param));
    return bytes;
}

void tuff_adapter_read_own(const tuff_adapter *a, tuff_graph *g)
{
    for (size_t i = 0; a && i < a->whole_count && g->status == TUFF_OK; i++) {
        tuff_tensor *leaf = tuff_graph_leaf(g, a->whole[i].param->name);
        if (!leaf) continue;
        leaf->name = tuff_arena_printf(&g->arena, TUFF_ADAPTER_OWN_PREFIX "%s", leaf->name);
        if (!leaf->name) tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming weights");
    }
}

static tuff_status upload_one(const tuff_adapter *a, const tuff_adapter_whole *one, tuff_store *store)
{
    const char *name = one->param->name;
    if (a->keeps_own)
        TUFF_TRY(keep_own(one->param, store));
    else if (tuff_buffer_dtype(tuff_store_find(store, name)) != TUFF_F32)
        TUFF_TRY(tuff_store_retype(store, name, TUFF_F32));
    tuff_buffer *buffer = tuff_store_find(store, name);
    int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status =
        one->weight ? tuff_weight_read(one->weight, TUFF_F32, values)
                    : tuff_model_read(a->model, one->param, NULL, 0, tuff_param_rows(one->param), values);
    if (status == TUFF_OK) status = tuff_buffer_write(buffer, 0, values, n);
    tuff_free(values);
    return status;
}

tuff_status tuff_adapter_upload_whole(const tuff_adapter *a, tuff_store *store)
{
    for (size_t i = 0; i < a->whole_count; i++)
        TUFF_TRY(tuff_note(upload_one(a, &a->whole[i], store), "%s", a->whole[i].param->name));
    return TUFF_OK;
}

/* ---- a model with the head of an adapter */

tuff_status tuff_adapter_save_labels(const tuff_model *model, const char *directory)
{
    if (!model->config.head || !model->config.head->head->has_labels) return TUFF_OK;
    tuff_buf text = {0};
    tuff_buf_text(&text, "{\n");
    tuff_labels_write_hf(model, &text);
    tuff_buf_printf(&text, "  \"num_labels\": %lld\n}\n", (long long)model->config.labels);
    char *path = text.failed ? NULL : tuff_path_join(directory, LABELS);
    tuff_status status =
        path ? tuff_write_file(path, text.data, text.size) : tuff_fail_memory("the labels of a head");
    tuff_free(path);
    tuff_buf_free(&text);
    return status;
}

static const tuff_head *head_of(const char *task_type)
{
    static const tuff_head *const heads[] = {&tuff_head_classes, &tuff_head_tokens, &tuff_head_spans};
    for (size_t i = 0; task_type && i < sizeof heads / sizeof *heads; i++)
        if (strcmp(heads[i]->peft_type, task_type) == 0) return heads[i];
    return NULL;
}

/* The names of as many labels as are wished for. */
static tuff_status name_labels(const tuff_model *model, tuff_head_wish *wish, tuff_arena *arena)
{
    char scratch[TUFF_LABEL_SIZE];
    const char **names = tuff_arena_array(arena, (size_t)wish->label_count, sizeof *names);
    for (int64_t i = 0; names && i < wish->label_count; i++) {
        tuff_view name = tuff_model_label(model, i, scratch);
        names[i] = tuff_arena_printf(arena, "%.*s", (int)name.size, name.data);
        if (!names[i]) return tuff_fail_memory("the labels of a head");
    }
    wish->labels = names;
    return names ? TUFF_OK : tuff_fail_memory("the labels of a head");
}

static tuff_status labels_of_file(const tuff_model *base, const char *path, cJSON *json, tuff_head_wish *wish,
                                  tuff_arena *arena)
{
    tuff_config read = {0};
    tuff_model named = *base;
    TUFF_TRY(tuff_labels_read_hf(json, path, &read));
    if (read.labels != wish->label_count)
        return tuff_fail(TUFF_BAD_FORMAT, "%s has %lld labels, but the adapter's head %lld outputs", path,
                         (long long)read.labels, (long long)wish->label_count);
    wish->problem = read.problem;
    named.new_labels = json;
    return name_labels(&named, wish, arena);
}

/* What the labels are called: by the file beside the adapter, else by the model where it has as many. */
static tuff_status read_labels(const tuff_model *base, const char *directory, tuff_head_wish *wish,
                               tuff_arena *arena)
{
    cJSON *json = NULL;
    char *path = tuff_path_join(directory, LABELS);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = TUFF_OK;
    if (tuff_is_file(path)) {
        status = tuff_hf_read_object(path, &json);
        if (status == TUFF_OK) status = labels_of_file(base, path, json, wish, arena);
    } else if (tuff_config_has_head(&base->config, wish->head) && base->config.labels == wish->label_count) {
        wish->problem = base->config.problem;
        status = name_labels(base, wish, arena);
    }
    cJSON_Delete(json);
    tuff_free(path);
    return status;
}

static tuff_status adapt(const tuff_model *base, const char *directory, const tuff_peft_files *files,
                         tuff_model **out_model)
{
    const char *task_type = NULL;
    TUFF_TRY(tuff_json_text(files->config, "task_type", files->config_path, &task_type));
    tuff_head_wish wish = {.head = head_of(task_type), .saved = files->weights, .whole = true};
    const char *output = wish.head ? tuff_head_output_of(&base->config, wish.head) : NULL;
    char name[256];
    snprintf(name, sizeof name, "%s.weight", output ? output : "");
    const tuff_weight *weight = output ? tuff_peft_find_whole(files->weights, name) : NULL;
    if (!weight) return TUFF_OK;
    wish.label_count = weight->shape[0];
    if (weight->rank != 2 || wish.label_count < 1 || wish.label_count > 1 << 20)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s is no output of a head", weight->file, weight->name);
    tuff_arena arena = {0};
    tuff_status status = wish.head->has_labels ? read_labels(base, directory, &wish, &arena) : TUFF_OK;
    if (status == TUFF_OK) status = tuff_model_with_head(base, &wish, out_model);
    tuff_arena_free(&arena);
    return status;
}

tuff_status tuff_model_adapted(const tuff_model *base, const char *adapter, tuff_model **out_model)
{
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(base);
    TUFF_NEED(adapter);
    tuff_peft_files *files = NULL;
    if (tuff_is_file(adapter) || tuff_lora_is_sum(adapter)) return TUFF_OK; /* these have none */
    TUFF_TRY(tuff_peft_files_open(adapter, &files));
    tuff_model *changed = NULL;
    tuff_status status = tuff_adapter_change(base, adapter, files, &changed);
    if (status == TUFF_OK) status = adapt(changed ? changed : base, adapter, files, out_model);
    tuff_peft_files_close(&files);
    if (status == TUFF_OK && !*out_model) {
        *out_model = changed;
        changed = NULL;
    }
    tuff_model_destroy(&changed); /* kept by the one with a head */
    return status;
}
