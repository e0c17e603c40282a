/* Small vocabularies, made in memory. */
#ifndef TUFF_TESTS_TOKENIZER_FIXTURE_H
#define TUFF_TESTS_TOKENIZER_FIXTURE_H

#include "kit/kit.h"

#include <stdio.h>
#include <tuff/tokenizer.h>

#include "text/byte_level.h"

enum { FIXTURE_LIMIT = 400 };

typedef struct fixture {
    tuff_vocab_desc desc;
    char texts[FIXTURE_LIMIT][32];
    tuff_piece tokens[FIXTURE_LIMIT], merges[FIXTURE_LIMIT];
    float scores[FIXTURE_LIMIT];
    int32_t types[FIXTURE_LIMIT];
} fixture;

static inline void fixture_start(fixture *f, const char *kind, const char *pre)
{
    memset(f, 0, sizeof *f);
    f->desc = (tuff_vocab_desc)TUFF_VOCAB_DESC_INIT;
    f->desc.kind = kind;
    f->desc.pre = pre;
    f->desc.tokens = f->tokens;
    f->desc.merges = f->merges;
    f->desc.types = f->types;
    bool scored = strcmp(kind, "llama") == 0 || strcmp(kind, "t5") == 0;
    f->desc.scores = scored ? f->scores : NULL;
}

static inline int32_t fixture_token(fixture *f, const char *text, tuff_token_type type, float score)
{
    uint32_t id = f->desc.size++;
    assert_true(id < FIXTURE_LIMIT && strlen(text) < sizeof f->texts[id]);
    strcpy(f->texts[id], text);
    f->tokens[id] = (tuff_piece){f->texts[id], strlen(text)};
    f->types[id] = type;
    f->scores[id] = score;
    return (int32_t)id;
}

/* Byte-level: ids 0 to 255 are the bytes, then a token per merge, then <|endoftext|>. Merges are string
 * literals. */
static inline void fixture_gpt2(fixture *f, const char *pre, const char *const *merges)
{
    fixture_start(f, "gpt2", pre);
    for (unsigned b = 0; b < 256; b++) {
        tuff_buf text = {0};
        tuff_buf_utf8(&text, tuff_byte_character((uint8_t)b));
        fixture_token(f, text.data, TUFF_TOKEN_NORMAL, 0);
        tuff_buf_free(&text);
    }
    for (; *merges; merges++) {
        const char *space = strchr(*merges, ' ');
        char joined[32];
        snprintf(joined, sizeof joined, "%.*s%s", (int)(space - *merges), *merges, space + 1);
        f->merges[f->desc.merge_count++] = (tuff_piece){*merges, strlen(*merges)};
        fixture_token(f, joined, TUFF_TOKEN_NORMAL, 0);
    }
    f->desc.bos = f->desc.eos = fixture_token(f, "<|endoftext|>", TUFF_TOKEN_CONTROL, 0);
}

static const char *const fixture_merges[] = {
    "h e", "l l",   "he ll", "hell o", "\xc4\xa0 w", "o r", "l d", "\xc4\xa0w or", "\xc4\xa0wor ld",
    "a a", "aa aa", "1 2",   NULL};

/* SentencePiece: <unk> <s> </s>, 256 byte tokens, then pieces with scores. */
static inline void fixture_llama(fixture *f)
{
    static const char *const pieces[] = {
        "he", "ll", "\xe2\x96\x81he", "llo", "aa", "\xe2\x96\x81\xe2\x96\x81", "\xe2\x96\x81hello"};
    static const char *const letters[] = {"\xe2\x96\x81", "h", "e", "l", "o", "a", "\xc3\xa9"};
    fixture_start(f, "llama", NULL);
    f->desc.unk = fixture_token(f, "<unk>", TUFF_TOKEN_UNKNOWN, 0);
    f->desc.bos = fixture_token(f, "<s>", TUFF_TOKEN_CONTROL, 0);
    f->desc.eos = fixture_token(f, "</s>", TUFF_TOKEN_CONTROL, 0);
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        fixture_token(f, name, TUFF_TOKEN_BYTE, 0);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        fixture_token(f, pieces[i], TUFF_TOKEN_NORMAL, -(float)i - 1);
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        fixture_token(f, letters[i], TUFF_TOKEN_NORMAL, -100 - (float)i);
    f->desc.add_bos = f->desc.add_space_prefix = true;
}

/* The tokens of the text, each followed by '|'. */
static inline const char *fixture_encode(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                         unsigned flags)
{
    static char out[4096];
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(tokenizer, text, size, flags, &ids, &count));
    out[0] = 0;
    for (size_t i = 0; i < count; i++) {
        tuff_piece piece = tuff_tokenizer_token(tokenizer, ids[i]);
        assert_true(strlen(out) + piece.size + 2 < sizeof out);
        strncat(out, piece.data, piece.size);
        strcat(out, "|");
    }
    tuff_free(ids);
    return out;
}

/* Encoded and decoded, the text is itself. */
static inline void fixture_round_trip(const tuff_tokenizer *tokenizer, const char *text, size_t size)
{
    int32_t *ids;
    size_t count, decoded_size;
    char *decoded;
    KIT_OK(tuff_tokenizer_encode(tokenizer, text, size, 0, &ids, &count));
    KIT_OK(tuff_tokenizer_decode(tokenizer, ids, count, false, &decoded, &decoded_size));
    assert_int_equal(decoded_size, size);
    assert_memory_equal(decoded, text, size);
    tuff_free(decoded);
    tuff_free(ids);
}

#endif
