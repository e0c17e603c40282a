#include "train/ngrams.h"

#include "base/memory.h"
#include "text/unicode_class.h"

tuff_status tuff_words_add(tuff_words *words, int32_t id)
{
    if (!tuff_grow((void **)&words->ids, words->count, &words->capacity, sizeof *words->ids))
        return tuff_fail_memory("the words of a text");
    words->ids[words->count++] = id;
    return TUFF_OK;
}

tuff_status tuff_words_add_text(tuff_words *words, tuff_map *numbers, tuff_view word)
{
    uint32_t id;
    if (!tuff_map_get(numbers, word.data, word.size, &id)) {
        id = (uint32_t)numbers->count;
        if (!tuff_map_put(numbers, word.data, word.size, id)) return tuff_fail_memory("the words of a text");
    }
    return tuff_words_add(words, (int32_t)id);
}

void tuff_words_free(tuff_words *words)
{
    tuff_free(words->ids);
    *words = (tuff_words){0};
}

int64_t tuff_ngrams_count(const tuff_words *words, size_t order)
{
    return words->count < order ? 0 : (int64_t)(words->count - order + 1);
}

/* Changes how often an n-gram is there; false: there is none left to take. */
static tuff_status change(tuff_map *counts, const int32_t *ngram, size_t order, int by, bool *out_there)
{
    const size_t size = order * sizeof *ngram;
    uint32_t count = 0;
    *out_there = tuff_map_get(counts, ngram, size, &count) && count;
    if (by < 0 && !*out_there) return TUFF_OK;
    count = by < 0 ? count - 1 : count + 1;
    return tuff_map_put(counts, ngram, size, count) ? TUFF_OK : tuff_fail_memory("the n-grams of a text");
}

tuff_status tuff_ngrams_shared(const tuff_words *a, const tuff_words *b, size_t order, int64_t *out)
{
    tuff_map counts = {0};
    tuff_status status = TUFF_OK;
    bool there;
    *out = 0;
    for (int64_t i = 0; i < tuff_ngrams_count(a, order) && status == TUFF_OK; i++)
        status = change(&counts, a->ids + i, order, 1, &there);
    for (int64_t i = 0; i < tuff_ngrams_count(b, order) && status == TUFF_OK; i++) {
        status = change(&counts, b->ids + i, order, -1, &there);
        *out += there;
    }
    tuff_map_free(&counts);
    return status;
}

/* The character at `at`, and whether it is white space to Python: Unicode's, and four separators. */
static size_t look(tuff_view text, size_t at, bool *out_space)
{
    uint32_t point = 0;
    const size_t size = tuff_utf8_decode(text.data + at, text.size - at, &point);
    *out_space = size && (tuff_is_space(point) || (point >= 0x1c && point <= 0x1f));
    return size ? size : 1;
}

bool tuff_words_next(tuff_view text, size_t *at, tuff_view *out)
{
    bool space = true;
    size_t begin = *at, end, size = 0;
    for (; begin < text.size; begin += size) {
        size = look(text, begin, &space);
        if (!space) break;
    }
    for (end = begin; end < text.size; end += size) {
        size = look(text, end, &space);
        if (space) break;
    }
    *at = end;
    *out = (tuff_view){text.data + begin, end - begin};
    return end > begin;
}

tuff_view tuff_words_strip_end(tuff_view text)
{
    size_t end = 0;
    bool space;
    for (size_t at = 0, size; at < text.size; at += size) {
        size = look(text, at, &space);
        if (!space) end = at + size;
    }
    return (tuff_view){text.data, end};
}
