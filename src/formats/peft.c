#include "formats/peft.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/stage.h"
#include "formats/safetensors.h"
#include "formats/torch.h"

#define CONFIG "adapter_config.json"

const tuff_peft_layout tuff_peft_usual = {"adapter_model.safetensors",
                                          "adapter_model.bin", /* as PEFT wrote it once */
                                          "base_model_name_or_path"};
const tuff_peft_layout tuff_peft_adapters = {"adapter.safetensors", "pytorch_adapter.bin", "model_name"};

enum { CONFIG_LIMIT = 1 << 20 };

void tuff_peft_destroy(tuff_peft_adapter **adapter)
{
    tuff_peft_adapter *a = *adapter;
    if (!a) return;
    tuff_peft_config_destroy(&a->config);
    tuff_weights_destroy(&a->weights);
    tuff_free(a->pairs);
    tuff_free(a->ignored);
    tuff_map_free(&a->by_module);
    tuff_arena_free(&a->arena);
    tuff_free(a);
    *adapter = NULL;
}

static tuff_status ignore(tuff_peft_adapter *adapter, const tuff_weight *weight)
{
    if (!tuff_grow((void **)&adapter->ignored, adapter->ignored_count, &adapter->ignored_capacity,
                   sizeof *adapter->ignored))
        return tuff_fail_memory("an adapter's tensors");
    adapter->ignored[adapter->ignored_count++] = weight->name;
    return TUFF_OK;
}

/* "<module>.lora_A.weight" and "<module>.lora_A.<adapter>.weight", or B: the side. 0: another kind of
 * adapter. */
static char side_of(const char *after)
{
    if ((after[0] != 'A' && after[0] != 'B') || after[1] != '.') return 0;
    const char *rest = after + 2, *dot = strchr(rest, '.');
    if (strcmp(rest, "weight") == 0 || (dot && dot > rest && strcmp(dot, ".weight") == 0)) return after[0];
    return 0;
}

/* The same of a table: "<module>.lora_embedding_A" and "<module>.lora_embedding_A.<adapter>". */
static char side_of_table(const char *after)
{
    return (after[0] == 'A' || after[0] == 'B') && (after[1] == 0 || after[1] == '.') ? after[0] : 0;
}

const tuff_weight *tuff_peft_find_whole(const tuff_weights *weights, const char *param)
{
    char name[320];
    snprintf(name, sizeof name, TUFF_PEFT_PREFIX "%s", param);
    const tuff_weight *weight = tuff_weights_find(weights, name);
    if (weight) return weight;
    snprintf(name, sizeof name, TUFF_PEFT_BARE_PREFIX "%s", param);
    weight = tuff_weights_find(weights, name);
    return weight ? weight : tuff_weights_find(weights, param);
}

static tuff_status find_pair(tuff_peft_adapter *adapter, const char *module, size_t length,
                             tuff_peft_pair **out)
{
    uint32_t index;
    if (!tuff_map_get(&adapter->by_module, module, length, &index)) {
        char *name = tuff_arena_alloc(&adapter->arena, length + 1);
        index = (uint32_t)adapter->pair_count;
        if (!name || !tuff_map_put(&adapter->by_module, module, length, index) ||
            !tuff_grow((void **)&adapter->pairs, index, &adapter->pair_capacity, sizeof *adapter->pairs))
            return tuff_fail_memory("an adapter's tensors");
        memcpy(name, module, length);
        adapter->pairs[adapter->pair_count++] = (tuff_peft_pair){.module = name};
    }
    *out = &adapter->pairs[index];
    return TUFF_OK;
}

