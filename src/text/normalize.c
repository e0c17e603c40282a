#include "text/normalize.h"

#include <stdint.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/byte_level.h"
#include "text/unicode_class.h"
#include "text/unicode_form.h"

void tuff_normalizer_free(tuff_normalizer *step)
{
    tuff_regex_destroy(&step->regex);
    tuff_charsmap_destroy(&step->charsmap);
}

void tuff_normalizing_free(tuff_normalizing *run)
{
    tuff_buf_free(&run->from);
    tuff_buf_free(&run->to);
    tuff_origins_free(&run->origins);
    tuff_origins_free(&run->next);
}

tuff_status tuff_repair_utf8(tuff_view text, tuff_pace *pace, tuff_made *out)
{
    size_t good = 0;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        TUFF_TRY(tuff_pace_work(pace, size ? size : 1));
        if (size) {
            i += size;
            continue;
        }
        tuff_made_copy(out, text, good, i - good);
        size = tuff_utf8_broken(text.data + i, text.size - i);
        tuff_made_put_utf8(out, 0xfffd, i, size);
        i += size;
        good = i;
    }
    tuff_made_copy(out, text, good, text.size - good);
    return out->text.failed ? tuff_fail_memory("repairing a text") : TUFF_OK;
}

/* The ASCII characters from `at` on, as many as one look at the watch allows. */
static size_t ascii_run(tuff_view text, size_t at)
{
    size_t end = at, most = text.size - at < TUFF_PACE_WORK ? text.size : at + TUFF_PACE_WORK;
    while (end < most && (uint8_t)text.data[end] < 0x80)
        end++;
    return end - at;
}

static size_t copy_ascii_lower(tuff_view text, size_t at, tuff_made *out)
{
    size_t size = ascii_run(text, at), start = out->text.size;
    if (!size) return 0;
    tuff_made_copy(out, text, at, size);
    for (size_t i = start; i < out->text.size; i++) {
        char *c = &out->text.data[i];
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + ('a' - 'A'));
    }
    return size;
}

static tuff_status lowercase(tuff_view text, tuff_pace *pace, tuff_made *out)
{
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t size = copy_ascii_lower(text, i, out);
        if (size) {
            i += size;
            TUFF_TRY(tuff_pace_work(pace, size / 8 + 1));
            continue;
        }
        size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        TUFF_ASSERT(size > 0);
        uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        if (c == 0x130) /* the one letter whose small form is two characters */
            tuff_made_put(out, tuff_view_of("i\xcc\x87"), i, size);
        else if (lower != c)
            tuff_made_put_utf8(out, lower, i, size);
        else
            tuff_made_copy(out, text, i, size);
        i += size;
        TUFF_TRY(tuff_pace_work(pace, size));
    }
    return TUFF_OK;
}

/* What becomes of a character in the steps that look at one at a time. */
typedef enum fate { KEPT, DROPPED, SPACED, SURROUNDED } fate;

static fate clean_fate(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r') return SPACED;
    if (c == 0 || c == 0xfffd || tuff_is_other(c)) return DROPPED;
    return tuff_is_space(c) ? SPACED : KEPT;
}

