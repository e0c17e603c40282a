#include "train/squad.h"

#include <ctype.h>
#include <string.h>

/* ASCII alone: the host program's locale says nothing of UTF-8's other bytes. */
static bool is_blank(char c)
{
    return (unsigned char)c < 0x80 && isspace((unsigned char)c);
}

/* A word without what does not count; false: an article, or nothing is left. */
static bool clean(tuff_view word, tuff_buf *out)
{
    size_t begin = out->size;
    for (size_t i = 0; i < word.size; i++) {
        unsigned char c = (unsigned char)word.data[i];
        if (c >= 0x80 || !ispunct(c)) tuff_buf_char(out, c < 0x80 ? (char)tolower(c) : (char)c);
    }
    tuff_view left = {out->data + begin, out->size - begin};
    if (!left.size) return false;
    if (!tuff_view_is(left, "a") && !tuff_view_is(left, "an") && !tuff_view_is(left, "the")) return true;
    out->data[out->size = begin] = 0;
    return false;
}

/* The words that count, each after a space. */
static tuff_status normalize(tuff_view text, tuff_buf *out)
{
    for (size_t at = 0; at < text.size;) {
        size_t end = at;
        while (end < text.size && !is_blank(text.data[end]))
            end++;
        size_t before = out->size;
        tuff_buf_char(out, ' ');
        if (out->failed) return tuff_fail_memory("an answer");
        if (!clean((tuff_view){text.data + at, end - at}, out) && out->data)
            out->data[out->size = before] = 0;
        at = end + 1;
    }
    return out->failed ? tuff_fail_memory("an answer") : TUFF_OK;
}

/* The word that begins after the space at `at`. */
static tuff_view word_at(const tuff_buf *text, size_t at)
{
    const char *begin = text->data + at + 1, *end = memchr(begin, ' ', text->size - at - 1);
    return (tuff_view){begin, end ? (size_t)(end - begin) : text->size - at - 1};
}

/* Words that both have, as often as both have them: of `b` those found are overwritten. */
static void count_words(const tuff_buf *a, tuff_buf *b, double *in_a, double *in_b, double *common)
{
    for (size_t k = 0; k < b->size; k += word_at(b, k).size + 1)
        ++*in_b;
    for (size_t i = 0; i < a->size; i += word_at(a, i).size + 1) {
        tuff_view word = word_at(a, i);
        ++*in_a;
        for (size_t k = 0; k < b->size; k += word_at(b, k).size + 1) {
            if (!tuff_view_equal(word_at(b, k), word)) continue;
            memset(b->data + k + 1, '\1', word.size);
            ++*common;
            break;
        }
    }
}

tuff_status tuff_squad_compare(tuff_view said, tuff_view truth, double *out_exact, double *out_f1)
{
    tuff_buf a = {0}, b = {0};
    double in_a = 0, in_b = 0, common = 0;
    tuff_status status = normalize(said, &a);
    if (status == TUFF_OK) status = normalize(truth, &b);
    if (status == TUFF_OK) {
        *out_exact = a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
        count_words(&a, &b, &in_a, &in_b, &common);
        *out_f1 = in_a && in_b ? 2 * common / (in_a + in_b) : *out_exact;
    }
    tuff_buf_free(&a);
    tuff_buf_free(&b);
    return status;
}
