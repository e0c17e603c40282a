/* An architecture: how its config is read and written, which parameters it has, and how its graph is built.
 */
#ifndef TUFF_MODELS_ARCH_H
#define TUFF_MODELS_ARCH_H

#include "base/json.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "ir/graph.h"
#include "models/dropouts.h"
#include "models/params.h"

typedef struct tuff_arch tuff_arch;
typedef struct tuff_net tuff_net;
typedef struct tuff_head tuff_head;

typedef enum tuff_norm {
    TUFF_NORM_LAYER,         /* LayerNorm with weight and bias */
    TUFF_NORM_LAYER_NO_BIAS, /* with a weight only */
    TUFF_NORM_RMS
} tuff_norm;
typedef enum tuff_activation {
    TUFF_ACT_GELU,      /* by erf */
    TUFF_ACT_GELU_TANH, /* its tanh approximation */
    TUFF_ACT_SILU,
    TUFF_ACT_RELU,
    TUFF_ACT_TANH
} tuff_activation;
/* How rotary positions reach further than those of the training. */
typedef enum tuff_rope_scaling {
    TUFF_ROPE_PLAIN,
    TUFF_ROPE_LINEAR,   /* all angles by the factor (Chen et al. 2023) */
    TUFF_ROPE_DYNAMIC,  /* a larger base for longer texts (NTK) */
    TUFF_ROPE_YARN,     /* slow angles by the factor, fast ones not (Peng et al. 2023) */
    TUFF_ROPE_LONGROPE, /* each angle by a factor of its own (Ding et al. 2024) */
    TUFF_ROPE_LLAMA3    /* as Llama 3.1: by the factor where a rotation is long, not where it is short */
} tuff_rope_scaling;
/* One table of angles. What depends on a text's length is fixed by the context that a table is made for,
 * since keys in a cache are rotated already. */
typedef struct tuff_rope_spec {
    double theta; /* the base; 0: no rotary positions */
    tuff_rope_scaling scaling;
    double factor;
    double original;  /* positions of the training before it was stretched */
    double low, high; /* LLAMA3: low_freq_factor and high_freq_factor; YARN: beta_slow and beta_fast */
    bool exact;       /* YARN: between these the range is not rounded to whole dims */
    double attention; /* sines and cosines times this; 0: 1 */
    double
        *factors[2]; /* LONGROPE: [pairs], for contexts up to `original` and past it; owned by the config */
} tuff_rope_spec;
/* ALiBi (Press et al. 2022): attention's bias falls with distance, in each head by a slope of its own. */
typedef struct tuff_alibi_spec {
    double most;  /* the last power of two by which slopes fall: 8, or 0 without ALiBi */
    double scale; /* of the bias; 0: 1 */
    bool bf16;    /* slopes are rounded to it */
} tuff_alibi_spec;
/* Which table of angles rotates a layer's queries and keys. */
typedef enum tuff_rotary { TUFF_ROTARY_NONE, TUFF_ROTARY_MAIN, TUFF_ROTARY_LOCAL } tuff_rotary;

/* Where the activation after a head's first layer comes from. */
typedef enum tuff_head_act {
    TUFF_HEAD_ACT_OWN,    /* the spec has it */
    TUFF_HEAD_ACT_LAYERS, /* it is that of the feed-forward layers */
    TUFF_HEAD_ACT_CONFIG  /* config.json has it */
} tuff_head_act;

/* A head (models/heads/head.h) as an architecture has it. */
typedef struct tuff_head_spec {
    const tuff_head *head;
    const tuff_part *parts; /* as the architecture's own */
    tuff_head_act act;
    tuff_activation activation;
    bool output_bias; /* of a language model: what scores the vocabulary has one */
    bool last; /* a sequence's result comes from its last token; else from its first, or as the config says */
} tuff_head_spec;

/* What the outputs of a classifier are, by config.json's problem_type. */
typedef enum tuff_problem {
    TUFF_PROBLEM_AUTO, /* it says nothing: one output is a number, more are classes of which one holds */
    TUFF_PROBLEM_REGRESSION,
    TUFF_PROBLEM_SINGLE_LABEL,
    TUFF_PROBLEM_MULTI_LABEL
} tuff_problem;

