/* Groups of trained tensors: rates by depth and by the part of LoRA, and what weight decay is for. */
#ifndef TUFF_TRAIN_GROUPS_H
#define TUFF_TRAIN_GROUPS_H

#include "models/arch.h"
#include "models/params.h"

typedef struct tuff_groups {
    double learning_rate;      /* that rates are relative to */
    double layerwise_decay;    /* of rates, from each layer to the one below; 0: none */
    double loraplus_ratio;     /* LoRA+ (Hayou et al. 2024): of the rate of B to that of A; 0: none */
    double loraplus_embedding; /* its rate of LoRA on tables */
} tuff_groups;

/* Whether weight decay applies to a parameter, as transformers' Trainer has it: not to norms, nor to what has
 * "bias" in its name. */
bool tuff_group_decays(const tuff_param *param);
/* How many layers lie above a tensor: what is behind the last has 0, what reads the ids one more than there
 * are layers. An encoder lies below its decoder. */
int64_t tuff_group_above(const tuff_config *config, const tuff_trained *trained);
/* Sets the rate of a tensor. */
void tuff_group_set(const tuff_groups *groups, const tuff_config *config, tuff_trained *trained);

#endif
