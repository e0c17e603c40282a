/* Batchers: sequences that wait, come late, end each in its own way, fail alone; steps that fail and are
 * repeated. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "failing_device.h"
#include "generate/batcher.h"
#include "generate/generator.h"
#include "model_fixture.h"
#include "request_later.h"

static tuff_device *device;
static tuff_model *llama;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    llama = model_open("llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&llama);
    tuff_device_destroy(&device);
    return 0;
}

static const char *const prompts[] = {"The river",
                                      "a",
                                      "An old stone bridge stood over it",
                                      "she went to the river and the old bridge",
                                      "Once there was",
                                      "of",
                                      "the other side of",
                                      "in"};
enum { PROMPTS = sizeof prompts / sizeof *prompts };

/* A text with what was told of it. */
typedef struct text {
    char data[1024];
    size_t size;
    int pieces, most; /* most: pieces that are taken; 0: all */
    int ended;
    tuff_generate_result result;
    tuff_sequence *sequence;
} text;

static bool receive(const char *piece, size_t size, void *user)
{
    text *t = user;
    assert_true(size > 0 && t->size + size < sizeof t->data && !t->ended);
    memcpy(t->data + t->size, piece, size);
    t->size += size;
    return ++t->pieces != t->most;
}

static void finished(const tuff_generate_result *result, void *user)
{
    text *t = user;
    t->ended++;
    t->result = *result;
}

static tuff_generate_params params_of(text *t, int64_t tokens)
{
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = tokens;
    params.ignore_eos = true;
    params.on_text = receive;
    params.on_finish = finished;
    params.user = t;
    return params;
}

static void add(tuff_batcher *b, const char *prompt, const tuff_generate_params *params)
{
    text *t = params->user;
    KIT_OK(tuff_batcher_add(b, prompt, strlen(prompt), params, &t->sequence));
    assert_false(tuff_sequence_ended(t->sequence));
}

/* Draws, so that each text is another one; with other random numbers for each. */
static tuff_sampling drawn(uint32_t sequence)
{
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    sampling.temperature = 1;
    sampling.seed = 5;
    sampling.sequence = sequence;
    return sampling;
}

static tuff_batcher *batcher_of(const tuff_model *model, int64_t sequences, int64_t step_tokens)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b = NULL;
    params.max_sequences = sequences;
    params.step_tokens = step_tokens;
    params.invariant = true;
    KIT_OK(tuff_batcher_create(model, device, &params, &b));
    return b;
}

/* What each prompt gives alone. */
static void make_alone(const tuff_model *model, int64_t step_tokens, int64_t tokens, text *out)
{
    tuff_batcher *b = batcher_of(model, 3, step_tokens);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        const tuff_sampling sampling = drawn(i);
        tuff_generate_params params = params_of(&out[i], tokens + i % 3);
        params.sampling = &sampling;
        out[i] = (text){.size = 0};
        add(b, prompts[i], &params);
        KIT_OK(tuff_batcher_run(b, NULL));
        assert_true(out[i].size > 0 && out[i].ended == 1);
        assert_int_equal(out[i].result.finish, TUFF_FINISH_LENGTH);
        KIT_OK(tuff_batcher_remove(b, &out[i].sequence));
    }
    tuff_batcher_destroy(&b);
}

