/* Models: loading, describing, converting. */
#ifndef TUFF_MODEL_H
#define TUFF_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/dtype.h>
#include <tuff/status.h>
#include <tuff/tokenizer.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A pre-trained model: config, tokenizer, and weights in their file. Immutable once loaded; may be shared by
 * threads. */
typedef struct tuff_model tuff_model;

/* Loads a Hugging Face directory (config.json, model.safetensors or pytorch_model.bin or a sharded index,
 * tokenizer.json or vocab.json and merges.txt) or a GGUF file; of one in several parts, any of them. Weights
 * go to a device when a generator, trainer or evaluation is made. Until then they are read from their file,
 * which stays open: it may be removed, or replaced by renaming another over it, but not be written to. One
 * that was changed, or is shortened while it is read, is TUFF_IO. Pipes and devices in a file's place are
 * refused. A save to the directory that was cut short is completed first, see <tuff/stage.h>.
 * What is loaded computes what the files describe, as transformers and llama.cpp read them. A config key or a
 * tensor that asks for something else is refused with TUFF_UNSUPPORTED, by name. A head stored in the file is
 * used, also where the config ties it to the embedding table. An adapter in the same directory is not
 * applied; a message of level warn says so. Errors: TUFF_NOT_FOUND, TUFF_BAD_FORMAT, TUFF_UNSUPPORTED,
 * TUFF_NOT_FINITE (a weight is NaN or Inf). */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_load(const char *path, tuff_model **out_model);
/* The same, watched: TUFF_PHASE_LOAD, in bytes of the weights, which are all read and checked. `watch` may be
 * NULL; it need only live until the call returns. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_load_watched(const char *path, const tuff_watch *watch,
                                                           tuff_model **out_model);
/* A model that no file has: as a config.json of Hugging Face describes it, config[0..size), its weights drawn
 * at random from `seed`: normal numbers with the config's initializer_range (0.02) as standard deviation,
 * norms that multiply by 1, no biases. To be trained from the beginning, or to measure with. *tokenizer comes
 * with it: it is the model's from here on, also after a failure, and becomes NULL; `tokenizer` may be NULL.
 * Errors: as of tuff_model_load. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_draw(const char *config, size_t size,
                                                   tuff_tokenizer **tokenizer, uint64_t seed,
                                                   tuff_model **out_model);
/* What was made with it may still be used, see tuff_device_destroy. Thread-safe. */
TUFF_API void tuff_model_destroy(tuff_model **model);

