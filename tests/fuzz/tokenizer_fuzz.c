/* libFuzzer entry: the text of a tokenizer.json; what loads encodes and decodes it. See README.md. */
#include <tuff/tokenizer.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_tokenizer *tokenizer;
    const char *text = (const char *)data;
    if (tuff_tokenizer_from_json(text, size, NULL, 0, "fuzz.json", &tokenizer) != TUFF_OK) return 0;
    int32_t *ids = NULL;
    char *decoded = NULL;
    size_t count, length;
    if (tuff_tokenizer_encode(tokenizer, text, size < 512 ? size : 512, TUFF_ENCODE_ADD_SPECIAL, &ids,
                              &count) == TUFF_OK &&
        tuff_tokenizer_decode(tokenizer, ids, count, false, &decoded, &length) == TUFF_OK)
        tuff_free(decoded);
    tuff_free(ids);
    tuff_tokenizer_destroy(&tokenizer);
    return 0;
}
