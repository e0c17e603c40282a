#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "formats/peft.h"

static const char *keep(tuff_peft_config *config, const char *text)
{
    return tuff_arena_strdup(&config->arena, text);
}

/* Reads an optional text into the arena. */
static tuff_status read_text(tuff_peft_config *config, const cJSON *json, const char *key, const char *file,
                             const char **out)
{
    const char *text = NULL;
    TUFF_TRY(tuff_json_text(json, key, file, &text));
    if (text && !(*out = keep(config, text))) return tuff_fail_memory("an adapter's configuration");
    return TUFF_OK;
}

/* Reads an optional list of texts; `expected` is for the error text. */
static tuff_status read_list(tuff_peft_config *config, const cJSON *json, const char *key,
                             const char *expected, const char *file, const char ***out, size_t *out_count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key), *item;
    if (!list || cJSON_IsNull(list)) return TUFF_OK;
    size_t count = 0;
    cJSON_ArrayForEach(item, list) count += cJSON_IsString(item) ? 1 : 0;
    if (!cJSON_IsArray(list) || count != (size_t)cJSON_GetArraySize(list))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: '%s' must be %s", file, key, expected);
    *out = tuff_arena_array(&config->arena, count, sizeof **out);
    if (!*out) return tuff_fail_memory("an adapter's configuration");
    cJSON_ArrayForEach(item, list)
    {
        if (!((*out)[*out_count] = keep(config, item->valuestring)))
            return tuff_fail_memory("an adapter's configuration");
        ++*out_count;
    }
    return TUFF_OK;
}

static tuff_status read_targets(tuff_peft_config *config, const cJSON *json, const char *file)
{
    TUFF_TRY(read_list(config, json, "target_parameters", "a list of texts", file, &config->parameters,
                       &config->parameter_count));
    if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "target_modules")))
        return read_text(config, json, "target_modules", file, &config->target_text);
    return read_list(config, json, "target_modules", "a text or a list of texts", file, &config->targets,
                     &config->target_count);
}

/* Keys are regular expressions to PEFT; in practice module names, perhaps with ^, $ or "\.". Others are
 * refused. */
static bool plain_pattern(tuff_peft_config *config, const char *key, const char **out)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    char *copy = tuff_arena_strdup(&config->arena, key), *to = copy;
    *out = copy;
    if (!copy) return false;
    for (const char *from = key; *from; from++) {
        bool anchor = (*from == '^' && from == key) || (*from == '$' && from[1] == 0);
        if (from[0] == '\\' && from[1] == '.') from++;
        if (!anchor && !strchr(allowed, *from)) return false;
        if (*from != '$') *to++ = *from;
    }
    *to = 0;
    return to > copy && strcmp(copy, "^") != 0;
}

static tuff_status read_pattern(tuff_peft_config *config, const cJSON *json, const char *key,
                                const char *file, tuff_peft_pattern **out, size_t *out_count)
{
    const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(json, key), *item;
    if (!patterns || cJSON_IsNull(patterns)) return TUFF_OK;
    if (!cJSON_IsObject(patterns)) return tuff_fail(TUFF_BAD_FORMAT, "%s: '%s' must be an object", file, key);
    *out = tuff_arena_array(&config->arena, (size_t)cJSON_GetArraySize(patterns), sizeof **out);
    if (!*out) return tuff_fail_memory("an adapter's configuration");
    cJSON_ArrayForEach(item, patterns)
    {
        tuff_peft_pattern *pattern = &(*out)[*out_count];
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0) || item->valuedouble > 1e6)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: '%s' of '%s' must be a number above 0", file, key,
                             item->string);
        if (!plain_pattern(config, item->string, &pattern->module))
            return pattern->module
                       ? tuff_fail(TUFF_UNSUPPORTED,
                                   "%s: '%s': the regular expression '%s' is no plain module name", file, key,
                                   item->string)
                       : tuff_fail_memory("an adapter's configuration");
        pattern->value = item->valuedouble;
        ++*out_count;
    }
    return TUFF_OK;
}

typedef enum verdict { READ, HARMLESS, OFF } verdict;

static const struct listed {
    const char *key;
    verdict verdict;
} keys[] = {
#define TUFF_PEFT_KEY(key, verdict) {#key, verdict},
#include "formats/peft_keys.def"
#undef TUFF_PEFT_KEY
};