/* The model for an adapter that has a head of its own, as PEFT keeps one that was trained beside it
 * (modules_to_save): `base` with that head, for classes of texts or tokens or for answers. So has one that
 * was trained of a model with more tokens, which then come with the tokenizer beside it, or that changes the
 * table of tokens or the head, where these are one matrix in `base`, and then are two. Where labels have
 * names is a file that Tuff writes beside the adapter; without it they are called as the base calls as many,
 * or LABEL_0 and so on. *out_model stays NULL where the adapter has nothing of that: base is the model, then.
 * `adapter` is a PEFT directory, or a GGUF adapter, which has no head, to be given to what predicts or
 * measures as well. Errors: TUFF_NOT_FOUND, TUFF_BAD_FORMAT. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_adapted(const tuff_model *base, const char *adapter,
                                                      tuff_model **out_model);

/* The model with an adapter in its weights, which needs nothing beside it: what it is saved as, quantized,
 * run and trained from is as if it had been trained whole. LoRA and VeRA add to matrices, IA3 scales their
 * rows or columns and biases, modules that an adapter has whole take the place of the model's, a head of its
 * own too; rows of tokens, and a chat template beside the adapter, do so as well. Where it changes one of two
 * tied matrices, the result has two (tie_word_embeddings false). It is computed in f64 each time a weight is
 * read, a few rows at a time, from the files of both, which stay open. Weights that are quantized are made
 * f32 where the adapter changes them; a save then needs a type (tuff_save_params). `adapter` is a PEFT
 * directory or a GGUF adapter; `base`, which may be merged itself, is kept for as long as the result lives.
 * Errors: as tuff_model_adapted; TUFF_UNSUPPORTED, too, for methods that no weights can hold. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_merged(const tuff_model *base, const char *adapter,
                                                     tuff_model **out_model);

/* The model with tokens[0..n) among its special tokens, such as "<|im_start|>" and "<|im_end|>": those that
 * its tokenizer does not have get the next ids. Where its tables have no rows for these, they get some, which
 * begin as the mean of the others; what is saved has them, and the tokenizer with the new tokens. One of the
 * tokens by which chats end turns ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>") then ends texts,
 * too. A trainer trains all of it, or, beside LoRA, the rows of the new tokens (trainable_token_indices).
 * *out_model stays NULL where the model has all of them already; `base` is kept for as long as the result
 * lives. Errors: TUFF_NOT_FOUND for a model without tokenizer, TUFF_INVALID_ARGUMENT for a token that is no
 * text, TUFF_UNSUPPORTED for encoder-decoders. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_with_tokens(const tuff_model *base, const char *const *tokens,
                                                          size_t n, tuff_model **out_model);

typedef struct tuff_model_info {
    size_t struct_size;       /* set by TUFF_MODEL_INFO_INIT */
    const char *architecture; /* model_type of Hugging Face: "gpt2", "llama", ... */
    int64_t vocab_size, hidden_size, layers, heads, kv_heads, head_dim, intermediate_size;
    int64_t context_length; /* positions that the model was trained for */
    bool tied;              /* the head is the embedding table */
    int64_t parameters;     /* elements of all parameters; a tied table counts once */
    tuff_dtype
        dtype; /* of the matrices as stored: of most, where that is a block type; else of all, or f32 */
    uint32_t reserved;    /* 0 */
    bool encoder_decoder; /* its text answers the prompt, which its encoder reads; else it goes on with it */
    uint8_t reserved_too[7]; /* 0 */
    /* What its weights take on a device, in bytes, where none of them are trained: matrices as they are
     * stored, vectors as f32. Weights that are trained take 4 bytes for each element. */
    uint64_t weight_bytes;
} tuff_model_info;
#define TUFF_MODEL_INFO_INIT                                                                        \
    {                                                                                               \
        sizeof(tuff_model_info), NULL, 0, 0, 0, 0, 0, 0, 0, 0, false, 0, TUFF_F32, 0, false, {0}, 0 \
    }
/* Thread-safe; the architecture's name is a constant. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_get_info(const tuff_model *model, tuff_model_info *out_info);

/* The model's tokenizer, owned by the model; fails with the reason when its files have none that can be used.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_get_tokenizer(const tuff_model *model,
                                                            const tuff_tokenizer **out_tokenizer);

enum {
    TUFF_INSPECT_JSON = 1,   /* one JSON object, with all tensors; else text for people */
    TUFF_INSPECT_TENSORS = 2 /* list the tensors in the text */
};
/* What a model file holds: architecture, config, tensors, tokenizer, metadata, and whether Tuff can run it.
 * Works on Hugging Face directories, .safetensors, .bin, .gguf and PEFT adapters, also of unknown
 * architectures. Free the text with tuff_free. Errors: TUFF_NOT_FOUND, TUFF_BAD_FORMAT for a file that is
 * damaged. */
TUFF_API TUFF_MUST_USE tuff_status tuff_inspect(const char *path, unsigned flags, char **out_text);

typedef enum tuff_file_format { TUFF_FORMAT_HF, TUFF_FORMAT_GGUF } tuff_file_format;
/* Writes weights, config and tokenizer as the other kind of file: a Hugging Face directory or one GGUF file.
 * `dtype` is that of the weights. A model that is there is replaced: of its files none stays that a loader
 * would take for the new one's; other files in the directory are left alone.
 * A GGUF that llama.cpp would run otherwise than Tuff (a sliding window of Mistral, the exact GELU of a
 * GPT-2 or a BERT) is written, and a message of level warn says what differs. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_save(const tuff_model *model, tuff_file_format format,
                                                   tuff_dtype dtype, const char *path);
/* The same, watched: TUFF_PHASE_SAVE, in bytes of the weights. Once it is asked to stop, what was there stays
 * as it was; the last step, which flushes a file to the disk, is not interrupted. `watch` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_save_watched(const tuff_model *model, tuff_file_format format,
                                                           tuff_dtype dtype, const tuff_watch *watch,
                                                           const char *path);

/* The types that weights can be written in, by name: "f32", "f16", "bf16" and, in GGUF files only, by the
 * block: "q8_0", "q6_k", "q4_k_m" and so on, from many bits to few. Those are layouts of llama.cpp's
 * quantize: a name stands for the type of most matrices, some of which get one with more bits, as do those
 * whose rows are no whole blocks; norms, biases and tables of positions stay f32. Counted from 0; NULL past
 * the last. Thread-safe. */
