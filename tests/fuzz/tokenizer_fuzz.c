/* libFuzzer entry: a tokenizer.json and a text. What loads encodes the text, whole and until it is stopped,
 * and decodes it. See README.md.
 *
 * An input is the JSON up to its first NUL byte, which no JSON has, and then the text. Half of the mutations
 * change a piece of the JSON for another component, so that what comes out is more often read to its end. */
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static const char *const pieces[] = {
    "{\"type\":\"NFC\"}",
    "{\"type\":\"NFKD\"}",
    "{\"type\":\"Lowercase\"}",
    "{\"type\":\"ByteLevel\"}",
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}",
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true,\"content\":\"a\",\"start\":1,\"stop\":1}",
    "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a|b\"},\"content\":\"ab\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"\"}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?<=a)b|(?=c)|[^d]{1,2}+\"},\"behavior\":\"MergedWithNext\"}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+|\\\\s\"},\"behavior\":\"Removed\",\"invert\":true}",
    "{\"type\":\"Punctuation\"}",
    "{\"type\":\"Digits\"}",
    "{\"type\":\"Whitespace\"}",
    "{\"type\":\"Fuse\"}",
    "{\"type\":\"ByteFallback\"}",
    "{\"type\":\"Sequence\",\"normalizers\":[],\"pretokenizers\":[],\"decoders\":[]}",
    "{\"id\":1,\"content\":\"ab\",\"special\":true,\"lstrip\":true,\"rstrip\":true,\"single_word\":true}",
    "{\"type\":\"BertNormalizer\",\"strip_accents\":true}",
    "{\"type\":\"BertPreTokenizer\"}",
    "{\"type\":\"StripAccents\"}",
    "{\"type\":\"Nmt\"}",
    "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAEAABhAGIA\"}",
    "{\"type\":\"WordPiece\",\"prefix\":\"##\"}",
    "{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",1]}",
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}],"
    "\"pair\":[{\"Sequence\":{\"id\":\"B\"}},{\"Sequence\":{\"id\":\"A\"}}]}",
    "\"type\":\"WordPiece\"",
    "\"type\":\"Unigram\"",
    "[\"ab\",-1.5]",
    "\"(?:a|aa)+$\"",
    "\"\\\\K\"",
    "\"a b\"",
    "[\"a\",\"b\"]",
    "\"byte_fallback\":true,\"fuse_unk\":true,\"ignore_merges\":true",
};

/* The end of the JSON value that begins at `at`. */
static size_t end_of_value(const uint8_t *data, size_t size, size_t at)
{
    size_t depth = 0;
    for (size_t i = at; i < size && data[i]; i++) {
        if (data[i] == '"') {
            for (i++; i < size && data[i] != '"'; i++)
                i += data[i] == '\\';
        } else if (data[i] == '{' || data[i] == '[') {
            depth++;
        } else if (data[i] == '}' || data[i] == ']') {
            if (depth-- <= 1) return i + 1;
        }
        if (depth == 0) return i < size ? i + 1 : size;
    }
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    if (seed % 2 || size < 2) return LLVMFuzzerMutate(data, size, max_size);
    const char *piece = pieces[seed / 2 % (sizeof pieces / sizeof *pieces)];
    size_t at = seed / 64 % size, length = strlen(piece);
    while (at < size && data[at] && !strchr("{[\"", data[at]))
        at++;
    size_t end = end_of_value(data, size, at);
    if (at == size || !data[at] || end > size || size - (end - at) + length > max_size)
        return LLVMFuzzerMutate(data, size, max_size);
    memmove(data + at + length, data + end, size - end);
    memcpy(data + at, piece, length);
    return size - (end - at) + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_tokenizer *tokenizer;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t json = end ? (size_t)(end - data) : size, rest = end ? size - json - 1 : 0;
    /* buffers of their own, so that a read past the end shows */
    char *text = malloc(rest ? rest : 1), *file = malloc(json ? json : 1);
    if (text && rest) memcpy(text, data + json + 1, rest);
    if (file && json) memcpy(file, data, json);
    if (text && file && tuff_tokenizer_from_json(file, json, NULL, 0, "fuzz.json", &tokenizer) == TUFF_OK) {
        use_tokenizer(tokenizer, text, rest);
        tuff_tokenizer_destroy(&tokenizer);
    }
    free(text);
    free(file);
    return 0;
}
