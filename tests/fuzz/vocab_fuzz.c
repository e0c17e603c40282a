/* libFuzzer entry: the vocabulary of a GGUF file; what loads encodes, decodes and is written again. See
 * README.md. */
#include "models/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const tuff_tokenizer *tokenizer, const char *text, size_t size)
{
    int32_t *ids = NULL;
    char *decoded = NULL;
    size_t count, length;
    if (tuff_tokenizer_encode(tokenizer, text, size, TUFF_ENCODE_ADD_SPECIAL, &ids, &count) == TUFF_OK &&
        tuff_tokenizer_decode(tokenizer, ids, count, false, &decoded, &length) == TUFF_OK)
        tuff_free(decoded);
    tuff_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_gguf *gguf;
    tuff_tokenizer *tokenizer;
    tuff_hf_tokens tokens;
    if (tuff_gguf_parse(data, size, "fuzz.gguf", &gguf) != TUFF_OK) return 0;
    tuff_status status = tuff_vocab_tokens(gguf, &tokens);
    (void)status;
    if (tuff_vocab_load(gguf, &tokenizer) == TUFF_OK) {
        use(tokenizer, "Once upon a time, 12 r\xc3\xa9sum\xc3\xa9s", 27);
        use(tokenizer, (const char *)data + size / 2, size - size / 2 < 256 ? size - size / 2 : 256);
        tuff_tokenizer_destroy(&tokenizer);
    }
    tuff_gguf_destroy(&gguf);
    return 0;
}
