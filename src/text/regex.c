#include "text/regex.h"

#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/memory.h"
#include "base/status.h"

struct tuff_regex {
    pcre2_code *code;
};

/* Unicode's White_Space, which Oniguruma's \s is and PCRE2's is not quite (U+180E). */
#define SPACES \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
/* Oniguruma's \w: letters, marks, digits, connectors and the symbols that count as alphabetic. */
#define WORDS \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"

static void *allocate(PCRE2_SIZE size, void *user)
{
    (void)user;
    return tuff_alloc(size);
}

static void release(void *pointer, void *user)
{
    (void)user;
    tuff_free(pointer);
}

/* Rewrites \s \S \w \W. False: the pattern has a class syntax that PCRE2 reads otherwise (nested sets, &&).
 */
static bool translate(tuff_view in, tuff_buf *out)
{
    bool in_class = false;
    size_t class_start = 0;
    for (size_t i = 0; i < in.size; i++) {
        char c = in.data[i], next = i + 1 < in.size ? in.data[i + 1] : '\0';
        if (c == '\\' && i + 1 < in.size) {
            i++;
            if (next == 's' || next == 'w') {
                const char *set = next == 's' ? SPACES : WORDS;
                tuff_buf_text(out, in_class ? "" : "[");
                tuff_buf_text(out, set);
                tuff_buf_text(out, in_class ? "" : "]");
            } else if ((next == 'S' || next == 'W') && !in_class) {
                tuff_buf_printf(out, "[^%s]", next == 'S' ? SPACES : WORDS);
            } else {
                tuff_buf_bytes(out, in.data + i - 1, 2);
            }
            continue;
        }
        if (in_class) {
            bool first = i == class_start || (i == class_start + 1 && in.data[class_start] == '^');
            if (c == '[' && next != ':') return false;
            if (c == '&' && next == '&') return false;
            if (c == '[') { /* a POSIX name: copy up to its end */
                while (i < in.size && in.data[i] != ']')
                    tuff_buf_char(out, in.data[i++]);
                c = ']';
            } else if (c == ']' && !first) {
                in_class = false;
            }
        } else if (c == '[') {
            in_class = true;
            class_start = i + 1;
        }
        tuff_buf_char(out, c);
    }
    return true;
}

tuff_status tuff_regex_compile(tuff_view pattern, const char *where, tuff_regex **out_regex)
{
    *out_regex = NULL;
    tuff_status status = TUFF_OK;
    tuff_buf text = {0};
    pcre2_general_context *general = NULL;
    pcre2_compile_context *context = NULL;
    tuff_regex *regex = tuff_alloc(sizeof *regex);
    if (!regex) return tuff_fail_memory("a pattern");
    if (!translate(pattern, &text)) {
        status = tuff_fail(TUFF_UNSUPPORTED,
                           "%s: the pattern \"%.*s\" uses sets within sets, which Tuff does not support",
                           where, (int)(pattern.size < 200 ? pattern.size : 200), pattern.data);
        goto done;
    }
    general = pcre2_general_context_create(allocate, release, NULL);
    context = general ? pcre2_compile_context_create(general) : NULL;
    if (!context || text.failed) {
        status = tuff_fail_memory("a pattern");
        goto done;
    }
    int error;
    PCRE2_SIZE offset;
    regex->code = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.size,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, context);
    if (!regex->code && error == PCRE2_ERROR_HEAP_FAILED) {
        status = tuff_fail_memory("a pattern");
    } else if (!regex->code) {
        PCRE2_UCHAR reason[128];
        pcre2_get_error_message(error, reason, sizeof reason);
        status =
            tuff_fail(TUFF_BAD_FORMAT, "%s: the pattern \"%.*s\" is not valid: %s", where,
                      (int)(pattern.size < 200 ? pattern.size : 200), pattern.data, (const char *)reason);
    } else {
        /* Only speed: without the compiler, patterns are interpreted. */
        (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
        *out_regex = regex;
        regex = NULL;
    }
done:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    tuff_buf_free(&text);
    tuff_free(regex);
    return status;
}

void tuff_regex_destroy(tuff_regex **regex)
{
    if (!*regex) return;
    pcre2_code_free((*regex)->code);
    tuff_free(*regex);
    *regex = NULL;
}

void tuff_regex_quote(tuff_view text, tuff_buf *pattern)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < 0x80)
            tuff_buf_printf(pattern, "\\x{%x}", (unsigned)text.data[i]);
        else
            tuff_buf_char(pattern, text.data[i]);
    }
}

tuff_status tuff_regex_begin(const tuff_regex *regex, tuff_pace *pace, tuff_regex_search *search)
{
    *search = (tuff_regex_search){.regex = regex, .pace = pace};
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    search->match = general ? pcre2_match_data_create_from_pattern(regex->code, general) : NULL;
    pcre2_general_context_free(general);
    return search->match ? TUFF_OK : tuff_fail_memory("a pattern search");
}

void tuff_regex_aim(tuff_regex_search *search, tuff_view text)
{
    search->text = text.data ? text.data : "";
    search->size = text.size;
    search->from = 0;
}

tuff_status tuff_regex_next(tuff_regex_search *search, size_t *out_start, size_t *out_end, bool *out_found)
{
    *out_found = false;
    while (search->from <= search->size) {
        PCRE2_SPTR text = (PCRE2_SPTR)search->text;
        int count = pcre2_match(search->regex->code, text, search->size, search->from, PCRE2_NO_UTF_CHECK,
                                search->match, NULL);
        if (count == PCRE2_ERROR_JIT_STACKLIMIT)
            count = pcre2_match(search->regex->code, text, search->size, search->from,
                                PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, search->match, NULL);
        if (count == PCRE2_ERROR_NOMATCH) break;
        if (count == PCRE2_ERROR_NOMEMORY) return tuff_fail_memory("a pattern search");
        if (count < 0)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "the tokenizer's pattern is too complex for this text (PCRE2 error %d at byte %zu)", count,
                search->from);
        const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(search->match);
        if (bounds[1] > bounds[0]) {
            size_t passed = bounds[1] - search->from;
            *out_start = bounds[0];
            *out_end = search->from = bounds[1];
            *out_found = true;
            return tuff_pace_work(search->pace, passed);
        }
        /* An empty match: look again from the next character. */
        search->from = bounds[1] + 1;
        while (search->from < search->size && ((unsigned char)search->text[search->from] & 0xc0) == 0x80)
            search->from++;
    }
    search->from = search->size + 1;
    return TUFF_OK;
}

void tuff_regex_end(tuff_regex_search *search)
{
    pcre2_match_data_free(search->match);
    search->match = NULL;
}
