#include "models/keys.h"

#include <string.h>

#include "base/log.h"

typedef struct listed {
    const char *archs, *key;
    tuff_key_verdict verdict;
    const char *why;
} listed;

#define TUFF_KEY(archs, key, verdict, why) {archs, key, TUFF_KEY_##verdict, why},
static const listed hf_keys[] = {
#include "models/hf_keys.def"
};
static const listed gguf_keys[] = {
#include "models/gguf_keys.def"
};
#undef TUFF_KEY

bool tuff_has_word(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += size)
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || !at[size])) return true;
    return strcmp(words, "*") == 0;
}

/* A line that ends in a dot or an underscore stands for all keys that begin with it; the longest match
 * counts, and of two such an architecture's own, before its family's, before that of all. */
static const listed *look_up(const listed *lines, size_t count, const tuff_arch *known, const char *arch,
                             const char *key)
{
    enum { NONE, ALL, FAMILY, OWN };
    const char *family = known && known->keys ? known->keys : arch;
    const listed *best = NULL;
    size_t best_size = 0;
    int best_rank = NONE;
    for (size_t i = 0; i < count; i++) {
        const char *archs = lines[i].archs;
        size_t size = strlen(lines[i].key);
        char last = lines[i].key[size - 1];
        bool whole = strcmp(lines[i].key, key) == 0;
        bool begins = (last == '.' || last == '_') && tuff_starts_with(key, lines[i].key);
        if ((!whole && !begins) || size < best_size) continue;
        const int rank = strcmp(archs, "*") == 0        ? ALL
                         : tuff_has_word(archs, arch)   ? OWN
                         : tuff_has_word(archs, family) ? FAMILY
                                                        : NONE;
        if (rank == NONE || (size == best_size && rank <= best_rank)) continue;
        best = &lines[i];
        best_size = size;
        best_rank = rank;
    }
    return best;
}

static const listed *look_up_hf(const char *arch, const char *key)
{
    return look_up(hf_keys, sizeof hf_keys / sizeof *hf_keys, tuff_arch_by_model_type(arch), arch, key);
}

static const listed *look_up_gguf(const char *arch, const char *key)
{
    return look_up(gguf_keys, sizeof gguf_keys / sizeof *gguf_keys, tuff_arch_by_gguf(arch), arch, key);
}

tuff_key_verdict tuff_hf_key(const char *model_type, const char *key)
{
    const listed *line = look_up_hf(model_type, key);
    return line ? line->verdict : TUFF_KEY_UNKNOWN;
}

tuff_key_verdict tuff_gguf_key(const char *architecture, const char *key)
{
    const listed *line = look_up_gguf(architecture, key);
    return line ? line->verdict : TUFF_KEY_UNKNOWN;
}

/* The keys that are passed over, for the note. */
typedef struct passed {
    tuff_buf names;
    size_t count;
} passed;

static void pass(passed *over, const char *key)
{
    if (over->count++ >= 20) return;
    if (over->count > 1) tuff_buf_text(&over->names, ", ");
    tuff_json_quote(&over->names, key, strlen(key));
}

static void say_passed(passed *over, const char *where, const char *peer)
{
    if (over->count && over->names.data)
        tuff_log(TUFF_LOG_DEBUG, "%s: passed over, as %s does: %s%s", where, peer, over->names.data,
                 over->count > 20 ? ", ..." : "");
    tuff_buf_free(&over->names);
}

static bool json_is_off(const cJSON *item)
{
    if (cJSON_IsArray(item) || cJSON_IsObject(item)) return !item->child;
    return cJSON_IsFalse(item) || (cJSON_IsNumber(item) && item->valuedouble == 0) ||
           (cJSON_IsString(item) && !*item->valuestring);
}

static tuff_status refuse(const char *where, const char *key, const char *value, const char *why)
{
    enum { SHOWN = 60 };
    bool whole = strlen(value) <= SHOWN;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is %.*s%s: %s", where, key,
                     whole ? SHOWN : (int)tuff_utf8_complete(value, SHOWN), value, whole ? "" : "...", why);
}

static tuff_status check_json(const cJSON *item, const char *where, const listed *line)
{
    bool fits = cJSON_IsNull(item) || line->verdict == TUFF_KEY_READ || line->verdict == TUFF_KEY_HARMLESS ||
                (line->verdict == TUFF_KEY_OFF && json_is_off(item)) ||
                (line->verdict == TUFF_KEY_ON && cJSON_IsTrue(item));
    if (fits) return TUFF_OK;
    char *value = cJSON_PrintUnformatted(item);
    tuff_status status =
        value ? refuse(where, line->key, value, line->why) : tuff_fail_memory("a value of config.json");
    cJSON_free(value);
    return status;
}

