#include "generate/generator.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/structs.h"
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
    TUFF_TRY(tuff_watch_check(params->watch));
    TUFF_TRY(choose_context(gen, params->context_length));
    gen->own_watch = gen->watch = params->watch;
    gen->cache_dtype = params->cache_f16 ? TUFF_F16 : TUFF_F32;
    gen->logits = tuff_alloc_array((size_t)gen->model->config.vocab_size, sizeof *gen->logits);
    if (!gen->logits) return tuff_fail_memory("logits");
    TUFF_TRY(tuff_store_create(gen->device, &gen->store));
    if (params->adapter) TUFF_TRY(tuff_lora_open(gen->model, params->adapter, &gen->device->log, &gen->lora));
    TUFF_TRY(tuff_model_upload(gen->model, false, gen->watch, gen->store));
    return gen->lora ? tuff_lora_upload(gen->lora, gen->store) : TUFF_OK;
}

tuff_status tuff_generator_create(const tuff_model *model, tuff_device *device,
                                  const tuff_generator_params *params, tuff_generator **out_generator)
{
    TUFF_NEED_OUT(out_generator);
    TUFF_NEED(model);
    TUFF_NEED(device);
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    *out_generator = NULL;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATOR_PARAMS_INIT, watch));
    TUFF_TRY(tuff_model_need_lm(model));
    tuff_generator *gen = tuff_alloc(sizeof *gen);
    if (!gen) return tuff_fail_memory("a generator");
    gen->model = model;
    gen->device = device;
    atomic_flag_clear(&gen->busy);
    tuff_status status = build(gen, &p);
    if (status != TUFF_OK)
        tuff_generator_destroy(&gen);
    else
        *out_generator = gen;
    return status;
}

tuff_status tuff_generator_enter(tuff_generator *gen, const tuff_watch *watch)
{
    TUFF_TRY(tuff_watch_check(watch));
    if (atomic_flag_test_and_set(&gen->busy))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the generator is in use by another call; a callback must not call into it, and a "
                         "generator belongs to one thread at a time");
    gen->watch = watch ? watch : gen->own_watch;
    return TUFF_OK;
}

void tuff_generator_leave(tuff_generator *gen)
{
    gen->watch = gen->own_watch;
    atomic_flag_clear(&gen->busy);
}

void tuff_generator_destroy(tuff_generator **generator)
{
    if (!generator) return;
    tuff_generator *gen = *generator;
    if (!gen) return;
    if (atomic_flag_test_and_set(&gen->busy)) {
        tuff_log_to(&gen->device->log, TUFF_LOG_ERROR,
                    "a generator that is in use by a call was to be destroyed; it is left as it is");
        return;
    }
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
                    .tokens = tuff_bucket_length[bucket],
                    .sequences = 1,
                    .params = &gen->model->params,
                    .capacity = gen->capacity,
                    .cache_dtype = gen->cache_dtype,
                    .rope_positions = gen->capacity,
                    .hook = gen->lora ? tuff_lora_hook(gen->lora, false) : NULL};
    tuff_net_begin(&net);
    tuff_output(g, "logits", tuff_net_logits(&net, tuff_net_hidden(&net), true));
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

/* One program run: n ids, padded to the bucket's length. Padding is in no segment and not written to the
 * cache; its positions stay within the tables. */
static tuff_status run_bucket(tuff_generator *gen, int bucket, const int32_t *ids, int32_t n, int64_t start)
{
    int32_t padded[TUFF_LONGEST_BUCKET] = {0}, positions[TUFF_LONGEST_BUCKET], rows[TUFF_LONGEST_BUCKET];
    int32_t segment[4] = {0, n, 0, (int32_t)start + n}, last = n - 1;
    int64_t length = tuff_bucket_length[bucket];
    size_t bytes = (size_t)length * sizeof *ids;
    memcpy(padded, ids, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < length; i++) {
        positions[i] = (int32_t)(start + i < gen->capacity ? start + i : gen->capacity - 1);
        rows[i] = i < n ? (int32_t)(start + i) : -1;
    }
    if (!gen->programs[bucket]) TUFF_TRY(make_program(gen, bucket));
    tuff_program *program = gen->programs[bucket];
    TUFF_TRY(tuff_program_input(program, "ids", padded, bytes));
    TUFF_TRY(tuff_program_input(program, "positions", positions, bytes));
    TUFF_TRY(tuff_program_input(program, "segments", segment, sizeof segment));
    TUFF_TRY(tuff_program_input(program, "rows", rows, bytes));
    TUFF_TRY(tuff_program_input(program, "last", &last, sizeof last));
    return tuff_program_run_until(program, gen->watch ? gen->watch->cancel : NULL, false);
}

