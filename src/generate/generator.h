/* The generator inside. */
#ifndef TUFF_GENERATE_GENERATOR_H
#define TUFF_GENERATE_GENERATOR_H

#include <tuff/generate.h>

#include "adapters/lora.h"

/* Ids go through programs of a few fixed lengths: decoding takes one at a time, a prompt the largest that it
 * fills, its rest the smallest that holds it. */
enum { TUFF_BUCKETS = 4, TUFF_LONGEST_BUCKET = 256 };
extern const int64_t tuff_bucket_length[TUFF_BUCKETS];

struct tuff_generator {
    const tuff_model *model;
    tuff_device *device;
    tuff_store *store;  /* weights */
    tuff_store *caches; /* keys, values, rotary tables, of `capacity` positions; NULL: none needed yet */
    tuff_lora *lora;    /* NULL: none */
    int64_t context;    /* the most positions that a run may have */
    int64_t most;       /* the most that the run at hand can have; 0: the context */
    int64_t capacity;
    tuff_dtype matrix_dtype, cache_dtype;
    tuff_program *programs[TUFF_BUCKETS]; /* made when first needed, anew for every capacity */
    float *logits;                        /* [vocab] */
};

/* Runs ids[0..n) at positions start..start+n and leaves the logits after the last in generator->logits. */
TUFF_MUST_USE tuff_status tuff_generator_run(tuff_generator *generator, const int32_t *ids, int64_t n,
                                             int64_t start);

/* Makes room for `needed` positions, the first `used` of which are in use. What is there stays as it is when
 * this fails. */
TUFF_MUST_USE tuff_status tuff_generator_reserve(tuff_generator *generator, int64_t needed, int64_t used);

#endif
