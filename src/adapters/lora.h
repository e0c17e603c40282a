/* LoRA (Hu et al. 2022): y = W x + b + scale * B (A dropout(x)), per adapted linear layer. */
#ifndef TUFF_ADAPTERS_LORA_H
#define TUFF_ADAPTERS_LORA_H

#include "base/log.h"
#include "models/model.h"
#include "models/net.h"

typedef struct tuff_lora_params {
    int64_t rank;        /* at least 1 */
    double alpha;        /* the scale is alpha / rank */
    double dropout;      /* of the layer's input, while training */
    const char *targets; /* last parts of module names, separated by commas ("q_proj,attn.c_proj"), or
                            "all-linear"; NULL: the architecture's default */
    uint64_t seed;       /* of the initial A */
} tuff_lora_params;

/* One adapted module. */
typedef struct tuff_lora_module {
    const char *module; /* "model.layers.0.self_attn.q_proj" */
    const char *a,
        *b; /* names of their variables, as PEFT's tensors: "base_model.model.<module>.lora_A.weight" */
    int64_t in, out, rank; /* A [rank, in], B [out, rank] */
    double scale;
} tuff_lora_module;

typedef struct tuff_lora tuff_lora;

/* A new adapter for the model: finds the target modules; an unknown target names those there are. The model
 * must outlive it. */
TUFF_MUST_USE tuff_status tuff_lora_create(const tuff_model *model, const tuff_lora_params *params,
                                           tuff_lora **out_lora);
/* An adapter from a PEFT directory; shapes are checked against the model. `log` receives what is said of it;
 * it may be NULL. */
TUFF_MUST_USE tuff_status tuff_lora_open(const tuff_model *model, const char *directory,
                                         const tuff_log_receiver *log, tuff_lora **out_lora);
void tuff_lora_destroy(tuff_lora **lora);

/* Puts A and B of every module into the store (f32): from the file where opened, else A Kaiming-uniform with
 * a = sqrt(5) as PEFT does (each tensor its own stream of the seed) and B zero. */
TUFF_MUST_USE tuff_status tuff_lora_upload(const tuff_lora *lora, tuff_store *store);

/* Puts all that a net of the model reads into the store: parameters (f32 when they are trained), rope tables
 * of so many positions, and the adapter's A and B unless it is NULL. */
TUFF_MUST_USE tuff_status tuff_lora_upload_model(const tuff_model *model, const tuff_lora *lora, bool trained,
                                                 int64_t rope_positions, const tuff_watch *watch,
                                                 tuff_store *store);

size_t tuff_lora_count(const tuff_lora *lora);
const tuff_lora_module *tuff_lora_at(const tuff_lora *lora, size_t index);

/* The hook for nets; `training` applies dropout, by the net's input "dropout_seed" u32 [3]. Lives as long as
 * the lora. */
const tuff_linear_hook *tuff_lora_hook(tuff_lora *lora, bool training);

/* Writes adapter_config.json and adapter_model.safetensors (f32) into a directory that exists, with the
 * parameters of the model that are trained whole (models/params.h). `task_type` is PEFT's, "CAUSAL_LM"; NULL:
 * none. */
TUFF_MUST_USE tuff_status tuff_lora_save(const tuff_lora *lora, const char *task_type,
                                         const tuff_store *store, const tuff_watch *watch,
                                         const char *directory);

#endif
