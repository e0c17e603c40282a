/* LoRA inside: what its files share. */
#ifndef TUFF_ADAPTERS_LORA_H
#define TUFF_ADAPTERS_LORA_H

#include "adapters/adapter.h"
#include "adapters/targets.h"
#include "formats/gguf.h"

/* A linear layer; or a parameter of transformers that is no linear layer, with a matrix for each expert. */
typedef struct tuff_lora_module {
    const char *name;
    const tuff_param *param; /* its weight [out, in], or the first of the parameter's [experts, out, in] */
    const struct tuff_lora_experts *experts; /* NULL: a linear layer, or what chooses experts */
    bool parameter;                          /* it is one of target_parameters */
    bool table;                              /* it is the tokens' table [tokens, columns] */
    int64_t rank;
    double scale;
    size_t first; /* of its tensors: A [rank, in], B [out, rank] and, with DoRA, the magnitudes [out]; of
                     experts A [experts * rank, in], B [out, rank * experts]; of a table A [rank, tokens], B
                     [columns, rank] */
    size_t fixed; /* DoRA: of its fixed ones */
} tuff_lora_module;

typedef struct tuff_lora {
    tuff_lora_module *modules;
    size_t count, capacity;
    tuff_map by_module;
    tuff_peft_config config; /* what adapter_config.json says, or is to say */
    tuff_targets targets;    /* as given; none: every linear layer, or as the file says */
    tuff_targets parameters; /* the same of parameters of experts; none: none */
    tuff_peft_adapter *peft; /* where opened from PEFT's files */
    tuff_gguf *gguf;         /* where opened from llama.cpp's */
    uint64_t seed;
    tuff_adapter **parts; /* of a weighted sum */
    float *weights;
    size_t part_count;
} tuff_lora;

/* Sets the method's part of an adapter. */
TUFF_MUST_USE tuff_status tuff_lora_begin(tuff_adapter *adapter, tuff_lora **out_lora);
/* Adapts the module of a weight. A new adapter has no `pair`. Of a GGUF its rows of B are in that file's
 * order. */
TUFF_MUST_USE tuff_status tuff_lora_add(tuff_adapter *adapter, const tuff_param *param, int64_t rank,
                                        double scale, const tuff_peft_pair *pair);
/* The same of a module without tensors yet: the layer that PEFT calls them by, and their shapes. */
TUFF_MUST_USE tuff_status tuff_lora_put(tuff_adapter *adapter, tuff_lora_module module, const char *layer,
                                        const int64_t a[2], const int64_t b[2], const tuff_peft_pair *pair);
/* What a module's rows are computed from. */
typedef struct tuff_lora_factors {
    int64_t rank, columns;
    double scale;
    float *a, *b, *magnitudes; /* A; the rows of B; those of all rows, NULL: none */
    double *row;
} tuff_lora_factors;
/* Row r of W + scale B A into factors->row, of b's rows; returns its length. */
double tuff_lora_combine(const tuff_lora_factors *factors, int64_t r, const float *w);
/* Rows [begin, end) of W + scale B A, of DoRA each times its magnitude over its length, from what the files
 * have; values are those of W. With `lengths` these get the rows' lengths, and values stay. */
TUFF_MUST_USE tuff_status tuff_lora_rows(const tuff_adapter *adapter, const tuff_lora_module *module,
                                         int64_t begin, int64_t end, float *values, double *lengths);

/* ---- the tokens' table, and the head that is none (adapters/lora_tables.c) */

/* Whether a parameter is one of these, which are adapted only where they are named; its module. */
bool tuff_lora_is_table(const tuff_model *model, const tuff_param *param, char module[256]);
bool tuff_lora_is_head(const tuff_model *model, const tuff_param *param, char module[256]);
/* A module's name as PEFT has it: transformers calls the head of language models lm_head, whatever their
 * files call it (GPT-NeoX). */
