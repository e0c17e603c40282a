/* An architecture: how its config is read and written, which parameters it has, and how its graph is built.
 */
#ifndef TUFF_MODELS_ARCH_H
#define TUFF_MODELS_ARCH_H

#include "base/json.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "ir/graph.h"
#include "models/params.h"

typedef struct tuff_arch tuff_arch;
typedef struct tuff_net tuff_net;

/* The dimensions of a model, neutral between the formats. */
struct tuff_config {
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
};

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
    /* The names of its modules in both formats; ends with an empty one. */
    const tuff_part *parts;
    bool gguf_interleaves; /* the rows of query and key heads */
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
