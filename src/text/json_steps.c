/* The normalizer and the pre-tokenizer of tokenizer.json; what readers of its components share. */
#include "text/json_steps.h"

#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/status.h"
#include "text/bert.h"
#include "text/known_cuts.h"
#include "text/unicode_tables.h"

static const tuff_view nothing = {NULL, 0};

tuff_status tuff_json_unsupported(const char *what, const char *type, const char *where)
{
    return tuff_fail(TUFF_UNSUPPORTED, "%s: the %s \"%s\" is not supported by Tuff", where, what, type);
}

tuff_status tuff_json_each(tuff_tokenizer *t, const cJSON *json, const char *what, const char *list,
                           const char *where, tuff_component_fn fn)
{
    if (!json || cJSON_IsNull(json)) return TUFF_OK;
    if (!cJSON_IsObject(json))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the %s is not an object with a \"type\"", where, what);
    const char *type = NULL;
    TUFF_TRY(tuff_json_text(json, "type", where, &type));
    if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: a %s has no \"type\"", where, what);
    if (strcmp(type, "Sequence") != 0) return fn(t, json, type, where);
    const cJSON *parts = cJSON_GetObjectItemCaseSensitive(json, list), *part;
    if (!cJSON_IsArray(parts))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the %s \"Sequence\" has no list \"%s\"", where, what, list);
    cJSON_ArrayForEach(part, parts) TUFF_TRY(tuff_json_each(t, part, what, list, where, fn));
    return TUFF_OK;
}

tuff_status tuff_json_pattern(const cJSON *json, const char *where, tuff_buf *out)
{
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(json, "pattern");
    const char *text = NULL, *regex = NULL;
    if (cJSON_IsObject(pattern)) {
        TUFF_TRY(tuff_json_text(pattern, "String", where, &text));
        TUFF_TRY(tuff_json_text(pattern, "Regex", where, &regex));
    } else if (cJSON_IsString(pattern)) {
        text = pattern->valuestring;
    }
    if (!text && !regex)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: a component has no \"pattern\" with a \"String\" or a \"Regex\"", where);
    if (regex)
        tuff_buf_text(out, regex);
    else
        tuff_regex_quote(tuff_view_of(text), out);
    tuff_buf_text(out, ""); /* has memory also when empty */
    return out->failed ? tuff_fail_memory("a pattern") : TUFF_OK;
}

tuff_status tuff_json_need_text(const cJSON *json, const char *key, const char *type, const char *where,
                                const char **out)
{
    *out = NULL;
    TUFF_TRY(tuff_json_text(json, key, where, out));
    return *out ? TUFF_OK : tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" has no \"%s\"", where, type, key);
}

static tuff_view view_of(const tuff_buf *buf)
{
    return (tuff_view){buf->data, buf->size};
}

/* ---- normalizers ---- */

static tuff_status read_bert(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    tuff_bert_rules rules = {.clean = true, .chinese = true, .lower = true};
    TUFF_TRY(tuff_json_bool(json, "clean_text", where, &rules.clean));
    TUFF_TRY(tuff_json_bool(json, "handle_chinese_chars", where, &rules.chinese));
    TUFF_TRY(tuff_json_bool(json, "lowercase", where, &rules.lower));
    rules.accents = rules.lower; /* what null means */
    TUFF_TRY(tuff_json_bool(json, "strip_accents", where, &rules.accents));
    return tuff_bert_add_normalizer(t, rules, where);
}

static tuff_status read_precompiled(tuff_tokenizer *t, const cJSON *json, const char *type, const char *where)
{
    const char *text;
    tuff_buf blob = {0};
    tuff_normalizer step = {.kind = TUFF_NORMALIZE_CHARSMAP};
    TUFF_TRY(tuff_json_need_text(json, "precompiled_charsmap", type, where, &text));
    bool whole = tuff_base64_decode(tuff_view_of(text), &blob);
    tuff_status status =
        blob.failed ? tuff_fail_memory("a charsmap")
        : whole     ? tuff_charsmap_create(view_of(&blob), where, &step.charsmap)
                    : tuff_fail(TUFF_BAD_FORMAT, "%s: the \"precompiled_charsmap\" is not base64", where);
    if (status == TUFF_OK) status = tuff_add_normalizer(t, step, nothing, where);
    tuff_buf_free(&blob);
    return status;
}