/* What queries and keys pass before they are rotated. */
typedef enum tuff_qk_norm {
    TUFF_QK_NORM_NONE,
    TUFF_QK_NORM_HEADS, /* a norm over each head, with one weight for all of them */
    TUFF_QK_NORM_EACH,  /* the same, where each head has a weight of its own */
    TUFF_QK_NORM_WHOLE  /* over all heads together */
} tuff_qk_norm;

/* Experts (Shazeer et al. 2017): each token's feed-forward layer is the sum of a few of many, which a router
 * chooses and weighs. */
typedef struct tuff_experts_spec {
    int64_t count;          /* 0: the model has none */
    int64_t used;           /* by each token */
    int64_t width;          /* of their feed-forward layers */
    bool router_bias, bias; /* of the router, of the experts */
    double limit; /* the gate is at most this, the other product to either side; the activation is then gate *
                   * sigmoid(gate * slope), times the other product and 1; 0: the layers' activation */
    double slope;
    bool shares;    /* the weights of those that a token uses add up to 1; else those of all experts do */
    double balance; /* a training adds so many times the routers' loss, which keeps experts in use; 0: none */
} tuff_experts_spec;

/* What a layer is made of. */
typedef struct tuff_layer_spec {
    bool norm_after;   /* norms follow the sums (BERT); else they come before attention and feed-forward */
    bool no_attn_norm; /* none comes before attention, */
    bool no_ffn_norm;  /* nor before the feed-forward layer */
    bool branch_norms; /* what attention and feed-forward add has a norm of its own, before the sum */
    bool two_norms;    /* of attention and feed-forward side by side, each its own, called otherwise */
    bool parallel; /* the feed-forward layer begins where attention does, with attention's norm where it has
                    * none of its own */
    tuff_qk_norm qk_norm;
    bool fused_qkv;   /* one matrix gives queries, keys and values, */
    bool qkv_by_head; /* of one key/value head, with all its queries, after the other */
    bool qkv_bias, out_bias, mlp_bias;
    tuff_activation activation;
    bool cross;      /* between attention and feed-forward it attends to the states of an encoder */
    bool gated;      /* the feed-forward layer multiplies what is activated with a second product */
    bool fused_gate; /* one matrix gives both */
    bool sinks;      /* each head of attention has a score that takes weight and gives nothing */
    bool experts;    /* its feed-forward layer is the config's experts */
    tuff_rotary rope;
    bool rope_pairs; /* dims 2i and 2i + 1 of a head rotate together; else i and i + half */
    /* A sliding attention window; 0: none. Where attention is causal, how many tokens a token sees, itself
     * among them; else how far it sees to either side. */
    int64_t window;
} tuff_layer_spec;

