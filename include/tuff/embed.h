/* Embeddings: texts in, vectors out.
 *
 *     tuff_embedder_create(model, device, NULL, &embedder);
 *     float *vectors = malloc(n * tuff_embedder_dimensions(embedder) * sizeof *vectors);
 *     tuff_embed(embedder, texts, NULL, n, NULL, vectors, NULL);
 *
 * Texts of any lengths are packed without padding. A vector depends on its text, the model, the settings and
 * the device; never, not in one bit, on the texts that it was computed with. */
#ifndef TUFF_EMBED_H
#define TUFF_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the vectors of a text's tokens become one. */
typedef enum tuff_pooling {
    TUFF_POOLING_MODEL, /* as the model's files say; else the mean for encoders, the last for decoders */
    TUFF_POOLING_MEAN,  /* of all tokens, special ones among them */
    TUFF_POOLING_CLS,   /* the first token's */
    TUFF_POOLING_MAX,   /* of all tokens, by component */
    TUFF_POOLING_LAST,  /* the last token's */
    TUFF_POOLING_WEIGHTED_MEAN, /* by position: 1, 2, 3, ... (Muennighoff 2022) */
    TUFF_POOLING_MEAN_SQRT_LEN, /* the sum over the square root of the number of tokens */
    TUFF_POOLING_NONE /* they stay apart: a vector per token, special ones and the prompt's among them, as the
                         model gives them, without dense layers, and not scaled unless TUFF_NORMALIZE_YES */
} tuff_pooling;

/* Whether vectors are scaled to length 1. */
typedef enum tuff_normalize {
    TUFF_NORMALIZE_MODEL, /* as the model's files say; else yes */
    TUFF_NORMALIZE_YES,
    TUFF_NORMALIZE_NO
} tuff_normalize;

/* A model that makes vectors, on a device. Any number of threads may use it at once; they take turns, in the
 * order in which they asked, a batch at a time: beside a long call, one text waits for a batch of it, not for
 * all (see batch_tokens). What waits for its turn tells its watch so, and can be cancelled. */
typedef struct tuff_embedder tuff_embedder;

/* Zero means default. */
typedef struct tuff_embedder_params {
    size_t struct_size; /* set by TUFF_EMBEDDER_PARAMS_INIT */
    tuff_pooling pooling;
    tuff_normalize normalize;
    int64_t dimensions; /* only the first so many of each vector (Kusupati et al. 2022), which are scaled to
                           length 1 again where vectors are; 0: all */
    int64_t
        max_length; /* tokens of a text, special ones among them, the rest of it is cut off; 0: the model's */
    int64_t batch_tokens;    /* at most so many tokens are computed together, a longer text alone; 0: 4096 */
    const char *adapter;     /* to apply: a PEFT directory, of LoRA or IA3, or a GGUF file; NULL: none */
    const tuff_watch *watch; /* of creating it and of every call without one of its own; NULL: none. Must stay
                                as it is until the embedder is destroyed */
} tuff_embedder_params;
#define TUFF_EMBEDDER_PARAMS_INIT                                                                   \
    {                                                                                               \
        sizeof(tuff_embedder_params), TUFF_POOLING_MODEL, TUFF_NORMALIZE_MODEL, 0, 0, 0, NULL, NULL \
    }

/* Puts the weights on the device (TUFF_PHASE_UPLOAD). What a sentence-transformers directory says beside the
 * model is followed: modules.json and what it names (pooling, dense layers, normalization), the longest text,
 * prompts. `params` may be NULL and need only live until the call
 * returns. Errors: TUFF_UNSUPPORTED for a module that Tuff does not know, by its name. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embedder_create(const tuff_model *model, tuff_device *device,
                                                        const tuff_embedder_params *params,
                                                        tuff_embedder **out_embedder);
/* Nobody may be using it. */
TUFF_API void tuff_embedder_destroy(tuff_embedder **embedder);

/* Numbers of a vector; 0 for NULL. */
TUFF_API int64_t tuff_embedder_dimensions(const tuff_embedder *embedder);
/* Numbers of a vector as the model makes it, before `dimensions` cuts it; 0 for NULL. */
TUFF_API int64_t tuff_embedder_full_dimensions(const tuff_embedder *embedder);
/* The longest text in tokens; 0 for NULL. */
TUFF_API int64_t tuff_embedder_max_length(const tuff_embedder *embedder);
/* The text that the model's files put before texts of this kind ("query", "document", ...), owned by the
 * embedder; NULL when they know none of the name. A name of NULL: the one that they use where none is named.
 */
