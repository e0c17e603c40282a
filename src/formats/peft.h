/* PEFT adapter directories: adapter_config.json and adapter_model.safetensors; what those of kind LoRA say.
 * The directories of the package `adapters`, which are like them. */
#ifndef TUFF_FORMATS_PEFT_H
#define TUFF_FORMATS_PEFT_H

#include "base/json.h"
#include "formats/save.h"
#include "formats/weights.h"

/* What tensors of an adapter's file begin with, before the base model's module. */
#define TUFF_PEFT_PREFIX "base_model.model."
/* The same where PEFT puts no model of the method's own around the base, as for virtual tokens. */
#define TUFF_PEFT_BARE_PREFIX "base_model."
/* What the weight of a module ends with that an adapter wraps: PEFT saves that of a table that it adapts. */
#define TUFF_PEFT_BASE_WEIGHT ".base_layer.weight"
/* What the tensor of a module's rows of tokens ends with, and what is before that beside a LoRA. */
#define TUFF_TOKENS_ENDING ".trainable_tokens_delta"
#define TUFF_TOKENS_LAYER  ".token_adapter"
/* The tensor of a parameter that an adapter has whole, by either prefix; NULL: there is none. */
const tuff_weight *tuff_peft_find_whole(const tuff_weights *weights, const char *param);

/* What is called otherwise in directories of PEFT and of the package `adapters`. */
typedef struct tuff_peft_layout {
    const char *weights, *torch; /* files of tensors, that which is written first */
    const char *base;            /* the key of the base model's name */
} tuff_peft_layout;
extern const tuff_peft_layout tuff_peft_usual, tuff_peft_adapters;
/* The kind of the latter's bottleneck adapters, whose files name none. */
#define TUFF_PEFT_BOTTLENECK "BOTTLENECK"

/* The two files of a directory, of any kind. */
typedef struct tuff_peft_files {
    const tuff_peft_layout *layout;
    char *config_path, *weights_path;
    tuff_buf text;    /* of the config */
    cJSON *config;    /* the same, an object */
    const char *kind; /* peft_type */
    tuff_weights *weights;
} tuff_peft_files;
TUFF_MUST_USE tuff_status tuff_peft_files_open(const char *directory, tuff_peft_files **out_files);
void tuff_peft_files_close(tuff_peft_files **files);
/* UNSUPPORTED, naming the key, for what is set in a config and cannot be applied, whatever its kind. */
TUFF_MUST_USE tuff_status tuff_peft_refuse(const cJSON *config, const char *file);

/* Writing a config: members as PEFT sorts them, between begin and end. */
void tuff_peft_put_begin(tuff_buf *out);
void tuff_peft_put_end(tuff_buf *out);
void tuff_peft_put_text(tuff_buf *out, const char *key, const char *value); /* NULL: null */
void tuff_peft_put_number(tuff_buf *out, const char *key, double value);
void tuff_peft_put_bool(tuff_buf *out, const char *key, bool value);
void tuff_peft_put_json(tuff_buf *out, const char *key, const char *value); /* as it is */
void tuff_peft_put_list(tuff_buf *out, const char *key, const char *const *values, size_t count);
/* modules_to_save; null for none. */
void tuff_peft_put_modules(tuff_buf *out, const char *const *modules, size_t count);
/* Writes both files into a directory that exists; `fn` is asked for the tensors in their order. */
TUFF_MUST_USE tuff_status tuff_peft_write(const char *directory, const tuff_buf *config,
                                          const tuff_save_item *tensors, size_t count, tuff_save_fn fn,
                                          void *user);
TUFF_MUST_USE tuff_status tuff_peft_write_as(const char *directory, const tuff_peft_layout *layout,
                                             const tuff_buf *config, const tuff_save_item *tensors,
                                             size_t count, tuff_save_fn fn, void *user);

/* An entry of rank_pattern or alpha_pattern: the modules it names get another value. */
typedef struct tuff_peft_pattern {
    const char
        *module; /* matches this module, and, unless it begins with '^', any that ends in "." and this */
    double value;
} tuff_peft_pattern;

/* adapter_config.json. What is read is owned by `arena`; a caller who fills one in to save it owns its texts.
 */