static const struct listed *look_up(const char *key)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].key, key) == 0) return &keys[i];
    return NULL;
}

bool tuff_peft_key_known(const char *key)
{
    return look_up(key) != NULL;
}

/* Whatever the case of its letters. */
static bool begins_with(const char *text, const char *prefix)
{
    while (*prefix && tolower((unsigned char)*text) == *prefix) {
        text++;
        prefix++;
    }
    return !*prefix;
}

/* Starts that take something away from the base model's weights, which the adapter then puts back: PEFT
 * changes the base each time it loads such an adapter. */
static tuff_status check_start(const cJSON *json, const char *file)
{
    static const char *const changing[] = {"pissa", "corda", "olora", "loftq"};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "init_lora_weights");
    if (!item || cJSON_IsNull(item) || cJSON_IsBool(item)) return TUFF_OK;
    const char *start = NULL;
    TUFF_TRY(tuff_json_text(json, "init_lora_weights", file, &start));
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
        if (begins_with(start, changing[i]))
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: 'init_lora_weights' is '%.40s': such an adapter belongs to a base model with "
                "changed weights; have PEFT save it as plain LoRA "
                "(path_initial_model_for_weight_conversion)",
                file, start);
    return TUFF_OK;
}

/* What changes an adapter's meaning in a way that cannot be applied. Absent, null, false and empty are fine.
 */
static tuff_status refuse_unsupported(const cJSON *json, const char *file)
{
    const char *type = NULL;
    TUFF_TRY(tuff_json_text(json, "peft_type", file, &type));
    if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no 'peft_type': it is no PEFT adapter", file);
    if (strcmp(type, "LORA") != 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: 'peft_type' is '%s'; adapters of type LORA can be read", file,
                         type);
    TUFF_TRY(tuff_peft_refuse(json, file));
    return check_start(json, file);
}

tuff_status tuff_peft_refuse(const cJSON *json, const char *file)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const struct listed *line = look_up(item->string);
        bool set = !cJSON_IsNull(item) && !cJSON_IsFalse(item) &&
                   !((cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child);
        if (line && line->verdict == OFF && set)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: '%s' is set: adapters that use it cannot be read", file,
                             item->string);
    }
    return TUFF_OK;
}

bool tuff_peft_bias_parse(const char *text, const char **out)
{
    static const char *const known[] = {"all", "lora_only"};
    *out = NULL;
    for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i]) == 0) *out = known[i];
    return !text || *out || strcmp(text, "none") == 0;
}

static tuff_status read_bias(tuff_peft_config *config, const cJSON *json, const char *file)
{
    const char *text = NULL;
    TUFF_TRY(tuff_json_text(json, "bias", file, &text));
    if (tuff_peft_bias_parse(text, &config->bias)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: 'bias' is '%.40s'; none, all and lora_only can be read", file,
                     text);
}

static tuff_status read_config(tuff_peft_config *config, const cJSON *json, const char *file)
{
    if (!cJSON_IsObject(json)) return tuff_fail(TUFF_BAD_FORMAT, "%s: a JSON object is expected", file);
    TUFF_TRY(refuse_unsupported(json, file));
    TUFF_TRY(read_text(config, json, "base_model_name_or_path", file, &config->base_model));
    TUFF_TRY(read_text(config, json, "task_type", file, &config->task_type));
    TUFF_TRY(read_text(config, json, "revision", file, &config->revision));
    TUFF_TRY(tuff_json_int(json, "r", file, &config->rank));
    TUFF_TRY(tuff_json_number(json, "lora_alpha", file, &config->alpha));
    TUFF_TRY(tuff_json_number(json, "lora_dropout", file, &config->dropout));
    TUFF_TRY(tuff_json_bool(json, "fan_in_fan_out", file, &config->fan_in_fan_out));
    TUFF_TRY(tuff_json_bool(json, "use_rslora", file, &config->rslora));
    TUFF_TRY(tuff_json_bool(json, "use_dora", file, &config->dora));
    if (config->rank < 1 || config->rank > 1000000)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the rank 'r' is %lld; 1 or more is expected", file,
                         (long long)config->rank);
    if (!isfinite(config->alpha) || !(config->dropout >= 0 && config->dropout < 1))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: 'lora_alpha' %g or 'lora_dropout' %g is out of range", file,
                         config->alpha, config->dropout);
    TUFF_TRY(read_bias(config, json, file));
    TUFF_TRY(read_targets(config, json, file));
    TUFF_TRY(
        read_pattern(config, json, "rank_pattern", file, &config->rank_pattern, &config->rank_pattern_count));
    return read_pattern(config, json, "alpha_pattern", file, &config->alpha_pattern,
                        &config->alpha_pattern_count);
}

