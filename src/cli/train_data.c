/* The pairs that `tuff train --task embedding` trains and measures on. */
#include "cli/train.h"

enum { MNRL, COSINE, TRIPLET };

static const char *loss_name(int loss)
{
    static const char *const names[] = {"mnrl", "cosine", "triplet", "contrastive", "cosent"};
    return names[loss];
}

/* Pairs with scores tell more than a loss: how well the vectors follow them. cosent takes scores of any
 * range. */
static tuff_status load_validation(const tuff_cli_train_options *o, const tuff_model *model,
                                   tuff_pair_params params, tuff_dataset **out)
{
    params.gradient_cache_batch = 0;
    if (o->loss == MNRL || o->loss == TRIPLET) {
        params.loss = "cosent";
        if (tuff_dataset_load_pairs(model, o->validation_file, &params, out) == TUFF_OK) return TUFF_OK;
        params.loss = loss_name(o->loss);
    }
    return tuff_dataset_load_pairs(model, o->validation_file, &params, out);
}

tuff_status tuff_cli_train_load_pairs(const tuff_cli_train_options *o, const tuff_model *model,
                                      tuff_dataset **out_train, tuff_dataset **out_validation)
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
    tuff_status status = tuff_dataset_load_pairs(model, o->train_file, &params, out_train);
    if (status != TUFF_OK || !o->validation_file) return status;
    return load_validation(o, model, params, out_validation);
}
