/* Generators: prompts of every length, the end of the context, stopping, other storage types, failing memory.
 */
#include <math.h>

#include <tuff/generate.h>

#include "failing_device.h"
#include "generate/generator.h"
#include "model_fixture.h"

static tuff_device *device;
static tuff_model *llama, *gpt2;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    llama = model_open("llama");
    gpt2 = model_open("gpt2");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&llama);
    tuff_model_destroy(&gpt2);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_generator *generator_of(const tuff_model *model, int64_t context, bool half)
{
    tuff_generator *generator = NULL;
    KIT_OK(tuff_generator_create(model, device,
                                 &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params),
                                                          .context_length = context,
                                                          .cache_f16 = half},
                                 &generator));
    return generator;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = kit_farther(most, (double)a[i], (double)b[i]);
    return most;
}

/* A prompt in one go gives the logits of one token after the other: across all bucket borders, past the
 * model's own context, and when the padding of the last bucket reaches over the end of the cache. */
static void prompts_of_every_length_agree_with_single_tokens(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 63, 64, 65, 81, 255, 256, 257, 273};
    enum { MOST = 273 };
    int64_t vocab = llama->config.vocab_size;
    int32_t ids[MOST];
    for (int i = 0; i < MOST; i++)
        ids[i] = (i * 29 + i / 5) % 250;
    tuff_generator *single = generator_of(llama, MOST, false);
    float *logits = tuff_alloc_array((size_t)vocab, sizeof *logits);
    size_t next = 0;
    for (int64_t n = 1; n <= MOST; n++) {
        KIT_OK(tuff_generator_run(single, &ids[n - 1], 1, n - 1));
        if (lengths[next] != n) continue;
        next++;
        for (int tight = 0; tight < 2; tight++) {
            tuff_generator *whole = generator_of(llama, tight ? n : MOST, false);
            KIT_OK(tuff_generator_logits(whole, ids, (size_t)n, logits));
            double off = distance(logits, single->batcher->runner->logits, vocab);
            if (off > 1e-5) fail_msg("%lld ids: off by %g", (long long)n, off);
            tuff_generator_destroy(&whole);
        }
    }
    assert_int_equal(next, sizeof lengths / sizeof *lengths);
    KIT_FAILS(tuff_generator_run(single, ids, 1, MOST), TUFF_INVALID_ARGUMENT, "do not fit a context of 273");
    tuff_generator_destroy(&single);
    tuff_free(logits);
}

typedef struct receiver {
    char text[4096];
    size_t size;
    int pieces, most; /* most: 0 takes all */
} receiver;

static bool receive(const char *text, size_t size, void *user)
{
    receiver *r = user;
    assert_true(size > 0 && r->size + size < sizeof r->text);
    memcpy(r->text + r->size, text, size);
    r->size += size;
    r->text[r->size] = 0;
    return ++r->pieces != r->most;
}

static tuff_generate_result generate(tuff_generator *generator, const char *prompt,
                                     tuff_generate_params params, receiver *r)
{
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    params.on_text = receive;
    params.user = r;
    KIT_OK(tuff_generate(generator, prompt, strlen(prompt), &params, &result));
    return result;
}

