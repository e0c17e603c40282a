#include "train/bleu.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* ---- words as 13a has them. Its rules look at single ASCII characters and what is beside them, so that
 * bytes will do: a byte of a longer character is neither a digit nor a sign. */

/* One text in the place of another, from one buffer to the other. */
static void replace(tuff_buf *text, tuff_buf *room, const char *from, const char *to)
{
    const size_t size = strlen(from);
    tuff_buf_clear(room);
    for (size_t i = 0; i < text->size;) {
        const bool here = text->size - i >= size && memcmp(text->data + i, from, size) == 0;
        if (here)
            tuff_buf_text(room, to);
        else
            tuff_buf_char(room, text->data[i]);
        i += here ? size : 1;
    }
    const tuff_buf made = *room;
    *room = *text;
    *text = made;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_point(char c)
{
    return c == '.' || c == ',';
}

/* Signs that are words wherever they stand. */
static bool is_sign(char c)
{
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
           (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

/* A regular expression over two characters that sees each of them once. */
typedef bool pair_rule(char a, char b);

static bool point_behind_no_digit(char a, char b)
{
    return !is_digit(a) && is_point(b);
}

static bool point_before_no_digit(char a, char b)
{
    return is_point(a) && !is_digit(b);
}

static bool dash_behind_digit(char a, char b)
{
    return is_digit(a) && b == '-';
}

/* Puts spaces before, between and behind the two of each pair. */
static void separate(tuff_buf *text, tuff_buf *room, pair_rule *rule, bool before, bool behind)
{
    tuff_buf_clear(room);
    for (size_t i = 0; i < text->size; i++) {
        const bool here = i + 1 < text->size && rule(text->data[i], text->data[i + 1]);
        if (here && before) tuff_buf_char(room, ' ');
        tuff_buf_char(room, text->data[i]);
        if (!here) continue;
        tuff_buf_char(room, ' ');
        tuff_buf_char(room, text->data[++i]);
        if (behind) tuff_buf_char(room, ' ');
    }
    const tuff_buf made = *room;
    *room = *text;
    *text = made;
}

static void separate_signs(tuff_buf *text, tuff_buf *room)
{
    tuff_buf_clear(room);
    for (size_t i = 0; i < text->size; i++) {
        const bool sign = is_sign(text->data[i]);
        if (sign) tuff_buf_char(room, ' ');
        tuff_buf_char(room, text->data[i]);
        if (sign) tuff_buf_char(room, ' ');
    }
    const tuff_buf made = *room;
    *room = *text;
    *text = made;
}

tuff_status tuff_bleu_tokenize(tuff_view text, tuff_buf *out)
{
    static const char *const rules[][2] = {{"<skipped>", ""}, {"-\n", ""},   {"\n", " "},  {"&quot;", "\""},
                                           {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"}};
    const tuff_view whole = tuff_words_strip_end(text);
    tuff_buf line = {0}, room = {0};
    tuff_view word;
    size_t at = 0;
    tuff_buf_bytes(&line, whole.data, whole.size);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        replace(&line, &room, rules[i][0], rules[i][1]);
    tuff_buf_clear(&room);
    tuff_buf_char(&room, ' ');
    tuff_buf_bytes(&room, line.data, line.size);
    tuff_buf_char(&room, ' ');
    separate_signs(&room, &line);
    separate(&room, &line, point_behind_no_digit, false, true);
    separate(&room, &line, point_before_no_digit, true, false);
    separate(&room, &line, dash_behind_digit, false, true);
    tuff_buf_clear(out);
    while (tuff_words_next((tuff_view){room.data, room.size}, &at, &word)) {
        if (out->size) tuff_buf_char(out, ' ');
        tuff_buf_bytes(out, word.data, word.size);
    }
    const bool failed = line.failed || room.failed || out->failed;
    tuff_buf_free(&line);
    tuff_buf_free(&room);
    return failed ? tuff_fail_memory("the words of a text") : TUFF_OK;
}

static tuff_status read_words(tuff_view text, tuff_map *numbers, tuff_words *out)
{
    tuff_buf line = {0};
    tuff_view word;
    size_t at = 0;
    tuff_status status = tuff_bleu_tokenize(text, &line);
    while (status == TUFF_OK && tuff_words_next((tuff_view){line.data, line.size}, &at, &word))
        status = tuff_words_add_text(out, numbers, word);
    tuff_buf_free(&line);
    return status;
}

tuff_status tuff_bleu_add(tuff_bleu *bleu, tuff_view said, tuff_view truth)
{
    tuff_map numbers = {0};
    tuff_words a = {0}, b = {0};
    int64_t shared;
    tuff_status status = read_words(said, &numbers, &a);
    if (status == TUFF_OK) status = read_words(truth, &numbers, &b);
    for (size_t n = 1; n <= TUFF_BLEU_ORDER && status == TUFF_OK; n++) {
        status = tuff_ngrams_shared(&a, &b, n, &shared);
        bleu->shared[n - 1] += shared;
        bleu->said[n - 1] += tuff_ngrams_count(&a, n);
    }
    bleu->said_words += (int64_t)a.count;
    bleu->true_words += (int64_t)b.count;
    tuff_map_free(&numbers);
    tuff_words_free(&a);
    tuff_words_free(&b);
    return status;
}

/* The logarithm, or what sacrebleu takes for that of 0. */
static double log_of(double x)
{
    return x == 0 ? -9999999999 : log(x);
}

double tuff_bleu_score(const tuff_bleu *b)
{
    double sum = 0, smooth = 1, brevity = 1;
    bool any = false;
    if (b->said_words < b->true_words)
        brevity = b->said_words ? exp(1 - (double)b->true_words / (double)b->said_words) : 0;
    for (int n = 0; n < TUFF_BLEU_ORDER; n++)
        any = any || b->shared[n];
    if (!any) return 0;
    for (int n = 0; n < TUFF_BLEU_ORDER; n++) {
        double precision = 0; /* of orders that no text is long enough for, and those above them */
        if (b->said[n] && !b->shared[n]) smooth *= 2;
        if (b->said[n])
            precision = b->shared[n] ? 100 * (double)b->shared[n] / (double)b->said[n]
                                     : 100 / (smooth * (double)b->said[n]);
        sum += log_of(precision);
    }
    return brevity * exp(sum / TUFF_BLEU_ORDER);
}

/* ---- characters */

static tuff_status read_characters(tuff_view text, tuff_words *out)
{
    tuff_view word;
    for (size_t at = 0; tuff_words_next(text, &at, &word);)
        for (size_t i = 0, size; i < word.size; i += size) {
            uint32_t point;
            size = tuff_utf8_decode(word.data + i, word.size - i, &point);
            if (!size) {
                size = 1;
                point = 0x110000 + (unsigned char)word.data[i];
            }
            TUFF_TRY(tuff_words_add(out, (int32_t)point));
        }
    return TUFF_OK;
}

tuff_status tuff_chrf_add(tuff_chrf *chrf, tuff_view said, tuff_view truth)
{
    tuff_words a = {0}, b = {0};
    int64_t shared;
    tuff_status status = read_characters(said, &a);
    if (status == TUFF_OK) status = read_characters(truth, &b);
    for (size_t n = 1; n <= TUFF_CHRF_ORDER && status == TUFF_OK; n++) {
        const int64_t true_count = tuff_ngrams_count(&b, n);
        status = tuff_ngrams_shared(&a, &b, n, &shared);
        chrf->shared[n - 1] += shared;
        chrf->said[n - 1] += true_count ? tuff_ngrams_count(&a, n) : 0;
        chrf->truth[n - 1] += true_count;
    }
    tuff_words_free(&a);
    tuff_words_free(&b);
    return status;
}

double tuff_chrf_score(const tuff_chrf *c)
{
    const double factor = 4; /* beta 2, squared */
    double precision = 0, recall = 0;
    int orders = 0;
    for (int n = 0; n < TUFF_CHRF_ORDER; n++) {
        if (!c->said[n] || !c->truth[n]) continue;
        precision += (double)c->shared[n] / (double)c->said[n];
        recall += (double)c->shared[n] / (double)c->truth[n];
        orders++;
    }
    if (!orders) return 0;
    precision /= orders;
    recall /= orders;
    if (precision + recall == 0) return 0;
    return 100 * ((1 + factor) * precision * recall / (factor * precision + recall));
}
