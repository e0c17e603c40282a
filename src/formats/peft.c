#include "formats/peft.h"

#include <inttypes.h>
#include <string.h>

#include "base/stage.h"
#include "formats/safetensors.h"

#define CONFIG  "adapter_config.json"
#define WEIGHTS "adapter_model.safetensors"
#define PREFIX  "base_model.model."

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
    const char *module =
        tuff_starts_with(weight->name, PREFIX) ? weight->name + strlen(PREFIX) : weight->name;
    const char *mark = strstr(module, ".lora_");
    if (!mark) return ignore(adapter, weight);
    char side = side_of(mark + strlen(".lora_"));
    if (!side)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor '%s': only LoRA on linear layers (lora_A.weight, lora_B.weight) can be read",
            weight->file, weight->name);
    tuff_peft_pair *pair = NULL;
    TUFF_TRY(find_pair(adapter, module, (size_t)(mark - module), &pair));
    const tuff_weight **slot = side == 'A' ? &pair->a : &pair->b;
    if (*slot)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: '%s' and '%s' are of two adapters; files with one can be read", weight->file,
                         (*slot)->name, weight->name);
    *slot = weight;
    return TUFF_OK;
}

static tuff_status check(const tuff_peft_adapter *adapter, tuff_peft_pair *pair)
{
    const tuff_weight *a = pair->a, *b = pair->b;
    if (!a || !b)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: module '%s' has lora_%c but no lora_%c", (a ? a : b)->file,
                         pair->module, a ? 'A' : 'B', a ? 'B' : 'A');
    pair->rank = tuff_peft_rank(adapter->config, pair->module);
    pair->scale = tuff_peft_scale(adapter->config, pair->module);
    TUFF_TRY(tuff_weight_check_readable(a));
    TUFF_TRY(tuff_weight_check_readable(b));
    if (a->rank != 2 || b->rank != 2 || a->shape[0] != pair->rank || b->shape[1] != pair->rank) {
        char found_a[100], found_b[100];
        tuff_weight_shape_text(a->rank, a->shape, found_a, sizeof found_a);
        tuff_weight_shape_text(b->rank, b->shape, found_b, sizeof found_b);
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: module '%s': A has shape %s and B %s; with the rank %" PRId64
                         " of the configuration they must be [%" PRId64 ", in] and [out, %" PRId64 "]",
                         a->file, pair->module, found_a, found_b, pair->rank, pair->rank, pair->rank);
    }
    return TUFF_OK;
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
    if (adapter->pair_count == 0)
        TUFF_GO(
            tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no LoRA tensors (lora_A.weight, lora_B.weight)", file));
done:
    if (status != TUFF_OK) tuff_peft_destroy(out_adapter);
    return status;
}

typedef struct opening {
    const char *directory;
    tuff_peft_adapter *adapter; /* NULL after a failure */
} opening;

static void drop(void *user)
{
    opening *work = user;
    tuff_peft_destroy(&work->adapter);
}

static tuff_status open_one(void *user)
{
    opening *work = user;
    const char *directory = work->directory;
    tuff_status status;
    tuff_buf text = {0};
    tuff_peft_config *config = NULL;
    tuff_weights *weights = NULL;
    char *config_path = tuff_path_join(directory, CONFIG), *weights_path = tuff_path_join(directory, WEIGHTS),
         *model = tuff_path_join(directory, "config.json");
    if (!config_path || !weights_path || !model) TUFF_GO(tuff_fail_memory("a path"));
    if (tuff_is_file(model) && !tuff_is_file(config_path))
        TUFF_GO(tuff_fail(TUFF_NOT_FOUND,
                          "%s is a model, not an adapter: it has no " CONFIG "; load it as a model",
                          directory));
    TUFF_GO(tuff_read_file(config_path, CONFIG_LIMIT, &text));
    TUFF_GO(tuff_peft_config_parse(text.data, text.size, config_path, &config));
    TUFF_GO(tuff_safetensors_open(weights_path, &weights));
    status = tuff_peft_pair_up(config, weights, weights_path, &work->adapter);
    config = NULL;
    weights = NULL;
done:
    tuff_peft_config_destroy(&config);
    tuff_weights_destroy(&weights);
    tuff_buf_free(&text);
    tuff_free(model);
    tuff_free(config_path);
    tuff_free(weights_path);
    return status;
}

tuff_status tuff_peft_open(const char *directory, tuff_peft_adapter **out_adapter)
{
    opening work = {.directory = directory};
    tuff_status status = tuff_stage_read(directory, open_one, drop, &work);
    *out_adapter = work.adapter;
    return status;
}

const tuff_peft_pair *tuff_peft_find(const tuff_peft_adapter *adapter, const char *module)
{
    uint32_t index;
    return tuff_map_get(&adapter->by_module, module, strlen(module), &index) ? &adapter->pairs[index] : NULL;
}

tuff_status tuff_peft_save(const char *directory, const tuff_peft_config *config, const tuff_peft_item *items,
                           size_t count, tuff_dtype dtype, tuff_save_fn fn, void *user)
{
    tuff_status status;
    tuff_buf text = {0};
    tuff_arena arena = {0};
    char *config_path = tuff_path_join(directory, CONFIG), *weights_path = tuff_path_join(directory, WEIGHTS);
    size_t all = 2 * count + config->whole_count;
    tuff_save_item *tensors = tuff_arena_array(&arena, all + 1, sizeof *tensors);
    if (!config_path || !weights_path || !tensors) TUFF_GO(tuff_fail_memory("an adapter"));
    for (size_t i = 0; i < count; i++) {
        const tuff_peft_item *item = &items[i];
        tuff_save_item *pair = tensors + 2 * i;
        pair[0] = (tuff_save_item){.dtype = dtype, .rank = 2, .shape = {item->rank, item->in}};
        pair[1] = (tuff_save_item){.dtype = dtype, .rank = 2, .shape = {item->out, item->rank}};
        pair[0].name = tuff_arena_printf(&arena, PREFIX "%s.lora_A.weight", item->module);
        pair[1].name = tuff_arena_printf(&arena, PREFIX "%s.lora_B.weight", item->module);
        if (!pair[0].name || !pair[1].name) TUFF_GO(tuff_fail_memory("an adapter"));
    }
    for (size_t i = 0; i < config->whole_count; i++) {
        tensors[2 * count + i] = config->whole[i];
        tensors[2 * count + i].name = tuff_arena_printf(&arena, PREFIX "%s", config->whole[i].name);
        if (!tensors[2 * count + i].name) TUFF_GO(tuff_fail_memory("an adapter"));
    }
    tuff_peft_config_print(config, &text);
    if (text.failed) TUFF_GO(tuff_fail_memory("an adapter's configuration"));
    TUFF_GO(tuff_safetensors_save(weights_path, tensors, all, fn, user));
    TUFF_GO(tuff_write_file(config_path, text.data, text.size));
done:
    tuff_buf_free(&text);
    tuff_arena_free(&arena);
    tuff_free(config_path);
    tuff_free(weights_path);
    return status;
}
