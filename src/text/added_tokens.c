#include "text/added_tokens.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/unicode_class.h"

struct tuff_added_needle {
    tuff_view text;
    const tuff_added_token *token;
};

static int compare(const void *a, const void *b)
{
    const struct tuff_added_needle *x = a, *y = b;
    size_t shorter = x->text.size < y->text.size ? x->text.size : y->text.size;
    int order = memcmp(x->text.data, y->text.data, shorter);
    if (order) return order;
    if (x->text.size != y->text.size) return x->text.size < y->text.size ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

tuff_status tuff_added_build(tuff_added_set *set, const tuff_added_token *tokens, const tuff_view *needles,
                             size_t count)
{
    set->needles = tuff_alloc_array(count, sizeof *set->needles);
    if (!set->needles) return tuff_fail_memory("the added tokens of a tokenizer");
    for (size_t i = 0; i < count; i++) {
        if (needles[i].size == 0) continue;
        set->needles[set->count++] = (struct tuff_added_needle){needles[i], &tokens[i]};
        set->starts[(uint8_t)needles[i].data[0]] = true;
    }
    qsort(set->needles, set->count, sizeof *set->needles, compare);
    return TUFF_OK;
}

void tuff_added_free(tuff_added_set *set)
{
    tuff_free(set->needles);
    *set = (tuff_added_set){0};
}

tuff_view tuff_added_needle_text(const tuff_added_set *set, size_t index)
{
    return set->needles[index].text;
}

/* The longest needle at the start of the text: the sorted needles are narrowed down byte by byte. */
static const struct tuff_added_needle *longest(const tuff_added_set *set, const char *text, size_t size)
{
    const struct tuff_added_needle *best = NULL, *needles = set->needles;
    size_t low = 0, high = set->count;
    for (size_t depth = 0; low < high; depth++) {
        if (needles[low].text.size == depth) {
            best = &needles[low];
            while (low < high && needles[low].text.size == depth)
                low++;
        }
        if (depth == size) break;
        if (high - low == 1) {
            tuff_view rest = needles[low].text;
            return rest.size <= size && memcmp(rest.data + depth, text + depth, rest.size - depth) == 0
                       ? &needles[low]
                       : best;
        }
        uint8_t byte = (uint8_t)text[depth];
        size_t a = low, b = high;
        while (a < b) {
            size_t middle = a + (b - a) / 2;
            if ((uint8_t)needles[middle].text.data[depth] < byte)
                a = middle + 1;
            else
                b = middle;
        }
        low = a;
        b = high;
        while (a < b) {
            size_t middle = a + (b - a) / 2;
            if ((uint8_t)needles[middle].text.data[depth] <= byte)
                a = middle + 1;
            else
                b = middle;
        }
        high = a;
    }
    return best;
}

size_t tuff_added_beginning(const tuff_added_set *set, const char *data, size_t size)
{
    const struct tuff_added_needle *needle =
        size && set->starts[(uint8_t)data[0]] ? longest(set, data, size) : NULL;
    return needle ? needle->text.size : 0;
}

static size_t before(const char *text, size_t end, uint32_t *out_codepoint)
{
    size_t start = end - 1;
    while (start > 0 && ((uint8_t)text[start] & 0xc0) == 0x80)
        start--;
    return tuff_utf8_decode(text + start, end - start, out_codepoint);
}

/* A letter, mark, digit or connector: \w. */
static bool is_word(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC;
}

static bool stands_alone(tuff_view text, size_t start, size_t end)
{
    uint32_t c;
    if (start > 0 && before(text.data, start, &c) && is_word(c)) return false;
    return !(end < text.size && tuff_utf8_decode(text.data + end, text.size - end, &c) && is_word(c));
}

tuff_status tuff_added_next(const tuff_added_set *set, tuff_view text, bool plain_special,
                            tuff_added_search *search, const tuff_added_token **out_token, size_t *out_start,
                            size_t *out_end)
{
    size_t at = search->from;
    *out_token = NULL;
    while (at < text.size) {
        const struct tuff_added_needle *needle =
            set->starts[(uint8_t)text.data[at]] ? longest(set, text.data + at, text.size - at) : NULL;
        TUFF_TRY(tuff_pace_work(search->pace, 1));
        if (!needle) {
            at++;
            continue;
        }
        size_t start = at, end = at + needle->text.size;
        const tuff_added_token *token = needle->token;
        at = end;
        if (plain_special && token->special) continue;
        if (token->single_word && !stands_alone(text, start, end)) continue;
        uint32_t c;
        size_t size;
        while (token->left && start > search->done && (size = before(text.data, start, &c)) &&
               tuff_is_space(c))
            start -= size;
        while (token->right && end < text.size &&
               (size = tuff_utf8_decode(text.data + end, text.size - end, &c)) && tuff_is_space(c))
            end += size;
        if (token->left && end <= search->done) continue; /* the last token has taken all of it */
        *out_token = token;
        *out_start = start > search->done ? start : search->done;
        *out_end = end > search->done ? end : search->done;
        search->from = at;
        search->done = *out_end;
        return TUFF_OK;
    }
    search->from = text.size;
    return TUFF_OK;
}
