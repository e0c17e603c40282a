#include "train/rouge.h"

#include <string.h>

#include "base/memory.h"
#include "train/porter.h"

static double f_measure(int64_t shared, int64_t said, int64_t truth)
{
    const double precision = said ? (double)shared / (double)said : 0,
                 recall = truth ? (double)shared / (double)truth : 0;
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

/* ---- words */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A text in small letters. Of characters that are not ASCII two have such in ASCII: the dotted I, with a mark
 * behind it, and the sign of Kelvin. */
static void lower(tuff_view text, tuff_buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if (text.size - i >= 2 && memcmp(text.data + i, "\xc4\xb0", 2) == 0) {
            tuff_buf_text(out, "i\xcc\x87");
            i++;
        } else if (text.size - i >= 3 && memcmp(text.data + i, "\xe2\x84\xaa", 3) == 0) {
            tuff_buf_char(out, 'k');
            i += 2;
        } else {
            tuff_buf_char(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
        }
    }
}

/* Adds the words of a text. */
static tuff_status read_words(tuff_view text, bool stem, tuff_map *numbers, tuff_words *out)
{
    enum { SHORT = 3 }; /* words up to this length are not stemmed */
    tuff_buf line = {0};
    tuff_status status = TUFF_OK;
    lower(text, &line);
    if (line.failed) status = tuff_fail_memory("the words of a text");
    for (size_t at = 0, end; status == TUFF_OK && at < line.size; at = end + 1) {
        for (end = at; end < line.size && is_word(line.data[end]);)
            end++;
        size_t size = end - at;
        if (!size) continue;
        if (stem && size > SHORT) tuff_porter_stem(line.data + at, &size);
        status = tuff_words_add_text(out, numbers, (tuff_view){line.data + at, size});
    }
    tuff_buf_free(&line);
    return status;
}

/* ---- the longest common sequence */

/* A table of lengths: of the first i words of one and the first k of the other at i * (columns + 1) + k. */
typedef struct lengths {
    int32_t *at;
    size_t columns;
} lengths;

static int32_t *cell(const lengths *t, size_t i, size_t k)
{
    return t->at + i * (t->columns + 1) + k;
}

static tuff_status find_lengths(const tuff_words *a, const tuff_words *b, lengths *out)
{
    size_t cells;
    *out = (lengths){.columns = b->count};
    if (__builtin_mul_overflow(a->count + 1, b->count + 1, &cells)) return tuff_fail_memory("a comparison");
    out->at = tuff_alloc_array(cells, sizeof *out->at);
    if (!out->at) return tuff_fail_memory("a comparison");
    for (size_t i = 1; i <= a->count; i++)
        for (size_t k = 1; k <= b->count; k++) {
            const int32_t up = *cell(out, i - 1, k), left = *cell(out, i, k - 1);
            *cell(out, i, k) = a->ids[i - 1] == b->ids[k - 1] ? *cell(out, i - 1, k - 1) + 1
                               : up > left                    ? up
                                                              : left;
        }
    return TUFF_OK;
}

static tuff_status longest(const tuff_words *a, const tuff_words *b, int64_t *out)
{
    lengths t;
    TUFF_TRY(find_lengths(a, b, &t));
    *out = *cell(&t, a->count, b->count);
    tuff_free(t.at);
    return TUFF_OK;
}

/* Marks the words of `a` that are in the sequence which the table is walked back along. */
static tuff_status mark_common(const tuff_words *a, const tuff_words *b, bool *marks)
{
    lengths t;
    TUFF_TRY(find_lengths(a, b, &t));
    for (size_t i = a->count, k = b->count; i > 0 && k > 0;) {
        if (a->ids[i - 1] == b->ids[k - 1]) {
            marks[--i] = true;
            k--;
        } else if (*cell(&t, i, k - 1) > *cell(&t, i - 1, k))
            k--;
        else
            i--;
    }
    tuff_free(t.at);
    return TUFF_OK;
}

/* ---- sentences */

typedef struct sentences {
    tuff_words *items;
    size_t count, capacity, words;
} sentences;

static void free_sentences(sentences *s)
{
    for (size_t i = 0; i < s->count; i++)
        tuff_words_free(&s->items[i]);
    tuff_free(s->items);
}

static tuff_status read_sentences(tuff_view text, bool stem, tuff_map *numbers, sentences *out)
{
    for (size_t at = 0; at < text.size;) {
        const char *line = text.data + at, *end = memchr(line, '\n', text.size - at);
        const size_t size = end ? (size_t)(end - line) : text.size - at;
        at += size + 1;
        if (!size) continue;
        if (!tuff_grow((void **)&out->items, out->count, &out->capacity, sizeof *out->items))
            return tuff_fail_memory("the sentences of a text");
        tuff_words *words = &out->items[out->count++];
        *words = (tuff_words){0};
        TUFF_TRY(read_words((tuff_view){line, size}, stem, numbers, words));
        out->words += words->count;
    }
    return TUFF_OK;
}

static void count_words(const sentences *s, int64_t *counts)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->items[i].count; k++)
            counts[s->items[i].ids[k]]++;
}

