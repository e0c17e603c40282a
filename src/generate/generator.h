/* The generator inside. */
#ifndef TUFF_GENERATE_GENERATOR_H
#define TUFF_GENERATE_GENERATOR_H

#include <stdatomic.h>

#include <tuff/generate.h>

#include "adapters/lora.h"
#include "base/watch.h"

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
    tuff_dtype cache_dtype;
    tuff_program *programs[TUFF_BUCKETS]; /* made when first needed, anew for every capacity */
    float *logits;                        /* [vocab] */
    const tuff_watch *own_watch, *watch;  /* of all calls; of the call at hand; NULL: none */
    int64_t warm_tokens;                  /* fed by programs that had run before, since it was set to 0 */
    double warm_seconds;                  /* what this took */
    atomic_flag busy;                     /* a call works on it */
};

/* Runs ids[0..n) at positions start..start+n and leaves the logits after the last in generator->logits. */
TUFF_MUST_USE tuff_status tuff_generator_run(tuff_generator *generator, const int32_t *ids, int64_t n,
                                             int64_t start);

/* Of every public call: TUFF_INVALID_ARGUMENT when another one is at work. `watch` NULL: the generator's own.
 */
TUFF_MUST_USE tuff_status tuff_generator_enter(tuff_generator *generator, const tuff_watch *watch);
void tuff_generator_leave(tuff_generator *generator);

/* Makes ready all that a prompt of n tokens needs, and with `decode` a token after it. */
TUFF_MUST_USE tuff_status tuff_generator_prepare(tuff_generator *generator, int64_t n, bool decode);

/* Makes room for `needed` positions, the first `used` of which are in use. What is there stays as it is when
 * this fails. */
TUFF_MUST_USE tuff_status tuff_generator_reserve(tuff_generator *generator, int64_t needed, int64_t used);

#endif