static void same_text(const text *a, const text *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

/* More sequences than slots: each gets one when one is free, and gives what it gives alone. No step has more
 * tokens than it may, and prompts that are longer go in pieces. */
static void those_too_many_wait(void **state)
{
    (void)state;
    enum { SLOTS = 3, STEP = 11 };
    static text alone[PROMPTS], t[PROMPTS];
    make_alone(llama, STEP, 9, alone);
    tuff_batcher *b = batcher_of(llama, SLOTS, STEP);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        const tuff_sampling sampling = drawn(i);
        tuff_generate_params params = params_of(&t[i], 9 + i % 3);
        params.sampling = &sampling;
        t[i] = (text){.size = 0};
        add(b, prompts[i], &params);
    }
    size_t left = PROMPTS, most = 0;
    bool longer = false;
    while (left) {
        KIT_OK(tuff_batcher_step(b, NULL, &left));
        int64_t tokens = 0;
        for (size_t i = 0; i < b->n_feeds; i++)
            tokens += b->feeds[i].count;
        assert_true(tokens > 0 && tokens <= STEP);
        most = b->n_feeds > most ? b->n_feeds : most;
    }
    assert_int_equal(most, SLOTS);
    assert_int_equal(b->runner->slots, SLOTS);
    double shortest = t[0].result.generate_seconds; /* of those that need not wait */
    for (int i = 1; i < SLOTS; i++)
        if (t[i].result.generate_seconds < shortest) shortest = t[i].result.generate_seconds;
    for (int i = 0; i < PROMPTS; i++) {
        size_t count = 0;
        tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
        same_text(&t[i], &alone[i]);
        assert_int_equal(t[i].ended, 1);
        assert_true(tuff_sequence_ended(t[i].sequence));
        KIT_OK(tuff_sequence_result(t[i].sequence, &result));
        assert_memory_equal(&result, &t[i].result, sizeof result);
        assert_int_equal(result.new_tokens, 9 + i % 3);
        assert_non_null(tuff_sequence_ids(t[i].sequence, &count));
        assert_int_equal(count, result.prompt_tokens + result.new_tokens);
        assert_true(result.prompt_seconds > 0 && result.generate_seconds > 0);
        longer = longer || result.prompt_tokens > STEP;
        if (i >= SLOTS) assert_true(result.start_seconds >= shortest);
    }
    assert_true(longer);
    KIT_OK(tuff_batcher_step(b, NULL, &left)); /* nothing to do */
    assert_int_equal(left, 0);
    tuff_batcher_destroy(&b); /* with its sequences */
}

/* One comes when others are at work, one is cancelled by its watch, one by its receiver, one is taken out;
 * the others do not notice. */
static void they_come_and_go(void **state)
{
    (void)state;
    static text alone[PROMPTS], t[PROMPTS];
    tuff_cancel *cancel = NULL;
    KIT_OK(tuff_cancel_create(&cancel));
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = cancel};
    make_alone(llama, 0, 12, alone);
    tuff_batcher *b = batcher_of(llama, 5, 0);
    size_t left = 0;
    for (uint32_t i = 0, steps = 0; i < PROMPTS || left; steps++) {
        for (; i < PROMPTS && (i < 7 || steps > 2 * i); i++) {
            const tuff_sampling sampling = drawn(i);
            tuff_generate_params params = params_of(&t[i], 12 + i % 3);
            params.sampling = &sampling;
            t[i] = (text){.most = i == 2 ? 3 : 0};
            if (i == 1 || i == 6) params.watch = &watch;
            add(b, prompts[i], &params);
        }
        if (steps == 5) tuff_cancel_request(cancel);
        if (steps == 6) {
            assert_false(tuff_sequence_ended(t[3].sequence));
            KIT_OK(tuff_batcher_remove(b, &t[3].sequence));
            assert_null(t[3].sequence);
        }
        KIT_OK(tuff_batcher_step(b, NULL, &left));
    }
    for (int i = 0; i < PROMPTS; i++) {
        if (i == 1 || i == 6) {
            assert_int_equal(t[i].result.finish, TUFF_FINISH_CANCELLED);
            assert_int_equal(t[i].result.status, TUFF_CANCELLED);
            assert_non_null(strstr(tuff_sequence_error(t[i].sequence), "cancelled"));
        } else if (i == 2) {
            assert_int_equal(t[i].result.finish, TUFF_FINISH_CANCELLED);
            assert_int_equal(t[i].result.status, TUFF_OK);
            assert_int_equal(t[i].pieces, 3);
        } else if (i != 3) {
            same_text(&t[i], &alone[i]);
            assert_string_equal(tuff_sequence_error(t[i].sequence), "");
        }
        assert_int_equal(t[i].ended, i != 3); /* what was taken out is not called back */
        assert_memory_equal(t[i].data, alone[i].data, t[i].size);
    }
    assert_int_equal(t[6].result.new_tokens, 0); /* it was cancelled before its turn */
    assert_true(t[1].result.new_tokens > 0);
    tuff_batcher_destroy(&b);
    tuff_cancel_destroy(&cancel);
}