/* The dimensions of a model, neutral between the formats. */
struct tuff_config {
    const tuff_arch *arch;
    const tuff_head_spec *head; /* NULL: the layers alone */
    int64_t labels;             /* outputs of its classifier, where it is one */
    tuff_problem problem;
    tuff_activation head_activation; /* where the head's spec takes it from here */
    bool head_no_bias;               /* its first layer has none, */
    bool output_no_bias;             /* nor has what scores the vocabulary */
    bool logits_bias; /* of files with one: what is added to the scores, and is never trained */
    bool head_means;  /* a classifier sees the mean of a sequence's states */
    bool bare;        /* tensors in Hugging Face's files go without the base's prefix */
    int64_t vocab_size, hidden_size, layers, heads, kv_heads, head_dim, intermediate_size;
    int64_t max_positions; /* the context that the model was trained for */
    double norm_eps;
    tuff_rope_spec rope, rope_local; /* a table of angles, and a second one */
    int64_t rotary_dims;             /* of a head that rotate, its first; 0: all */
    tuff_norm norm;
    bool norm_plus_one;        /* norms multiply with 1 + weight */
    double embed_scale;        /* of the tokens' rows; 0: 1 */
    bool scales_inputs;        /* embed_scale is also of rows that come in place of tokens' */
    double attn_scale;         /* of attention's scores; 0: 1 / sqrt(head_dim) */
    double attn_softcap;       /* bounds them: softcap * tanh(score / softcap); 0: none */
    double branch_scale;       /* of what attention and feed-forward add; 0: 1 */
    double logit_scale;        /* of the output; 0: 1 */
    double logit_softcap;      /* bounds it, as attn_softcap; 0: none */
    bool causal;               /* a token sees itself and what comes before it; else all */
    bool tied;                 /* the output head is the embedding table */
    bool learned_positions;    /* a table of max_positions + position_offset rows */
    int64_t position_offset;   /* of the first token: RoBERTa's begin after the padding id */
    bool padding_counts;       /* ids before the offset are no padding */
    int64_t token_types;       /* rows of the table of token types; 0: none; see tuff_config_types */
    int64_t distance_buckets;  /* rows of the table of attention's bias by distance; 0: none */
    int64_t distance_farthest; /* from here on all distances share one */
    bool distances_each;       /* each layer has such a table; else the first has that of all */
    tuff_alibi_spec alibi;     /* a bias by distance that is not trained */
    double qkv_bound;          /* queries, keys and values are at most this to either side; 0: no bound */
    bool embed_norm, final_norm;
    tuff_experts_spec experts;
    tuff_dropouts dropouts; /* while it is trained; of files of Hugging Face's, else none */
    bool drops_sum;         /* what attention and feed-forward side by side add is dropped together */
    tuff_layer_spec layer;  /* what all layers are like, */
    tuff_layer_spec *specs; /* or [layers], what each is like, owned by the config; NULL: as `layer` */
    /* Of encoder-decoders, whose own fields are the decoder's: what the encoder is like. It has the same
     * architecture, vocabulary and hidden size, but sizes and layers of its own; it has no head. Owned. */
    struct tuff_config *encoder;
    const char *stack; /* how the names of the parts of its layers begin: "enc.", "dec."; NULL: they do not */
    int32_t start_token; /* of encoder-decoders whose files name none: what the decoder begins with */
    tuff_hf_tokens tokens;
};

struct tuff_arch {
    const char *name;     /* model_type */
    const char *hf_class; /* "Llama": how the names of its classes begin */
    const char
        *hf_lm_class; /* "LMHeadModel", for "ForCausalLM" in the class of the language model; else NULL */
    const char *gguf; /* general.architecture; NULL: GGUF has none for it */
    const char *keys; /* whose lines of the lists of keys hold for it, beside its own; NULL: none's */
    const char *base_prefix; /* "model.": files of the bare model leave it out */
    const char
        *layer_norm_key;     /* of decoders of Llama's kind that have LayerNorm: its epsilon in config.json */
    const char *lora_target; /* modules adapted by default, separated by commas; PEFT's, where it has any */
    /* Sets everything but arch and tokens; errors name the file and the key. */
    tuff_status (*read_hf)(const cJSON *json, const char *where, tuff_config *config);
    tuff_status (*read_gguf)(const tuff_gguf *gguf, tuff_config *config);
    /* Appends `"key": value, ` members of config.json beyond architectures, model_type, vocab_size,
     * torch_dtype and tokens. */
    void (*write_hf)(const tuff_config *config, tuff_buf *json);
    void (*write_gguf)(const tuff_config *config, tuff_gguf_builder *gguf);
    /* The names of its modules in both formats; ends with an empty one. */
    const tuff_part *parts;
    const tuff_gguf_alias *gguf_aliases; /* ends with an empty one; NULL: none */
    const tuff_head_spec *heads;         /* that it may have; ends with one without a head */
    tuff_activation gguf_activation;     /* that llama.cpp runs it with, whatever the model has; */
    tuff_activation gguf_gated;          /* with a gate, where that makes it another one; else 0 */
    bool gguf_means;                     /* llama.cpp's classifiers see the mean of a text's states */
    bool gguf_interleaves;               /* the rows of query and key heads */
    bool gguf_windows;                   /* llama.cpp runs it with its window */
    bool gguf_shares;                    /* and with weights of experts that add up to 1 */
    bool all_windows;                    /* where it has a window, all its layers have it */
    bool says_scaling;                   /* config.json without rope_parameters means scaled angles */
    bool partial_rotary;                 /* config.json may have but a share of each head rotate */
    bool decoder; /* what it has besides its layers is a language model's head, unless its class says none */
    bool ties; /* the output is the embedding table unless the file has another, whatever config.json says */
};

