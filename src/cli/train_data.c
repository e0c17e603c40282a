/* The pairs that `tuff train --task embedding` trains and measures on. */
#include "cli/train.h"

enum { MNRL, COSINE, TRIPLET, CONTRASTIVE, COSENT };

static const char *loss_name(int loss)
{
    static const char *const names[] = {"mnrl", "cosine", "triplet", "contrastive", "cosent"};
    return names[loss];
}

/* How the pairs of a run are read. */
static tuff_pair_params pairs_of(const tuff_cli_train_options *o, bool held_out)
{
    tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
    params.loss = loss_name(o->loss);
    params.max_length = o->data.max_length;
    params.gradient_cache_batch = o->gradient_cache_batch;
    params.query_prompt = o->query_prompt;
    params.document_prompt = o->document_prompt;
    params.pooling = (tuff_pooling)o->pooling;
    params.watch = tuff_cli_watch();
    params.strict = o->data.strict;
    params.no_cache = o->data.no_cache;
    params.threads = (uint32_t)o->common.threads;
    params.validation_split = o->data.validation_split;
    params.split_seed = (uint64_t)o->seed;
    params.held_out = held_out;
    return params;
}

tuff_status tuff_cli_train_load_some_pairs(const tuff_cli_train_options *o, const tuff_model *model,
                                           const char *path, bool held_out, tuff_dataset **out)
{
    const tuff_pair_params params = pairs_of(o, held_out);
    return tuff_dataset_load_pairs(model, path, &params, out);
}

tuff_status tuff_cli_train_load_measured_pairs(const tuff_cli_train_options *o, const tuff_model *model,
                                               const char *path, bool held_out, bool scored,
                                               tuff_dataset **out)
{
    tuff_pair_params params = pairs_of(o, held_out);
    params.gradient_cache_batch = 0;
    if (scored && (o->loss == MNRL || o->loss == TRIPLET)) params.loss = loss_name(COSENT);
    return tuff_dataset_load_pairs(model, path, &params, out);
}