/* In one batch: by a stop string, by the model's end, by the context, by length. */
static void each_ends_in_its_way(void **state)
{
    (void)state;
    static text all, t[4];
    tuff_batcher *b = batcher_of(llama, 4, 0);
    tuff_generate_params params = params_of(&all, 24);
    all = (text){.size = 0};
    add(b, prompts[0], &params);
    KIT_OK(tuff_batcher_run(b, NULL));
    size_t count = 0;
    const int32_t *ids = tuff_sequence_ids(all.sequence, &count);
    char eos[64], stop[3] = {all.data[all.size / 2], all.data[all.size / 2 + 1], 0};
    const char *const stops[] = {stop};
    snprintf(eos, sizeof eos, "\"eos_token_id\": %d", ids[count - 8]);
    tuff_batcher_destroy(&b);

    tuff_model *ends = model_open(model_copy("llama", "ends", "\"eos_token_id\": 0", eos));
    tuff_batcher_params of = {.struct_size = sizeof of, .context_length = 40, .invariant = true};
    KIT_OK(tuff_batcher_create(ends, device, &of, &b));
    for (int i = 0; i < 4; i++) {
        t[i] = (text){.size = 0};
        params = params_of(&t[i], i == 2 ? 0 : 24);
        params.ignore_eos = i != 1;
        params.stop = stops;
        params.stop_count = i == 0;
        add(b, prompts[0], &params);
    }
    KIT_OK(tuff_batcher_run(b, NULL));
    assert_int_equal(t[0].result.finish, TUFF_FINISH_STOP);
    assert_null(strstr(t[0].data, stop));
    assert_int_equal(t[1].result.finish, TUFF_FINISH_EOS);
    assert_true(t[1].result.new_tokens < 24);
    assert_int_equal(t[2].result.finish, TUFF_FINISH_CONTEXT);
    assert_int_equal(t[2].result.prompt_tokens + t[2].result.new_tokens, 41);
    assert_int_equal(t[3].result.finish, TUFF_FINISH_LENGTH);
    same_text(&t[3], &all);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(t[i].data, t[2].data, t[i].size);
    tuff_batcher_destroy(&b);
    tuff_model_destroy(&ends);
}

/* A sequence whose numbers are not finite ends alone; the next one in its slot sees nothing of it. */
static void not_finite_reaches_nobody(void **state)
{
    (void)state;
    static text alone[PROMPTS], t[PROMPTS], bad;
    make_alone(llama, 0, 8, alone);
    tuff_batcher *b = batcher_of(llama, 3, 0);
    tuff_buffer *table = tuff_store_find(tuff_session_store(b->runner->session), "model.embed_tokens.weight");
    assert_non_null(table);
    int32_t *ids = NULL;
    size_t n = 0;
    KIT_OK(tuff_tokenizer_encode(llama->tokenizer, "#", 1, 0, &ids, &n));
    float poison[64];
    int64_t hidden = llama->config.hidden_size;
    assert_true(hidden <= 64);
    for (int i = 0; i < hidden; i++)
        poison[i] = NAN;
    KIT_OK(tuff_buffer_write(table, ids[n - 1] * hidden, poison, hidden));
    tuff_free(ids);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        if (i == 1) {
            const tuff_generate_params params = params_of(&bad, 8);
            bad = (text){.size = 0};
            add(b, "the # and more", &params);
        }
        const tuff_sampling sampling = drawn(i);
        tuff_generate_params params = params_of(&t[i], 8 + i % 3);
        params.sampling = &sampling;
        t[i] = (text){.size = 0};
        add(b, prompts[i], &params);
    }
    KIT_OK(tuff_batcher_run(b, NULL));
    assert_int_equal(bad.ended, 1);
    assert_int_equal(bad.result.finish, TUFF_FINISH_FAILED);
    assert_int_equal(bad.result.status, TUFF_NOT_FINITE);
    assert_non_null(strstr(tuff_sequence_error(bad.sequence), "not a number"));
    for (int i = 0; i < PROMPTS; i++)
        same_text(&t[i], &alone[i]);
    tuff_batcher_destroy(&b);
}

