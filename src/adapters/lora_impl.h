/* What lora.c and lora_file.c share. */
#ifndef TUFF_ADAPTERS_LORA_IMPL_H
#define TUFF_ADAPTERS_LORA_IMPL_H

#include "adapters/lora.h"
#include "base/text.h"
#include "formats/peft.h"

struct tuff_lora {
    const tuff_model *model;
    tuff_lora_module *modules;
    size_t count, capacity;
    tuff_map by_module;
    tuff_arena arena;
    tuff_peft_adapter *peft; /* where opened from a file */
    int64_t rank;            /* of the config to be written */
    double alpha, dropout;
    const char **targets; /* as given, one by one; none: every linear layer, or as the file says */
    size_t target_count;
    uint64_t seed;
    bool training;
    tuff_linear_hook hook;
};

TUFF_MUST_USE tuff_status tuff_lora_new(const tuff_model *model, tuff_lora **out_lora);
TUFF_MUST_USE tuff_status tuff_lora_add(tuff_lora *lora, const char *module, int64_t in, int64_t out,
                                        int64_t rank, double scale);
/* Whether a parameter is the weight of a linear layer that adapters may change; its module then. */
bool tuff_lora_adaptable(const tuff_param *param, char module[256]);
/* Why a module that has a weight cannot be adapted: "is the head, ..."; NULL: no more to be said than that it
 * is no linear layer of the model. */
const char *tuff_lora_refusal(const tuff_model *model, const char *module);

#endif
