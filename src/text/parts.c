#include "text/parts.h"

#include <string.h>
#include <utf8proc.h>

#include "base/status.h"
#include "text/unicode_class.h"

static bool is_letter(uint32_t c)
{
    if (c < 0x80) return (c | 0x20) - 'a' < 26;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool tuff_parts_is_word(uint32_t c)
{
    return is_letter(c) || c - '0' < 10;
}

/* Neither white space nor what some take for it. */
static bool is_plain(uint32_t c)
{
    if (c < 0x80) return c > ' ' && c < 0x7f;
    return !tuff_is_space(c) && !tuff_is_other(c) && utf8proc_charwidth((utf8proc_int32_t)c) > 0;
}

/* ---- leads */

/* Before a part that begins a line, and before any other. */
#define LINE_LEAD "a\n"
#define WORD_LEAD "a"

/* *out_count is 0 where the lead's ids are not those that a text behind it begins with. */
static tuff_status measure_lead(const tuff_tokenizer *t, const char *lead, const char *text,
                                size_t *out_count)
{
    int32_t *ids = NULL, *more = NULL;
    size_t n = 0, n_more = 0;
    tuff_status status = tuff_tokenizer_encode(t, lead, strlen(lead), 0, &ids, &n);
    if (status == TUFF_OK) status = tuff_tokenizer_encode(t, text, strlen(text), 0, &more, &n_more);
    const bool begins = status == TUFF_OK && n && n_more > n && memcmp(ids, more, n * sizeof *ids) == 0;
    *out_count = begins ? n : 0;
    tuff_free(ids);
    tuff_free(more);
    return status;
}

tuff_status tuff_parts_begin(const tuff_tokenizer *tokenizer, tuff_parts *out, bool *out_can)
{
    *out_can = false;
    TUFF_TRY(tuff_parts_find(tokenizer, out));
    if (!out->kinds) return TUFF_OK;
    size_t marks;
    TUFF_TRY(measure_lead(tokenizer, LINE_LEAD, LINE_LEAD "b", &out->line_lead));
    TUFF_TRY(measure_lead(tokenizer, WORD_LEAD, WORD_LEAD " b", &out->word_lead));
    TUFF_TRY(measure_lead(tokenizer, WORD_LEAD, WORD_LEAD ".", &marks));
    if (!out->line_lead) out->kinds &= ~(unsigned)TUFF_PARTS_LINES;
    if (!out->word_lead) out->kinds &= ~(unsigned)(TUFF_PARTS_SPACES | TUFF_PARTS_MARKS);
    if (!marks) out->kinds &= ~(unsigned)TUFF_PARTS_MARKS;
    if (!out->kinds) out->why = "what it makes of a text depends on what is behind it";
    *out_can = out->kinds != 0;
    return TUFF_OK;
}

/* ---- cuts */

/* The character that ends at a place, and that begins at one; 0: none that is valid. */
static uint32_t before(tuff_view text, size_t end)
{
    uint32_t c = 0;
    size_t start = end - 1;
    while (start > 0 && ((uint8_t)text.data[start] & 0xc0) == 0x80)
        start--;
    return tuff_utf8_decode(text.data + start, end - start, &c) == end - start ? c : 0;
}

static uint32_t behind(tuff_view text, size_t at)
{
    uint32_t c = 0;
    return tuff_utf8_decode(text.data + at, text.size - at, &c) ? c : 0;
}

static bool is_mark(uint32_t c)
{
    return c == '.' || c == ',' || c == 0x3002 || c == 0xff0c; /* the last two are Chinese */
}

/* Whether nothing that an added token takes with it is around the white space at a place. */
static bool stands(const tuff_parts *p, tuff_view text, size_t at)
{
    return !p->before[(uint8_t)text.data[at - 1]] && !p->after[(uint8_t)text.data[at + 1]];
}

static bool is_allowed(const tuff_parts *p, uint32_t left, uint32_t right)
{
    return !p->ascii || (left < 0x80 && right < 0x80);
}

/* Where a part begins that the character at a place, which is neither the first byte nor the last, ends or
 * begins; 0: none does. */
static size_t cut_at(const tuff_parts *p, tuff_view text, size_t at)
{
    const char c = text.data[at];
    if (c == '\n' && (p->kinds & TUFF_PARTS_LINES)) {
        if (!stands(p, text, at)) return 0;
        const uint32_t left = before(text, at), right = behind(text, at + 1);
        return tuff_parts_is_word(right) && is_plain(left) && is_allowed(p, left, right) ? at + 1 : 0;
    }
    if (c == ' ' && (p->kinds & TUFF_PARTS_SPACES)) {
        if (!stands(p, text, at)) return 0;
        const uint32_t left = before(text, at), right = behind(text, at + 1);
        return tuff_parts_is_word(left) && tuff_parts_is_word(right) && is_allowed(p, left, right) ? at : 0;
    }
    if ((c == '.' || c == ',' || (uint8_t)c >= 0xe3) && (p->kinds & TUFF_PARTS_MARKS))
        return is_mark(behind(text, at)) && is_letter(before(text, at)) ? at : 0;
    return 0;
}

size_t tuff_parts_cut(const tuff_parts *p, tuff_view text, size_t most)
{
    for (size_t at = most < text.size ? most : text.size - (text.size > 0); at-- > 1;) {
        const size_t cut = cut_at(p, text, at);
        if (cut) return cut;
    }
    return 0;
}

static bool begins_line(tuff_view part)
{
    return tuff_parts_is_word(behind(part, 0));
}

const char *tuff_parts_lead(tuff_view part)
{
    return begins_line(part) ? LINE_LEAD : WORD_LEAD;
}

tuff_status tuff_parts_encode(const tuff_parts *p, tuff_encoder *e, tuff_view part, bool first,
                              tuff_buf *room, size_t *out_begin)
{
    *out_begin = e->pieces.ids.size;
    if (first) return tuff_encoder_text(e, part);
    const bool line = begins_line(part);
    tuff_buf_clear(room);
    tuff_buf_text(room, tuff_parts_lead(part));
    tuff_buf_bytes(room, part.data, part.size);
    if (room->failed) return tuff_fail_memory("encoding a text");
    TUFF_TRY(tuff_encoder_text(e, (tuff_view){room->data, room->size}));
    *out_begin += line ? p->line_lead : p->word_lead;
    TUFF_ASSERT(*out_begin <= e->pieces.ids.size);
    return TUFF_OK;
}