static tuff_status add(tuff_peft_adapter *adapter, const tuff_weight *weight)
{
    const char *module = tuff_starts_with(weight->name, TUFF_PEFT_PREFIX)
                             ? weight->name + strlen(TUFF_PEFT_PREFIX)
                             : weight->name;
    const char *mark = strstr(module, ".lora_");
    if (!mark) return ignore(adapter, weight);
    const char *magnitude = ".lora_magnitude_vector", *after = mark + strlen(magnitude);
    if (tuff_starts_with(mark, magnitude) && (!*after || *after == '.')) {
        tuff_peft_pair *with = NULL;
        TUFF_TRY(find_pair(adapter, module, (size_t)(mark - module), &with));
        with->magnitude = weight;
        return TUFF_OK;
    }
    const bool table = tuff_starts_with(mark, ".lora_embedding_");
    char side = table ? side_of_table(mark + strlen(".lora_embedding_")) : side_of(mark + strlen(".lora_"));
    if (!side)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor '%s': only LoRA on linear layers and tables (lora_A.weight, lora_embedding_A) can be read",
            weight->file, weight->name);
    tuff_peft_pair *pair = NULL;
    TUFF_TRY(find_pair(adapter, module, (size_t)(mark - module), &pair));
    const tuff_weight **slot = side == 'A' ? &pair->a : &pair->b;
    if (*slot)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: '%s' and '%s' are of two adapters; files with one can be read", weight->file,
                         (*slot)->name, weight->name);
    *slot = weight;
    pair->table = table;
    return TUFF_OK;
}

/* DoRA has a magnitude for each output, and only DoRA. */
static tuff_status check_magnitude(const tuff_peft_adapter *adapter, const tuff_peft_pair *pair)
{
    const tuff_weight *m = pair->magnitude;
    if (!m && !adapter->config->dora) return TUFF_OK;
    if (!m)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: module '%s' has no lora_magnitude_vector, though 'use_dora' is set",
                         pair->a->file, pair->module);
    if (!adapter->config->dora)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: module '%s' has a lora_magnitude_vector, but 'use_dora' is not set", m->file,
                         pair->module);
    TUFF_TRY(tuff_weight_check_readable(m));
    if (m->rank == 1 && m->shape[0] == pair->b->shape[0]) return TUFF_OK;
    char found[100];
    tuff_weight_shape_text(m->rank, m->shape, found, sizeof found);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has shape %s, [%" PRId64 "] is expected", m->file,
                     m->name, found, pair->b->shape[0]);
}

/* Whether target_parameters has one of a module, which PEFT wraps once for each: "base_layer" is what it is
 * then called inside. */
static bool has_parameter(const tuff_peft_config *config, const char *module)
{
    static const char wrapped[] = ".base_layer";
    size_t size = strlen(module);
    while (size >= sizeof wrapped &&
           memcmp(module + size - (sizeof wrapped - 1), wrapped, sizeof wrapped - 1) == 0)
        size -= sizeof wrapped - 1;
    for (size_t i = 0; i < config->parameter_count; i++) {
        const char *name = config->parameters[i], *dot = strrchr(name, '.');
        const size_t n = dot ? (size_t)(dot - name) : 0;
        if (n && n <= size && memcmp(module + size - n, name, n) == 0 &&
            (n == size || module[size - n - 1] == '.'))
            return true;
    }
    return false;
}

tuff_status tuff_peft_settle(const tuff_peft_config *config, tuff_peft_pair *pair, const char *name,
                             int64_t experts)
{
    const tuff_weight *a = pair->a, *b = pair->b;
    const int64_t rank = tuff_peft_rank(config, name), all = rank * experts;
    pair->rank = rank;
    pair->scale = tuff_peft_scale(config, name);
    if (a->rank == 2 && b->rank == 2 && a->shape[0] == all && b->shape[1] == all) return TUFF_OK;
    char found_a[100], found_b[100], times[64] = "";
    tuff_weight_shape_text(a->rank, a->shape, found_a, sizeof found_a);
    tuff_weight_shape_text(b->rank, b->shape, found_b, sizeof found_b);
    if (experts > 1) snprintf(times, sizeof times, " for each of %" PRId64 " experts", experts);
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: module '%s': A has shape %s and B %s; with the rank %" PRId64
                     " of the configuration%s they must be [%" PRId64 ", in] and [out, %" PRId64 "]",
                     a->file, pair->module, found_a, found_b, rank, times, all, all);
}

