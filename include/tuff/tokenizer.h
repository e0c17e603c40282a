/* Text to token ids and back.
 *
 * A tokenizer comes from a Hugging Face tokenizer.json, from vocab.json and merges.txt, from vocab.txt, from
 * a SentencePiece model, or from the vocabulary of a GGUF file, and can be written as tokenizer.json or
 * described as a GGUF vocabulary. It is a byte-level BPE, a SentencePiece BPE, a WordPiece or a Unigram. Once
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

/* The bytes [start, end) of a text. Never gets further fields. */
typedef struct tuff_span {
    size_t start, end;
} tuff_span;

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
    /* tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece BPE with scores), "bert"
     * (WordPiece, tokens that begin words spelled with U+2581 before them) or "t5" (Unigram with scores) */
    const char *kind;
    const char
        *pre;      /* tokenizer.ggml.pre, kind gpt2 only: how text is cut into words; NULL means "default" */
    uint32_t size; /* number of tokens, at least 1 */
    const tuff_piece *tokens;
    const float *scores;             /* NULL: none; needed by kinds llama and t5 */
    const int32_t *types;            /* tuff_token_type; NULL: all normal */
    uint32_t merge_count;            /* kind gpt2 only */
    const tuff_piece *merges;        /* "left right", best first */
    int32_t bos, eos, eot, unk, pad; /* ids; negative means none */
    bool add_bos, add_eos;           /* whether TUFF_ENCODE_ADD_SPECIAL puts them around a text */
    bool add_space_prefix;           /* a space is put before each text */
    tuff_piece chat_template;        /* {NULL, 0}: none */
    int32_t cls, sep, mask;          /* ids; negative means none */
    int8_t lowercase, strip_accents; /* kind bert: 1, 0, or -1: not said, and then the tokens tell */
    bool merge_spaces;               /* kind t5: no spaces at the ends of a text, nor two in a row */
    uint8_t reserved;
    tuff_piece charsmap; /* kind t5: SentencePiece's table of replacements; {NULL, 0}: none */
} tuff_vocab_desc;
#define TUFF_VOCAB_DESC_INIT                                                                                 \
    {                                                                                                        \
        sizeof(tuff_vocab_desc), NULL, NULL, 0, NULL, NULL, NULL, 0, NULL, -1, -1, -1, -1, -1, false, false, \
            false, {NULL, 0}, -1, -1, -1, -1, -1, false, 0,                                                  \
        {                                                                                                    \
            NULL, 0                                                                                          \
        }                                                                                                    \
    }

/* Reads a directory or the path of one file: tokenizer.json, a SentencePiece model (its name ends in .model),
 * the tokens of a tiktoken (.tiktoken, .model) or vocab.txt (.txt). In a directory the first of these counts:
 * tokenizer.json; vocab.json and merges.txt; vocab.txt; a SentencePiece model or the tokens of a tiktoken
 * (spiece.model, sentencepiece.bpe.model, tokenizer.model, spm.model, tiktoken.model, qwen.tiktoken); with
 * tokenizer_config.json, special_tokens_map.json, generation_config.json and config.json, where present;
 * where nothing says of which class a vocab.json or a SentencePiece model is, config.json's model_type does.
 * Errors: TUFF_NOT_FOUND when no tokenizer is there, TUFF_BAD_FORMAT for a damaged file, TUFF_UNSUPPORTED
 * (naming it) for a component that Tuff does not have. Thread-safe. Free with tuff_tokenizer_destroy. */
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

/* The same from vocab.txt of a WordPiece, a token per line. The config says how texts are normalized
 * (do_lower_case, strip_accents, tokenize_chinese_chars) and which tokens are special; without one as BERT's
 * uncased models do, or its cased ones where the vocabulary has capitals. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_wordpiece(const char *vocab, size_t vocab_size,
                                                                 const char *config, size_t config_size,
                                                                 const char *where,
                                                                 tuff_tokenizer **out_tokenizer);

/* The same from a SentencePiece model of the kind unigram or bpe. The config's tokenizer_class says how a
 * model numbers the pieces and what it puts around a text: T5, XLM-RoBERTa, ALBERT, DeBERTa-v2 and Llama and
 * what numbers as they do are known; without one, or of another class, the ids are those of the file. Words
 * become pieces as sentencepiece 0.2.3 makes them: user-defined symbols are sought in the normalized text,
 * and a Unigram's scores are summed in f32. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_sentencepiece(const void *model, size_t model_size,
                                                                     const char *config, size_t config_size,
                                                                     const char *where,
                                                                     tuff_tokenizer **out_tokenizer);

/* The same from a GGUF vocabulary. Everything is copied. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_from_desc(const tuff_vocab_desc *desc, const char *where,
                                                            tuff_tokenizer **out_tokenizer);

TUFF_API void tuff_tokenizer_destroy(tuff_tokenizer **tokenizer);

/* Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json into an existing directory, such
 * that Hugging Face tokenizers and transformers give the same ids: but for letters with several marks in a
 * tokenizer made of a SentencePiece model with a table of replacements, which they apply to clusters and
 * SentencePiece to characters; and but for user-defined symbols and nearly equal Unigram ways in one. What
 * was read from a Hugging Face directory is written back byte for byte. Thread-safe. */
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
/* Of encoders: the token whose state stands for the text, the one between texts, the one that hides a word.
 */