#define TUFF_ARCH(name, model_type) extern const tuff_arch tuff_arch_##name;
#define TUFF_ENCODER_OF(name)       extern const tuff_arch tuff_arch_##name;
#include "models/archs.def"
#undef TUFF_ARCH

const tuff_layer_spec *tuff_config_layer(const tuff_config *config, int layer);
/* What the config owns. */
void tuff_config_free(tuff_config *config);
/* Makes `specs`, all of them as `layer`; fails when there is no sane number of layers. */
TUFF_MUST_USE tuff_status tuff_config_specs(tuff_config *config, const char *where);
/* "a decoder", "an encoder" or "an encoder-decoder". */
const char *tuff_config_kind(const tuff_config *config);
/* Makes `encoder`, once all that both stacks share is set. */
TUFF_MUST_USE tuff_status tuff_config_add_encoder(tuff_config *config);
/* Makes `specs` where some layers see far and the others have the config's window: by layer_types, where
 * config.json has it, else as `far` says of each. Those that see far rotate by the first table of angles, the
 * others by the second, where there is one. What else layer_types may hold is refused where all
 * architectures' is. */
TUFF_MUST_USE tuff_status tuff_config_layer_types(const cJSON *json, const char *where, tuff_config *config,
                                                  bool (*far)(int64_t layer, int64_t period), int64_t period);
void tuff_config_set_far(tuff_config *config, int64_t layer, bool far);
/* Which layers have the window in a GGUF: a list with 1 for each that has it, which Tuff writes where `far`
 * of llama.cpp's period says otherwise; whether it did. */
TUFF_MUST_USE tuff_status tuff_gguf_read_pattern(const tuff_gguf *gguf, tuff_config *config,
                                                 bool (*far)(int64_t layer, int64_t period), int64_t period);
bool tuff_gguf_put_pattern(const tuff_config *config, tuff_gguf_builder *gguf,
                           bool (*far)(int64_t layer, int64_t period), int64_t period);
/* The list, as config.json has it. */
void tuff_config_write_layer_types(const tuff_config *config, tuff_buf *json);
/* Hugging Face's name of a part of the layers or the head, '#' for the layer's number; NULL when the model
 * has no such part. */
const char *tuff_config_module(const tuff_config *config, const char *part);
/* Whether its output multiplies with the embedding table or a matrix of that shape. */
bool tuff_config_has_output(const tuff_config *config);

/* NULL when unknown. */
/* The model_type of which one is an alias ("camembert" is "roberta"); of others itself. */
const char *tuff_arch_canonical(const char *model_type);
const tuff_arch *tuff_arch_by_model_type(const char *model_type);
const tuff_arch *tuff_arch_by_gguf(const char *architecture);
/* "gpt2, llama, mistral", and so on, for error texts. */
const char *tuff_arch_names(void);

/* Rotary positions (models/rope.c). Sets `rope` and rotary_dims by config.json, over the base that is set;
 * fails when it asks for angles that Tuff does not know. head_dim and max_positions are read before. */
TUFF_MUST_USE tuff_status tuff_rope_read_hf(const cJSON *json, const char *where, tuff_config *config);
/* One object of rotary parameters into a table's spec; NULL or null: it stays. */
TUFF_MUST_USE tuff_status tuff_rope_read_object(const cJSON *object, const char *where, tuff_config *config,
                                                tuff_rope_spec *spec);
/* The same by a GGUF's metadata. */
TUFF_MUST_USE tuff_status tuff_rope_read_gguf(const tuff_gguf *gguf, tuff_config *config);
/* The same by rope_scaling or rope_parameters alone. */
TUFF_MUST_USE tuff_status tuff_rope_read_parameters(const cJSON *json, const char *where,
                                                    tuff_config *config);
/* A share of each head rotates, which `key` says; NULL: it is usual, and what is read after it may be
 * another.
 */
TUFF_MUST_USE tuff_status tuff_rope_set_share(const char *key, double share, const char *where,
                                              tuff_config *config);
