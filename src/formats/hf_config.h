/* Where the parts of a model are: a Hugging Face directory, a .safetensors or .bin file or a .gguf file.
 * Which files of a directory make a tokenizer, tuff_tokenizer_load knows. */
#ifndef TUFF_FORMATS_HF_CONFIG_H
#define TUFF_FORMATS_HF_CONFIG_H

#include "base/json.h"
#include "formats/weights.h"

typedef enum tuff_hf_kind {
    TUFF_HF_DIRECTORY, /* a directory with any of the files below */
    TUFF_HF_FILE,      /* one file of weights; the files below are looked for beside it */
    TUFF_HF_GGUF       /* one file with everything */
} tuff_hf_kind;

/* Paths of what is there; NULL what is not. */
typedef struct tuff_hf_files {
    tuff_hf_kind kind;
    const char *path;      /* as given */
    const char *directory; /* of the files below */
    const char *gguf;      /* of kind TUFF_HF_GGUF: the file */
    const char *weights;   /* model.safetensors, pytorch_model.bin, or the file given */
    const char *index;     /* model.safetensors.index.json, pytorch_model.bin.index.json */
    bool torch;            /* these are PyTorch's; a directory's safetensors come first */
    const char *config, *generation_config;
    const char *adapter_config; /* adapter_config.json: a PEFT adapter */
    tuff_arena arena;
} tuff_hf_files;

/* Finds out what `path` is and which files belong to it. Fails only when it is nothing of the above. */
TUFF_MUST_USE tuff_status tuff_hf_locate(const char *path, tuff_hf_files **out_files);
void tuff_hf_files_destroy(tuff_hf_files **files);

/* NOT_FOUND, saying what is missing and what is there instead, unless each part named in `parts` is there. */
enum {
    TUFF_HF_CONFIG = 1, /* config.json */
    TUFF_HF_WEIGHTS = 2 /* safetensors or PyTorch's, single or sharded */
};
TUFF_MUST_USE tuff_status tuff_hf_need(const tuff_hf_files *files, unsigned parts);

/* Opens the weights, single or sharded. */
TUFF_MUST_USE tuff_status tuff_hf_open_weights(const tuff_hf_files *files, tuff_weights **out_weights);

/* Reads a JSON file that must be an object. Destroy with cJSON_Delete. */
TUFF_MUST_USE tuff_status tuff_hf_read_object(const char *path, cJSON **out_json);

/* The special tokens that end and begin a text, from generation_config.json and config.json. */
enum { TUFF_HF_EOS_LIMIT = 16 };
typedef struct tuff_hf_tokens {
    int32_t bos, pad;     /* -1: none */
    int32_t start, first; /* of encoder-decoders: what the decoder begins with, what must follow; -1: none */
    int32_t last;         /* what a text of the most tokens must end with; -1: anything */
    int32_t eos[TUFF_HF_EOS_LIMIT];
    size_t eos_count;
} tuff_hf_tokens;
/* bos_token_id, pad_token_id, decoder_start_token_id, forced_bos_token_id, forced_eos_token_id,
 * eos_token_id (a number or a list) of one object; `where` is its file's name. Keys that are missing leave
 * *tokens as it is. */
TUFF_MUST_USE tuff_status tuff_hf_tokens_read(const cJSON *object, const char *where, tuff_hf_tokens *tokens);
/* Of a model: config.json first, then generation_config.json over it. */
TUFF_MUST_USE tuff_status tuff_hf_tokens_load(const tuff_hf_files *files, tuff_hf_tokens *out_tokens);

/* The longest text, in tokens, by the directory's tokenizer_config.json; 0: it does not say. */
TUFF_MUST_USE tuff_status tuff_hf_max_length(const char *directory, int64_t *out_tokens);

#endif