static void the_context_ends(void **state)
{
    (void)state;
    static const char prompt[] = "The river and the old stone bridge";
    int32_t *ids = NULL;
    size_t n = 0;
    KIT_OK(
        tuff_tokenizer_encode(llama->tokenizer, prompt, strlen(prompt), TUFF_ENCODE_ADD_SPECIAL, &ids, &n));
    tuff_free(ids);
    for (int64_t room = 1; room <= 3; room++) {
        tuff_generator *generator = generator_of(llama, (int64_t)n + room, false);
        receiver r = {.size = 0};
        tuff_generate_result result = generate(
            generator, prompt,
            (tuff_generate_params){.struct_size = sizeof(tuff_generate_params), .ignore_eos = true}, &r);
        assert_int_equal(result.finish, TUFF_FINISH_CONTEXT);
        assert_int_equal(result.prompt_tokens, n);
        assert_int_equal(result.new_tokens, room + 1); /* the last one is not fed back */
        result = generate(generator, prompt,
                          (tuff_generate_params){.struct_size = sizeof(tuff_generate_params),
                                                 .ignore_eos = true,
                                                 .max_new_tokens = 1},
                          &r);
        assert_int_equal(result.finish, TUFF_FINISH_LENGTH);
        assert_int_equal(result.new_tokens, 1);
        tuff_generator_destroy(&generator);
    }
    tuff_generator *generator = generator_of(llama, (int64_t)n, false);
    KIT_FAILS(tuff_generate(generator, prompt, strlen(prompt), NULL, NULL), TUFF_INVALID_ARGUMENT,
              "leaves no room");
    tuff_generate_params negative = {.struct_size = sizeof negative, .max_new_tokens = -1};
    KIT_FAILS(tuff_generate(generator, "a", 1, &negative, NULL), TUFF_INVALID_ARGUMENT,
              "max_new_tokens is -1");
    KIT_FAILS(tuff_generator_logits(generator, (int32_t[]){1}, 0, (float[]){0}), TUFF_INVALID_ARGUMENT,
              "no token");
    float logits[300];
    /* more ids than a context holds are not looked at */
    KIT_FAILS(tuff_generator_logits(generator, (const int32_t[]){280}, SIZE_MAX, logits),
              TUFF_INVALID_ARGUMENT, "do not fit");
    KIT_FAILS(tuff_generator_logits(generator, (const int32_t[]){280}, 1, logits), TUFF_INVALID_ARGUMENT,
              "id 280 at 0");
    KIT_OK(tuff_generate(generator, "a", 1, NULL, NULL)); /* greedy, to the end */
    tuff_generator_destroy(&generator);
    /* from the token that begins a text alone, the context ends as it does after any prompt */
    generator = generator_of(llama, 12, false);
    receiver r = {.size = 0};
    tuff_generate_result result =
        generate(generator, "",
                 (tuff_generate_params){.struct_size = sizeof(tuff_generate_params), .ignore_eos = true}, &r);
    assert_int_equal(result.prompt_tokens, 1);
    assert_int_equal(result.finish, TUFF_FINISH_CONTEXT);
    tuff_generator_destroy(&generator);

    KIT_FAILS(tuff_generator_create(gpt2, device,
                                    &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params),
                                                             .context_length = 65},
                                    &generator),
              TUFF_INVALID_ARGUMENT, "the model learned only 64");
    KIT_FAILS(tuff_generator_create(llama, device,
                                    &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params),
                                                             .context_length = -1},
                                    &generator),
              TUFF_INVALID_ARGUMENT, "context length is -1");
    assert_null(generator);
    tuff_model *endless = model_open(model_copy("llama", "endless", "\"max_position_embeddings\": 128",
                                                "\"max_position_embeddings\": 200000000"));
    KIT_FAILS(tuff_generator_create(endless, device, NULL, &generator), TUFF_INVALID_ARGUMENT,
              "context length is 200000000, expected 1 to 16777216; give one");
    tuff_model_destroy(&endless);
}

static void texts_stop(void **state)
{
    (void)state;
    tuff_generator *generator = generator_of(llama, 64, false);
    receiver all = {.size = 0};
    generate(generator, "The river",
             (tuff_generate_params){
                 .struct_size = sizeof(tuff_generate_params), .max_new_tokens = 24, .ignore_eos = true},
             &all);
    assert_true(all.size > 4 && all.pieces > 3);

    /* at a stop string from the middle of what it says, which is left out */
    char stop[3] = {all.text[all.size / 2], all.text[all.size / 2 + 1], 0};
    const char *const stops[] = {stop};
    const char *first = strstr(all.text, stop);
    assert_int_equal(strlen(stop), 2);
    receiver part = {.size = 0};
    tuff_generate_result stopped =
        generate(generator, "The river",
                 (tuff_generate_params){.struct_size = sizeof(tuff_generate_params),
                                        .max_new_tokens = 24,
                                        .ignore_eos = true,
                                        .stop = stops,
                                        .stop_count = 1},
                 &part);
    assert_int_equal(stopped.finish, TUFF_FINISH_STOP);
    assert_int_equal(part.size, first - all.text);
    assert_memory_equal(part.text, all.text, part.size);
    /* when the receiver says so, and then it hears nothing more */
    for (int pieces = 1; pieces <= all.pieces; pieces++) {
        receiver r = {.most = pieces};
        tuff_generate_result result = generate(
            generator, "The river",
            (tuff_generate_params){
                .struct_size = sizeof(tuff_generate_params), .max_new_tokens = 24, .ignore_eos = true},
            &r);
        assert_int_equal(result.finish, TUFF_FINISH_CANCELLED);
        assert_int_equal(r.pieces, pieces);
    }
    KIT_FAILS(tuff_generate(generator, "a", 1,
                            &(tuff_generate_params){.struct_size = sizeof(tuff_generate_params),
                                                    .stop = (const char *const[]){""},
                                                    .stop_count = 1},
                            NULL),
              TUFF_INVALID_ARGUMENT, "stop string 1 is empty");
    tuff_generator_destroy(&generator);
}