TUFF_API const char *tuff_embedder_prompt(const tuff_embedder *embedder, const char *name);

typedef struct tuff_embed_params {
    size_t struct_size; /* set by TUFF_EMBED_PARAMS_INIT */
    const char *prompt; /* put before every text; NULL: the model's default prompt, if it has one; "": none */
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in bytes of all texts, then TUFF_PHASE_EMBED, in tokens;
                                NULL: the embedder's */
} tuff_embed_params;
#define TUFF_EMBED_PARAMS_INIT                \
    {                                         \
        sizeof(tuff_embed_params), NULL, NULL \
    }

typedef struct tuff_embed_result {
    size_t struct_size; /* set by TUFF_EMBED_RESULT_INIT */
    int64_t tokens;     /* that were computed */
    int64_t truncated;  /* texts that were longer than the longest one */
} tuff_embed_result;
#define TUFF_EMBED_RESULT_INIT          \
    {                                   \
        sizeof(tuff_embed_result), 0, 0 \
    }

/* The vectors of texts[0..n), in out_vectors [n, dimensions]. `sizes` are the texts' bytes; NULL: they end
 * with a NUL. A text of size 0 may be NULL. Bytes that are not UTF-8 count as U+FFFD. An empty text has the
 * vector of the model's special tokens; TUFF_INVALID_ARGUMENT for one when the model puts none around texts.
 * A special token that is spelled out in a text ("[SEP]") is text like all of it, where sentence-transformers
 * takes it for the token; tuff_embed_ids takes ids.
 * Cancelled, it gives TUFF_CANCELLED. `params` and `out_result` may be NULL. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embed(tuff_embedder *embedder, const char *const *texts,
                                              const size_t *sizes, size_t n, const tuff_embed_params *params,
                                              float *out_vectors, tuff_embed_result *out_result);

/* The same from token ids, special ones among them: text i is ids[i][0..counts[i]), no longer than the
 * longest text. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embed_ids(tuff_embedder *embedder, const int32_t *const *ids,
                                                  const size_t *counts, size_t n,
                                                  const tuff_embed_params *params, float *out_vectors);

/* Vectors of the tokens of texts[0..n), by an embedder of TUFF_POOLING_NONE: out_counts[i] of text i, all of
 * them one after the other in *out_vectors [tokens of all texts, dimensions], freed with tuff_free. Else as
 * tuff_embed. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embed_tokens(tuff_embedder *embedder, const char *const *texts,
                                                     const size_t *sizes, size_t n,
                                                     const tuff_embed_params *params, size_t *out_counts,
                                                     float **out_vectors, tuff_embed_result *out_result);

/* ---- long texts ---- */

/* A part of a text: bytes [begin, end) of a record, counted from 0. Never gets further fields. */
typedef struct tuff_chunk {
    int64_t record;
    uint64_t begin, end;
} tuff_chunk;

typedef struct tuff_chunk_params {
    size_t struct_size; /* set by TUFF_CHUNK_PARAMS_INIT */
    const char *prompt; /* put before every chunk, as in tuff_embed_params */
    int64_t chunk;   /* tokens of a chunk, special ones and the prompt's among them; 0: of the longest text */
    int64_t overlap; /* tokens that a chunk shares with the one before it, about */
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in bytes, of the texts and then of their chunks, and
                                TUFF_PHASE_EMBED, in tokens; NULL: the embedder's */
} tuff_chunk_params;
#define TUFF_CHUNK_PARAMS_INIT                      \
    {                                               \
        sizeof(tuff_chunk_params), NULL, 0, 0, NULL \
    }

/* Cuts texts[0..n) into chunks and embeds these, so that no part of a long text is lost: *out_count chunks,
 * their records counting the texts, in *out_chunks, and their vectors [chunks, dimensions] in *out_vectors;
 * free both with tuff_free. A chunk begins and ends where words do, unless a word is longer than a chunk; a
 * text that fits is one. A chunk's vector is that of its bytes as a text of their own. Errors:
 * TUFF_INVALID_ARGUMENT for chunks that have no room for text beyond what they share. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embed_chunks(tuff_embedder *embedder, const char *const *texts,
                                                     const size_t *sizes, size_t n,
                                                     const tuff_chunk_params *params, tuff_chunk **out_chunks,
                                                     size_t *out_count, float **out_vectors,
                                                     tuff_embed_result *out_result);

/* ---- files ---- */

