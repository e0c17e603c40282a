/* SmolLM3 (Hugging Face 2025): Llama, with layers now and then whose queries and keys are not rotated. */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "models/decoder.h"

enum { USUAL_INTERVAL = 4 };

/* no_rope_layers has a 1 for each layer that rotates; else every no_rope_layer_interval-th does not. */
static tuff_status read_no_rope(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t interval = USUAL_INTERVAL, i = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "no_rope_layers"), *item;
    TUFF_TRY(tuff_json_int(json, "no_rope_layer_interval", where, &interval));
    if (!c->specs) TUFF_TRY(tuff_config_specs(c, where));
    if (list && !cJSON_IsNull(list)) {
        if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != c->layers)
            return tuff_fail(TUFF_BAD_FORMAT,
                             "%s: no_rope_layers must be a list of %lld numbers, one for each layer", where,
                             (long long)c->layers);
        cJSON_ArrayForEach(item, list)
        {
            bool rotates = cJSON_IsTrue(item) || (cJSON_IsNumber(item) && item->valuedouble != 0);
            c->specs[i++].rope = rotates ? TUFF_ROTARY_MAIN : TUFF_ROTARY_NONE;
        }
        return TUFF_OK;
    }
    if (interval < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: no_rope_layer_interval is %lld, expected 1 or more", where,
                         (long long)interval);
    for (i = interval - 1; i < c->layers; i += interval)
        c->specs[i].rope = TUFF_ROTARY_NONE;
    return TUFF_OK;
}

/* Layers that are not rotated have the window, when it is used at all. */
static tuff_status read_windows(const cJSON *json, const char *where, tuff_config *c)
{
    bool sliding = false;
    int64_t window = 0;
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(json, "layer_types"), *item;
    TUFF_TRY(tuff_json_bool(json, "use_sliding_window", where, &sliding));
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &window));
    item = cJSON_IsArray(types) ? types->child : NULL;
    const bool listed = item != NULL;
    c->layer.window = window;
    for (int64_t i = 0; i < c->layers; i++) {
        bool far = listed ? !cJSON_IsString(item) || strcmp(item->valuestring, "sliding_attention") != 0
                          : !sliding || c->specs[i].rope != TUFF_ROTARY_NONE;
        c->specs[i].window = far ? 0 : window;
        if (item) item = item->next;
    }
    return TUFF_OK;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 128256;
    c->hidden_size = 2048;
    c->intermediate_size = 11008;
    c->layers = 36;
    c->heads = 16;
    c->kv_heads = 4;
    c->max_positions = 32768;
    c->norm_eps = 1e-6;
    c->rope.theta = 2000000;
    c->tied = true;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    TUFF_TRY(read_no_rope(json, where, c));
    return read_windows(json, where, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    const tuff_gguf_value *rotates = tuff_gguf_find(gguf, tuff_gguf_key_of(c, "rope.layers", k));
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    TUFF_TRY(read_no_rope(NULL, gguf->file, c));
    if (!rotates) return TUFF_OK;
    TUFF_TRY(tuff_gguf_ints(gguf, k, &rotates));
    if (rotates->count != (uint64_t)c->layers)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has %llu items, expected one for each of %lld layers",
                         gguf->file, k, (unsigned long long)rotates->count, (long long)c->layers);
    for (int64_t i = 0; i < c->layers; i++)
        c->specs[i].rope = tuff_gguf_int_at(rotates, (uint64_t)i) ? TUFF_ROTARY_MAIN : TUFF_ROTARY_NONE;
    return TUFF_OK;
}

/* llama.cpp rotates none of every fourth layer; what differs from that Tuff writes and reads as well. */
static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    bool usual = true;
    int32_t *list = tuff_alloc_array((size_t)c->layers, sizeof *list);
    tuff_decoder_write_gguf(c, gguf);
    for (int64_t i = 0; list && i < c->layers; i++) {
        list[i] = c->specs[i].rope != TUFF_ROTARY_NONE;
        usual = usual && list[i] == ((i + 1) % USUAL_INTERVAL != 0);
    }
    gguf->failed |= !list;
    if (list && !usual) {
        tuff_gguf_put_i32s(gguf, tuff_gguf_key_of(c, "rope.layers", k), list, (size_t)c->layers);
        tuff_log(
            TUFF_LOG_WARN,
            "this model rotates the queries and keys of other layers than llama.cpp's %s: its results will "
            "differ there; in Tuff they do not",
            c->arch->name);
    }
    tuff_free(list);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"mlp_bias\": %s,\n  \"no_rope_layers\": [",
                    tuff_json_truth(c->layer.qkv_bias), tuff_json_truth(c->layer.mlp_bias));
    for (int64_t i = 0; i < c->layers; i++)
        tuff_buf_printf(json, "%s%d", i ? ", " : "", c->specs[i].rope != TUFF_ROTARY_NONE);
    tuff_buf_text(json, "],\n");
    tuff_decoder_write_windows(c, json);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_smollm3 = {
    TUFF_DECODER_COMMON,  .gguf_activation = TUFF_ACT_SILU, .name = "smollm3",  .hf_class = "SmolLM3",
    .gguf = "smollm3",    .gguf_interleaves = true,         .read_hf = read_hf, .read_gguf = read_gguf,
    .write_hf = write_hf, .write_gguf = write_gguf,         .parts = parts};
