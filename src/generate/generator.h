/* The generator inside. */
#ifndef TUFF_GENERATE_GENERATOR_H
#define TUFF_GENERATE_GENERATOR_H

#include <stdatomic.h>

#include <tuff/generate.h>

#include "base/watch.h"
#include "generate/runner.h"

struct tuff_generator {
    tuff_runner *runner; /* of one slot */
    int64_t most;        /* the most positions that the run at hand can have; 0: the context */
    const tuff_watch *own_watch, *watch; /* of all calls; of the call at hand; NULL: none */
    int64_t warm_tokens;                 /* fed by programs that had run before, since it was set to 0 */
    double warm_seconds;                 /* what this took */
    atomic_flag busy;                    /* a call works on it */
};

/* Runs ids[0..n) at positions start..start+n and leaves the logits after the last in runner->logits. */
TUFF_MUST_USE tuff_status tuff_generator_run(tuff_generator *generator, const int32_t *ids, int64_t n,
                                             int64_t start);

/* Of every public call: TUFF_INVALID_ARGUMENT when another one is at work. `watch` NULL: the generator's own.
 */
TUFF_MUST_USE tuff_status tuff_generator_enter(tuff_generator *generator, const tuff_watch *watch);
void tuff_generator_leave(tuff_generator *generator);

/* Makes ready all that a prompt of n tokens needs, and with `decode` a token after it. */
TUFF_MUST_USE tuff_status tuff_generator_prepare(tuff_generator *generator, int64_t n, bool decode);

#endif
