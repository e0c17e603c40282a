#include "formats/sentence.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "formats/hf_config.h"

void tuff_sentence_free(tuff_sentence *sentence)
{
    tuff_arena_free(&sentence->arena);
    *sentence = (tuff_sentence){0};
}

/* The path of a file under the directory, in the arena; NULL: no memory. */
static const char *path_of(tuff_sentence *s, const char *directory, const char *name)
{
    return *name ? tuff_arena_printf(&s->arena, "%s/%s", directory, name)
                 : tuff_arena_strdup(&s->arena, directory);
}

/* Reads an object of the directory; NULL when the file is not there. */
static tuff_status read_object(tuff_sentence *s, const char *directory, const char *name, cJSON **out)
{
    *out = NULL;
    const char *path = path_of(s, directory, name);
    if (!path) return tuff_fail_memory("a path");
    return tuff_is_file(path) ? tuff_hf_read_object(path, out) : TUFF_OK;
}

/* Fails where a file asks for another thing than the one that Tuff knows; NULL: it knows none. */
static tuff_status only(const cJSON *json, const char *key, const char *known, const char *where)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item)) return TUFF_OK;
    if (cJSON_IsObject(item) && !item->child) return TUFF_OK;
    if (!known || !cJSON_IsString(item))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is set, which Tuff does not follow", where, key);
    if (strcmp(item->valuestring, known) == 0) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.60s\"; Tuff knows %s", where, key, item->valuestring,
                     known);
}

/* What a module reads, and where it writes. */
static tuff_status only_vectors(const cJSON *json, const char *where)
{
    TUFF_TRY(only(json, "module_input_name", "sentence_embedding", where));
    return only(json, "module_output_name", "sentence_embedding", where);
}

static const struct pooling {
    const char *key, *mode; /* one flag of older files; a word of newer ones */
    tuff_pooling pooling;
} poolings[] = {
    {"pooling_mode_cls_token", "cls", TUFF_POOLING_CLS},
    {"pooling_mode_mean_tokens", "mean", TUFF_POOLING_MEAN},
    {"pooling_mode_max_tokens", "max", TUFF_POOLING_MAX},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", TUFF_POOLING_MEAN_SQRT_LEN},
    {"pooling_mode_weightedmean_tokens", "weightedmean", TUFF_POOLING_WEIGHTED_MEAN},
    {"pooling_mode_lasttoken", "lasttoken", TUFF_POOLING_LAST},
};

void tuff_sentence_print_pooling(tuff_pooling pooling, int64_t dimensions, tuff_buf *out)
{
    tuff_buf_printf(out, "{\n  \"word_embedding_dimension\": %lld,\n", (long long)dimensions);
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++)
        tuff_buf_printf(out, "  \"%s\": %s,\n", poolings[i].key,
                        poolings[i].pooling == pooling ? "true" : "false");
    tuff_buf_text(out, "  \"include_prompt\": true\n}\n");
}

static tuff_status read_pooling_flags(const cJSON *json, const char *where, tuff_sentence *s)
{
    const char *first = NULL;
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++) {
        bool on = false;
        TUFF_TRY(tuff_json_bool(json, poolings[i].key, where, &on));
        if (on && first)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: %s and %s are both on; Tuff pools in one way at a time",
                             where, first, poolings[i].key);
        if (!on) continue;
        first = poolings[i].key;
        s->pooling = poolings[i].pooling;
    }
    return first ? TUFF_OK : tuff_fail(TUFF_BAD_FORMAT, "%s: no pooling mode is on", where);
}

static tuff_status read_pooling_mode(const char *mode, const char *where, tuff_sentence *s)
{
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++) {
        if (strcmp(poolings[i].mode, mode) != 0) continue;
        s->pooling = poolings[i].pooling;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: pooling_mode is \"%.40s\"; Tuff knows cls, mean, max, mean_sqrt_len_tokens, "
                     "weightedmean and lasttoken",
                     where, mode);
}

static tuff_status read_pooling(tuff_sentence *s, const char *directory)
{
    cJSON *json = NULL;
    const char *where = path_of(s, directory, "config.json"), *mode = NULL;
    if (!where) return tuff_fail_memory("a path");
    TUFF_TRY(tuff_hf_read_object(where, &json));
    bool with_prompt = true;
    tuff_status status = tuff_json_bool(json, "include_prompt", where, &with_prompt);
    s->skip_prompt = !with_prompt;
    if (status == TUFF_OK) status = tuff_json_text(json, "pooling_mode", where, &mode);
    if (status == TUFF_OK)
        status = mode ? read_pooling_mode(mode, where, s) : read_pooling_flags(json, where, s);
    cJSON_Delete(json);
    return status;
}

