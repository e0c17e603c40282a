#include "text/regex.h"

#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"
#include "text/regex_syntax.h"

/* No \C, which would cut characters. */
#define OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C)

struct tuff_regex {
    pcre2_code *code;
    tuff_buf literal; /* the one text that matches, where there is just one and it is short */
};

enum {
    /* How hard one place of a text may be: backtracks in PCRE2's count. Oniguruma's limit is the same. */
    HARDEST = 10000000,
    /* Where more than this is needed, it is taken from the search's credit. */
    EASY = 1000,
    HARDER = 8, /* what the limit is multiplied by, from easy to hardest */
    /* The credit: what cutting a text may take beside the easy places. It grows with the text. */
    CREDIT = 32000000,
    CREDIT_PER_BYTE = 32,
    /* Kibibytes of memory for backtracking, for any text and per 1024 bytes of it. */
    HEAP = 64 * 1024,
    HEAP_PER_BYTE = 256,
    LONGEST_PATTERN = 1 << 16,
    FIRST_WINDOW = 64,
    LONGEST_LITERAL = 32,    /* bytes: all may be compared at each place */
    LITERAL_WINDOW = 1 << 18 /* bytes of text that are searched for one between two looks at the watch */
};

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

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the text that the pattern stands for, if it is as tuff_regex_quote makes them; false if not. */
static bool unquote(tuff_view pattern, tuff_buf *out)
{
    for (size_t i = 0; i < pattern.size;) {
        if ((unsigned char)pattern.data[i] >= 0x80) {
            tuff_buf_char(out, pattern.data[i++]);
            continue;
        }
        size_t digits = i + 3, value = 0;
        if (pattern.size - i < 5 || memcmp(pattern.data + i, "\\x{", 3) != 0) return false;
        for (i = digits; i < pattern.size && i < digits + 2 && hex_value(pattern.data[i]) >= 0; i++)
            value = value * 16 + (size_t)hex_value(pattern.data[i]);
        if (i == digits || i == pattern.size || pattern.data[i++] != '}' || value >= 0x80) return false;
        tuff_buf_char(out, (char)value);
    }
    return out->size > 0 && out->size <= LONGEST_LITERAL;
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
    if (pattern.size > LONGEST_PATTERN) {
        status = tuff_fail(TUFF_UNSUPPORTED, "%s: a pattern of %zu bytes, Tuff supports up to %d", where,
                           pattern.size, (int)LONGEST_PATTERN);
        goto done;
    }
    if (unquote(pattern, &regex->literal)) {
        if (regex->literal.failed) {
            status = tuff_fail_memory("a pattern");
            goto done;
        }
        *out_regex = regex;
        regex = NULL;
        goto done;
    }
    tuff_buf_free(&regex->literal);
    TUFF_GO(tuff_regex_translate(pattern, where, &text));
    general = pcre2_general_context_create(allocate, release, NULL);
    context = general ? pcre2_compile_context_create(general) : NULL;
    if (!context || text.failed) {
        status = tuff_fail_memory("a pattern");
        goto done;
    }
    int error;
    PCRE2_SIZE offset;
    regex->code =
        pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.size, OPTIONS, &error, &offset, context);
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
    tuff_regex_destroy(&regex);
    return status;
}

void tuff_regex_destroy(tuff_regex **regex)
{
    if (!*regex) return;
    pcre2_code_free((*regex)->code);
    tuff_buf_free(&(*regex)->literal);
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
    if (regex->literal.size) return TUFF_OK;
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    search->match = general ? pcre2_match_data_create_from_pattern(regex->code, general) : NULL;
    search->context = general ? pcre2_match_context_create(general) : NULL;
    pcre2_general_context_free(general);
    search->credit = CREDIT;
    search->window = FIRST_WINDOW;
    search->limit = EASY;
    if (search->match && search->context) return TUFF_OK;
    tuff_regex_end(search);
    return tuff_fail_memory("a pattern search");
}

void tuff_regex_aim(tuff_regex_search *search, tuff_view text)
{
    size_t heap = HEAP + text.size / 1024 * HEAP_PER_BYTE;
    search->text = text.data ? text.data : "";
    search->size = text.size;
    search->from = 0;
    search->credit += (uint64_t)text.size * CREDIT_PER_BYTE;
    if (search->regex->literal.size) return;
    pcre2_set_heap_limit(search->context, heap < UINT32_MAX ? (uint32_t)heap : UINT32_MAX);
}

/* The start of the next character. */
static size_t past(const tuff_regex_search *search, size_t at)
{
    at++;
    while (at < search->size && ((unsigned char)search->text[at] & 0xc0) == 0x80)
        at++;
    return at;
}

static bool is_border(const tuff_regex_search *search, size_t at)
{
    return at == search->size || ((unsigned char)search->text[at] & 0xc0) != 0x80;
}

/* Searches for a match that begins at one of search->window bytes. */
static int look(tuff_regex_search *search, size_t last)
{
    const pcre2_code *code = search->regex->code;
    PCRE2_SPTR text = (PCRE2_SPTR)search->text;
    pcre2_set_offset_limit(search->context, last);
    pcre2_set_match_limit(search->context, search->limit);
    int count = pcre2_match(code, text, search->size, search->from, PCRE2_NO_UTF_CHECK, search->match,
                            search->context);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT)
        count = pcre2_match(code, text, search->size, search->from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                            search->match, search->context);
    return count;
}