/* Whether angles can be divided by a number: 1e-6 to 1e9. */
bool tuff_rope_divides(double value);
/* The factor of cosines and sines, which follows from `keys`, is one that leaves them finite. */
TUFF_MUST_USE tuff_status tuff_rope_check_attention(const char *where, const char *keys, double value);
/* Of models that have rotary positions. */
TUFF_MUST_USE tuff_status tuff_rope_check(const tuff_config *config, const char *where);
/* The object that tuff_rope_read_object reads, and its keys of a GGUF's metadata. */
void tuff_rope_write_object(const tuff_config *config, const tuff_rope_spec *spec, tuff_buf *json);
void tuff_rope_write_gguf(const tuff_config *config, tuff_gguf_builder *gguf);
/* The tensors of a GGUF that hold factors of angles, [pairs] each: how many, at most 2, -1 without memory.
 * The values are the caller's, also after a failure. */
int tuff_rope_tensors(const tuff_config *config, const char *out_names[2], float *out_values[2]);
/* transformers' name of it: "default", "yarn". */
const char *tuff_rope_scaling_name(tuff_rope_scaling scaling);
/* How many dims of a head rotate. */
int64_t tuff_rope_dims(const tuff_config *config);
/* The share of a head that they are, so that it gives their number when it is rounded down. */
double tuff_rope_share(const tuff_config *config);
/* Angles per position of each pair, out[0..dims/2), in a table for so many positions; and what sines and
 * cosines are multiplied with. */
double tuff_rope_angles(const tuff_config *config, const tuff_rope_spec *spec, int64_t positions, float *out);
/* Whether these depend on how many positions the table is for. */
bool tuff_rope_by_length(const tuff_config *config);
/* Whether tables for so many positions have the same angles. */
bool tuff_rope_same(const tuff_config *config, int64_t positions, int64_t others);
void tuff_rope_free(tuff_rope_spec *spec);

/* Whether it matters where a token stands, apart from how far others are from it. */
bool tuff_config_has_positions(const tuff_config *config);
/* The positions of a text's n ids: from the config's offset on. A padding id where positions begin after it
 * does not count and takes its own, as in transformers. */
void tuff_config_positions(const tuff_config *config, const int32_t *ids, size_t n, int32_t *out_positions);

/* Whether tokens have types that tell them apart. Of a table with one row all tokens are, whatever the
 * tokenizer says: there are RoBERTas with BERT's tokenizer, which gives the second text of a pair another
 * type. */
bool tuff_config_types(const tuff_config *config);
/* BAD_FORMAT unless the model has the types that a tokenizer gives; `most` is the largest of them. */
TUFF_MUST_USE tuff_status tuff_config_check_types(const tuff_config *config, const char *where, int32_t most);

/* A key of GGUF's metadata: "<architecture>.<name>". */
const char *tuff_gguf_key_of(const tuff_config *config, const char *name, char text[64]);
/* The sizes that a GGUF of every architecture has: positions, width, layers, feed-forward width, heads. */
TUFF_MUST_USE tuff_status tuff_gguf_need_sizes(const tuff_gguf *gguf, tuff_config *config);
void tuff_gguf_put_sizes(const tuff_config *config, tuff_gguf_builder *gguf);

/* By a key of config.json or of a GGUF's metadata; as it is where there is none. */
TUFF_MUST_USE tuff_status tuff_activation_read_hf(const cJSON *json, const char *key, const char *where,
                                                  tuff_activation *activation);
TUFF_MUST_USE tuff_status tuff_activation_read_gguf(const tuff_gguf *gguf, const char *key,
                                                    tuff_activation *activation);
/* An activation by transformers' name of it: true when Tuff has it. */
bool tuff_activation_by_name(const char *name, size_t size, tuff_activation *out);
const char *tuff_activation_name(tuff_activation activation);
/* "gelu, gelu_new, ...", for error texts. */
const char *tuff_activation_names(void);

/* Checks that the dimensions are sane and fit together; errors name the file and the key. */
TUFF_MUST_USE tuff_status tuff_config_check(const tuff_config *config, const char *where);

#endif