static tuff_status read_dense_config(const cJSON *json, const char *where, tuff_sentence_dense *dense)
{
    const char *activation = "torch.nn.modules.activation.Tanh";
    dense->bias = true;
    TUFF_TRY(only(json, "use_residual", NULL, where));
    TUFF_TRY(only_vectors(json, where));
    TUFF_TRY(tuff_json_int(json, "in_features", where, &dense->in));
    TUFF_TRY(tuff_json_int(json, "out_features", where, &dense->out));
    TUFF_TRY(tuff_json_bool(json, "bias", where, &dense->bias));
    TUFF_TRY(tuff_json_text(json, "activation_function", where, &activation));
    dense->tanh = tuff_ends_with(activation, ".Tanh");
    if (!dense->tanh && !tuff_ends_with(activation, ".Identity"))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: activation_function is \"%.80s\"; Tuff knows Tanh and Identity", where,
                         activation);
    if (dense->in < 1 || dense->out < 1 || dense->in > 1 << 20 || dense->out > 1 << 20)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: in_features is %lld and out_features %lld, expected 1 to %d",
                         where, (long long)dense->in, (long long)dense->out, 1 << 20);
    return TUFF_OK;
}

static tuff_status read_dense(tuff_sentence *s, const char *directory)
{
    cJSON *json = NULL;
    if (s->denses == TUFF_SENTENCE_DENSE_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: more than %d dense modules", directory,
                         TUFF_SENTENCE_DENSE_LIMIT);
    tuff_sentence_dense *dense = &s->dense[s->denses++];
    const char *where = path_of(s, directory, "config.json");
    dense->directory = directory;
    if (!where) return tuff_fail_memory("a path");
    TUFF_TRY(tuff_hf_read_object(where, &json));
    tuff_status status = read_dense_config(json, where, dense);
    cJSON_Delete(json);
    return status;
}

static tuff_status read_normalize(tuff_sentence *s, const char *directory)
{
    cJSON *json = NULL;
    s->normalize = true;
    TUFF_TRY(read_object(s, directory, "config.json", &json));
    tuff_status status = only_vectors(json, directory);
    cJSON_Delete(json);
    return status;
}

/* A module by the last part of its class's name. */
static tuff_status read_module(tuff_sentence *s, const char *directory, const char *type, const char *path,
                               int at, const char *where)
{
    const char *kind = strrchr(type, '.');
    kind = kind ? kind + 1 : type;
    const char *folder = path_of(s, directory, path);
    if (!folder) return tuff_fail_memory("a path");
    if (at == 0 && strcmp(kind, "Transformer") == 0 && *path)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: the transformer lies in %s; name that folder as the model",
                         where, folder);
    if (at == 0 && strcmp(kind, "Transformer") == 0) return TUFF_OK;
    if (at == 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: its first module is \"%.60s\"; Tuff runs Transformer", where,
                         type);
    if (s->normalize)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: \"%.60s\" follows the normalization; Tuff's is the last module", where, type);
    if (strcmp(kind, "Normalize") == 0)
        return *path ? read_normalize(s, folder) : (s->normalize = true, TUFF_OK);
    if (strcmp(kind, "Dropout") == 0) return TUFF_OK;
    if (strcmp(kind, "Pooling") == 0 && s->pooling == TUFF_POOLING_MODEL) return read_pooling(s, folder);
    if (strcmp(kind, "Dense") == 0 && s->pooling != TUFF_POOLING_MODEL) return read_dense(s, folder);
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: module %d is \"%.60s\"; Tuff runs one Transformer, one Pooling, then Dense, Dropout and "
        "Normalize",
        where, at, type);
}

/* A part of it is ".": another spelling of the directory itself, whose files are the model's. */
static bool has_dot(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && (part[1] == '/' || !part[1])) return true;
    }
    return false;
}

tuff_status tuff_sentence_check_path(const char *path, const char *where)
{
    if (has_dot(path))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the path \"%.80s\" of a module has a part \".\"", where, path);
    if (!strstr(path, "..") && path[0] != '/') return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: the path \"%.80s\" of a module leads out of the directory", where,
                     path);
}