/* What packs weights so that Tuff does not read them, by quant_method. */
static const struct packing {
    const char *method, *what;
} packings[] = {
    {"gptq", "GPTQ's packed integers"},
    {"awq", "AWQ's packed integers"},
    {"bitsandbytes", "bitsandbytes' packed 8-bit or 4-bit numbers"},
    {"fp8", "8-bit floats with scales beside them"},
    {"fbgemm_fp8", "8-bit floats with scales beside them"},
    {"compressed-tensors", "compressed-tensors' packed numbers"},
    {"mxfp4", "MXFP4's blocks of 4-bit floats"},
    {"hqq", "HQQ's packed integers"},
    {"quanto", "quanto's packed numbers"},
    {"torchao", "torchao's packed numbers"},
    {"eetq", "EETQ's 8-bit integers"},
    {"aqlm", "AQLM's codes"},
};

/* transformers' classes read quantization_config; of its methods' weights MXFP4's can be read here. */
static tuff_status check_quantization(const cJSON *json, const char *where, const char *model_type)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "quantization_config");
    const char *method = NULL, *what = "a packed form";
    if (!object || cJSON_IsNull(object)) return TUFF_OK;
    TUFF_TRY(tuff_json_text(object, "quant_method", where, &method));
    if (!method) {
        /* before quant_method was written, bitsandbytes' own switches stood alone */
        bool four = false, eight = false;
        TUFF_TRY(tuff_json_bool(object, "load_in_4bit", where, &four));
        TUFF_TRY(tuff_json_bool(object, "load_in_8bit", where, &eight));
        method = four || eight ? "bitsandbytes" : "not said";
    }
    /* only experts' matrices are (models/alternating.c) */
    if (strcmp(method, "mxfp4") == 0 && strcmp(model_type, "gpt_oss") == 0) return TUFF_OK;
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++)
        if (strcmp(packings[i].method, method) == 0) what = packings[i].what;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: its weights are stored as %s (quantization_config, quant_method %.40s), which Tuff "
                     "does not read; take the model that it was made from, or a GGUF of it",
                     where, what, method);
}

tuff_status tuff_hf_keys_check(const cJSON *json, const char *where, const char *model_type)
{
    passed over = {{0}, 0};
    tuff_status status = check_quantization(json, where, model_type);
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        if (status != TUFF_OK) break;
        const listed *line = look_up_hf(model_type, item->string);
        if (line)
            status = check_json(item, where, line);
        else
            pass(&over, item->string);
    }
    say_passed(&over, where, "transformers");
    return status;
}

/* Whether a value is this number, or a list of nothing else; false and true are 0 and 1, "" is 0. */
static bool gguf_is(const tuff_gguf_value *value, double wanted)
{
    tuff_gguf_type type = value->type == TUFF_GGUF_ARRAY ? value->item : value->type;
    if (type == TUFF_GGUF_STRING || type == TUFF_GGUF_ARRAY) return wanted == 0 && value->bytes == 0;
    for (uint64_t i = 0; i < value->count; i++)
        if ((type == TUFF_GGUF_BOOL ? value->data[i] : tuff_gguf_number_at(value, i)) != wanted) return false;
    return true;
}

static tuff_status check_gguf(const tuff_gguf_value *value, const char *where, const listed *line)
{
    bool fits = line->verdict == TUFF_KEY_READ || line->verdict == TUFF_KEY_HARMLESS ||
                (line->verdict == TUFF_KEY_OFF && gguf_is(value, 0)) ||
                ((line->verdict == TUFF_KEY_ON || line->verdict == TUFF_KEY_ONE) && gguf_is(value, 1));
    if (fits) return TUFF_OK;
    tuff_buf text = {0};
    tuff_gguf_print(value, 4, &text);
    tuff_status status = text.data ? refuse(where, value->key, text.data, line->why)
                                   : tuff_fail_memory("a value of a GGUF file");
    tuff_buf_free(&text);
    return status;
}

tuff_status tuff_gguf_keys_check(const tuff_gguf *gguf, const char *architecture)
{
    passed over = {{0}, 0};
    tuff_status status = TUFF_OK;
    size_t size = strlen(architecture);
    for (size_t i = 0; i < gguf->count && status == TUFF_OK; i++) {
        const tuff_gguf_value *value = &gguf->values[i];
        if (!tuff_starts_with(value->key, architecture) || value->key[size] != '.') continue;
        const listed *line = look_up_gguf(architecture, value->key + size + 1);
        if (line)
            status = check_gguf(value, gguf->file, line);
        else
            pass(&over, value->key);
    }
    say_passed(&over, gguf->file, "llama.cpp");
    return status;
}

tuff_status tuff_hf_layer_types_check(const cJSON *json, const char *where, const tuff_config *config)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(json, "layer_types"), *item;
    int layer = 0;
    if (!types || cJSON_IsNull(types)) return TUFF_OK;
    if (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != config->layers)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: layer_types must be a list of %lld texts, one for each layer",
                         where, (long long)config->layers);
    cJSON_ArrayForEach(item, types)
    {
        const char *type = cJSON_IsString(item) ? item->valuestring : "";
        const char *wanted =
            tuff_config_layer(config, layer++)->window ? "sliding_attention" : "full_attention";
        if (strcmp(type, "attention") == 0) type = "full_attention"; /* its older name */
        if (strcmp(type, wanted) != 0)
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: layer_types has a layer of \"%.40s\" at %d; Tuff runs that one with %s",
                             where, type, layer - 1, wanted);
    }
    return TUFF_OK;
}
