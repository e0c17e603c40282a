/* libFuzzer entry: the vocabulary of a GGUF file; what loads encodes, decodes and is written again. See
 * README.md. */
#include "models/vocab.h"
#include "tests/fuzz/use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_gguf *gguf;
    tuff_tokenizer *tokenizer, *again;
    tuff_vocab_export *vocab;
    tuff_hf_tokens tokens;
    if (tuff_gguf_parse(data, size, "fuzz.gguf", &gguf) != TUFF_OK) return 0;
    tuff_status status = tuff_vocab_tokens(gguf, &tokens);
    (void)status;
    if (tuff_vocab_load(gguf, &tokenizer) == TUFF_OK) {
        use_tokenizer(tokenizer, "Once upon a time, 12 r\xc3\xa9sum\xc3\xa9s", 27);
        use_tokenizer(tokenizer, (const char *)data + size / 2,
                      size - size / 2 < 256 ? size - size / 2 : 256);
        if (tuff_vocab_export_create(tokenizer, &vocab) == TUFF_OK) {
            status = tuff_tokenizer_from_desc(tuff_vocab_export_desc(vocab), "again", &again);
            tuff_tokenizer_destroy(&again);
        }
        tuff_vocab_export_destroy(&vocab);
        tuff_tokenizer_destroy(&tokenizer);
    }
    tuff_gguf_destroy(&gguf);
    return 0;
}