static tuff_status read_modules(tuff_sentence *s, const cJSON *list, const char *directory, const char *where)
{
    int at = 0;
    const cJSON *item;
    if (!cJSON_IsArray(list)) return tuff_fail(TUFF_BAD_FORMAT, "%s: a list of modules is expected", where);
    cJSON_ArrayForEach(item, list)
    {
        const char *type = NULL, *path = "";
        TUFF_TRY(tuff_json_text(item, "type", where, &type));
        TUFF_TRY(tuff_json_text(item, "path", where, &path));
        if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: module %d has no type", where, at);
        TUFF_TRY(tuff_sentence_check_path(path, where));
        TUFF_TRY(read_module(s, directory, type, path, at++, where));
    }
    return TUFF_OK;
}

static tuff_status read_prompts(tuff_sentence *s, const cJSON *json, const char *where)
{
    const char *name = NULL;
    const cJSON *prompts = cJSON_GetObjectItemCaseSensitive(json, "prompts"), *item;
    TUFF_TRY(tuff_json_text(json, "default_prompt_name", where, &name));
    int n = cJSON_IsObject(prompts) ? cJSON_GetArraySize(prompts) : 0;
    s->prompts = tuff_arena_array(&s->arena, (size_t)n + 1, sizeof *s->prompts);
    if (!s->prompts) return tuff_fail_memory("prompts");
    for (item = n ? prompts->child : NULL; item; item = item->next) {
        if (cJSON_IsNull(item)) continue;
        if (!cJSON_IsString(item))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: the prompt \"%.40s\" is no text", where, item->string);
        tuff_sentence_prompt *p = &s->prompts[s->prompt_count++];
        p->name = tuff_arena_strdup(&s->arena, item->string);
        p->text = tuff_arena_strdup(&s->arena, item->valuestring);
        if (!p->name || !p->text) return tuff_fail_memory("prompts");
        if (name && strcmp(name, p->name) == 0) s->default_prompt = p->text;
    }
    if (name && !s->default_prompt)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: default_prompt_name is \"%.40s\", which is none of the prompts", where, name);
    return TUFF_OK;
}

static tuff_status read_transformer(tuff_sentence *s, const cJSON *json, const char *where)
{
    static const char *const others[] = {"query_length", "document_length", "query_expansion",
                                         "processing_kwargs"};
    const cJSON *text =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "modality_config"), "text");
    TUFF_TRY(tuff_json_int(json, "max_seq_length", where, &s->max_length));
    if (s->max_length < 0 || s->max_length > 1 << 28)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: max_seq_length is %lld, expected 1 to %d", where,
                         (long long)s->max_length, 1 << 28);
    TUFF_TRY(tuff_json_bool(json, "do_lower_case", where, &s->lower));
    TUFF_TRY(only(json, "transformer_task", "feature-extraction", where));
    TUFF_TRY(only(json, "module_output_name", "token_embeddings", where));
    TUFF_TRY(only(text, "method", "forward", where));
    TUFF_TRY(only(text, "method_output_name", "last_hidden_state", where));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        TUFF_TRY(only(json, others[i], NULL, where));
    return TUFF_OK;
}

/* Files of modules.json's directory; those that are not there say nothing. */
static tuff_status read_settings(tuff_sentence *s, const char *directory)
{
    static const char sizes[] = "sentence_bert_config.json", prompts[] = "config_sentence_transformers.json";
    cJSON *json = NULL;
    TUFF_TRY(read_object(s, directory, sizes, &json));
    tuff_status status = json ? read_transformer(s, json, path_of(s, directory, sizes)) : TUFF_OK;
    cJSON_Delete(json);
    if (status == TUFF_OK) status = read_object(s, directory, prompts, &json);
    if (status != TUFF_OK) return status;
    status = json ? read_prompts(s, json, prompts) : TUFF_OK;
    cJSON_Delete(json);
    return status;
}

static tuff_status read_all(tuff_sentence *s, const char *directory)
{
    const char *where = path_of(s, directory, "modules.json");
    if (!where) return tuff_fail_memory("a path");
    s->there = tuff_is_file(where);
    if (!s->there) return TUFF_OK;
    cJSON *list = NULL;
    TUFF_TRY(tuff_json_read(where, &list));
    tuff_status status = read_modules(s, list, directory, where);
    cJSON_Delete(list);
    return status == TUFF_OK ? read_settings(s, directory) : status;
}

tuff_status tuff_sentence_read(const char *directory, tuff_sentence *out_sentence)
{
    *out_sentence = (tuff_sentence){0};
    tuff_status status = read_all(out_sentence, directory);
    if (status != TUFF_OK) tuff_sentence_free(out_sentence);
    return status;
}