/* The smallest that holds so many ids, or the largest. */
static int bucket_of(int64_t n)
{
    int bucket = 0;
    while (bucket < TUFF_BUCKETS - 1 && tuff_bucket_length[bucket] < n)
        bucket++;
    return bucket;
}

static tuff_status prepare_bucket(tuff_generator *gen, int bucket)
{
    if (!gen->programs[bucket]) TUFF_TRY(make_program(gen, bucket));
    return tuff_program_prepare(gen->programs[bucket]);
}

tuff_status tuff_generator_prepare(tuff_generator *gen, int64_t n, bool decode)
{
    TUFF_TRY(tuff_generator_reserve(gen, n, 0));
    if (decode) TUFF_TRY(prepare_bucket(gen, 0));
    if (n >= TUFF_LONGEST_BUCKET) TUFF_TRY(prepare_bucket(gen, TUFF_BUCKETS - 1));
    return n % TUFF_LONGEST_BUCKET ? prepare_bucket(gen, bucket_of(n % TUFF_LONGEST_BUCKET)) : TUFF_OK;
}

/* Waits for the program's last run. */
static tuff_status read_logits(tuff_generator *gen, int bucket)
{
    return tuff_program_output(gen->programs[bucket], "logits", gen->logits,
                               (size_t)gen->model->config.vocab_size * sizeof *gen->logits);
}

static tuff_status stop_clock(tuff_generator *gen, int bucket, uint64_t since)
{
    TUFF_TRY(read_logits(gen, bucket));
    gen->warm_seconds += (double)(tuff_now_ns() - since) / 1e9;
    return TUFF_OK;
}

tuff_status tuff_generator_run(tuff_generator *gen, const int32_t *ids, int64_t n, int64_t start)
{
    if (n < 1 || start < 0 || start + n > gen->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "positions %lld to %lld do not fit a context of %lld",
                         (long long)start, (long long)(start + n), (long long)gen->context);
    TUFF_TRY(tuff_generator_reserve(gen, start + n, start));
    int bucket = 0, before = -1; /* -1: no run since the clock was set */
    uint64_t since = tuff_now_ns();
    for (int64_t done = 0; done < n;) {
        if (n > 1) TUFF_TRY(tuff_watch_step(gen->watch, TUFF_PHASE_PROMPT, (uint64_t)done, (uint64_t)n));
        int64_t left = n - done;
        bucket = bucket_of(left);
        bool first = !gen->programs[bucket] || !gen->programs[bucket]->ran;
        if (first && before >= 0) TUFF_TRY(stop_clock(gen, before, since));
        int64_t count = left < tuff_bucket_length[bucket] ? left : tuff_bucket_length[bucket];
        TUFF_TRY(run_bucket(gen, bucket, ids + done, (int32_t)count, start + done));
        done += count;
        before = bucket;
        if (!first) {
            gen->warm_tokens += count;
            continue;
        }
        TUFF_TRY(read_logits(gen, bucket));
        before = -1;
        since = tuff_now_ns();
    }
    return before < 0 ? TUFF_OK : stop_clock(gen, before, since);
}

tuff_program *tuff_generator_program(tuff_generator *gen)
{
    if (!gen || atomic_flag_test_and_set(&gen->busy)) return NULL;
    tuff_program *program = gen->programs[0] && gen->programs[0]->ran ? gen->programs[0] : NULL;
    atomic_flag_clear(&gen->busy);
    return program;
}

tuff_status tuff_generator_logits(tuff_generator *gen, const int32_t *ids, size_t n, float *out_logits)
{
    TUFF_NEED(gen);
    TUFF_NEED(ids);
    TUFF_NEED(out_logits);
    if (n == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "logits are asked for after no token at all");
    if (n > (size_t)gen->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu ids do not fit a context of %lld", n,
                         (long long)gen->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= gen->model->config.vocab_size)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "id %d at %zu is outside the vocabulary of %lld", ids[i],
                             i, (long long)gen->model->config.vocab_size);
    TUFF_TRY(tuff_generator_enter(gen, NULL));
    gen->most = (int64_t)n;
    tuff_status status = tuff_generator_run(gen, ids, (int64_t)n, 0);
    if (status == TUFF_OK)
        memcpy(out_logits, gen->logits, (size_t)gen->model->config.vocab_size * sizeof *out_logits);
    tuff_generator_leave(gen);
    return status;
}
