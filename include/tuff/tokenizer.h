/* Text to token ids and back.
 *
 * A tokenizer comes from a Hugging Face tokenizer.json, from vocab.json and merges.txt, or from the
 * vocabulary of a GGUF file, and can be written as tokenizer.json or described as a GGUF vocabulary. Once
 * loaded it is immutable: any number of threads may encode and decode with it at once. */
#ifndef TUFF_TOKENIZER_H
#define TUFF_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tuff_tokenizer tuff_tokenizer;

/* Bytes owned by someone else; not NUL-terminated. Never gets further fields. */
typedef struct tuff_piece {
    const char *data;
    size_t size;
} tuff_piece;

/* What a token is, numbered as in GGUF's tokenizer.ggml.token_type. */
typedef enum tuff_token_type {
    TUFF_TOKEN_NORMAL = 1,
    TUFF_TOKEN_UNKNOWN = 2,
    TUFF_TOKEN_CONTROL = 3, /* "special" in Hugging Face's words: skipped when decoding for people */
    TUFF_TOKEN_USER_DEFINED = 4,
    TUFF_TOKEN_UNUSED = 5, /* also an id that no token has */
    TUFF_TOKEN_BYTE = 6    /* "<0x0A>": stands for one byte */
} tuff_token_type;

/* A vocabulary as GGUF holds it (keys tokenizer.ggml.*). All pointers belong to the caller. */
typedef struct tuff_vocab_desc {
    size_t struct_size; /* set by TUFF_VOCAB_DESC_INIT */
    const char
        *kind; /* tokenizer.ggml.model: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE with scores) */
    const char
        *pre;      /* tokenizer.ggml.pre, kind gpt2 only: how text is cut into words; NULL means "default" */
    uint32_t size; /* number of tokens, at least 1 */
    const tuff_piece *tokens;
    const float *scores;             /* NULL: none; needed by kind llama */
    const int32_t *types;            /* tuff_token_type; NULL: all normal */
    uint32_t merge_count;            /* kind gpt2 only */
    const tuff_piece *merges;        /* "left right", best first */
    int32_t bos, eos, eot, unk, pad; /* ids; negative means none */
    bool add_bos, add_eos;           /* whether TUFF_ENCODE_ADD_SPECIAL puts them around a text */
    bool add_space_prefix;           /* a space is put before each text */
    tuff_piece chat_template;        /* {NULL, 0}: none */
} tuff_vocab_desc;
#define TUFF_VOCAB_DESC_INIT                                                                                 \
    {                                                                                                        \
        sizeof(tuff_vocab_desc), NULL, NULL, 0, NULL, NULL, NULL, 0, NULL, -1, -1, -1, -1, -1, false, false, \
            false,                                                                                           \
        {                                                                                                    \
            NULL, 0                                                                                          \
        }                                                                                                    \
    }

/* Reads a directory (tokenizer.json, else vocab.json and merges.txt; with tokenizer_config.json,
 * generation_config.json and config.json for the ids of begin and end of text, where present) or the path of
 * one tokenizer.json. Errors: TUFF_NOT_FOUND when no tokenizer is there, TUFF_BAD_FORMAT for a damaged file,
 * TUFF_UNSUPPORTED (naming it) for a component of tokenizer.json that Tuff does not have. Thread-safe. Free
 * with tuff_tokenizer_destroy. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_load(const char *path, tuff_tokenizer **out_tokenizer);

/* The same from bytes: tokenizer.json, and optionally tokenizer_config.json (NULL, 0: none). `where` names
 * the source in error texts. The bytes are not needed afterwards. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_json(const char *json, size_t json_size,
                                                            const char *config, size_t config_size,
                                                            const char *where,
                                                            tuff_tokenizer **out_tokenizer);

/* The same from vocab.json and merges.txt of a byte-level BPE. The words are cut as Qwen2 does when the
 * config's tokenizer_class says so, else as GPT-2 does. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_vocab(const char *vocab, size_t vocab_size,
                                                             const char *merges, size_t merges_size,
                                                             const char *config, size_t config_size,
                                                             const char *where,
                                                             tuff_tokenizer **out_tokenizer);

/* The same from a GGUF vocabulary. Everything is copied. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_desc(const tuff_vocab_desc *desc, const char *where,
                                                            tuff_tokenizer **out_tokenizer);

TUFF_API void tuff_tokenizer_destroy(tuff_tokenizer **tokenizer);

/* Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json into an existing directory, such
 * that Hugging Face tokenizers and transformers give the same ids. What was read from a Hugging Face
 * directory is written back byte for byte. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_save(const tuff_tokenizer *tokenizer,
                                                       const char *directory);

/* Describes the tokenizer as a GGUF vocabulary. The description belongs to *out_export and ends with it; the
 * tokenizer must outlive it. TUFF_UNSUPPORTED when GGUF cannot express the tokenizer. Thread-safe. */
