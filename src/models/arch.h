/* An architecture: how its config is read and written, which parameters it has, and how its graph is built.
 */
#ifndef TUFF_MODELS_ARCH_H
#define TUFF_MODELS_ARCH_H

#include "base/json.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "ir/graph.h"

typedef struct tuff_arch tuff_arch;
typedef struct tuff_net tuff_net;

/* The dimensions of a model, neutral between the formats. */
typedef struct tuff_config {
    const tuff_arch *arch;
    int64_t vocab_size, hidden_size, layers, heads, kv_heads, head_dim, intermediate_size;
    int64_t max_positions; /* the context that the model was trained for */
    double norm_eps;
    double rope_theta; /* 0: no rotary embedding */
    int64_t window;    /* sliding attention window in tokens; 0: none */
    bool tied;         /* the output head is the embedding table */
    bool qkv_bias, out_bias, mlp_bias;
    bool gelu_erf; /* GELU by erf, not its tanh approximation */
    tuff_hf_tokens tokens;
} tuff_config;

enum {
    TUFF_PARAM_MATRIX = 1, /* a weight matrix or table: may be stored as f16 or bf16 */
    TUFF_PARAM_DECAY = 2,  /* weight decay applies, as in Hugging Face's Trainer: no biases, no norms */
    TUFF_PARAM_CONV1D = 4  /* Hugging Face's file holds the transpose (GPT-2's Conv1D) */
};

/* One parameter. Shapes are those in memory: [out, in] for matrices. */
typedef struct tuff_param {
    const char *name; /* as in a Hugging Face state dict: "model.layers.0.self_attn.q_proj.weight" */
    const char *gguf; /* as in GGUF: "blk.0.attn_q.weight" */
    int rank;
    int64_t shape[2];
    unsigned flags;
    int64_t rope_heads; /* not 0: GGUF interleaves the rows of each of this many heads (pairs 2i, 2i + 1) */
} tuff_param;

/* Columns of its matrix view: a vector has one. */
int64_t tuff_param_columns(const tuff_param *param);

typedef struct tuff_params {
    tuff_param *items;
    size_t count, capacity;
    tuff_arena arena; /* the names */
    bool failed;
} tuff_params;
/* For the architectures: appends a parameter with printf'd names ("%d" is the layer). */
void tuff_params_add(tuff_params *params, const char *name, const char *gguf, int layer, int rank, int64_t d0,
                     int64_t d1, unsigned flags, int64_t rope_heads);

struct tuff_arch {
    const char *name;        /* model_type */
    const char *hf_class;    /* "LlamaForCausalLM" */
    const char *gguf;        /* general.architecture */
    const char *base_prefix; /* "model.": files of the bare model leave it out */
    const char *token_table; /* the parameter that embeds tokens, and is the head of a tied model */
    const char *lora_target; /* modules adapted by default, separated by commas */
    /* Sets everything but arch and tokens; errors name the file and the key. */
    tuff_status (*read_hf)(const cJSON *json, const char *where, tuff_config *config);
    tuff_status (*read_gguf)(const tuff_gguf *gguf, tuff_config *config);
    /* Appends `"key": value, ` members of config.json beyond architectures, model_type, vocab_size,
     * torch_dtype and tokens. */
    void (*write_hf)(const tuff_config *config, tuff_buf *json);
    void (*write_gguf)(const tuff_config *config, tuff_gguf_builder *gguf);
    void (*list_params)(const tuff_config *config, tuff_params *params);
    /* ids to the last hidden states after the final norm, [B, T, C]. */
    tuff_tensor *(*hidden)(tuff_net *net);
};

#define TUFF_ARCH(name) extern const tuff_arch tuff_arch_##name;
#include "models/archs.def"
#undef TUFF_ARCH

/* NULL when unknown. */
const tuff_arch *tuff_arch_by_model_type(const char *model_type);
const tuff_arch *tuff_arch_by_gguf(const char *architecture);
/* "gpt2, llama, mistral, qwen2", for error texts. */
const char *tuff_arch_names(void);

/* Checks that the dimensions are sane and fit together; errors name the file and the key. */
TUFF_MUST_USE tuff_status tuff_config_check(const tuff_config *config, const char *where);

#endif
