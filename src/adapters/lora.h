/* LoRA inside: what its files share. */
#ifndef TUFF_ADAPTERS_LORA_H
#define TUFF_ADAPTERS_LORA_H

#include "adapters/adapter.h"
#include "adapters/targets.h"
#include "formats/gguf.h"

typedef struct tuff_lora_module {
    const char *name;
    const tuff_param *param; /* its weight [out, in] */
    int64_t rank;
    double scale;
    size_t first; /* of its tensors: A [rank, in], B [out, rank] and, with DoRA, the magnitudes [out] */
    size_t fixed; /* DoRA: of its fixed ones */
} tuff_lora_module;

typedef struct tuff_lora {
    tuff_lora_module *modules;
    size_t count, capacity;
    tuff_map by_module;
    tuff_peft_config config; /* what adapter_config.json says, or is to say */
    tuff_targets targets;    /* as given; none: every linear layer, or as the file says */
    tuff_peft_adapter *peft; /* where opened from PEFT's files */
    tuff_gguf *gguf;         /* where opened from llama.cpp's */
    uint64_t seed;
} tuff_lora;

/* Sets the method's part of an adapter. */
TUFF_MUST_USE tuff_status tuff_lora_begin(tuff_adapter *adapter, tuff_lora **out_lora);
/* Adapts the module of a weight. A new adapter has no `pair`. Of a GGUF its rows of B are in that file's
 * order. */
TUFF_MUST_USE tuff_status tuff_lora_add(tuff_adapter *adapter, const tuff_param *param, int64_t rank,
                                        double scale, const tuff_peft_pair *pair);
/* Rows [begin, end) of W + scale B A, of DoRA each times its magnitude over its length, from what the files
 * have; values are those of W. With `lengths` these get the rows' lengths, and values stay. */
TUFF_MUST_USE tuff_status tuff_lora_rows(const tuff_adapter *adapter, const tuff_lora_module *module,
                                         int64_t begin, int64_t end, float *values, double *lengths);

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

/* ---- llama.cpp's files (adapters/lora_gguf.c) */

TUFF_MUST_USE tuff_status tuff_lora_open_gguf(tuff_adapter *adapter, tuff_gguf *gguf);
TUFF_MUST_USE tuff_status tuff_lora_write_gguf(const tuff_adapter *adapter, const char *base,
                                               const tuff_watch *watch, const char *path);

#endif
