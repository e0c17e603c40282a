#include "text/tokenizer_impl.h"

#include <string.h>

#include "base/status.h"
#include "text/byte_level.h"

/* From ids to bytes, one token after another. */
typedef struct unspelling {
    const tuff_tokenizer *tokenizer;
    bool skip_special, started;
    bool space;        /* goes before the next token: the last one ended a word */
    size_t strip_left; /* characters that may still be taken off the start of the text */
    tuff_buf from, to;
} unspelling;

struct tuff_decoder {
    unspelling unspelling;
    tuff_buf text; /* the last answer and what is held back behind it */
    size_t held;   /* bytes at the end of `text` that wait for the rest of their character */
};

static void restart(unspelling *u)
{
    u->started = u->space = false;
    u->strip_left = 0;
    for (size_t i = 0; i < u->tokenizer->unspell_count; i++) {
        if (u->tokenizer->unspells[i].kind == TUFF_UNSPELL_STRIP_ALL)
            u->strip_left = u->tokenizer->unspells[i].left;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void byte_token(tuff_view text, tuff_buf *out)
{
    bool byte = text.size == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>' &&
                hex_digit(text.data[3]) >= 0 && hex_digit(text.data[4]) >= 0;
    if (byte)
        tuff_buf_char(out, (char)(hex_digit(text.data[3]) * 16 + hex_digit(text.data[4])));
    else
        tuff_buf_bytes(out, text.data, text.size);
}

static bool begins(tuff_view text, tuff_view with)
{
    return with.size && text.size >= with.size && memcmp(text.data, with.data, with.size) == 0;
}

static bool ends(tuff_view text, tuff_view with)
{
    return with.size && text.size >= with.size &&
           memcmp(text.data + text.size - with.size, with.data, with.size) == 0;
}

static void metaspace(const tuff_unspell *step, tuff_view text, bool first, tuff_buf *out)
{
    while (text.size) {
        size_t taken = begins(text, step->text) ? step->text.size : 1;
        if (taken == 1)
            tuff_buf_char(out, text.data[0]);
        else if (!(first && step->drop_first))
            tuff_buf_char(out, ' ');
        text.data += taken;
        text.size -= taken;
    }
}

/* What the library's cleanup does to a token and the space before it, one after another. */
static const char *const cleanups[][2] = {
    {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
    {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static void replace_all(tuff_view text, const char *what, const char *by, tuff_buf *out)
{
    tuff_view wanted = tuff_view_of(what);
    while (text.size) {
        bool here = begins(text, wanted);
        size_t taken = here ? wanted.size : 1;
        if (here)
            tuff_buf_text(out, by);
        else
            tuff_buf_char(out, text.data[0]);
        text = (tuff_view){text.data + taken, text.size - taken};
    }
}

static void clean_up(tuff_buf *text)
{
    tuff_buf next = {0};
    for (size_t i = 0; i < sizeof cleanups / sizeof *cleanups && !text->failed; i++) {
        if (!text->size || !strstr(text->data, cleanups[i][0])) continue;
        tuff_buf_clear(&next);
        replace_all((tuff_view){text->data, text->size}, cleanups[i][0], cleanups[i][1], &next);
        tuff_buf swap = *text;
        *text = next;
        next = swap;
    }
    tuff_buf_free(&next);
}

static void suffix(unspelling *u, const tuff_unspell *step, tuff_view text, tuff_buf *out)
{
    if (u->space) tuff_buf_char(out, ' ');
    u->space = ends(text, step->text);
    if (u->space) text.size -= step->text.size;
    tuff_buf_bytes(out, text.data, text.size);
}

static void word_piece(const tuff_unspell *step, tuff_view text, bool first, tuff_buf *out)
{
    if (!first && begins(text, step->text))
        text = (tuff_view){text.data + step->text.size, text.size - step->text.size};
    else if (!first)
        tuff_buf_char(out, ' ');
    tuff_buf_bytes(out, text.data, text.size);
    if (step->cleanup) clean_up(out);
}

/* Appends the text with every match of the step's pattern replaced. */
static tuff_status replace(const tuff_unspell *step, tuff_view text, tuff_buf *out)
{
    tuff_made made = {.text = *out};
    tuff_status status =
        tuff_replace(step->regex, step->text, text, tuff_normalize_room(text.size), NULL, &made);
    *out = made.text;
    return status;
}

static tuff_status check_growth(size_t before, size_t after)
{
    if (after <= tuff_normalize_room(before)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "the tokenizer's decoder makes more than %zu bytes of a token's %zu, and Tuff allows 16 "
                     "times a token and 65536",
                     tuff_normalize_room(before), before);
}

static tuff_status apply(unspelling *u, const tuff_unspell *step, tuff_view text, tuff_buf *out)
{
    switch (step->kind) {
    case TUFF_UNSPELL_BYTES:
        tuff_characters_to_bytes(text, out);
        return TUFF_OK;
    case TUFF_UNSPELL_REPLACE:
        TUFF_TRY(replace(step, text, out));
        return check_growth(text.size, out->size);
    case TUFF_UNSPELL_BYTE_TOKEN:
        byte_token(text, out);
        return TUFF_OK;
    case TUFF_UNSPELL_METASPACE:
        metaspace(step, text, !u->started, out);
        return TUFF_OK;
    case TUFF_UNSPELL_SUFFIX:
        suffix(u, step, text, out);
        return TUFF_OK;
    case TUFF_UNSPELL_WORDPIECE:
        word_piece(step, text, !u->started, out);
        return TUFF_OK;
    case TUFF_UNSPELL_STRIP_ALL:
        for (; u->strip_left && text.size; u->strip_left--) {
            if (!begins(text, step->text))
                u->strip_left = 1;
            else
                text = (tuff_view){text.data + step->text.size, text.size - step->text.size};
        }
        break;
    case TUFF_UNSPELL_STRIP:
        for (size_t i = 0; i < step->left && begins(text, step->text); i++)
            text = (tuff_view){text.data + step->text.size, text.size - step->text.size};
        for (size_t i = 0; i < step->right && ends(text, step->text); i++)
            text.size -= step->text.size;
        break;
    }
    tuff_buf_bytes(out, text.data, text.size);
    return TUFF_OK;
}

static tuff_status unspell(unspelling *u, int32_t id, tuff_buf *out)
{
    const tuff_tokenizer *t = u->tokenizer;
    if (id < 0 || (uint32_t)id >= t->size || !t->tokens[id].text.data) return TUFF_OK;
    if (u->skip_special && t->tokens[id].special) return TUFF_OK;
    tuff_view text = t->tokens[id].text;
    for (size_t i = 0; i < t->unspell_count; i++) {
        tuff_buf_clear(&u->to);
        TUFF_TRY(apply(u, &t->unspells[i], text, &u->to));
        tuff_buf swap = u->from;
        u->from = u->to;
        u->to = swap;
        if (u->from.failed) return tuff_fail_memory("decoding a text");
        text = (tuff_view){u->from.data, u->from.size};
    }
    if (t->join_with_space && u->started) tuff_buf_char(out, ' ');
    tuff_buf_bytes(out, text.data, text.size);
    u->started = true;
    return out->failed ? tuff_fail_memory("decoding a text") : TUFF_OK;
}

static void finish(unspelling *u)
{
    tuff_buf_free(&u->from);
    tuff_buf_free(&u->to);
}

static tuff_status decode(unspelling *u, const int32_t *ids, size_t count, char **out_text, size_t *out_size)
{
    tuff_buf text = {0};
    tuff_buf_text(&text, "");
    tuff_status status = text.failed ? tuff_fail_memory("decoding a text") : TUFF_OK;
    for (size_t i = 0; i < count && status == TUFF_OK; i++)
        status = unspell(u, ids[i], &text);
    finish(u);
    if (status != TUFF_OK) {
        tuff_buf_free(&text);
        return status;
    }
    *out_text = text.data;
    *out_size = text.size;
    return TUFF_OK;
}

tuff_status tuff_tokenizer_decode(const tuff_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  bool skip_special, char **out_text, size_t *out_size)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED_OUT(out_size);
    TUFF_NEED(tokenizer);
    TUFF_NEED_MANY(ids, count);
    unspelling u = {.tokenizer = tokenizer, .skip_special = skip_special};
    restart(&u);
    return decode(&u, ids, count, out_text, out_size);
}

tuff_status tuff_tokenizer_decode_token(const tuff_tokenizer *tokenizer, int32_t id, char **out_text,
                                        size_t *out_size)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED_OUT(out_size);
    TUFF_NEED(tokenizer);
    unspelling u = {.tokenizer = tokenizer, .started = true};
    return decode(&u, &id, 1, out_text, out_size);
}

tuff_status tuff_decoder_create(const tuff_tokenizer *tokenizer, bool skip_special,
                                tuff_decoder **out_decoder)
{
    TUFF_NEED_OUT(out_decoder);
    TUFF_NEED(tokenizer);
    tuff_decoder *decoder = *out_decoder = tuff_alloc(sizeof *decoder);
    if (!decoder) return tuff_fail_memory("a decoder");
    decoder->unspelling = (unspelling){.tokenizer = tokenizer, .skip_special = skip_special};
    restart(&decoder->unspelling);
    return TUFF_OK;
}

/* Leaves only what was held back. */
static void keep_held(tuff_decoder *decoder)
{
    tuff_buf *text = &decoder->text;
    if (decoder->held) memmove(text->data, text->data + text->size - decoder->held, decoder->held);
    text->size = decoder->held;
    text->failed = false;
    decoder->held = 0;
}

tuff_status tuff_decoder_feed(tuff_decoder *decoder, int32_t id, tuff_piece *out_text)
{
    TUFF_NEED(decoder);
    TUFF_NEED(out_text);
    *out_text = (tuff_piece){NULL, 0};
    keep_held(decoder);
    TUFF_TRY(unspell(&decoder->unspelling, id, &decoder->text));
    tuff_buf *text = &decoder->text;
    size_t whole = tuff_utf8_complete(text->data ? text->data : "", text->size);
    decoder->held = text->size - whole;
    *out_text = (tuff_piece){text->data, whole};
    return TUFF_OK;
}

tuff_status tuff_decoder_flush(tuff_decoder *decoder, tuff_piece *out_text)
{
    TUFF_NEED(decoder);
    TUFF_NEED(out_text);
    keep_held(decoder);
    *out_text = (tuff_piece){decoder->text.data, decoder->text.size};
    restart(&decoder->unspelling);
    return TUFF_OK;
}

void tuff_decoder_destroy(tuff_decoder **decoder)
{
    if (!decoder || !*decoder) return;
    finish(&(*decoder)->unspelling);
    tuff_buf_free(&(*decoder)->text);
    tuff_free(*decoder);
    *decoder = NULL;
}