/* Texts of one seed have random numbers of their own, which do not depend on the order they come in. The
 * first is that of tuff_generate. */
static void sequences_have_their_own_chance(void **state)
{
    (void)state;
    enum { N = 6 };
    static text t[2][N], single;
    for (int round = 0; round < 2; round++) {
        tuff_batcher *b = batcher_of(llama, 4, 0);
        for (uint32_t k = 0; k < N; k++) {
            uint32_t i = round ? N - 1 - k : k;
            const tuff_sampling sampling = drawn(i);
            tuff_generate_params params = params_of(&t[round][i], 12);
            params.sampling = &sampling;
            t[round][i] = (text){.size = 0};
            add(b, "The", &params);
        }
        KIT_OK(tuff_batcher_run(b, NULL));
        tuff_batcher_destroy(&b);
    }
    for (int i = 0; i < N; i++) {
        same_text(&t[0][i], &t[1][i]);
        for (int k = 0; k < i; k++)
            assert_true(t[0][i].size != t[0][k].size ||
                        memcmp(t[0][i].data, t[0][k].data, t[0][i].size) != 0);
    }
    tuff_generator *generator = NULL;
    const tuff_sampling sampling = drawn(0);
    tuff_generate_params params = params_of(&single, 12);
    params.sampling = &sampling;
    KIT_OK(tuff_generator_create(llama, device, NULL, &generator));
    KIT_OK(tuff_generate(generator, "The", 3, &params, NULL));
    tuff_generator_destroy(&generator);
    same_text(&single, &t[0][0]);
    assert_int_equal(single.ended, 1);
}

static bool misuse(const char *piece, size_t size, void *user)
{
    (void)piece, (void)size;
    tuff_batcher *same = user;
    tuff_sequence *other = NULL, *first = same->all[0];
    KIT_FAILS(tuff_batcher_add(same, "a", 1, NULL, &other), TUFF_INVALID_ARGUMENT, "in use by another call");
    KIT_FAILS(tuff_batcher_step(same, NULL, NULL), TUFF_INVALID_ARGUMENT, "in use by another call");
    KIT_FAILS(tuff_batcher_run(same, NULL), TUFF_INVALID_ARGUMENT, "in use by another call");
    KIT_FAILS(tuff_batcher_remove(same, &first), TUFF_INVALID_ARGUMENT, "in use by another call");
    assert_non_null(first);
    tuff_batcher_destroy(&same);
    assert_ptr_equal(same, user);
    return true;
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    tuff_batcher *b = NULL;
    tuff_sequence *sequence = NULL;
    tuff_batcher_params of = TUFF_BATCHER_PARAMS_INIT;
    of.max_sequences = 1025;
    KIT_FAILS(tuff_batcher_create(llama, device, &of, &b), TUFF_INVALID_ARGUMENT, "max_sequences is 1025");
    of.max_sequences = 4;
    of.step_tokens = 4;
    KIT_FAILS(tuff_batcher_create(llama, device, &of, &b), TUFF_INVALID_ARGUMENT,
              "step_tokens is 4, expected more than max_sequences, 4");
    of.step_tokens = 0;
    of.context_length = 8;
    KIT_OK(tuff_batcher_create(llama, device, &of, &b));
    KIT_FAILS(tuff_batcher_add(b, prompts[3], strlen(prompts[3]), NULL, &sequence), TUFF_INVALID_ARGUMENT,
              "leaves no room");
    assert_null(sequence);
    const tuff_sampling cold = {.struct_size = sizeof cold, .temperature = -1};
    tuff_generate_params params = {.struct_size = sizeof params, .sampling = &cold};
    KIT_FAILS(tuff_batcher_add(b, "a", 1, &params, &sequence), TUFF_INVALID_ARGUMENT, "temperature");
    assert_int_equal(b->count, 0);
    params = (tuff_generate_params){
        .struct_size = sizeof params, .ignore_eos = true, .on_text = misuse, .user = b, .max_new_tokens = 3};
    KIT_OK(tuff_batcher_add(b, "a", 1, &params, &sequence));
    KIT_OK(tuff_batcher_run(b, NULL));
    tuff_batcher *other = batcher_of(llama, 2, 0);
    KIT_FAILS(tuff_batcher_remove(other, &sequence), TUFF_INVALID_ARGUMENT, "none of this batcher");
    tuff_batcher_destroy(&other);
    tuff_batcher_destroy(&b);
}