/* The words that true sentences share with any of those that were said, each no more often than both texts
 * have it. */
static tuff_status share(const sentences *said, const sentences *truth, size_t known, int64_t *out)
{
    int64_t *left = tuff_alloc_array(2 * known, sizeof *left);
    bool *marks = tuff_alloc_array(truth->words, sizeof *marks);
    tuff_status status = left && marks ? TUFF_OK : tuff_fail_memory("the sentences of a text");
    if (status == TUFF_OK) {
        count_words(said, left);
        count_words(truth, left + known);
    }
    bool *own = marks;
    for (size_t i = 0; i < truth->count && status == TUFF_OK; own += truth->items[i++].count) {
        const tuff_words *sentence = &truth->items[i];
        for (size_t k = 0; k < said->count && status == TUFF_OK; k++)
            status = mark_common(sentence, &said->items[k], own);
        for (size_t k = 0; k < sentence->count && status == TUFF_OK; k++) {
            int64_t *a = &left[sentence->ids[k]], *b = a + known;
            if (!own[k] || *a <= 0 || *b <= 0) continue;
            ++*out;
            --*a;
            --*b;
        }
    }
    tuff_free(left);
    tuff_free(marks);
    return status;
}

static tuff_status score_sentences(tuff_view said, tuff_view truth, bool stem, double *out)
{
    tuff_map numbers = {0};
    sentences a = {0}, b = {0};
    int64_t shared = 0;
    tuff_status status = read_sentences(said, stem, &numbers, &a);
    if (status == TUFF_OK) status = read_sentences(truth, stem, &numbers, &b);
    if (status == TUFF_OK && a.words && b.words) status = share(&a, &b, numbers.count, &shared);
    *out = f_measure(shared, (int64_t)a.words, (int64_t)b.words);
    free_sentences(&a);
    free_sentences(&b);
    tuff_map_free(&numbers);
    return status;
}

/* ---- all of it */

static tuff_status score_words(const tuff_words *a, const tuff_words *b, tuff_rouge *out)
{
    int64_t shared;
    for (size_t n = 1; n <= 2; n++) {
        TUFF_TRY(tuff_ngrams_shared(a, b, n, &shared));
        *(n == 1 ? &out->one : &out->two) =
            f_measure(shared, tuff_ngrams_count(a, n), tuff_ngrams_count(b, n));
    }
    TUFF_TRY(longest(b, a, &shared));
    out->l = f_measure(shared, (int64_t)a->count, (int64_t)b->count);
    return TUFF_OK;
}

tuff_status tuff_rouge_score(tuff_view said, tuff_view truth, bool stem, tuff_rouge *out)
{
    tuff_map numbers = {0};
    tuff_words a = {0}, b = {0};
    *out = (tuff_rouge){0};
    tuff_status status = read_words(said, stem, &numbers, &a);
    if (status == TUFF_OK) status = read_words(truth, stem, &numbers, &b);
    if (status == TUFF_OK) status = score_words(&a, &b, out);
    if (status == TUFF_OK) status = score_sentences(said, truth, stem, &out->l_sum);
    tuff_map_free(&numbers);
    tuff_words_free(&a);
    tuff_words_free(&b);
    return status;
}
