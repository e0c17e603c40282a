#include "models/arch.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static const tuff_arch *const archs[] = {
#define TUFF_ARCH(name, model_type) &tuff_arch_##name,
#define TUFF_ENCODER_OF(name)       &tuff_arch_##name,
#include "models/archs.def"
#undef TUFF_ARCH
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

/* What is another one by another name. */
const char *tuff_arch_canonical(const char *model_type)
{
    static const char *const aliases[][2] = {{"camembert", "roberta"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i][0], model_type) == 0) return aliases[i][1];
    return model_type;
}

const tuff_arch *tuff_arch_by_model_type(const char *model_type)
{
    for (int i = 0; i < N_ARCHS; i++)
        if (strcmp(archs[i]->name, model_type) == 0) return archs[i];
    return NULL;
}

const tuff_arch *tuff_arch_by_gguf(const char *architecture)
{
    for (int i = 0; i < N_ARCHS; i++)
        if (archs[i]->gguf && strcmp(archs[i]->gguf, architecture) == 0) return archs[i];
    return NULL;
}

const char *tuff_arch_names(void)
{
    static const char list[] = ""
#define TUFF_ARCH(name, model_type) ", " model_type
#include "models/archs.def"
#undef TUFF_ARCH
        ;
    return list + 2;
}

const tuff_layer_spec *tuff_config_layer(const tuff_config *config, int layer)
{
    return config->specs ? &config->specs[layer] : &config->layer;
}

static const tuff_part *find_part(const tuff_part *parts, const char *name)
{
    for (const tuff_part *p = parts; p && p->hf; p++)
        if (strcmp(p->gguf, name) == 0) return p;
    return NULL;
}

const char *tuff_config_module(const tuff_config *config, const char *part)
{
    const tuff_part *p = config->head ? find_part(config->head->parts, part) : NULL;
    char text[64];
    if (!p && config->stack) {
        snprintf(text, sizeof text, "%s%s", config->stack, part);
        p = find_part(config->arch->parts, text);
    }
    if (!p) p = find_part(config->arch->parts, part);
    return p ? p->hf : NULL;
}

bool tuff_config_has_output(const tuff_config *config)
{
    return config->head && find_part(config->head->parts, "output");
}

bool tuff_config_has_positions(const tuff_config *config)
{
    return config->learned_positions || config->rope.theta != 0;
}

void tuff_config_positions(const tuff_config *config, const int32_t *ids, size_t n, int32_t *out_positions)
{
    int32_t next = (int32_t)config->position_offset, padding = config->padding_counts ? -1 : next - 1;
    for (size_t i = 0; i < n; i++)
        out_positions[i] = padding >= 0 && ids[i] == padding ? padding : next++;
}

bool tuff_config_types(const tuff_config *config)
{
    return config->token_types > 1;
}

tuff_status tuff_config_check_types(const tuff_config *config, const char *where, int32_t most)
{
    if (!tuff_config_types(config) || most < config->token_types) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: its tokenizer gives tokens the type %d, the model has %lld types",
                     where, most, (long long)config->token_types);
}

const char *tuff_gguf_key_of(const tuff_config *config, const char *name, char text[64])
{
    snprintf(text, 64, "%s.%s", config->arch->gguf, name);
    return text;
}

tuff_status tuff_gguf_need_sizes(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "context_length", k), &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "embedding_length", k), &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "block_count", k), &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "feed_forward_length", k), &c->intermediate_size));
    return tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "attention.head_count", k), &c->heads);
}

void tuff_gguf_put_sizes(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "context_length", k), (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "embedding_length", k), (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "block_count", k), (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "feed_forward_length", k), (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.head_count", k), (uint32_t)c->heads);
}

/* The first name of each is the one that is written. */
#define TUFF_ACTIVATIONS(X)                    \
    X(TUFF_ACT_GELU, "gelu")                   \
    X(TUFF_ACT_GELU, "gelu_python")            \
    X(TUFF_ACT_GELU_TANH, "gelu_new")          \
    X(TUFF_ACT_GELU_TANH, "gelu_fast")         \
    X(TUFF_ACT_GELU_TANH, "gelu_python_tanh")  \
    X(TUFF_ACT_GELU_TANH, "gelu_pytorch_tanh") \
    X(TUFF_ACT_RELU, "relu")                   \
    X(TUFF_ACT_SILU, "silu")                   \
    X(TUFF_ACT_SILU, "swish") X(TUFF_ACT_TANH, "tanh")