static fate nmt_fate(uint32_t c)
{
    if ((c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
        return DROPPED;
    bool space = c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                 (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff ||
                 c == 0xfffd;
    return space ? SPACED : KEPT;
}

static fate fate_of(tuff_normalizer_kind kind, uint32_t c)
{
    switch (kind) {
    case TUFF_NORMALIZE_CLEAN:
        return clean_fate(c);
    case TUFF_NORMALIZE_NMT:
        return nmt_fate(c);
    case TUFF_NORMALIZE_CHINESE:
        return tuff_is_chinese(c) ? SURROUNDED : KEPT;
    case TUFF_NORMALIZE_NONSPACING:
        return tuff_is_nonspacing(c) ? DROPPED : KEPT;
    default:
        return tuff_is_mark(c) ? DROPPED : KEPT;
    }
}

/* Character by character; stretches that are kept are copied at once. */
static tuff_status sift(tuff_normalizer_kind kind, tuff_view text, tuff_pace *pace, tuff_made *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < text.size;) {
        uint32_t c = (uint8_t)text.data[i];
        size_t size = c < 0x80 ? 1 : tuff_utf8_decode(text.data + i, text.size - i, &c);
        TUFF_ASSERT(size > 0);
        bool letter = c - 0x20 < 0x5f; /* ASCII that no step touches */
        fate f = letter ? KEPT : fate_of(kind, c);
        if (f != KEPT) {
            tuff_made_copy(out, text, kept, i - kept);
            if (f != DROPPED) tuff_made_put(out, tuff_view_of(" "), i, size);
            if (f == SURROUNDED) {
                tuff_made_put(out, (tuff_view){text.data + i, size}, i, size);
                tuff_made_put(out, tuff_view_of(" "), i, size);
            }
            kept = i + size;
        }
        i += size;
        if (i % 64 == 0 || size > 1) TUFF_TRY(tuff_pace_work(pace, size > 1 ? size : 8));
    }
    tuff_made_copy(out, text, kept, text.size - kept);
    return TUFF_OK;
}

static void strip(const tuff_normalizer *step, tuff_view text, tuff_made *out)
{
    uint32_t c;
    size_t start = 0, end = text.size;
    while (step->left && start < end) {
        size_t size = tuff_utf8_decode(text.data + start, end - start, &c);
        if (!tuff_is_space(c)) break;
        start += size;
    }
    while (step->right && start < end) {
        size_t size = 1;
        while (((uint8_t)text.data[end - size] & 0xc0) == 0x80)
            size++;
        tuff_utf8_decode(text.data + end - size, size, &c);
        if (!tuff_is_space(c)) break;
        end -= size;
    }
    tuff_made_copy(out, text, start, end - start);
}

/* The text before the others, which stands for the first of their characters, as that does itself. */
static void prepend(tuff_view prefix, tuff_view text, tuff_made *out)
{
    if (!text.size) return;
    uint32_t c;
    size_t size = tuff_utf8_decode(text.data, text.size, &c);
    tuff_made_put(out, prefix, 0, size);
    tuff_made_copy(out, text, 0, text.size);
}

/* The last character of [start, end), which is what the library says the replacement stands for. */
static size_t last_character(tuff_view text, size_t start, size_t end)
{
    size_t at = end - 1;
    while (at > start && ((uint8_t)text.data[at] & 0xc0) == 0x80)
        at--;
    return at;
}

tuff_status tuff_replace(const tuff_regex *regex, tuff_view by, tuff_view text, size_t limit, tuff_pace *pace,
                         tuff_made *out)
{
    tuff_regex_search search;
    TUFF_TRY(tuff_regex_begin(regex, pace, &search));
    tuff_regex_aim(&search, text);
    size_t done = 0, start, end;
    bool found;
    tuff_status status;
    while ((status = tuff_regex_next(&search, &start, &end, &found)) == TUFF_OK && found &&
           out->text.size <= limit) {
        size_t last = last_character(text, start, end);
        tuff_made_copy(out, text, done, start - done);
        tuff_made_put(out, by, last, end - last);
        done = end;
    }
    tuff_made_copy(out, text, done, text.size - done);
    tuff_regex_end(&search);
    return status;
}

static tuff_status apply(const tuff_normalizer *step, tuff_view text, size_t limit, tuff_pace *pace,
                         tuff_made *out)
{
    tuff_normalizer_kind kind = step->kind;
    switch (kind) {
    case TUFF_NORMALIZE_PREPEND:
        prepend(step->text, text, out);
        return TUFF_OK;
    case TUFF_NORMALIZE_REPLACE:
        return tuff_replace(step->regex, step->text, text, limit, pace, out);
    case TUFF_NORMALIZE_LOWERCASE:
        return lowercase(text, pace, out);
    case TUFF_NORMALIZE_STRIP:
        strip(step, text, out);
        return TUFF_OK;
    case TUFF_NORMALIZE_BYTES:
        return tuff_bytes_to_characters(text, pace, out);
    case TUFF_NORMALIZE_CLEAN:
    case TUFF_NORMALIZE_CHINESE:
    case TUFF_NORMALIZE_NONSPACING:
    case TUFF_NORMALIZE_MARKS:
    case TUFF_NORMALIZE_NMT:
        return sift(kind, text, pace, out);
    case TUFF_NORMALIZE_CHARSMAP:
        return tuff_charsmap_apply(step->charsmap, text, limit, pace, out);
    case TUFF_NORMALIZE_SENTENCEPIECE:
        return tuff_charsmap_sentencepiece(step->charsmap, step->kept, step->prefix, step->merge, text, limit,
                                           pace, out);
    case TUFF_NORMALIZE_NFC:
    case TUFF_NORMALIZE_NFD:
    case TUFF_NORMALIZE_NFKC:
    case TUFF_NORMALIZE_NFKD:
        break;
    }
    return tuff_unicode_form(text, kind == TUFF_NORMALIZE_NFC || kind == TUFF_NORMALIZE_NFKC,
                             kind == TUFF_NORMALIZE_NFKC || kind == TUFF_NORMALIZE_NFKD, limit, pace, out);
}

/* Steps that change nothing in ASCII: texts are often nothing else. */
static bool spares_ascii(tuff_normalizer_kind kind)
{
    switch (kind) {
    case TUFF_NORMALIZE_NFC:
    case TUFF_NORMALIZE_NFD:
    case TUFF_NORMALIZE_NFKC:
    case TUFF_NORMALIZE_NFKD:
    case TUFF_NORMALIZE_CHINESE:
    case TUFF_NORMALIZE_NONSPACING:
    case TUFF_NORMALIZE_MARKS:
        return true;
    default:
        return false;
    }
}

/* Steps that make nothing but ASCII of it. */
static bool keeps_ascii(tuff_normalizer_kind kind)
{
    return spares_ascii(kind) || kind == TUFF_NORMALIZE_CLEAN || kind == TUFF_NORMALIZE_NMT ||
           kind == TUFF_NORMALIZE_LOWERCASE || kind == TUFF_NORMALIZE_STRIP;
}

static bool is_ascii(tuff_view text)
{
    size_t i = 0;
    while (i < text.size && (uint8_t)text.data[i] < 0x80)
        i++;
    return i == text.size;
}

static tuff_status run_step(const tuff_normalizer *step, bool traced, size_t room, tuff_pace *pace,
                            tuff_normalizing *run)
{
    tuff_made made = {.text = run->to, .origins = traced ? &run->next : NULL};
    tuff_made_clear(&made);
    tuff_status status =
        apply(step, (tuff_view){run->from.data ? run->from.data : "", run->from.size}, room, pace, &made);
    run->to = run->from;
    run->from = made.text;
    TUFF_TRY(status);
    if (made.text.failed) return tuff_fail_memory("normalizing a text");
    if (!traced) return TUFF_OK;
    TUFF_TRY(tuff_origins_join(&run->next, &run->origins));
    tuff_origins swap = run->origins;
    run->origins = run->next;
    run->next = swap;
    return TUFF_OK;
}

tuff_status tuff_normalize(const tuff_normalizer *steps, size_t count, tuff_view text, bool traced,
                           size_t *room, tuff_pace *pace, tuff_normalizing *run, tuff_view *out_text)
{
    *out_text = (tuff_view){NULL, 0};
    tuff_buf_clear(&run->from);
    tuff_origins_clear(&run->origins);
    tuff_buf_bytes(&run->from, text.data, text.size);
    if (run->from.failed) return tuff_fail_memory("normalizing a text");
    bool ascii = is_ascii(text);
    for (size_t i = 0; i < count; i++) {
        if (ascii && spares_ascii(steps[i].kind)) continue;
        ascii = ascii && keeps_ascii(steps[i].kind);
        TUFF_TRY(run_step(&steps[i], traced, *room, pace, run));
        if (run->from.size > *room)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "the tokenizer's normalizer makes more than %zu bytes of %zu, and Tuff allows 16 "
                "times a text and 65536",
                *room, text.size);
    }
    *room -= run->from.size < *room ? run->from.size : *room;
    *out_text = (tuff_view){run->from.data, run->from.size};
    return TUFF_OK;
}