static tuff_status read_normalizer(tuff_tokenizer *t, const cJSON *json, const char *type, const char *where)
{
    static const struct {
        const char *type;
        tuff_normalizer_kind kind;
    } plain[] = {{"NFC", TUFF_NORMALIZE_NFC},
                 {"NFD", TUFF_NORMALIZE_NFD},
                 {"NFKC", TUFF_NORMALIZE_NFKC},
                 {"NFKD", TUFF_NORMALIZE_NFKD},
                 {"Lowercase", TUFF_NORMALIZE_LOWERCASE},
                 {"StripAccents", TUFF_NORMALIZE_MARKS},
                 {"Nmt", TUFF_NORMALIZE_NMT},
                 {"ByteLevel", TUFF_NORMALIZE_BYTES}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(type, plain[i].type) == 0)
            return tuff_add_normalizer(t, (tuff_normalizer){.kind = plain[i].kind}, nothing, where);
    }
    if (strcmp(type, "BertNormalizer") == 0) return read_bert(t, json, where);
    if (strcmp(type, "Precompiled") == 0) return read_precompiled(t, json, type, where);
    const char *text;
    if (strcmp(type, "Prepend") == 0) {
        TUFF_TRY(tuff_json_need_text(json, "prepend", type, where, &text));
        tuff_normalizer step = {.kind = TUFF_NORMALIZE_PREPEND, .text = tuff_view_of(text)};
        t->space_prefix = true;
        return tuff_add_normalizer(t, step, nothing, where);
    }
    if (strcmp(type, "Replace") == 0) {
        TUFF_TRY(tuff_json_need_text(json, "content", type, where, &text));
        tuff_buf pattern = {0};
        tuff_status status = tuff_json_pattern(json, where, &pattern);
        tuff_normalizer step = {.kind = TUFF_NORMALIZE_REPLACE, .text = tuff_view_of(text)};
        if (status == TUFF_OK) status = tuff_add_normalizer(t, step, view_of(&pattern), where);
        tuff_buf_free(&pattern);
        return status;
    }
    if (strcmp(type, "Strip") == 0) {
        tuff_normalizer step = {.kind = TUFF_NORMALIZE_STRIP, .left = true, .right = true};
        TUFF_TRY(tuff_json_bool(json, "strip_left", where, &step.left));
        TUFF_TRY(tuff_json_bool(json, "strip_right", where, &step.right));
        return tuff_add_normalizer(t, step, nothing, where);
    }
    return tuff_json_unsupported("normalizer", type, where);
}

tuff_status tuff_read_normalizer(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    return tuff_json_each(tokenizer, json, "normalizer", "normalizers", where, read_normalizer);
}

/* ---- pre-tokenizers ---- */

static tuff_status add_pattern(tuff_tokenizer *t, const char *pattern, tuff_split_behavior behavior,
                               const char *where)
{
    tuff_splitter step = {.kind = TUFF_SPLIT_PATTERN, .behavior = behavior};
    return tuff_add_splitter(t, step, tuff_view_of(pattern), where);
}

static tuff_status read_behavior(const cJSON *json, const char *where, tuff_split_behavior *out)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                        "Contiguous"};
    const char *name = NULL;
    TUFF_TRY(tuff_json_text(json, "behavior", where, &name));
    for (int i = 0; name && i < 5; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (tuff_split_behavior)i;
            return TUFF_OK;
        }
    }
    return name ? tuff_json_unsupported("behavior", name, where) : TUFF_OK;
}

static tuff_status read_split(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    tuff_splitter step = {.kind = TUFF_SPLIT_PATTERN, .behavior = TUFF_SPLIT_ISOLATED};
    TUFF_TRY(read_behavior(json, where, &step.behavior));
    TUFF_TRY(tuff_json_bool(json, "invert", where, &step.invert));
    tuff_buf pattern = {0};
    tuff_status status = tuff_json_pattern(json, where, &pattern);
    if (status == TUFF_OK) status = tuff_add_splitter(t, step, view_of(&pattern), where);
    tuff_buf_free(&pattern);
    return status;
}