static const struct {
    tuff_activation activation;
    const char *name;
} activations[] = {
#define TUFF_ACTIVATION(activation, name) {activation, name},
    TUFF_ACTIVATIONS(TUFF_ACTIVATION)
#undef TUFF_ACTIVATION
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

bool tuff_activation_by_name(const char *name, size_t size, tuff_activation *out)
{
    for (int i = 0; i < ACTIVATIONS; i++) {
        if (strlen(activations[i].name) != size || memcmp(activations[i].name, name, size) != 0) continue;
        *out = activations[i].activation;
        return true;
    }
    return false;
}

const char *tuff_activation_name(tuff_activation activation)
{
    for (int i = 0; i < ACTIVATIONS; i++)
        if (activations[i].activation == activation) return activations[i].name;
    return "";
}

const char *tuff_activation_names(void)
{
    static const char list[] = ""
#define TUFF_ACTIVATION(activation, name) ", " name
        TUFF_ACTIVATIONS(TUFF_ACTIVATION)
#undef TUFF_ACTIVATION
        ;
    return list + 2;
}

static tuff_status read_activation(const char *where, const char *key, tuff_view name, tuff_activation *out)
{
    if (!name.data || tuff_activation_by_name(name.data, name.size, out)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows %s", where, key,
                     (int)(name.size < 40 ? name.size : 40), name.data, tuff_activation_names());
}

tuff_status tuff_activation_read_hf(const cJSON *json, const char *key, const char *where,
                                    tuff_activation *activation)
{
    const char *name = NULL;
    TUFF_TRY(tuff_json_text(json, key, where, &name));
    return read_activation(where, key, name ? tuff_view_of(name) : (tuff_view){0}, activation);
}

tuff_status tuff_activation_read_gguf(const tuff_gguf *gguf, const char *key, tuff_activation *activation)
{
    tuff_view name = {0};
    TUFF_TRY(tuff_gguf_text(gguf, key, &name));
    return read_activation(gguf->file, key, name, activation);
}

static tuff_status check_range(const char *where, const char *key, int64_t value, int64_t most)
{
    if (value >= 1 && value <= most) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %lld, expected 1 to %lld", where, key, (long long)value,
                     (long long)most);
}

static tuff_status check_layers(const tuff_config *c, const char *where)
{
    return check_range(where, "num_hidden_layers", c->layers, 4096);
}

void tuff_config_free(tuff_config *config)
{
    tuff_free(config->specs);
    tuff_free(config->encoder);
    config->specs = NULL;
    config->encoder = NULL;
    tuff_rope_free(&config->rope);
    tuff_rope_free(&config->rope_local);
}

tuff_status tuff_config_specs(tuff_config *config, const char *where)
{
    TUFF_TRY(check_layers(config, where));
    config->specs = tuff_alloc_array((size_t)config->layers, sizeof *config->specs);
    if (!config->specs) return tuff_fail_memory("what the layers of a model are like");
    for (int64_t i = 0; i < config->layers; i++)
        config->specs[i] = config->layer;
    return TUFF_OK;
}

const char *tuff_config_kind(const tuff_config *config)
{
    return config->encoder ? "an encoder-decoder" : config->causal ? "a decoder" : "an encoder";
}

tuff_status tuff_config_add_encoder(tuff_config *config)
{
    tuff_config *encoder = tuff_alloc(sizeof *encoder);
    if (!encoder) return tuff_fail_memory("the config of an encoder");
    *encoder = *config;
    encoder->stack = "enc.";
    encoder->causal = encoder->layer.cross = false;
    config->stack = "dec.";
    config->causal = config->layer.cross = true;
    config->encoder = encoder;
    return TUFF_OK;
}

void tuff_config_set_far(tuff_config *config, int64_t layer, bool far)
{
    tuff_layer_spec *spec = &config->specs[layer];
    spec->window = far ? 0 : config->layer.window;
    if (config->rope_local.theta != 0) spec->rope = far ? TUFF_ROTARY_MAIN : TUFF_ROTARY_LOCAL;
}

tuff_status tuff_config_layer_types(const cJSON *json, const char *where, tuff_config *config,
                                    bool (*far)(int64_t layer, int64_t period), int64_t period)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(json, "layer_types");
    const cJSON *item = cJSON_IsArray(types) ? types->child : NULL;
    const bool listed = item != NULL;
    if (!config->specs) TUFF_TRY(tuff_config_specs(config, where));
    for (int64_t i = 0; i < config->layers; i++) {
        const char *type = cJSON_IsString(item) ? item->valuestring : "";
        bool full = strcmp(type, "full_attention") == 0 || strcmp(type, "attention") == 0;
        tuff_config_set_far(config, i, listed ? full : far(i, period));
        if (item) item = item->next;
    }
    return TUFF_OK;
}