static tuff_status check(const tuff_peft_adapter *adapter, tuff_peft_pair *pair)
{
    const tuff_weight *a = pair->a, *b = pair->b;
    if (!a && !b)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: module '%s' has a lora_magnitude_vector, but no lora_A and lora_B",
                         pair->magnitude->file, pair->module);
    if (!a || !b)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: module '%s' has lora_%c but no lora_%c", (a ? a : b)->file,
                         pair->module, a ? 'A' : 'B', a ? 'B' : 'A');
    TUFF_TRY(tuff_weight_check_readable(a));
    TUFF_TRY(tuff_weight_check_readable(b));
    pair->parameter = has_parameter(adapter->config, pair->module);
    if (!pair->parameter) TUFF_TRY(tuff_peft_settle(adapter->config, pair, pair->module, 1));
    return check_magnitude(adapter, pair);
}

tuff_status tuff_peft_pair_up(tuff_peft_config *config, tuff_weights *weights, const char *file,
                              tuff_peft_adapter **out_adapter)
{
    tuff_status status = TUFF_OK;
    tuff_peft_adapter *adapter = *out_adapter = tuff_alloc(sizeof *adapter);
    if (!adapter) {
        tuff_peft_config_destroy(&config);
        tuff_weights_destroy(&weights);
        return tuff_fail_memory("an adapter");
    }
    adapter->config = config;
    adapter->weights = weights;
    for (size_t i = 0; i < weights->count; i++)
        TUFF_GO(add(adapter, &weights->items[i]));
    for (size_t i = 0; i < adapter->pair_count; i++)
        TUFF_GO(check(adapter, &adapter->pairs[i]));
    if (adapter->pair_count == 0 && !config->bias)
        TUFF_GO(
            tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no LoRA tensors (lora_A.weight, lora_B.weight)", file));
done:
    if (status != TUFF_OK) tuff_peft_destroy(out_adapter);
    return status;
}

/* ---- the files */

void tuff_peft_files_close(tuff_peft_files **files)
{
    tuff_peft_files *f = *files;
    if (!f) return;
    tuff_weights_destroy(&f->weights);
    cJSON_Delete(f->config);
    tuff_buf_free(&f->text);
    tuff_free(f->config_path);
    tuff_free(f->weights_path);
    tuff_free(f);
    *files = NULL;
}

typedef struct opening {
    const char *directory;
    tuff_peft_files *files; /* NULL after a failure */
} opening;

static void drop(void *user)
{
    opening *work = user;
    tuff_peft_files_close(&work->files);
}

/* Of a config of the package `adapters`. */
static tuff_status read_kind(tuff_peft_files *f, const cJSON *inner)
{
    const char *kind = NULL;
    f->layout = &tuff_peft_adapters;
    f->kind = TUFF_PEFT_BOTTLENECK;
    TUFF_TRY(tuff_json_text(inner, "architecture", f->config_path, &kind));
    if (!kind) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: its architecture is '%.40s'; of the package adapters, bottleneck adapters can be read",
        f->config_path, kind);
}

static tuff_status read_config(tuff_peft_files *f)
{
    TUFF_TRY(tuff_read_file(f->config_path, CONFIG_LIMIT, &f->text));
    TUFF_TRY(tuff_json_parse(f->text.data, f->text.size, f->config_path, &f->config));
    if (!cJSON_IsObject(f->config))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a JSON object is expected", f->config_path);
    f->layout = &tuff_peft_usual;
    TUFF_TRY(tuff_json_text(f->config, "peft_type", f->config_path, &f->kind));
    if (f->kind) return TUFF_OK;
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f->config, "config");
    if (cJSON_IsObject(inner)) return read_kind(f, inner);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no 'peft_type': it is no PEFT adapter", f->config_path);
}