/* How the numbers of a vector are stored in a file. */
typedef enum tuff_vector_type {
    TUFF_VECTOR_F32,
    TUFF_VECTOR_F16,
    TUFF_VECTOR_INT8,  /* round(127 x / max|x|), each vector by its own largest: cosines stay what they are */
    TUFF_VECTOR_BINARY /* a bit per number, 1 where it is above 0, the first is the highest of a byte: uint8
                          [n, dimensions / 8] as numpy.packbits makes it; dimensions a multiple of 8 */
} tuff_vector_type;

typedef struct tuff_embed_file_params {
    size_t struct_size; /* set by TUFF_EMBED_FILE_PARAMS_INIT */
    const char *field;  /* of JSON records and of rows of CSV and TSV; NULL: "text" */
    const char *prompt; /* as in tuff_embed_params */
    tuff_vector_type type;
    bool restart;            /* do not go on with what an interrupted call left, begin anew */
    bool reserved[3];        /* leave them false */
    const tuff_watch *watch; /* TUFF_PHASE_EMBED, in bytes of the input; NULL: the embedder's */
    int64_t chunk;           /* not 0: a vector per chunk of at most so many tokens, see tuff_chunk_params */
    int64_t overlap;
} tuff_embed_file_params;
#define TUFF_EMBED_FILE_PARAMS_INIT                                                                         \
    {                                                                                                       \
        sizeof(tuff_embed_file_params), NULL, NULL, TUFF_VECTOR_F32, false, {false, false, false}, NULL, 0, \
            0                                                                                               \
    }

typedef struct tuff_embed_file_result {
    size_t struct_size; /* set by TUFF_EMBED_FILE_RESULT_INIT */
    int64_t vectors;    /* in the file */
    int64_t resumed;    /* of these, made by an earlier call that was interrupted */
    int64_t tokens;     /* that were computed by this call */
    int64_t truncated;  /* texts of this call that were longer than the longest one */
    int64_t records;    /* that the vectors are of */
} tuff_embed_file_result;
#define TUFF_EMBED_FILE_RESULT_INIT                   \
    {                                                 \
        sizeof(tuff_embed_file_result), 0, 0, 0, 0, 0 \
    }

/* Embeds the records of a file, `input`: lines of text, or by its name JSON (.jsonl, .json), CSV or TSV, and
 * writes their vectors to `output`, a NumPy array [records, dimensions]. Until it is whole it is called
 * `output`.part; cancelled or killed, the same call goes on where it stopped, if the records so far, the
 * settings, the model's weights, its adapter and the device are the same; else it begins anew, with a
 * warning. With `chunk`, the array has a row per chunk, and a table beside it, called `output` with
 * .chunks.npy in place of .npy, an array of i8 (64 bits) [chunks, 3], says of which record and which bytes of
 * its text each is. By an embedder of TUFF_POOLING_NONE it has a row per token, and an array beside it, with
 * .offsets.npy in place of .npy, i8 [records + 1], says where those of each record begin. A small file
 * with .origin.json tells of which records the vectors are (tuff_record_check), and of which model
 * (tuff_embedder_check). Memory does not grow with the file. Errors: TUFF_BAD_FORMAT for a line that is no
 * record or whose text is empty and has no vector (see tuff_embed), naming it, with the vectors before it
 * kept; TUFF_INVALID_ARGUMENT when `output` is `input`; TUFF_IO when another process writes to `output`, or
 * when it is no file. `params` and `out_result` may be NULL. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embed_file(tuff_embedder *embedder, const char *input,
                                                   const char *output, const tuff_embed_file_params *params,
                                                   tuff_embed_file_result *out_result);

/* The texts of records rows[0..n), counted from 0, of a file as tuff_embed_file reads it: out_texts[i] is
 * NUL-terminated and freed with tuff_free. `field` NULL: "text". TUFF_INVALID_ARGUMENT for a row that the
 * file does not have. On failure all of out_texts are NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_record_texts(const char *path, const char *field, const int64_t *rows,
                                                     size_t n, char **out_texts);

/* Whether a file still has the records that an array's vectors were made of, each with the same text:
 * tuff_embed_file keeps their hash beside the array, in a file called as it with .origin.json in place of
 * .npy. TUFF_INVALID_ARGUMENT where it does not; TUFF_NOT_FOUND where there is no such hash. `field` NULL:
 * "text". Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_record_check(const char *vectors_path, const char *path,
                                                     const char *field);

/* Whether an array's vectors were made by this embedder's model, adapter and pooling: tuff_embed_file keeps,
 * in the same file, what they made of a text of its own, and the embedder makes the same of it here, but for
 * its rounding. TUFF_INVALID_ARGUMENT where it makes another thing (a cosine below 0.9); a warning where it
 * makes somewhat another (below 0.99), as may a quantized copy of the model, or one that was trained a little
 * further; TUFF_NOT_FOUND where the file does not say. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_embedder_check(tuff_embedder *embedder, const char *vectors_path);

/* Reads the table of chunks beside an array of vectors, whose path is given: *out_count chunks, freed with
 * tuff_free. TUFF_NOT_FOUND where there is none: a row of the array is then a record. */