tuff_status tuff_peft_config_parse(const char *data, size_t size, const char *file,
                                   tuff_peft_config **out_config)
{
    tuff_status status;
    cJSON *json = NULL;
    tuff_peft_config *config = *out_config = tuff_alloc(sizeof *config);
    if (!config) return tuff_fail_memory("an adapter's configuration");
    config->rank = config->alpha = 8; /* PEFT's defaults */
    TUFF_GO(tuff_json_parse(data, size, file, &json));
    TUFF_GO(read_config(config, json, file));
done:
    cJSON_Delete(json);
    if (status != TUFF_OK) tuff_peft_config_destroy(out_config);
    return status;
}

void tuff_peft_config_destroy(tuff_peft_config **config)
{
    if (!*config) return;
    tuff_arena_free(&(*config)->arena);
    tuff_free(*config);
    *config = NULL;
}

bool tuff_peft_pattern_is(const tuff_peft_pattern *pattern, const char *module)
{
    const char *name = pattern->module;
    const size_t length = strlen(name), whole = strlen(module);
    if (strcmp(name[0] == '^' ? name + 1 : name, module) == 0) return true;
    return name[0] != '^' && whole > length && module[whole - length - 1] == '.' &&
           tuff_ends_with(module, name);
}

static const tuff_peft_pattern *match(const tuff_peft_pattern *patterns, size_t count, const char *module)
{
    for (size_t i = 0; i < count; i++)
        if (tuff_peft_pattern_is(&patterns[i], module)) return &patterns[i];
    return NULL;
}

/* An entry, "q_proj=4". */
static tuff_status parse_entry(tuff_view text, const char *option, tuff_arena *arena, tuff_peft_pattern *out)
{
    char *name = tuff_arena_printf(arena, "%.*s", (int)text.size, text.data),
         *equals = name ? strrchr(name, '=') : NULL;
    cJSON *number = NULL;
    if (!name) return tuff_fail_memory("an adapter");
    if (equals && tuff_json_parse(equals + 1, strlen(equals + 1), option, &number) == TUFF_OUT_OF_MEMORY)
        return TUFF_OUT_OF_MEMORY;
    out->value = cJSON_IsNumber(number) ? number->valuedouble : 0;
    cJSON_Delete(number);
    if (!equals || equals == name || !(out->value > 0 && out->value <= 1e6))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s has \"%s\", expected a module's name and a number above 0, \"q_proj=4\"", option,
                         name);
    *equals = 0;
    out->module = name;
    return TUFF_OK;
}

tuff_status tuff_peft_patterns_parse(const char *text, const char *option, tuff_arena *arena,
                                     tuff_peft_pattern **out, size_t *out_count)
{
    tuff_view part;
    *out = NULL;
    *out_count = 0;
    if (!text) return TUFF_OK;
    *out = tuff_arena_array(arena, tuff_list_most(text), sizeof **out);
    if (!*out) return tuff_fail_memory("an adapter");
    for (const char *at = text; tuff_list_next(&at, &part);)
        TUFF_TRY(parse_entry(part, option, arena, &(*out)[(*out_count)++]));
    return TUFF_OK;
}

int64_t tuff_peft_rank(const tuff_peft_config *config, const char *module)
{
    const tuff_peft_pattern *own = match(config->rank_pattern, config->rank_pattern_count, module);
    return own ? (int64_t)own->value : config->rank;
}

double tuff_peft_scale(const tuff_peft_config *config, const char *module)
{
    const tuff_peft_pattern *own = match(config->alpha_pattern, config->alpha_pattern_count, module);
    double rank = (double)tuff_peft_rank(config, module);
    return (own ? own->value : config->alpha) / (config->rslora ? sqrt(rank) : rank);
}

/* ---- writing */