TUFF_API int32_t tuff_tokenizer_cls(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_sep(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_mask(const tuff_tokenizer *tokenizer);
/* End of text: there may be several; the first is the one to write. */
TUFF_API uint32_t tuff_tokenizer_eos_count(const tuff_tokenizer *tokenizer);
TUFF_API int32_t tuff_tokenizer_eos(const tuff_tokenizer *tokenizer, uint32_t index);
TUFF_API bool tuff_tokenizer_is_eos(const tuff_tokenizer *tokenizer, int32_t id);
/* The chat template of the model, {NULL, 0} when it has none. Owned by the tokenizer. */
TUFF_API tuff_piece tuff_tokenizer_chat_template(const tuff_tokenizer *tokenizer);
/* "gpt2", "llama", "bert" or "t5": the kind of GGUF vocabulary it would be; "" for none. A constant. */
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

/* How a text, or a pair of texts, becomes the input of a model. */
typedef enum tuff_truncation {
    TUFF_TRUNCATE_LONGEST_FIRST = 0, /* both are cut, the longer one first */
    TUFF_TRUNCATE_ONLY_FIRST = 1,
    TUFF_TRUNCATE_ONLY_SECOND = 2
} tuff_truncation;

typedef struct tuff_encode_params {
    size_t struct_size;         /* set by TUFF_ENCODE_PARAMS_INIT */
    uint32_t flags;             /* as above */
    uint32_t max_length;        /* tokens, those of the template included; 0: no limit */
    tuff_truncation truncation; /* what is cut where there are more */
    uint32_t overlap;           /* tokens that a window shares with the one before it */
    bool keep_end;              /* the beginning of a text is cut off, not its end */
    bool spans;                 /* give each token's place in its text */
    /* Give what is cut off too, in further encodings (`next`), each as long as max_length allows. For one
     * text, or where the truncation names the one that is cut; not with keep_end. */
    bool windows;
    uint8_t reserved[5];
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in bytes of both texts; NULL: nobody watches */
} tuff_encode_params;
#define TUFF_ENCODE_PARAMS_INIT                                                                        \
    {                                                                                                  \
        sizeof(tuff_encode_params), TUFF_ENCODE_ADD_SPECIAL, 0, TUFF_TRUNCATE_LONGEST_FIRST, 0, false, \
            false, false, {0}, NULL                                                                    \
    }

/* What became of it. The arrays have `count` items and belong to the encoding. Made by Tuff alone: later
 * versions may have more fields. */
typedef struct tuff_encoding {
    size_t count;
    const int32_t *ids;
    const int32_t *type_ids; /* "token_type_ids": 0 or 1, as the tokenizer's template has it */
    const int8_t *texts;     /* where a token comes from: 0 the text, 1 the second one, -1 the template */
    const tuff_span *spans;  /* bytes of that text; {0, 0} for tokens of the template; NULL: not asked for */
    size_t first[2]; /* tokens of each text that were cut off, or are in windows, before what is here */
    size_t lost[2];  /* tokens of each text that are in no window */
    const struct tuff_encoding *next; /* the next window; NULL: this is the last. Destroyed with the first */
} tuff_encoding;

/* Encodes a text, or a pair where pair.data is not NULL, by the tokenizer's post-processor: the tokens that
 * the model wants around and between them, type ids, places in the texts (as the Hugging Face library gives
 * them, in bytes; of white space that a token begins with, byte-level tokenizers leave out what their
 * post-processor says), truncation. max_length of the tokenizer's files is not applied. Errors:
 * TUFF_INVALID_ARGUMENT where max_length leaves no room, TUFF_UNSUPPORTED where the tokenizer has no template
 * for pairs. Free with tuff_encoding_destroy. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_encode_pair(const tuff_tokenizer *tokenizer,
                                                              tuff_piece text, tuff_piece pair,
                                                              const tuff_encode_params *params,
                                                              tuff_encoding **out_encoding);
TUFF_API void tuff_encoding_destroy(tuff_encoding **encoding);
/* How many tokens the tokenizer puts around a text, or around and between two, with TUFF_ENCODE_ADD_SPECIAL.
 */
TUFF_API uint32_t tuff_tokenizer_special_count(const tuff_tokenizer *tokenizer, bool pair);

/* Decodes ids to text, NUL-terminated after its *out_size bytes: free with tuff_free. Ids that
 * no token has give nothing. The bytes are those the tokens stand for, UTF-8 or not. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_decode(const tuff_tokenizer *tokenizer, const int32_t *ids,
                                                         size_t count, bool skip_special, char **out_text,
                                                         size_t *out_size);

/* What one token is within a text: with the space that it begins with, special ones spelled out; "" for an id
 * that no token has. Its bytes need not be whole characters. As above otherwise. */
TUFF_API TUFF_MUST_USE tuff_status tuff_tokenizer_decode_token(const tuff_tokenizer *tokenizer, int32_t id,
                                                               char **out_text, size_t *out_size);

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
