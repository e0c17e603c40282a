/* Texts as no book has them, and their parts. */
#ifndef TUFF_TESTS_PARTS_FIXTURE_H
#define TUFF_TESTS_PARTS_FIXTURE_H

#include "kit/kit.h"

#include "base/memory.h"
#include "text/parts.h"

enum { PARTS_SMALL = 300 };

/* Words, and what stands between them, as no book has them. */
static inline void parts_write(tuff_buf *out, uint32_t state, int pieces)
{
    static const char *const words[] = {"the",
                                        "Hello",
                                        "he",
                                        "aaaa",
                                        "don't",
                                        "WE'LL",
                                        "x1y22",
                                        "1234567",
                                        "12",
                                        "7",
                                        "é",
                                        "e\u0301",
                                        "\u00c5",
                                        "Привет",
                                        "中文字",
                                        "ひらがな",
                                        "한국어",
                                        "\u0e33",
                                        "ß",
                                        "İ",
                                        "\u1161",
                                        "👍🏽",
                                        "<|endoftext|>",
                                        "</s>",
                                        "<s>",
                                        "(a)",
                                        "“q”",
                                        "...",
                                        "--",
                                        "$5",
                                        "a\u200bb",
                                        "\u0301",
                                        "and/or",
                                        "\"quoted\"",
                                        "[IMGIMGA]Z",
                                        "<sentinel:3>",
                                        "x_y",
                                        "'s",
                                        "。",
                                        "٣",
                                        "ﹰ",
                                        "ﷺ",
                                        "0",
                                        "Dr.",
                                        "I'm"};
    static const char *const gaps[] = {
        " ",   " ",   " ",   "\n",   "\n",        "\n",       "\n\n", "  ",     "\r\n",   "\t",
        "",    ".",   ". ",  ",\n",  ".\n",       " \n",      "\n ",  "\u3000", "\u00a0", "!\n",
        "/\n", "\n/", "'\n", "。\n", "   \n\n  ", "\xc2\x85", "\f",   "\n\t",   "1\n",    "    ",
        "。",  "，",  "'",   ", ",   " ",         " 1 ",      "-",    "\n1"};
    for (int i = 0; i < pieces; i++) {
        state = state * 1664525u + 1013904223u;
        tuff_buf_text(out, words[(state >> 8) % (sizeof words / sizeof *words)]);
        state = state * 1664525u + 1013904223u;
        tuff_buf_text(out, gaps[(state >> 8) % (sizeof gaps / sizeof *gaps)]);
    }
}

/* Characters in no order at all. */
static inline void parts_write_characters(tuff_buf *out, uint32_t state, int count)
{
    static const char *const pool[] = {
        " ",  " ",  " ", " ",  " ",  " ", "\n", "\n", "\n",     ".",      ",",      "。",     "，", "'",
        "s",  "t",  "l", "a",  "B",  "c", "I",  "é",  "я",      "中",     "か",     "한",     "ﹰ",  "\u0e33",
        "1",  "2",  "٣", "²",  "½",  "ⅷ", "-",  "/",  "(",      "<",      ">",      "_",      "$",  "+",
        "\r", "\t", "…", "！", "、", "ʼ", "👍",  "a",  "\u0301", "\u200d", "\u00a0", "\u3000", "𐐀",  "\u0d4e"};
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        tuff_buf_text(out, pool[(state >> 10) % (sizeof pool / sizeof *pool)]);
    }
}

/* The next part of a text, of about PARTS_SMALL bytes. */
static inline tuff_view parts_next(const tuff_parts *parts, tuff_view rest)
{
    size_t size = 0;
    for (size_t most = PARTS_SMALL; !size && most < 2 * rest.size; most *= 2)
        size = tuff_parts_cut(parts, rest, most);
    return (tuff_view){rest.data, size ? size : rest.size};
}

/* Whether the parts of a text, cut at these kinds of places alone, give the ids of the whole. */
static inline bool parts_same(const tuff_tokenizer *t, tuff_parts parts, unsigned kinds, tuff_view text,
                              int *out_count)
{
    int32_t *whole;
    size_t n, at = 0;
    tuff_encoder e;
    tuff_buf room = {0};
    bool same = true;
    parts.kinds = kinds;
    *out_count = 0;
    KIT_OK(tuff_tokenizer_encode(t, text.data, text.size, 0, &whole, &n));
    KIT_OK(tuff_encoder_begin(&e, t, 0, false, NULL, 0));
    for (tuff_view rest = text; rest.size; ++*out_count) {
        const tuff_view part = parts_next(&parts, rest);
        size_t begin;
        KIT_OK(tuff_parts_encode(&parts, &e, part, rest.data == text.data, &room, &begin));
        const size_t count = e.pieces.ids.size - begin;
        if (same && (count > n - at ||
                     (count && memcmp(e.pieces.ids.data + begin, whole + at, count * sizeof *whole) != 0))) {
            print_error("kinds %u: other ids in \"%.*s\"\n", kinds, (int)part.size, part.data);
            same = false;
        }
        at += count;
        rest = (tuff_view){rest.data + part.size, rest.size - part.size};
    }
    tuff_encoder_end(&e);
    tuff_buf_free(&room);
    tuff_free(whole);
    return same && at == n;
}

#endif
