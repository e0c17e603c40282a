/* The normalizer, pre-tokenizer, post-processor and decoder of tokenizer.json. */
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/known_cuts.h"
#include "text/read.h"
#include "text/unicode_tables.h"

static const tuff_view nothing = {NULL, 0};

/* One component; `u` is what the reader adds to. */
typedef tuff_status (*component_fn)(tuff_tokenizer *t, const cJSON *json, const char *type,
                                    const char *where);

static tuff_status unsupported(const char *what, const char *type, const char *where)
{
    return tuff_fail(TUFF_UNSUPPORTED, "%s: the %s \"%s\" is not supported by Tuff", where, what, type);
}

/* A component or, in a "Sequence", each of those under `list`. */
static tuff_status each(tuff_tokenizer *t, const cJSON *json, const char *what, const char *list,
                        const char *where, component_fn fn)
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
    cJSON_ArrayForEach(part, parts) TUFF_TRY(each(t, part, what, list, where, fn));
    return TUFF_OK;
}

/* {"String": "x"} or {"Regex": "x"}, as a regular expression. */
static tuff_status read_pattern(const cJSON *json, const char *where, tuff_buf *out)
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

static tuff_status need_text(const cJSON *json, const char *key, const char *type, const char *where,
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
                 {"ByteLevel", TUFF_NORMALIZE_BYTES}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(type, plain[i].type) == 0)
            return tuff_add_normalizer(t, (tuff_normalizer){.kind = plain[i].kind}, nothing, where);
    }
    const char *text;
    if (strcmp(type, "Prepend") == 0) {
        TUFF_TRY(need_text(json, "prepend", type, where, &text));
        tuff_normalizer step = {.kind = TUFF_NORMALIZE_PREPEND, .text = tuff_view_of(text)};
        t->space_prefix = true;
        return tuff_add_normalizer(t, step, nothing, where);
    }
    if (strcmp(type, "Replace") == 0) {
        TUFF_TRY(need_text(json, "content", type, where, &text));
        tuff_buf pattern = {0};
        tuff_status status = read_pattern(json, where, &pattern);
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
    return unsupported("normalizer", type, where);
}

tuff_status tuff_read_normalizer(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    return each(tokenizer, json, "normalizer", "normalizers", where, read_normalizer);
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
    return name ? unsupported("behavior", name, where) : TUFF_OK;
}

static tuff_status read_split(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    tuff_splitter step = {.kind = TUFF_SPLIT_PATTERN, .behavior = TUFF_SPLIT_ISOLATED};
    TUFF_TRY(read_behavior(json, where, &step.behavior));
    TUFF_TRY(tuff_json_bool(json, "invert", where, &step.invert));
    tuff_buf pattern = {0};
    tuff_status status = read_pattern(json, where, &pattern);
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
    if (regex) TUFF_TRY(add_pattern(t, tuff_gpt2_pattern, TUFF_SPLIT_ISOLATED, where));
    t->space_prefix = t->space_prefix || prefix;
    t->byte_level = true;
    return tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_BYTES}, nothing, where);
}

/* Both the old spelling (add_prefix_space) and the new (prepend_scheme, split). */
static tuff_status read_metaspace(const cJSON *json, const char *where, const char **out_text,
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
        return unsupported("prepend scheme", scheme, where);
    return TUFF_OK;
}

static tuff_status add_metaspace(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    bool split = true;
    const char *text;
    tuff_splitter step = {.kind = TUFF_SPLIT_METASPACE};
    TUFF_TRY(read_metaspace(json, where, &text, &step.prepend, &split));
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
    if (strcmp(type, "WhitespaceSplit") == 0) return add_pattern(t, "\\s+", TUFF_SPLIT_REMOVED, where);
    if (strcmp(type, "Whitespace") == 0) {
        TUFF_TRY(add_pattern(t, "\\s+", TUFF_SPLIT_REMOVED, where));
        return add_pattern(t, "\\w+", TUFF_SPLIT_ISOLATED, where);
    }
    return unsupported("pre-tokenizer", type, where);
}

tuff_status tuff_read_pre_tokenizer(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    return each(tokenizer, json, "pre-tokenizer", "pretokenizers", where, read_pre_tokenizer);
}

/* ---- decoders ---- */

static tuff_status read_strip(const cJSON *json, const char *where, tuff_unspell *step)
{
    const char *text;
    int64_t left = 0, right = 0;
    TUFF_TRY(need_text(json, "content", "Strip", where, &text));
    TUFF_TRY(tuff_json_int(json, "start", where, &left));
    TUFF_TRY(tuff_json_int(json, "stop", where, &right));
    if (left < 0 || right < 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the decoder \"Strip\" has a negative count", where);
    step->text = tuff_view_of(text);
    step->left = (size_t)left;
    step->right = (size_t)right;
    return TUFF_OK;
}

static bool is_fused(const tuff_tokenizer *t)
{
    return t->unspell_count && t->unspells[t->unspell_count - 1].kind == TUFF_UNSPELL_STRIP_ALL;
}