static tuff_status batch_of_three(void *user)
{
    tuff_batcher *b = NULL;
    static text t[3];
    const tuff_batcher_params of = {
        .struct_size = sizeof of, .context_length = 300, .max_sequences = 2, .step_tokens = 18};
    tuff_status status = tuff_batcher_create(llama, user, &of, &b);
    for (int i = 0; i < 3 && status == TUFF_OK; i++) {
        const char *const stops[] = {"none of these"};
        tuff_generate_params params = params_of(&t[i], 3);
        params.stop = stops;
        params.stop_count = 1;
        t[i] = (text){.size = 0};
        status = tuff_batcher_add(b, prompts[i], strlen(prompts[i]), &params, &t[i].sequence);
    }
    if (status == TUFF_OK) status = tuff_batcher_run(b, NULL);
    for (int i = 0; i < 3 && status == TUFF_OK; i++) {
        assert_int_equal(t[i].ended, 1);
        status = t[i].result.status;
    }
    tuff_batcher_destroy(&b);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(batch_of_three, device) > 50);
}

/* Without memory on the device for all at once, fewer are run at a time; a lost run is repeated. Either way
 * the texts are the same. */
static void a_device_may_fail(void **state)
{
    (void)state;
    enum { FAILURES = 12 };
    static text alone[PROMPTS], t[PROMPTS];
    make_alone(llama, 0, 4, alone);
    const tuff_batcher_params of = {.struct_size = sizeof of, .max_sequences = 4, .invariant = true};
    int fewer = 0;
    for (int n = 0; n < 2 * FAILURES; n++) {
        tuff_device failing = failing_device_open();
        tuff_batcher *b = NULL;
        size_t left = PROMPTS;
        int lost = 0;
        KIT_OK(tuff_batcher_create(llama, &failing, &of, &b));
        for (uint32_t i = 0; i < PROMPTS; i++) {
            const tuff_sampling sampling = drawn(i);
            tuff_generate_params params = params_of(&t[i], 4 + i % 3);
            params.sampling = &sampling;
            t[i] = (text){.size = 0};
            add(b, prompts[i], &params);
        }
        failing_buffers = n < FAILURES ? n : 0;
        failing_runs = n < FAILURES ? 0 : n - FAILURES + 1;
        while (left) {
            tuff_status status = tuff_batcher_step(b, NULL, &left);
            if (status == TUFF_OK) continue;
            assert_true(status == (n < FAILURES ? TUFF_OUT_OF_MEMORY : TUFF_DEVICE_LOST));
            assert_int_equal(++lost, 1);
        }
        fewer += b->use_slots < 4;
        for (int i = 0; i < PROMPTS; i++) {
            assert_int_equal(t[i].ended, 1);
            same_text(&t[i], &alone[i]);
        }
        tuff_batcher_destroy(&b);
        failing_device_close(&failing);
    }
    assert_true(fewer > 3);
}