static tuff_status open_weights(const char *directory, tuff_peft_files *f)
{
    char *torch = tuff_path_join(directory, f->layout->torch);
    f->weights_path = tuff_path_join(directory, f->layout->weights);
    if (!torch || !f->weights_path) {
        tuff_free(torch);
        return tuff_fail_memory("a path");
    }
    if (!tuff_is_file(f->weights_path) && tuff_is_file(torch)) {
        tuff_free(f->weights_path);
        f->weights_path = torch;
        return tuff_weights_open(torch, tuff_torch_add, &f->weights);
    }
    tuff_free(torch);
    return tuff_safetensors_open(f->weights_path, &f->weights);
}

static tuff_status open_one(void *user)
{
    opening *work = user;
    tuff_status status = TUFF_OK;
    char *model = tuff_path_join(work->directory, "config.json");
    tuff_peft_files *f = work->files = tuff_alloc(sizeof *f);
    if (!f || !model) TUFF_GO(tuff_fail_memory("an adapter"));
    f->config_path = tuff_path_join(work->directory, CONFIG);
    if (!f->config_path) TUFF_GO(tuff_fail_memory("a path"));
    if (tuff_is_file(model) && !tuff_is_file(f->config_path))
        TUFF_GO(tuff_fail(TUFF_NOT_FOUND,
                          "%s is a model, not an adapter: it has no " CONFIG "; load it as a model",
                          work->directory));
    TUFF_GO(read_config(f));
    TUFF_GO(open_weights(work->directory, f));
done:
    tuff_free(model);
    if (status != TUFF_OK) tuff_peft_files_close(&work->files);
    return status;
}

tuff_status tuff_peft_files_open(const char *directory, tuff_peft_files **out_files)
{
    opening work = {.directory = directory};
    tuff_status status = tuff_stage_read(directory, open_one, drop, &work);
    *out_files = work.files;
    return status;
}

tuff_status tuff_peft_open_files(tuff_peft_files *files, tuff_peft_adapter **out_adapter)
{
    tuff_peft_config *config = NULL;
    tuff_weights *weights = files->weights;
    *out_adapter = NULL;
    TUFF_TRY(tuff_peft_config_parse(files->text.data, files->text.size, files->config_path, &config));
    files->weights = NULL;
    return tuff_peft_pair_up(config, weights, files->weights_path, out_adapter);
}

tuff_status tuff_peft_open(const char *directory, tuff_peft_adapter **out_adapter)
{
    tuff_peft_files *files = NULL;
    *out_adapter = NULL;
    TUFF_TRY(tuff_peft_files_open(directory, &files));
    tuff_status status = tuff_peft_open_files(files, out_adapter);
    tuff_peft_files_close(&files);
    return status;
}

const tuff_peft_pair *tuff_peft_find(const tuff_peft_adapter *adapter, const char *module)
{
    uint32_t index;
    return tuff_map_get(&adapter->by_module, module, strlen(module), &index) ? &adapter->pairs[index] : NULL;
}

tuff_status tuff_peft_write_as(const char *directory, const tuff_peft_layout *layout, const tuff_buf *config,
                               const tuff_save_item *tensors, size_t count, tuff_save_fn fn, void *user)
{
    char *config_path = tuff_path_join(directory, CONFIG),
         *weights_path = tuff_path_join(directory, layout->weights);
    tuff_status status = TUFF_OK;
    if (!config_path || !weights_path) TUFF_GO(tuff_fail_memory("an adapter"));
    if (config->failed) TUFF_GO(tuff_fail_memory("an adapter's configuration"));
    TUFF_GO(tuff_safetensors_save(weights_path, tensors, count, fn, user));
    TUFF_GO(tuff_write_file(config_path, config->data, config->size));
done:
    tuff_free(config_path);
    tuff_free(weights_path);
    return status;
}

tuff_status tuff_peft_write(const char *directory, const tuff_buf *config, const tuff_save_item *tensors,
                            size_t count, tuff_save_fn fn, void *user)
{
    return tuff_peft_write_as(directory, &tuff_peft_usual, config, tensors, count, fn, user);
}
