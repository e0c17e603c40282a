/* Which modules of a model an adapter is for. */
#ifndef TUFF_ADAPTERS_TARGETS_H
#define TUFF_ADAPTERS_TARGETS_H

#include "models/model.h"

/* Names as they are given: the last parts of modules' names. */
typedef struct tuff_targets {
    const char *option; /* what gave them, for error texts: "lora_target" */
    const char **names;
    size_t count;
    bool *found; /* of each, whether a module had it */
    bool all;    /* "all-linear" */
} tuff_targets;

/* Cuts "q_proj, v_proj" at its commas, without the spaces around names. */
TUFF_MUST_USE tuff_status tuff_targets_parse(const char *text, const char *option, tuff_arena *arena,
                                             tuff_targets *out);
/* Whether the module is meant; marks all names that it has. */
bool tuff_targets_match(const tuff_targets *targets, const char *module);
/* Fails for a name that no module had, naming those there are. */
TUFF_MUST_USE tuff_status tuff_targets_check(const tuff_targets *targets, const tuff_model *model);
bool tuff_last_part_is(const char *module, const char *name);

/* The weight of a linear layer that adapters may change: its module, the parameter's name without ".weight";
 * false for embeddings, norms and the head. */
bool tuff_adaptable(const tuff_param *param, char module[256]);
/* By its module, as the whole model has it or its layers alone ("encoder.layer.0...", without the
 * architecture's prefix); NULL: it is none. */
const tuff_param *tuff_adaptable_find(const tuff_model *model, const char *module);
/* The failure for a module of a file that is none: says why. */
TUFF_MUST_USE tuff_status tuff_adaptable_missing(const tuff_model *model, const char *module,
                                                 const char *file);
/* Whether Hugging Face's files hold one of the modules as [in, out]: what fan_in_fan_out is set for. */
bool tuff_adaptable_conv1d(const tuff_model *model, const char *module);

#endif
