/* The generator inside. */
#ifndef TUFF_GENERATE_GENERATOR_H
#define TUFF_GENERATE_GENERATOR_H

#include "generate/batcher.h"

struct tuff_generator {
    tuff_batcher *batcher; /* of one slot; between calls it has no sequence */
    int32_t *kept;         /* [kept_count]: the ids whose keys and values are in the slot */
    size_t kept_count;
};

/* As tuff_generator_create, of a model that is on its device; params->adapter is not read. */
TUFF_MUST_USE tuff_status tuff_generator_create_loaded(const tuff_loaded *loaded,
                                                       const tuff_generator_params *params,
                                                       tuff_generator **out_generator);

/* Runs ids[0..n) at positions start..start+n of the slot; the logits after the last are then in the runner's.
 * No call may be at work. */
TUFF_MUST_USE tuff_status tuff_generator_run(tuff_generator *generator, const int32_t *ids, int64_t n,
                                             int64_t start);

#endif