static tuff_status read_decoder(tuff_tokenizer *t, const cJSON *json, const char *type, const char *where)
{
    tuff_unspell step = {0};
    tuff_buf pattern = {0};
    /* "Fuse" joins the tokens; it is kept as a strip of nothing until a real one follows. */
    if (is_fused(t)) {
        tuff_unspell *strip = &t->unspells[t->unspell_count - 1];
        if (strcmp(type, "Strip") != 0 || strip->left)
            return unsupported("decoder after \"Fuse\"", type, where);
        TUFF_TRY(read_strip(json, where, &step));
        if (step.right) return unsupported("decoder with \"stop\" after \"Fuse\"", type, where);
        strip->text = tuff_tokenizer_copy(t, step.text);
        strip->left = step.left;
        return strip->text.data ? TUFF_OK : tuff_fail_memory("a step of a tokenizer");
    }
    if (strcmp(type, "ByteLevel") == 0) {
        step.kind = TUFF_UNSPELL_BYTES;
    } else if (strcmp(type, "ByteFallback") == 0) {
        step.kind = TUFF_UNSPELL_BYTE_TOKEN;
    } else if (strcmp(type, "Fuse") == 0) {
        step.kind = TUFF_UNSPELL_STRIP_ALL;
    } else if (strcmp(type, "Strip") == 0) {
        step.kind = TUFF_UNSPELL_STRIP;
        TUFF_TRY(read_strip(json, where, &step));
    } else if (strcmp(type, "Metaspace") == 0) {
        tuff_prepend prepend;
        bool split;
        const char *text;
        TUFF_TRY(read_metaspace(json, where, &text, &prepend, &split));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_METASPACE, .text = tuff_view_of(text)};
        step.drop_first = prepend != TUFF_PREPEND_NEVER;
    } else if (strcmp(type, "Replace") == 0) {
        const char *text;
        TUFF_TRY(need_text(json, "content", type, where, &text));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_REPLACE, .text = tuff_view_of(text)};
        tuff_status status = read_pattern(json, where, &pattern);
        if (status == TUFF_OK) status = tuff_add_unspell(t, step, view_of(&pattern), where);
        tuff_buf_free(&pattern);
        return status;
    } else {
        return unsupported("decoder", type, where);
    }
    return tuff_add_unspell(t, step, nothing, where);
}

tuff_status tuff_read_decoder(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    TUFF_TRY(each(tokenizer, json, "decoder", "decoders", where, read_decoder));
    tokenizer->join_with_space = tokenizer->unspell_count == 0;
    return TUFF_OK;
}

/* ---- post-processors ---- */

static tuff_status add_around(tuff_tokenizer *t, bool after, const cJSON *id, const char *where)
{
    int32_t *ids = after ? t->after : t->before;
    size_t *count = after ? &t->after_count : &t->before_count;
    if (*count == TUFF_TEMPLATE_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: the post-processor puts more than %d tokens around a text",
                         where, TUFF_TEMPLATE_LIMIT);
    if (!cJSON_IsNumber(id) || id->valuedouble < 0 || id->valuedouble >= t->size ||
        !t->tokens[(uint32_t)id->valuedouble].text.data)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the post-processor names an id that no token has", where);
    ids[(*count)++] = (int32_t)id->valuedouble;
    return TUFF_OK;
}

static tuff_status read_template(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    const cJSON *single = cJSON_GetObjectItemCaseSensitive(json, "single"), *part, *id;
    const cJSON *specials = cJSON_GetObjectItemCaseSensitive(json, "special_tokens");
    int parts = 0;
    bool after = false;
    if (!cJSON_IsArray(single))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"TemplateProcessing\" has no list \"single\"", where);
    cJSON_ArrayForEach(part, single)
    {
        if (++parts > 4 * TUFF_TEMPLATE_LIMIT)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: \"TemplateProcessing\" has more than %d parts", where,
                             4 * TUFF_TEMPLATE_LIMIT);
        if (cJSON_GetObjectItemCaseSensitive(part, "Sequence")) {
            after = true;
            continue;
        }
        const char *name = NULL;
        const cJSON *token = cJSON_GetObjectItemCaseSensitive(part, "SpecialToken");
        if (cJSON_IsObject(token)) TUFF_TRY(tuff_json_text(token, "id", where, &name));
        const cJSON *special = name ? cJSON_GetObjectItemCaseSensitive(specials, name) : NULL;
        const cJSON *ids = cJSON_GetObjectItemCaseSensitive(special, "ids");
        if (!cJSON_IsArray(ids))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: \"TemplateProcessing\" names \"%s\", which has no ids",
                             where, name ? name : "nothing");
        cJSON_ArrayForEach(id, ids) TUFF_TRY(add_around(t, after, id, where));
    }
    return TUFF_OK;
}

static tuff_status read_post_processor(tuff_tokenizer *t, const cJSON *json, const char *type,
                                       const char *where)
{
    if (strcmp(type, "ByteLevel") == 0) return TUFF_OK; /* concerns offsets only */
    if (strcmp(type, "TemplateProcessing") == 0) return read_template(t, json, where);
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
        const cJSON *cls = cJSON_GetObjectItemCaseSensitive(json, "cls");
        const cJSON *sep = cJSON_GetObjectItemCaseSensitive(json, "sep");
        TUFF_TRY(add_around(t, false, cJSON_GetArrayItem(cls, 1), where));
        return add_around(t, true, cJSON_GetArrayItem(sep, 1), where);
    }
    return unsupported("post-processor", type, where);
}

tuff_status tuff_read_post_processor(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    return each(tokenizer, json, "post-processor", "processors", where, read_post_processor);
}