tuff_status tuff_gguf_read_pattern(const tuff_gguf *gguf, tuff_config *c,
                                   bool (*far)(int64_t layer, int64_t period), int64_t period)
{
    char k[64];
    const char *key = tuff_gguf_key_of(c, "attention.sliding_window_pattern", k);
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    TUFF_TRY(tuff_config_layer_types(NULL, gguf->file, c, far, period));
    if (!value || value->type != TUFF_GGUF_ARRAY) return TUFF_OK;
    TUFF_TRY(tuff_gguf_ints(gguf, key, &value));
    if (value->count != (uint64_t)c->layers)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has %llu items, expected one for each of %lld layers",
                         gguf->file, key, (unsigned long long)value->count, (long long)c->layers);
    for (int64_t i = 0; i < c->layers; i++)
        tuff_config_set_far(c, i, !tuff_gguf_int_at(value, (uint64_t)i));
    return TUFF_OK;
}

bool tuff_gguf_put_pattern(const tuff_config *c, tuff_gguf_builder *gguf,
                           bool (*far)(int64_t layer, int64_t period), int64_t period)
{
    char k[64];
    bool usual = true;
    int32_t *list = tuff_alloc_array((size_t)c->layers, sizeof *list);
    for (int64_t i = 0; list && i < c->layers; i++) {
        list[i] = tuff_config_layer(c, (int)i)->window != 0;
        usual = usual && far(i, period) == !list[i];
    }
    if (list && !usual)
        tuff_gguf_put_i32s(gguf, tuff_gguf_key_of(c, "attention.sliding_window_pattern", k), list,
                           (size_t)c->layers);
    gguf->failed |= !list;
    tuff_free(list);
    return !usual;
}

void tuff_config_write_layer_types(const tuff_config *config, tuff_buf *json)
{
    tuff_buf_text(json, "  \"layer_types\": [");
    for (int64_t i = 0; i < config->layers; i++)
        tuff_buf_printf(json, "%s\"%s\"", i ? ", " : "",
                        tuff_config_layer(config, (int)i)->window ? "sliding_attention" : "full_attention");
    tuff_buf_text(json, "],\n");
}

static tuff_status check_rope(const tuff_config *c, const char *where, const char *key, double theta)
{
    if (theta != 0 && !(theta >= 1 && theta < 1e12))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %g, expected 1 to 1e12", where, key, theta);
    if (theta != 0 && tuff_rope_dims(c) % 2)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: %lld of %lld dims of a head rotate; rotary embeddings rotate pairs and need an even "
            "number",
            where, (long long)tuff_rope_dims(c), (long long)c->head_dim);
    return TUFF_OK;
}

enum { MOST_USED = 1024 }; /* of the operation that chooses experts */

static tuff_status check_experts(const tuff_experts_spec *e, const char *where)
{
    TUFF_TRY(check_range(where, "the number of experts", e->count, 4096));
    TUFF_TRY(check_range(where, "the width of an expert's feed-forward layer", e->width, 1 << 24));
    return check_range(where, "the number of experts that a token uses", e->used,
                       e->count < MOST_USED ? e->count : MOST_USED);
}

tuff_status tuff_config_check(const tuff_config *c, const char *where)
{
    TUFF_TRY(check_range(where, "vocab_size", c->vocab_size, 1 << 24));
    TUFF_TRY(check_range(where, "hidden_size", c->hidden_size, 1 << 20));
    TUFF_TRY(check_layers(c, where));
    TUFF_TRY(check_range(where, "num_attention_heads", c->heads, 4096));
    TUFF_TRY(check_range(where, "num_key_value_heads", c->kv_heads, 4096));
    TUFF_TRY(check_range(where, "head_dim", c->head_dim, 4096));
    TUFF_TRY(check_range(where, "intermediate_size", c->intermediate_size, 1 << 24));
    TUFF_TRY(check_range(where, "max_position_embeddings", c->max_positions, 1 << 28));
    if (c->token_types) TUFF_TRY(check_range(where, "type_vocab_size", c->token_types, 1 << 20));
    TUFF_TRY(check_range(where, "one more than the offset of positions", c->position_offset + 1, 1 << 24));
    if (c->layer.window < 0 || c->layer.window > 1 << 28)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: sliding_window is %lld, expected 0 to %d", where,
                         (long long)c->layer.window, 1 << 28);
    if (c->experts.count) TUFF_TRY(check_experts(&c->experts, where));
    if (c->heads % c->kv_heads)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: %lld attention heads cannot share %lld key/value heads; expected a multiple",
                         where, (long long)c->heads, (long long)c->kv_heads);
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the norm epsilon is %g, expected more than 0 and less than 1",
                         where, c->norm_eps);
    if (c->encoder) TUFF_TRY(tuff_config_check(c->encoder, where));
    if (c->rope_local.theta != 0 && (c->rope.exact || c->rope_local.exact))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: truncate is false for YaRN in a model with two tables of angles; transformers "
                         "does not follow it there, and Tuff runs no such model",
                         where);
    TUFF_TRY(check_rope(c, where, "rope_theta", c->rope.theta));
    return check_rope(c, where, "the base of local layers' rotary embeddings", c->rope_local.theta);
}