typedef struct tuff_peft_config {
    const char *base_model; /* base_model_name_or_path; NULL: none */
    const char *task_type;  /* "CAUSAL_LM", ...; NULL: none */
    const char *revision;   /* of the base model; NULL: none */
    int64_t rank;
    double alpha, dropout;
    bool fan_in_fan_out; /* the base stores these weights as [in, out], as GPT-2's Conv1D does */
    bool rslora;         /* scale is alpha / sqrt(rank) */
    bool dora;           /* rows of what it makes have magnitudes of their own */
    const char *bias;    /* which biases it has whole: "all", "lora_only"; NULL: none */
    /* target_modules: either a list of names or one text (a regular expression or "all-linear"). When an
     * adapter is read, its tensors say which modules it adapts. */
    const char *target_text;
    const char **targets;
    size_t target_count;
    const char *
        *parameters; /* target_parameters: ends of the names of parameters that are no linear layers */
    size_t parameter_count;
    tuff_peft_pattern *rank_pattern, *alpha_pattern; /* in file order: the first match counts */
    size_t rank_pattern_count, alpha_pattern_count;
    const char *tokens; /* trainable_token_indices, as JSON; NULL: none. Of an adapter that is saved */
    /* of an adapter that is saved: modules beside the adapted ones that it has whole */
    const char **modules;
    size_t module_count;
    tuff_arena arena;
} tuff_peft_config;

/* What PEFT takes as target_modules of a LoRA that adapts no module, but has biases alone: BitFit's files. */
#define TUFF_PEFT_NO_TARGETS "dummy-target-modules"
/* `text` as the `bias` of a config, which lives on: NULL for "none", or where there is none. False: it is no
 * other. */
bool tuff_peft_bias_parse(const char *text, const char **out_bias);
/* UNSUPPORTED, naming the key, for what would change the numbers and cannot be applied: other PEFT types,
 * what only some PEFT can run, ... */
TUFF_MUST_USE tuff_status tuff_peft_config_parse(const char *data, size_t size, const char *file,
                                                 tuff_peft_config **out_config);
/* Whether a key of adapter_config.json is in the list, peft_keys.def. */
bool tuff_peft_key_known(const char *key);
void tuff_peft_config_destroy(tuff_peft_config **config);
/* The file's text, keys sorted, as PEFT writes it. */
void tuff_peft_config_print(const tuff_peft_config *config, tuff_buf *out);
/* "q_proj=4,v_proj=16" as patterns, whose names live in the arena; NULL: none. `option` is for error texts.
 */
TUFF_MUST_USE tuff_status tuff_peft_patterns_parse(const char *text, const char *option, tuff_arena *arena,
                                                   tuff_peft_pattern **out_patterns, size_t *out_count);
/* Whether a pattern is for this module. */
bool tuff_peft_pattern_is(const tuff_peft_pattern *pattern, const char *module);
/* Rank of a module, and the factor on B A x, patterns applied. */
int64_t tuff_peft_rank(const tuff_peft_config *config, const char *module);
double tuff_peft_scale(const tuff_peft_config *config, const char *module);

/* The adapter of one module: y += scale * B (A x). */
typedef struct tuff_peft_pair {
    const char *module;           /* path in the base model: "transformer.h.0.attn.c_attn" */
    const tuff_weight *a;         /* [rank, in] */
    const tuff_weight *b;         /* [out, rank] */
    const tuff_weight *magnitude; /* DoRA: [out]; else NULL */
    bool
        parameter; /* it is of a parameter of the module, one of target_parameters: what follows is not set */
    int64_t rank;
    double scale;
    bool table; /* of an embedding: A [rank, rows], B [columns, rank] */
} tuff_peft_pair;
/* The same of a parameter, by its name ("model.layers.0.mlp.experts.down_proj"): sets rank and scale of its
 * pair, which is for so many matrices: A [experts * rank, in], expert by expert, B [out, rank * experts],
 * whose columns are of one expert after the other. Fails where the shapes are others. */
TUFF_MUST_USE tuff_status tuff_peft_settle(const tuff_peft_config *config, tuff_peft_pair *pair,
                                           const char *name, int64_t experts);

typedef struct tuff_peft_adapter {
    tuff_peft_config *config;
    tuff_weights *weights;
    tuff_peft_pair *pairs; /* in file order */
    size_t pair_count, pair_capacity;
    const char **ignored; /* tensors that are no adapter, such as a classifier's head */
    size_t ignored_count, ignored_capacity;
    tuff_map by_module;
    tuff_arena arena;
} tuff_peft_adapter;

/* Reads files of kind LoRA, whose weights it takes over; a directory. */
TUFF_MUST_USE tuff_status tuff_peft_open_files(tuff_peft_files *files, tuff_peft_adapter **out_adapter);
TUFF_MUST_USE tuff_status tuff_peft_open(const char *directory, tuff_peft_adapter **out_adapter);
/* Pairs the tensors of `weights` up; takes both over, also when it fails. `file` is for error texts. */
TUFF_MUST_USE tuff_status tuff_peft_pair_up(tuff_peft_config *config, tuff_weights *weights, const char *file,
                                            tuff_peft_adapter **out_adapter);
void tuff_peft_destroy(tuff_peft_adapter **adapter);
/* NULL: the module is not adapted. */
const tuff_peft_pair *tuff_peft_find(const tuff_peft_adapter *adapter, const char *module);

#endif