/* The same text from f32, f16 and bf16, out of both formats, and with an f16 cache. */
static void storage_types_agree(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 40, 80, 7, 120, 33, 9, 200};
    const size_t n = sizeof ids / sizeof *ids;
    tuff_model *tied = model_open("llama-tied");
    const tuff_model *const models[] = {gpt2, llama, tied};
    for (int m = 0; m < 3; m++) {
        int64_t vocab = models[m]->config.vocab_size;
        float truth[300], logits[300];
        tuff_generator *generator = generator_of(models[m], 64, false);
        KIT_OK(tuff_generator_logits(generator, ids, n, truth));
        double largest = 0;
        for (int64_t i = 0; i < vocab; i++)
            largest = fmax(largest, fabs((double)truth[i]));
        tuff_generator_destroy(&generator);
        for (int i = 0; i < 7; i++) {
            static const tuff_dtype dtypes[] = {TUFF_F32, TUFF_F16, TUFF_BF16};
            static const double bounds[] = {2e-6, 4e-3, 4e-2, 4e-3};
            tuff_file_format format = i % 2 ? TUFF_FORMAT_GGUF : TUFF_FORMAT_HF;
            const char *path = kit_temp_path(i % 2 ? "stored.gguf" : "stored");
            KIT_OK(tuff_model_save(models[m], format, dtypes[i / 2 % 3], path));
            tuff_model *stored = model_open(path);
            generator = generator_of(stored, 64, i == 6);
            assert_int_equal(tuff_model_matrix_dtype(stored), dtypes[i / 2 % 3]);
            KIT_OK(tuff_generator_logits(generator, ids, n, logits));
            double off = distance(logits, truth, vocab) / largest;
            if (off > bounds[i / 2]) fail_msg("model %d, storage %d: off by %g", m, i, off);
            tuff_generator_destroy(&generator);
            tuff_model_destroy(&stored);
        }
    }
    tuff_model_destroy(&tied);
}

/* A cache that grows while it is in use gives the bits of one that was large from the start; between two
 * growths nothing is allocated. */
static void a_cache_grows(void **state)
{
    (void)state;
    enum { PROMPT = 700, END = 1100, CONTEXT = 5000 };
    int32_t ids[END];
    for (int i = 0; i < END; i++)
        ids[i] = (i * 31 + i / 9) % 250;
    size_t bytes = (size_t)llama->config.vocab_size * sizeof(float);
    for (int half = 0; half < 2; half++) {
        tuff_generator *grows = generator_of(llama, CONTEXT, half),
                       *large = generator_of(llama, CONTEXT, half);
        KIT_OK(tuff_runner_reserve(large->batcher->runner, &(tuff_room){.slots = 1, .positions = CONTEXT},
                                   NULL));
        assert_int_equal(large->batcher->runner->capacity, CONTEXT);
        KIT_OK(tuff_generator_run(grows, ids, PROMPT, 0));
        KIT_OK(tuff_generator_run(large, ids, PROMPT, 0));
        assert_int_equal(grows->batcher->runner->capacity, 1024);
        uint64_t allocations = 0;
        for (int at = PROMPT; at < END; at++) {
            KIT_OK(tuff_generator_run(grows, &ids[at], 1, at));
            if (at == PROMPT || at == 1024) allocations = kit_allocations();
            assert_int_equal(kit_allocations(), allocations);
            KIT_OK(tuff_generator_run(large, &ids[at], 1, at));
            if (at == PROMPT) allocations = kit_allocations();
            assert_memory_equal(grows->batcher->runner->logits, large->batcher->runner->logits, bytes);
        }
        assert_int_equal(grows->batcher->runner->capacity, 2048);
        tuff_generator_destroy(&grows);
        tuff_generator_destroy(&large);
    }
}