/* A place was harder than the limit: which one is found place by place, and that one gets more, while there
 * is credit. So what is too hard depends on the pattern and the text alone. */
static tuff_status try_harder(tuff_regex_search *search)
{
    if (search->window > 1) {
        search->window = 1;
        return TUFF_OK;
    }
    uint32_t limit = search->limit < HARDEST / HARDER ? search->limit * HARDER : HARDEST;
    if (search->limit == HARDEST || search->credit < limit)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "the tokenizer's pattern is too complex for this text (at byte %zu of %zu)",
                         search->from, search->size);
    search->limit = limit;
    search->credit -= limit;
    return search->pace ? tuff_pace_ask(search->pace) : TUFF_OK;
}

/* No match begins in the window. The next one is as long as a millisecond lasts: a clock decides when the
 * watch is asked, nothing else. */
static tuff_status move_window(tuff_regex_search *search, size_t last, uint64_t began)
{
    uint64_t took = tuff_now_ns() - began;
    size_t passed = last + 1 - search->from;
    search->from = past(search, last);
    search->limit = EASY;
    if (took < 500000)
        search->window = search->window < SIZE_MAX / 4 ? search->window * 2 : search->window;
    else if (took > 1000000 && search->window > 1)
        search->window /= 2;
    return took < 200000 || !search->pace ? tuff_pace_work(search->pace, passed / 16)
                                          : tuff_pace_ask(search->pace);
}

static tuff_status match_error(const tuff_regex_search *search, int error)
{
    if (error == PCRE2_ERROR_NOMEMORY) return tuff_fail_memory("a pattern search");
    return tuff_fail(TUFF_UNSUPPORTED,
                     "the tokenizer's pattern is too complex for this text (PCRE2 error %d at byte %zu)",
                     error, search->from);
}

/* A match as the callers rely on it: after the last one, within the text, of whole characters. */
static bool is_sound(const tuff_regex_search *search, size_t start, size_t end)
{
    return start >= search->from && end >= start && end <= search->size && is_border(search, start) &&
           is_border(search, end);
}

/* The first place from `from` on, before `end`, where the text begins with the literal; `end` for none. */
static size_t find_literal(const tuff_regex_search *search, size_t from, size_t end)
{
    const tuff_buf *literal = &search->regex->literal;
    while (from < end) {
        const char *place = memchr(search->text + from, literal->data[0], end - from);
        if (!place) return end;
        from = (size_t)(place - search->text);
        if (memcmp(place, literal->data, literal->size) == 0) return from;
        from++;
    }
    return end;
}

static tuff_status next_literal(tuff_regex_search *search, size_t *out_start, size_t *out_end,
                                bool *out_found)
{
    size_t size = search->regex->literal.size;
    while (search->from <= search->size && search->size - search->from >= size) {
        size_t places = search->size - search->from - size + 1;
        size_t end = search->from + (places < LITERAL_WINDOW ? places : LITERAL_WINDOW);
        size_t start = find_literal(search, search->from, end), passed = start - search->from;
        *out_found = start < end;
        *out_start = start;
        search->from = *out_end = *out_found ? start + size : end;
        if (*out_found) return tuff_pace_work(search->pace, 1 + passed / 16);
        TUFF_TRY(tuff_pace_work(search->pace, 1 + passed / 16));
    }
    search->from = search->size + 1;
    return TUFF_OK;
}

tuff_status tuff_regex_next(tuff_regex_search *search, size_t *out_start, size_t *out_end, bool *out_found)
{
    *out_found = false;
    if (search->regex->literal.size) return next_literal(search, out_start, out_end, out_found);
    while (search->from <= search->size) {
        uint64_t began = tuff_now_ns();
        size_t left = search->size - search->from;
        size_t last = search->from + (search->window <= left ? search->window - 1 : left);
        int count = look(search, last);
        if (count == PCRE2_ERROR_MATCHLIMIT) {
            TUFF_TRY(try_harder(search));
            continue;
        }
        if (count == PCRE2_ERROR_NOMATCH) {
            TUFF_TRY(move_window(search, last, began));
            continue;
        }
        if (count < 0) return match_error(search, count);
        const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(search->match);
        size_t start = bounds[0], end = bounds[1], passed = end - search->from;
        const bool wanted = end > start || (search->empties && start > 0 && start < search->size);
        if (!is_sound(search, start, end))
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "the tokenizer's pattern matches backwards at byte %zu, which Tuff does not support",
                search->from);
        search->limit = EASY;
        if (search->window < FIRST_WINDOW) search->window *= 2;
        search->from = end > start ? end : past(search, end);
        if (wanted) {
            *out_start = start;
            *out_end = end;
            *out_found = true;
            return tuff_pace_work(search->pace, passed + 1);
        }
        TUFF_TRY(tuff_pace_work(search->pace, 1));
    }
    search->from = search->size + 1;
    return TUFF_OK;
}

void tuff_regex_end(tuff_regex_search *search)
{
    pcre2_match_data_free(search->match);
    pcre2_match_context_free(search->context);
    search->match = search->context = NULL;
}