/* Memory that was short for a while: later more run at once again. */
static void more_run_again_after_a_while(void **state)
{
    (void)state;
    enum { SLOTS = 4, LONG = 120 };
    static text t[SLOTS];
    const tuff_batcher_params of = {.struct_size = sizeof of, .max_sequences = SLOTS, .context_length = 300};
    int fewer = 0;
    for (int n = 1; n < 12; n++) {
        tuff_device failing = failing_device_open();
        tuff_batcher *b = NULL;
        size_t left = SLOTS;
        int64_t least = SLOTS;
        KIT_OK(tuff_batcher_create(llama, &failing, &of, &b));
        for (int i = 0; i < SLOTS; i++) {
            t[i] = (text){.size = 0};
            const tuff_generate_params params = params_of(&t[i], LONG);
            add(b, prompts[i], &params);
        }
        failing_buffers = n;
        while (left) {
            tuff_status status = tuff_batcher_step(b, NULL, &left);
            if (status != TUFF_OK) assert_int_equal(status, TUFF_OUT_OF_MEMORY);
            if (b->use_slots < least) least = b->use_slots;
        }
        failing_buffers = 0;
        fewer += least < SLOTS;
        assert_int_equal(b->use_slots, SLOTS);
        for (int i = 0; i < SLOTS; i++)
            assert_int_equal(t[i].ended, 1);
        tuff_batcher_destroy(&b);
        failing_device_close(&failing);
    }
    assert_true(fewer > 0);
}

/* A request from another thread ends a run within a moment; the sequences go on from where they were. */
static void a_run_ends_soon_and_goes_on(void **state)
{
    (void)state;
    static text t[PROMPTS], whole[PROMPTS];
    tuff_cancel *cancel = NULL;
    KIT_OK(tuff_cancel_create(&cancel));
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = cancel};
    for (int interrupted = 0; interrupted < 2; interrupted++) {
        text *out = interrupted ? t : whole;
        tuff_batcher_params of = {.struct_size = sizeof of, .context_length = 1 << 16, .invariant = true};
        tuff_batcher *b = NULL;
        KIT_OK(tuff_batcher_create(llama, device, &of, &b));
        for (int i = 0; i < PROMPTS; i++) {
            const tuff_generate_params params = params_of(&out[i], 150);
            out[i] = (text){.size = 0};
            add(b, prompts[i], &params);
        }
        if (interrupted) {
            later request = {.cancel = cancel, .milliseconds = 20};
            request_begin(&request);
            tuff_status status = TUFF_OK;
            size_t left = 1;
            for (int steps = 0; status == TUFF_OK && left; steps++) {
                /* on a busy machine the request may come late */
                while (steps == 100 && !tuff_cancel_requested(cancel))
                    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
                status = tuff_batcher_step(b, &watch, &left);
            }
            request_was_heard(&request, status, "a run of eight");
            for (int i = 0; i < PROMPTS; i++)
                assert_int_equal(out[i].ended, 0);
        }
        KIT_OK(tuff_batcher_run(b, &watch));
        tuff_batcher_destroy(&b);
    }
    for (int i = 0; i < PROMPTS; i++)
        same_text(&t[i], &whole[i]);
    tuff_cancel_destroy(&cancel);
}