/* What a model declares is not what a run takes: keys, values and rotary tables of a million positions. */
static void a_million_positions_are_not_made(void **state)
{
    (void)state;
    tuff_model *wide = model_open(model_copy("llama", "million", "\"max_position_embeddings\": 128",
                                             "\"max_position_embeddings\": 1000000"));
    uint64_t before = kit_device_stats(device).bytes;
    tuff_generator *generator = generator_of(wide, 0, false);
    assert_int_equal(generator->batcher->runner->context, 1000000);
    receiver r = {.size = 0};
    generate(generator, "The river",
             (tuff_generate_params){
                 .struct_size = sizeof(tuff_generate_params), .max_new_tokens = 3, .ignore_eos = true},
             &r);
    assert_true(kit_device_stats(device).bytes - before < 2 << 20);
    assert_true(generator->batcher->runner->capacity <= 256);
    tuff_generator_destroy(&generator);
    /* a run without a limit begins with little too */
    generator = generator_of(wide, 0, false);
    receiver first = {.most = 1};
    generate(generator, "The river",
             (tuff_generate_params){.struct_size = sizeof(tuff_generate_params), .ignore_eos = true}, &first);
    assert_int_equal(generator->batcher->runner->capacity, 1024);
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&wide);
}

static tuff_status create_and_generate(void *user)
{
    tuff_generator *generator = NULL;
    receiver r = {.size = 0};
    const tuff_generate_params params = {
        .struct_size = sizeof params, .max_new_tokens = 3, .on_text = receive, .user = &r};
    const tuff_generator_params with = {
        .struct_size = sizeof with, .context_length = 32, .adapter = kit_asset("golden/llama/lora")};
    tuff_status status = tuff_generator_create(llama, user, &with, &generator);
    if (status == TUFF_OK) status = tuff_generate(generator, "The river", 9, &params, NULL);
    tuff_generator_destroy(&generator);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(create_and_generate, device) > 50);
}

static void device_memory_may_fail(void **state)
{
    (void)state;
    tuff_device failing = failing_device_open();
    bool failed = true;
    for (int n = 1; failed; n++) {
        failing_buffers = n;
        tuff_status status = create_and_generate(&failing);
        failed = status != TUFF_OK;
        assert_true(!failed || status == TUFF_OUT_OF_MEMORY);
        assert_int_equal(kit_device_stats(&failing).bytes, 0);
        failing_buffers = 0;
    }
    /* a run that fails leaves a generator that can be used again */
    tuff_generator *generator = NULL;
    const tuff_generate_params params = {
        .struct_size = sizeof params, .max_new_tokens = 3, .ignore_eos = true};
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    KIT_OK(tuff_generator_create(llama, &failing, NULL, &generator));
    failing_runs = 3;
    KIT_FAILS(tuff_generate(generator, "The river", 9, &params, &result), TUFF_DEVICE_LOST, "lost");
    assert_int_equal(result.new_tokens, 2);
    KIT_OK(tuff_generate(generator, "The river", 9, &params, &result));
    assert_int_equal(result.new_tokens, 3);
    tuff_generator_destroy(&generator);
    failing_device_close(&failing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_of_every_length_agree_with_single_tokens),
        cmocka_unit_test(the_context_ends),
        cmocka_unit_test(texts_stop),
        cmocka_unit_test(storage_types_agree),
        cmocka_unit_test(a_cache_grows),
        cmocka_unit_test(a_million_positions_are_not_made),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(device_memory_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