static tuff_status read_byte_level(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    bool prefix = true, regex = true;
    TUFF_TRY(tuff_json_bool(json, "add_prefix_space", where, &prefix));
    TUFF_TRY(tuff_json_bool(json, "use_regex", where, &regex));
    if (prefix)
        TUFF_TRY(tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_PREFIX_SPACE}, nothing, where));
    if (regex) TUFF_TRY(add_pattern(t, tuff_gpt2_pattern(), TUFF_SPLIT_ISOLATED, where));
    t->space_prefix = t->space_prefix || prefix;
    t->byte_level = true;
    return tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_BYTES}, nothing, where);
}

tuff_status tuff_json_metaspace(const cJSON *json, const char *where, const char **out_text,
                                tuff_prepend *out, bool *out_split)
{
    bool prefix = true;
    const char *scheme = NULL;
    *out_text = "\xe2\x96\x81";
    TUFF_TRY(tuff_json_text(json, "replacement", where, out_text));
    uint32_t point;
    size_t size = strlen(*out_text);
    if (tuff_utf8_decode(*out_text, size, &point) != size)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the \"replacement\" of \"Metaspace\" is \"%.60s\", expected one "
                         "character",
                         where, *out_text);
    TUFF_TRY(tuff_json_bool(json, "add_prefix_space", where, &prefix));
    TUFF_TRY(tuff_json_text(json, "prepend_scheme", where, &scheme));
    TUFF_TRY(tuff_json_bool(json, "split", where, out_split));
    *out = prefix ? TUFF_PREPEND_ALWAYS : TUFF_PREPEND_NEVER;
    if (!scheme) return TUFF_OK;
    if (strcmp(scheme, "always") == 0)
        *out = TUFF_PREPEND_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        *out = TUFF_PREPEND_FIRST;
    else if (strcmp(scheme, "never") == 0)
        *out = TUFF_PREPEND_NEVER;
    else
        return tuff_json_unsupported("prepend scheme", scheme, where);
    return TUFF_OK;
}

static tuff_status add_metaspace(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    bool split = true;
    const char *text;
    tuff_splitter step = {.kind = TUFF_SPLIT_METASPACE};
    TUFF_TRY(tuff_json_metaspace(json, where, &text, &step.prepend, &split));
    step.text = tuff_view_of(text);
    t->space_prefix = step.prepend != TUFF_PREPEND_NEVER;
    TUFF_TRY(tuff_add_splitter(t, step, nothing, where));
    if (!split) return TUFF_OK;
    tuff_buf pattern = {0};
    tuff_regex_quote(step.text, &pattern);
    tuff_buf_text(&pattern, "");
    tuff_status status = pattern.failed ? tuff_fail_memory("a pattern")
                                        : add_pattern(t, pattern.data, TUFF_SPLIT_MERGED_WITH_NEXT, where);
    tuff_buf_free(&pattern);
    return status;
}

static tuff_status read_pre_tokenizer(tuff_tokenizer *t, const cJSON *json, const char *type,
                                      const char *where)
{
    if (strcmp(type, "ByteLevel") == 0) return read_byte_level(t, json, where);
    if (strcmp(type, "Split") == 0) return read_split(t, json, where);
    if (strcmp(type, "Metaspace") == 0) return add_metaspace(t, json, where);
    if (strcmp(type, "Digits") == 0) {
        bool individual = false;
        TUFF_TRY(tuff_json_bool(json, "individual_digits", where, &individual));
        return add_pattern(t, individual ? "\\p{N}" : "\\p{N}+", TUFF_SPLIT_ISOLATED, where);
    }
    if (strcmp(type, "Punctuation") == 0) {
        tuff_split_behavior behavior = TUFF_SPLIT_ISOLATED;
        TUFF_TRY(read_behavior(json, where, &behavior));
        return add_pattern(t, TUFF_PUNCTUATION, behavior, where);
    }
    if (strcmp(type, "BertPreTokenizer") == 0)
        return tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_BERT}, nothing, where);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_SPACES}, nothing, where);
    if (strcmp(type, "Whitespace") == 0) {
        TUFF_TRY(add_pattern(t, "\\s+", TUFF_SPLIT_REMOVED, where));
        return add_pattern(t, "\\w+", TUFF_SPLIT_ISOLATED, where);
    }
    return tuff_json_unsupported("pre-tokenizer", type, where);
}

tuff_status tuff_read_pre_tokenizer(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    return tuff_json_each(tokenizer, json, "pre-tokenizer", "pretokenizers", where, read_pre_tokenizer);
}