/* The cache grows in slots and in length while it is in use, and no bit changes. */
static void a_cache_grows_both_ways(void **state)
{
    (void)state;
    enum { LONG = 5 };
    static text t[2][LONG];
    for (int reserved = 0; reserved < 2; reserved++) {
        const tuff_batcher_params of = {.struct_size = sizeof of, .context_length = 4096, .invariant = true};
        tuff_batcher *b = NULL;
        size_t left = 0;
        KIT_OK(tuff_batcher_create(llama, device, &of, &b));
        if (reserved)
            KIT_OK(tuff_runner_reserve(b->runner, &(tuff_room){.slots = LONG, .positions = 512}, NULL));
        int64_t slots = b->runner->slots;
        for (int i = 0, steps = 0; i < LONG || left; steps++) {
            if (i < LONG && steps == 40 * i) {
                const tuff_generate_params params = params_of(&t[reserved][i], i == 1 ? 280 : 90);
                t[reserved][i] = (text){.size = 0};
                add(b, prompts[i], &params);
                i++;
            }
            KIT_OK(tuff_batcher_step(b, NULL, &left));
        }
        if (reserved) assert_int_equal(b->runner->slots, slots);
        if (!reserved) assert_true(b->runner->slots == 4 && b->runner->capacity == 512);
        tuff_batcher_destroy(&b);
    }
    for (int i = 0; i < LONG; i++)
        same_text(&t[0][i], &t[1][i]);
}

/* LongRoPE's angles change where a text declares more than the positions of the training: what the cache
 * holds of others is then of the old angles, and is made anew. */
static void longer_texts_turn_the_cache_anew(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("phi3"), "turns");
    for (int i = 0; i < 2; i++)
        kit_edit_file(kit_join(directory, "config.json"), "\"original_max_position_embeddings\": 128",
                      "\"original_max_position_embeddings\": 300");
    kit_edit_file(kit_join(directory, "config.json"), "\"max_position_embeddings\": 128",
                  "\"max_position_embeddings\": 600");
    kit_edit_file(kit_join(directory, "config.json"), "\"sliding_window\": 5", "\"sliding_window\": null");
    tuff_model *model = model_open(directory);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_batcher_params two = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b = NULL;
    tuff_sequence *first = NULL, *second = NULL;
    size_t left;
    int32_t ids[32];
    float logits[300];
    two.max_sequences = 2;
    p.ignore_eos = true;
    p.max_new_tokens = 12;
    KIT_OK(tuff_batcher_create(model, device, &two, &b));
    KIT_OK(tuff_batcher_add(b, prompts[3], strlen(prompts[3]), &p, &first));
    for (int i = 0; i < 4; i++)
        KIT_OK(tuff_batcher_step(b, NULL, &left));
    assert_int_equal(b->runner->capacity, 256);
    p.max_new_tokens = 400;
    KIT_OK(tuff_batcher_add(b, prompts[1], 1, &p, &second));
    KIT_OK(tuff_batcher_step(b, NULL, &left));
    assert_true(b->runner->capacity > 300);
    assert_int_equal(b->runner->angle_changes, 1);
    const size_t n = first->count;
    KIT_OK(tuff_batcher_step(b, NULL, &left));
    assert_int_equal(first->count, n + 1);
    memcpy(ids, first->ids, n * sizeof *ids);

    /* the same ids behind a text that was long from the first have the same logits */
    tuff_generator *alone = NULL;
    static int32_t many[310];
    KIT_OK(tuff_generator_create(model, device, NULL, &alone));
    KIT_OK(tuff_generator_logits(alone, many, 310, logits));
    KIT_OK(tuff_generator_logits(alone, ids, n, logits));
    for (int32_t i = 0; i < model->config.vocab_size; i++)
        assert_true(fabsf(logits[i] - b->runner->logits[i]) < 1e-3F);
    assert_int_equal(alone->batcher->runner->angle_changes, 0);
    tuff_generator_destroy(&alone);
    tuff_batcher_destroy(&b);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_texts_turn_the_cache_anew),
        cmocka_unit_test(those_too_many_wait),
        cmocka_unit_test(they_come_and_go),
        cmocka_unit_test(each_ends_in_its_way),
        cmocka_unit_test(not_finite_reaches_nobody),
        cmocka_unit_test(sequences_have_their_own_chance),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_device_may_fail),
        cmocka_unit_test(more_run_again_after_a_while),
        cmocka_unit_test(a_run_ends_soon_and_goes_on),
        cmocka_unit_test(a_cache_grows_both_ways),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