typedef struct tuff_vocab_export tuff_vocab_export;
TUFF_API TUFF_MUST_USE tuff_status tuff_vocab_export_create(const tuff_tokenizer *tokenizer,
                                                            tuff_vocab_export **out_export);
TUFF_API const tuff_vocab_desc *tuff_vocab_export_desc(const tuff_vocab_export *vocab);
TUFF_API void tuff_vocab_export_destroy(tuff_vocab_export **vocab);

/* One more than the largest id. Thread-safe, as are all the questions that follow. */
TUFF_API uint32_t tuff_tokenizer_vocab_size(const tuff_tokenizer *tokenizer);
/* TUFF_BAD_FORMAT when the tokenizer has ids that a model with `rows` embedding rows has not. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_check_model(const tuff_tokenizer *tokenizer, uint32_t rows);
/* The token as the vocabulary spells it ("Ġthe", "<0x0A>"), {NULL, 0} when no token has this id. Owned by the
 * tokenizer. */
TUFF_API tuff_piece tuff_tokenizer_token(const tuff_tokenizer *tokenizer, int32_t id);
TUFF_API tuff_token_type tuff_tokenizer_token_type(const tuff_tokenizer *tokenizer, int32_t id);
/* The id of a token spelled so, or -1. */
TUFF_API int32_t tuff_tokenizer_id(const tuff_tokenizer *tokenizer, const char *text, size_t size);
/* Begin of text, unknown, padding: an id, or -1. */
TUFF_API int32_t tuff_tokenizer_bos(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_unk(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_pad(const tuff_tokenizer *tokenizer);
/* End of text: there may be several; the first is the one to write. */
TUFF_API uint32_t tuff_tokenizer_eos_count(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_eos(const tuff_tokenizer *tokenizer, uint32_t index);
TUFF_API bool tuff_tokenizer_is_eos(const tuff_tokenizer *tokenizer, int32_t id);
/* The chat template of the model, {NULL, 0} when it has none. Owned by the tokenizer. */
TUFF_API tuff_piece tuff_tokenizer_chat_template(const tuff_tokenizer *tokenizer);
/* "gpt2" or "llama": the kind of GGUF vocabulary it would be; "" for neither. A constant. */
TUFF_API const char *tuff_tokenizer_kind(const tuff_tokenizer *tokenizer);

/* Flags of tuff_tokenizer_encode; 0 cuts the text alone, seeing special tokens in it. */
enum {
    TUFF_ENCODE_ADD_SPECIAL =
        1, /* put the model's begin and end of text around it, where the model wants them */
    TUFF_ENCODE_PLAIN_SPECIAL = 2 /* "</s>" in the text is text, not the token */
};

/* Encodes text[0..size). Bytes that are not UTF-8 count as U+FFFD, one for each maximal broken sequence (as
 * Python's errors="replace"). *out_ids has *out_count ids: free with tuff_free. Truncation and
 * padding settings of tokenizer.json are not applied. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_encode(const tuff_tokenizer *tokenizer, const char *text,
                                                         size_t size, unsigned flags, int32_t **out_ids,
                                                         size_t *out_count);
/* The same, watched: TUFF_PHASE_TOKENIZE, in bytes of the text. The watch is asked every millisecond or so of
 * work; only one search of one pattern at one place of the text is not interrupted. Cancelled, it gives
 * TUFF_CANCELLED and no ids. `watch` may be NULL. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_encode_watched(const tuff_tokenizer *tokenizer,
                                                                 const char *text, size_t size,
                                                                 unsigned flags, const tuff_watch *watch,
                                                                 int32_t **out_ids, size_t *out_count);

/* Decodes ids to text, NUL-terminated after its *out_size bytes: free with tuff_free. Ids that
 * no token has give nothing. The bytes are those the tokens stand for, UTF-8 or not. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_decode(const tuff_tokenizer *tokenizer, const int32_t *ids,
                                                         size_t count, bool skip_special, char **out_text,
                                                         size_t *out_size);

/* Decodes a stream of ids, never splitting a UTF-8 character between two answers. One thread at a time; the
 * tokenizer must outlive it. Feed the prompt's ids first and drop the answer: what a token gives may depend
 * on whether it is the first. */
typedef struct tuff_decoder tuff_decoder;
TUFF_API TUFF_MUST_USE tuff_status tuff_decoder_create(const tuff_tokenizer *tokenizer, bool skip_special,
                                                       tuff_decoder **out_decoder);
/* The text that became complete with `id`, possibly none; owned by the decoder, valid until its next call. */
TUFF_API TUFF_MUST_USE tuff_status tuff_decoder_feed(tuff_decoder *decoder, int32_t id, tuff_piece *out_text);
/* What is still held back (the start of a character that never ended); the decoder is then as new. */
TUFF_API TUFF_MUST_USE tuff_status tuff_decoder_flush(tuff_decoder *decoder, tuff_piece *out_text);
TUFF_API void tuff_decoder_destroy(tuff_decoder **decoder);

#ifdef __cplusplus
}
#endif
#endif
