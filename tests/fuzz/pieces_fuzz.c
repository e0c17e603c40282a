/* libFuzzer entry: a SentencePiece model, the tokens of a tiktoken, or vocab.txt of a WordPiece, chosen by
 * the first byte; what loads encodes, decodes and is described again. See README.md. */
#include <string.h>

#include "tests/fuzz/use_tokenizer.h"
#include "text/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const configs[] = {
    "{}",
    "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3}",
    "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}",
    "{\"tokenizer_class\":\"AlbertTokenizer\"}",
    "{\"tokenizer_class\":\"LlamaTokenizer\"}",
};
enum { CONFIGS = sizeof configs / sizeof *configs };

static tuff_status load(const char *data, size_t size, uint8_t how, tuff_tokenizer **out)
{
    const char *config = configs[how % CONFIGS];
    if (how >= 128)
        return tuff_tokenizer_from_wordpiece(data, size, how % 2 ? "{}" : NULL, how % 2 ? 2 : 0, "fuzz.txt",
                                             out);
    if (how >= 64) {
        static const char ranks[] = "{\"tokenizer_class\":\"QWenTokenizer\"}";
        return tuff_read_tiktoken_tokenizer((tuff_view){data, size}, (tuff_view){ranks, sizeof ranks - 1},
                                            "fuzz.tiktoken", out);
    }
    return tuff_tokenizer_from_sentencepiece(data, size, config, strlen(config), "fuzz.model", out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "Once upon  a time, 12 r\xc3\xa9sum\xc3\xa9s <unk></s> [MASK]\xe2\x96\x81\xff ";
    tuff_tokenizer *tokenizer, *again;
    tuff_vocab_export *vocab;
    if (!size) return 0;
    /* a buffer of its own, so that a read past the end shows */
    char *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data + 1, size - 1);
    if (load(copy, size - 1, data[0], &tokenizer) == TUFF_OK) {
        use_tokenizer(tokenizer, text, sizeof text - 1);
        use_tokenizer(tokenizer, copy, size - 1 < 512 ? size - 1 : 512);
        if (tuff_vocab_export_create(tokenizer, &vocab) == TUFF_OK &&
            tuff_tokenizer_from_desc(tuff_vocab_export_desc(vocab), "again", &again) == TUFF_OK)
            tuff_tokenizer_destroy(&again);
        tuff_vocab_export_destroy(&vocab);
        tuff_tokenizer_destroy(&tokenizer);
    }
    free(copy);
    return 0;
}