TUFF_API const char *tuff_save_type(size_t index);

/* Which weights matter, see <tuff/importance.h>. */
typedef struct tuff_importance tuff_importance;

enum {
    TUFF_SAVE_REQUANTIZE = 1 /* quantize also what the model's file has quantized in another type */
};
typedef struct tuff_save_params {
    size_t struct_size;      /* set by TUFF_SAVE_PARAMS_INIT */
    tuff_file_format format; /* TUFF_FORMAT_HF */
    uint32_t threads;        /* that quantize; 0: one per processor. The bytes are the same for any number */
    const char *type; /* of tuff_save_type; NULL: the matrices', f32 where those are quantized or of several,
                         which is an error where an adapter is merged with quantized ones */
    const tuff_watch *watch;           /* TUFF_PHASE_SAVE, as tuff_model_save_watched; NULL: none */
    uint32_t flags;                    /* TUFF_SAVE_REQUANTIZE or 0 */
    uint32_t reserved;                 /* 0 */
    const tuff_importance *importance; /* errors of what is quantized count by these, but as Q8_0 and MXFP4;
                                          read only; NULL: all alike */
} tuff_save_params;
#define TUFF_SAVE_PARAMS_INIT                                               \
    {                                                                       \
        sizeof(tuff_save_params), TUFF_FORMAT_HF, 0, NULL, NULL, 0, 0, NULL \
    }
/* As tuff_model_save, in any type. What is quantized is Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4 as llama.cpp
 * makes them, byte for byte; of the others scales are searched for that leave smaller errors, and with
 * importances of all but Q8_0 and MXFP4. Tensors that a
 * GGUF has in the very type to be written keep their bytes. `params` may be NULL. Errors: as tuff_model_save;
 * TUFF_INVALID_ARGUMENT for a type that there is not, or that the format has not, or for none where it is
 * needed, or where a GGUF would replace a file of a model that has several; TUFF_UNSUPPORTED, naming the
 * tensor, where what is quantized already would be quantized anew; TUFF_NOT_FINITE where numbers are too
 * large for the type. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_save_with(const tuff_model *model,
                                                        const tuff_save_params *params, const char *path);

typedef struct tuff_adapter_params {
    size_t struct_size;      /* set by TUFF_ADAPTER_PARAMS_INIT */
    tuff_file_format format; /* TUFF_FORMAT_HF: a PEFT directory; TUFF_FORMAT_GGUF: one file, for llama.cpp */
    uint32_t reserved;       /* 0 */
    const char *base_name; /* of the model that the result is for, as those who load it know it; NULL: as the
                              adapter's files say, else the directory of `base`, or where its GGUF is from */
    const tuff_watch *watch; /* TUFF_PHASE_SAVE, in bytes; NULL: none */
} tuff_adapter_params;
#define TUFF_ADAPTER_PARAMS_INIT                                   \
    {                                                              \
        sizeof(tuff_adapter_params), TUFF_FORMAT_HF, 0, NULL, NULL \
    }
/* Writes an adapter, a PEFT directory or a GGUF file, as either of them, f32. `base` is the model that it is
 * for, or one of its shape. A GGUF adapter is plain LoRA with one alpha for all: other scales (patterns of
 * ranks and alphas, rsLoRA) are multiplied into B, so that the effect stays. What is PEFT's stays as its
 * config has it. `params` may be NULL. Errors: TUFF_NOT_FOUND, TUFF_BAD_FORMAT; TUFF_UNSUPPORTED, by name,
 * for what GGUF cannot hold: other methods, DoRA, modules that the adapter has whole. */
TUFF_API TUFF_MUST_USE tuff_status tuff_adapter_convert(const tuff_model *base, const char *adapter,
                                                        const tuff_adapter_params *params, const char *path);

#ifdef __cplusplus
}
#endif
#endif