TUFF_API TUFF_MUST_USE tuff_status tuff_chunks_read(const char *vectors_path, tuff_chunk **out_chunks,
                                                    size_t *out_count);

/* ---- search ---- */

/* A row of an array of vectors and how near it is to a query. Never gets further fields. */
typedef struct tuff_hit {
    int64_t row;
    float score;
    float reserved; /* 0 */
} tuff_hit;

/* An array of vectors to be searched, on a device. Belongs to one thread at a time. */
typedef struct tuff_index tuff_index;

/* Opens a .npy file [n, dimensions] of f32, f16, int8 or (packed) uint8, as tuff_embed_file writes it. Up to
 * 2 GiB of numbers stay on the device, larger arrays pass through it with every search. The file stays
 * open: it may be removed, or replaced by renaming another over it; of one that was changed searches are
 * TUFF_IO. */
TUFF_API TUFF_MUST_USE tuff_status tuff_index_open(const char *path, tuff_device *device,
                                                   tuff_index **out_index);
/* The same of vectors [n, dimensions] in memory, which are copied; n may be 0, and `vectors` NULL then. They
 * go to the device with the first search, and all of them anew with the first search after a change: of
 * changes, make several before one. Errors: TUFF_NOT_FINITE for a number that is not. */
TUFF_API TUFF_MUST_USE tuff_status tuff_index_create(const float *vectors, int64_t n, int64_t dimensions,
                                                     tuff_device *device, tuff_index **out_index);
/* Copies vectors [n, dimensions] behind the others: their rows are tuff_index_count and on. Of an index that
 * tuff_index_create has made; of a file it is TUFF_UNSUPPORTED. After a failure the index is as before. */
TUFF_API TUFF_MUST_USE tuff_status tuff_index_add(tuff_index *index, const float *vectors, int64_t n);
/* Takes rows[0..n) out, in any order: those behind move up, and have lower numbers. Else as tuff_index_add;
 * TUFF_INVALID_ARGUMENT for a row that is not there. */
TUFF_API TUFF_MUST_USE tuff_status tuff_index_remove(tuff_index *index, const int64_t *rows, size_t n);
TUFF_API void tuff_index_destroy(tuff_index **index);
/* Vectors, and the numbers of each; 0 for NULL. */
TUFF_API int64_t tuff_index_count(const tuff_index *index);
TUFF_API int64_t tuff_index_dimensions(const tuff_index *index);

/* The k nearest vectors of each query, queries [n, dimensions]: out_hits [n, k], best first, of equal ones
 * the lower row first. Every vector is looked at. The score is the dot product (the cosine, where both have
 * length 1); of int8 the cosine; of bits the cosine of the signs, 1 - 2 * (differing bits) / dimensions. k is
 * 1 to 1024 and at most the number of vectors. `watch` (TUFF_PHASE_SEARCH, in vectors) may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_index_search(tuff_index *index, const float *queries, size_t n,
                                                     size_t k, const tuff_watch *watch, tuff_hit *out_hits);

#ifdef __cplusplus
}
#endif
#endif
