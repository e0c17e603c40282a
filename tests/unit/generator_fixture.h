/* What generators of a test's device say. */
#ifndef TUFF_TESTS_GENERATOR_FIXTURE_H
#define TUFF_TESTS_GENERATOR_FIXTURE_H

#include "cpu_fixture.h"
#include "generate/generator.h"

/* The logits behind ids, with an adapter if there is one. */
static inline void logits_of(const tuff_model *model, const char *adapter, const int32_t *ids, size_t n,
                             float *out)
{
    tuff_generator *generator = NULL;
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    p.adapter = adapter;
    p.context_length = 32;
    KIT_OK(tuff_generator_create(model, device, &p, &generator));
    KIT_OK(tuff_generator_logits(generator, ids, n, out));
    tuff_generator_destroy(&generator);
}

#endif
