#include "generate/generator.h"

#include <string.h>

#include "base/memory.h"
#include "runtime/program.h"

const int64_t tuff_bucket_length[TUFF_BUCKETS] = {1, 16, 64, TUFF_LONGEST_BUCKET};

static tuff_status choose_context(tuff_generator *gen, int64_t wanted)
{
    const tuff_config *c = &gen->model->config;
    gen->context = wanted ? wanted : c->max_positions;
    if (gen->context < 1 || gen->context > 1 << 24)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the context length is %lld, expected 1 to %d%s",
                         (long long)gen->context, 1 << 24, wanted ? "" : "; give one that is shorter");
    if (c->rope_theta == 0 && gen->context > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a context of %lld positions is asked for, but the model learned only %lld",
                         (long long)wanted, (long long)c->max_positions);
    return TUFF_OK;
}

static tuff_status build(tuff_generator *gen, const tuff_generator_params *params)
{
    TUFF_TRY(choose_context(gen, params->context_length));
    gen->matrix_dtype = tuff_model_matrix_dtype(gen->model, TUFF_MATRIX_AS_STORED);
    gen->cache_dtype = params->cache_f16 ? TUFF_F16 : TUFF_F32;
    gen->logits = tuff_alloc_array((size_t)gen->model->config.vocab_size, sizeof *gen->logits);
    if (!gen->logits) return tuff_fail_memory("logits");
    TUFF_TRY(tuff_store_create(gen->device, &gen->store));
    if (params->adapter) TUFF_TRY(tuff_lora_open(gen->model, params->adapter, &gen->lora));
    TUFF_TRY(tuff_model_upload(gen->model, gen->matrix_dtype, gen->store));
    return gen->lora ? tuff_lora_upload(gen->lora, gen->store) : TUFF_OK;
}

tuff_status tuff_generator_create(const tuff_model *model, tuff_device *device,
                                  const tuff_generator_params *params, tuff_generator **out_generator)
{
    static const tuff_generator_params defaults;
    *out_generator = NULL;
    tuff_generator *gen = tuff_alloc(sizeof *gen);
    if (!gen) return tuff_fail_memory("a generator");
    gen->model = model;
    gen->device = device;
    tuff_status status = build(gen, params ? params : &defaults);
    if (status != TUFF_OK)
        tuff_generator_destroy(&gen);
    else
        *out_generator = gen;
    return status;
}

void tuff_generator_destroy(tuff_generator **generator)
{
    tuff_generator *gen = *generator;
    if (!gen) return;
    for (int i = 0; i < TUFF_BUCKETS; i++)
        tuff_program_destroy(&gen->programs[i]);
    tuff_store_destroy(&gen->caches);
    tuff_store_destroy(&gen->store);
    tuff_lora_destroy(&gen->lora);
    tuff_free(gen->logits);
    tuff_free(gen);
    *generator = NULL;
}

static tuff_status make_program(tuff_generator *gen, int bucket)
{
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_net net = {.g = g,
                    .config = &gen->model->config,
                    .batch = 1,
                    .length = tuff_bucket_length[bucket],
                    .matrix_dtype = gen->matrix_dtype,
                    .capacity = gen->capacity,
                    .cache_dtype = gen->cache_dtype,
                    .rope_positions = gen->capacity,
                    .hook = gen->lora ? tuff_lora_hook(gen->lora, false) : NULL};
    tuff_net_begin(&net);
    tuff_output(g, "logits", tuff_net_logits(&net, gen->model->config.arch->hidden(&net), true));
    tuff_program *program = NULL;
    TUFF_TRY(tuff_program_create(gen->device, &g, &program));
    tuff_status status = tuff_store_bind(gen->store, program);
    if (status == TUFF_OK) status = tuff_store_bind(gen->caches, program);
    if (status != TUFF_OK)
        tuff_program_destroy(&program);
    else
        gen->programs[bucket] = program;
    return status;
}

/* One program run: n ids, padded to the bucket's length. What the padding writes to the cache lies past the
 * sequence's end and is overwritten before it is ever seen; positions stay inside the tables so that it is
 * finite. */
static tuff_status run_bucket(tuff_generator *gen, int bucket, const int32_t *ids, int32_t n, int64_t start)
{
    int32_t padded[TUFF_LONGEST_BUCKET] = {0}, positions[TUFF_LONGEST_BUCKET], at = (int32_t)start,
            last = n - 1;
    int64_t length = tuff_bucket_length[bucket];
    size_t bytes = (size_t)length * sizeof *ids;
    memcpy(padded, ids, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < length; i++)
        positions[i] = (int32_t)(start + i < gen->capacity ? start + i : gen->capacity - 1);
    if (!gen->programs[bucket]) TUFF_TRY(make_program(gen, bucket));
    tuff_program *program = gen->programs[bucket];
    TUFF_TRY(tuff_program_input(program, "ids", padded, bytes));
    TUFF_TRY(tuff_program_input(program, "positions", positions, bytes));
    TUFF_TRY(tuff_program_input(program, "start", &at, sizeof at));
    TUFF_TRY(tuff_program_input(program, "last", &last, sizeof last));
    return tuff_program_run(program);
}

tuff_status tuff_generator_run(tuff_generator *gen, const int32_t *ids, int64_t n, int64_t start)
{
    if (n < 1 || start < 0 || start + n > gen->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "positions %lld to %lld do not fit a context of %lld",
                         (long long)start, (long long)(start + n), (long long)gen->context);
    TUFF_TRY(tuff_generator_reserve(gen, start + n, start));
    int bucket = 0;
    for (int64_t done = 0; done < n;) {
        int64_t left = n - done;
        for (bucket = 0; bucket < TUFF_BUCKETS - 1 && tuff_bucket_length[bucket] < left; bucket++) {
        }
        int64_t count = left < tuff_bucket_length[bucket] ? left : tuff_bucket_length[bucket];
        TUFF_TRY(run_bucket(gen, bucket, ids + done, (int32_t)count, start + done));
        done += count;
    }
    return tuff_program_output(gen->programs[bucket], "logits", gen->logits,
                               (size_t)gen->model->config.vocab_size * sizeof *gen->logits);
}

tuff_program *tuff_generator_program(tuff_generator *gen)
{
    return gen->programs[0];
}

tuff_status tuff_generator_logits(tuff_generator *gen, const int32_t *ids, size_t n, float *out_logits)
{
    if (n == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "logits are asked for after no token at all");
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= gen->model->config.vocab_size)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "id %d at %zu is outside the vocabulary of %lld", ids[i],
                             i, (long long)gen->model->config.vocab_size);
    gen->most = n < (size_t)gen->context ? (int64_t)n : gen->context;
    TUFF_TRY(tuff_generator_run(gen, ids, (int64_t)n, 0));
    memcpy(out_logits, gen->logits, (size_t)gen->model->config.vocab_size * sizeof *out_logits);
    return TUFF_OK;
}