const char *tuff_lora_head_name(const tuff_model *model, const char *module);
/* By its module; NULL: it is not so. */
const tuff_param *tuff_lora_find_outer(const tuff_model *model, const char *module, bool table);
TUFF_MUST_USE tuff_status tuff_lora_add_table(tuff_adapter *adapter, const tuff_param *param, int64_t rank,
                                              double scale, const tuff_peft_pair *pair);
tuff_tensor *tuff_lora_embeddings(void *self, tuff_net *net, tuff_tensor *x);
void tuff_lora_start_table(const tuff_adapter *adapter, const tuff_lora_module *module, size_t index,
                           float *values);
/* Whether it adapts the table, which a head that is tied to it knows nothing of. */
bool tuff_lora_unties(const tuff_adapter *adapter);
/* Rows of the table with what is added to them. */
TUFF_MUST_USE tuff_status tuff_lora_table_rows(const tuff_adapter *adapter, const tuff_lora_module *module,
                                               int64_t begin, int64_t end, float *values);

/* ---- DoRA (adapters/dora.c) */

/* The fixed tensors of a module, which has its trained ones. */
TUFF_MUST_USE tuff_status tuff_dora_add(tuff_adapter *adapter, tuff_lora_module *module);
TUFF_MUST_USE tuff_status tuff_dora_fill(const tuff_adapter *adapter, size_t index, float *values);
/* The magnitudes that a new adapter begins with: the lengths of W's rows. */
TUFF_MUST_USE tuff_status tuff_dora_start(const tuff_adapter *adapter, const tuff_lora_module *module,
                                          float *values);
/* What the layer gives: `y` = x w^T + b as the model has it, `low` = scale B A x, for the same x unless it is
 * `dropped`. */
tuff_tensor *tuff_dora_linear(const tuff_adapter *adapter, tuff_net *net, const tuff_lora_module *module,
                              tuff_tensor *dropped, tuff_tensor *w, tuff_tensor *y, tuff_tensor *low);

/* ---- experts (adapters/lora_experts.c) */

/* Adapts the parameters that are asked for, by the ends of their names between commas. */
TUFF_MUST_USE tuff_status tuff_lora_target_parameters(tuff_adapter *adapter, const char *text);
/* Adapts those that PEFT's files have pairs of, which are then taken[their number]. */
TUFF_MUST_USE tuff_status tuff_lora_open_parameters(tuff_adapter *adapter, bool *taken);
/* The names of what can be asked for, for an error text. */
void tuff_lora_list_parameters(const tuff_model *model, tuff_buf *out);
/* The point of nets. */
void tuff_lora_at_experts(void *adapter, tuff_net *net, const tuff_routes *to, const char *const *modules,
                          int n, tuff_tensor *x, tuff_tensor **y);
/* tuff_lora_rows of one of the parameter's matrices, `param`. */
TUFF_MUST_USE tuff_status tuff_lora_expert_rows(const tuff_adapter *adapter, const tuff_lora_module *module,
                                                const tuff_param *param, int64_t begin, int64_t end,
                                                float *values);
TUFF_MUST_USE tuff_status tuff_lora_gather(const tuff_adapter *adapter, size_t index, int64_t begin,
                                           int64_t end, float *out);

/* ---- weighted sums (adapters/lora_sum.c) */

/* Whether a text is no path, but paths with weights. */
bool tuff_lora_is_sum(const char *text);
TUFF_MUST_USE tuff_status tuff_lora_open_sum(tuff_adapter *adapter, const char *text,
                                             const tuff_log_receiver *log);
void tuff_lora_close_parts(tuff_lora *lora);
TUFF_MUST_USE tuff_status tuff_lora_gather_sum(const tuff_adapter *adapter, size_t index, int64_t begin,
                                               int64_t end, float *out);

/* ---- llama.cpp's files (adapters/lora_gguf.c) */

TUFF_MUST_USE tuff_status tuff_lora_open_gguf(tuff_adapter *adapter, tuff_gguf *gguf);
TUFF_MUST_USE tuff_status tuff_lora_write_gguf(const tuff_adapter *adapter, const char *base,
                                               const tuff_watch *watch, const char *path);

#endif