void tuff_peft_put_begin(tuff_buf *out)
{
    tuff_buf_text(out, "{\n");
}

void tuff_peft_put_end(tuff_buf *out)
{
    tuff_buf_text(out, "\n}\n");
}

static void put_key(tuff_buf *out, const char *key)
{
    tuff_buf_printf(out, "%s  \"%s\": ", out->size > strlen("{\n") ? ",\n" : "", key);
}

void tuff_peft_put_text(tuff_buf *out, const char *key, const char *value)
{
    put_key(out, key);
    if (value)
        tuff_json_quote(out, value, strlen(value));
    else
        tuff_buf_text(out, "null");
}

void tuff_peft_put_number(tuff_buf *out, const char *key, double value)
{
    put_key(out, key);
    tuff_json_double(out, value);
}

void tuff_peft_put_bool(tuff_buf *out, const char *key, bool value)
{
    put_key(out, key);
    tuff_buf_text(out, value ? "true" : "false");
}

void tuff_peft_put_json(tuff_buf *out, const char *key, const char *value)
{
    put_key(out, key);
    tuff_buf_text(out, value);
}

void tuff_peft_put_list(tuff_buf *out, const char *key, const char *const *values, size_t count)
{
    put_key(out, key);
    tuff_buf_text(out, "[");
    for (size_t i = 0; i < count; i++) {
        tuff_buf_text(out, i ? ",\n    " : "\n    ");
        tuff_json_quote(out, values[i], strlen(values[i]));
    }
    tuff_buf_text(out, count ? "\n  ]" : "]");
}

void tuff_peft_put_modules(tuff_buf *out, const char *const *modules, size_t count)
{
    if (count)
        tuff_peft_put_list(out, "modules_to_save", modules, count);
    else
        tuff_peft_put_text(out, "modules_to_save", NULL);
}

static void put_pattern(tuff_buf *out, const char *key, const tuff_peft_pattern *patterns, size_t count)
{
    put_key(out, key);
    tuff_buf_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        tuff_buf_text(out, i ? ",\n    " : "\n    ");
        tuff_json_quote(out, patterns[i].module, strlen(patterns[i].module));
        tuff_buf_text(out, ": ");
        tuff_json_double(out, patterns[i].value);
    }
    tuff_buf_text(out, count ? "\n  }" : "}");
}

void tuff_peft_config_print(const tuff_peft_config *config, tuff_buf *out)
{
    tuff_peft_put_begin(out);
    put_pattern(out, "alpha_pattern", config->alpha_pattern, config->alpha_pattern_count);
    tuff_peft_put_text(out, "auto_mapping", NULL);
    tuff_peft_put_text(out, "base_model_name_or_path", config->base_model);
    tuff_peft_put_text(out, "bias", config->bias ? config->bias : "none");
    tuff_peft_put_bool(out, "fan_in_fan_out", config->fan_in_fan_out);
    tuff_peft_put_bool(out, "inference_mode", true);
    tuff_peft_put_bool(out, "init_lora_weights", true);
    tuff_peft_put_text(out, "layers_pattern", NULL);
    tuff_peft_put_text(out, "layers_to_transform", NULL);
    tuff_peft_put_number(out, "lora_alpha", config->alpha);
    tuff_peft_put_number(out, "lora_dropout", config->dropout);
    tuff_peft_put_modules(out, config->modules, config->module_count);
    tuff_peft_put_text(out, "peft_type", "LORA");
    tuff_peft_put_number(out, "r", (double)config->rank);
    put_pattern(out, "rank_pattern", config->rank_pattern, config->rank_pattern_count);
    tuff_peft_put_text(out, "revision", config->revision);
    if (config->target_text)
        tuff_peft_put_text(out, "target_modules", config->target_text);
    else
        tuff_peft_put_list(out, "target_modules", config->targets, config->target_count);
    if (config->parameter_count)
        tuff_peft_put_list(out, "target_parameters", config->parameters, config->parameter_count);
    tuff_peft_put_text(out, "task_type", config->task_type);
    if (config->tokens) tuff_peft_put_json(out, "trainable_token_indices", config->tokens);
    tuff_peft_put_bool(out, "use_dora", config->dora);
    tuff_peft_put_bool(out, "use_rslora", config->rslora);
    tuff_peft_put_end(out);
}
