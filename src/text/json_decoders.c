/* The decoder of tokenizer.json. */
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/json_steps.h"

static const tuff_view nothing = {NULL, 0};

static tuff_view view_of(const tuff_buf *buf)
{
    return (tuff_view){buf->data, buf->size};
}

static tuff_status read_strip(const cJSON *json, const char *where, tuff_unspell *step)
{
    const char *text;
    int64_t left = 0, right = 0;
    TUFF_TRY(tuff_json_need_text(json, "content", "Strip", where, &text));
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
            return tuff_json_unsupported("decoder after \"Fuse\"", type, where);
        TUFF_TRY(read_strip(json, where, &step));
        if (step.right) return tuff_json_unsupported("decoder with \"stop\" after \"Fuse\"", type, where);
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
        TUFF_TRY(tuff_json_metaspace(json, where, &text, &prepend, &split));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_METASPACE, .text = tuff_view_of(text)};
        step.drop_first = prepend != TUFF_PREPEND_NEVER;
    } else if (strcmp(type, "WordPiece") == 0) {
        const char *text = "##";
        TUFF_TRY(tuff_json_text(json, "prefix", where, &text));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_WORDPIECE, .text = tuff_view_of(text), .cleanup = true};
        TUFF_TRY(tuff_json_bool(json, "cleanup", where, &step.cleanup));
    } else if (strcmp(type, "BPEDecoder") == 0) {
        const char *text = "</w>";
        TUFF_TRY(tuff_json_text(json, "suffix", where, &text));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_SUFFIX, .text = tuff_view_of(text)};
    } else if (strcmp(type, "Replace") == 0) {
        const char *text;
        TUFF_TRY(tuff_json_need_text(json, "content", type, where, &text));
        step = (tuff_unspell){.kind = TUFF_UNSPELL_REPLACE, .text = tuff_view_of(text)};
        tuff_status status = tuff_json_pattern(json, where, &pattern);
        if (status == TUFF_OK) status = tuff_add_unspell(t, step, view_of(&pattern), where);
        tuff_buf_free(&pattern);
        return status;
    } else {
        return tuff_json_unsupported("decoder", type, where);
    }
    return tuff_add_unspell(t, step, nothing, where);
}

tuff_status tuff_read_decoder(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    TUFF_TRY(tuff_json_each(tokenizer, json, "decoder", "decoders", where, read_decoder));
    tokenizer->join_with_space = tokenizer->unspell_count == 0;
    return TUFF_OK;
}
