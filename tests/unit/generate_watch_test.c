/* Generators that are watched: how soon a call ends, what is told, what works after it, and what a callback
 * must not do. */
#define _POSIX_C_SOURCE 200809L
#include <tuff/generate.h>

#include "base/os.h"
#include "generate/generator.h"
#include "model_fixture.h"
#include "request_later.h"

static tuff_device *device;
static tuff_model *llama;
static tuff_cancel *stop;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    llama = model_open("llama");
    KIT_OK(tuff_cancel_create(&stop));
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_cancel_destroy(&stop);
    tuff_model_destroy(&llama);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_generator *generator_of(int64_t context, const tuff_watch *watch)
{
    tuff_generator *generator = NULL;
    const tuff_generator_params params = {
        .struct_size = sizeof params, .context_length = context, .watch = watch};
    KIT_OK(tuff_generator_create(llama, device, &params, &generator));
    return generator;
}

static tuff_buf long_prompt(int words)
{
    tuff_buf text = {0};
    for (int i = 0; i < words; i++)
        tuff_buf_text(&text, i % 2 ? "the river " : "an old bridge ");
    assert_false(text.failed);
    return text;
}

/* A prompt that takes many seconds is left within a moment (a sanitizer makes it a long one), also within the
 * one run of a program, and the generator works as before. */
static void a_long_prompt_ends_soon(void **state)
{
    (void)state;
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = stop};
    tuff_buf text = long_prompt(20000);
    tuff_generator *generator = generator_of(1 << 20, NULL);
    float before[300], after[300];
    const int32_t ids[] = {1, 40, 80, 7};
    KIT_OK(tuff_generator_logits(generator, ids, 4, before));
    for (int milliseconds = 150; milliseconds <= 600; milliseconds += 150) {
        later request = {.cancel = stop, .milliseconds = milliseconds};
        tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
        request_begin(&request);
        tuff_status status = tuff_generate(
            generator, text.data, text.size,
            &(tuff_generate_params){.struct_size = sizeof(tuff_generate_params), .watch = &watch}, &result);
        request_was_heard(&request, status, "a long prompt");
        assert_int_equal(result.finish, TUFF_FINISH_CANCELLED);
        assert_int_equal(result.new_tokens, 0);
        KIT_OK(tuff_generator_logits(generator, ids, 4, after));
        assert_memory_equal(before, after, (size_t)llama->config.vocab_size * sizeof *before);
    }
    tuff_generator_destroy(&generator);
    tuff_buf_free(&text);
}

typedef struct listener {
    uint64_t done[TUFF_PHASE_SAVE + 1], total[TUFF_PHASE_SAVE + 1], told[TUFF_PHASE_SAVE + 1];
    tuff_phase refuse; /* TUFF_PHASE_SAVE: none */
} listener;

static bool listen(const tuff_progress *progress, void *user)
{
    listener *l = user;
    if (l->told[progress->phase]++) assert_true(progress->done >= l->done[progress->phase]);
    l->done[progress->phase] = progress->done;
    l->total[progress->phase] = progress->total;
    return progress->phase != l->refuse;
}

static void progress_is_told_and_can_end_calls(void **state)
{
    (void)state;
    listener l = {.refuse = TUFF_PHASE_LOAD};
    const tuff_watch watch = {.struct_size = sizeof watch, .on_progress = listen, .user = &l};
    tuff_model *loaded;
    KIT_FAILS(tuff_model_load_watched(kit_golden("llama"), &watch, &loaded), TUFF_CANCELLED,
              "cancelled while loading");
    assert_null(loaded);
    l = (listener){.refuse = TUFF_PHASE_SAVE};
    KIT_OK(tuff_model_load_watched(kit_golden("llama"), &watch, &loaded));
    tuff_model_destroy(&loaded);
    assert_int_equal(l.done[TUFF_PHASE_LOAD], 4 * 38048);
    assert_true(l.told[TUFF_PHASE_LOAD] > 5);
    l = (listener){.refuse = TUFF_PHASE_UPLOAD};
    tuff_generator *generator = NULL;
    const tuff_generator_params watched = {
        .struct_size = sizeof watched, .context_length = 4096, .watch = &watch};
    KIT_FAILS(tuff_generator_create(llama, device, &watched, &generator), TUFF_CANCELLED,
              "cancelled while weights were put");
    assert_null(generator);
    l = (listener){.refuse = TUFF_PHASE_SAVE};
    KIT_OK(tuff_generator_create(llama, device, &watched, &generator));
    assert_true(l.told[TUFF_PHASE_UPLOAD] > 5);
    assert_int_equal(l.done[TUFF_PHASE_UPLOAD], 38048);
    tuff_buf text = long_prompt(200);
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    const tuff_generate_params params = {
        .struct_size = sizeof params, .max_new_tokens = 5, .ignore_eos = true};
    KIT_OK(tuff_generate(generator, text.data, text.size, &params, &result));
    assert_int_equal(l.done[TUFF_PHASE_TOKENIZE], text.size);
    assert_int_equal(l.total[TUFF_PHASE_PROMPT], result.prompt_tokens);
    assert_true(l.told[TUFF_PHASE_PROMPT] > 2);
    assert_int_equal(l.told[TUFF_PHASE_GENERATE], 5);
    assert_int_equal(l.total[TUFF_PHASE_GENERATE], 5);
    static const tuff_phase phases[] = {TUFF_PHASE_TOKENIZE, TUFF_PHASE_PROMPT, TUFF_PHASE_GENERATE};
    for (int i = 0; i < 3; i++) {
        l = (listener){.refuse = phases[i]};
        KIT_FAILS(tuff_generate(generator, text.data, text.size, &params, &result), TUFF_CANCELLED,
                  "cancelled");
        assert_int_equal(result.finish, TUFF_FINISH_CANCELLED);
        assert_int_equal(result.prompt_seconds > 0, i > 0); /* what was begun was timed */
        assert_int_equal(result.generate_seconds > 0, i > 1);
    }
    l = (listener){.refuse = TUFF_PHASE_SAVE};
    KIT_OK(tuff_generate(generator, text.data, text.size, &params, &result));
    assert_int_equal(result.new_tokens, 5);
    const tuff_watch bad = {0};
    KIT_FAILS(tuff_generate(
                  generator, "a", 1,
                  &(tuff_generate_params){.struct_size = sizeof(tuff_generate_params), .watch = &bad}, NULL),
              TUFF_INVALID_ARGUMENT, "TUFF_WATCH_INIT");
    tuff_generator_destroy(&generator);
    KIT_FAILS(tuff_generator_create(
                  llama, device,
                  &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params), .watch = &bad},
                  &generator),
              TUFF_INVALID_ARGUMENT, "TUFF_WATCH_INIT");
    tuff_buf_free(&text);
}

static bool misuse(const char *text, size_t size, void *user)
{
    (void)text, (void)size;
    tuff_generator *same = user;
    float logits[300];
    KIT_FAILS(tuff_generate(same, "a", 1, NULL, NULL), TUFF_INVALID_ARGUMENT, "in use by another call");
    KIT_FAILS(tuff_generator_logits(same, (const int32_t[]){1}, 1, logits), TUFF_INVALID_ARGUMENT,
              "in use by another call");
    assert_null(tuff_generator_program(same)); /* this call may make it anew */
    tuff_generator_destroy(&same);
    assert_ptr_equal(same, user);
    return true;
}

/* From its own callback a generator can neither be used nor be destroyed; its call goes on. */
static void callbacks_keep_out(void **state)
{
    (void)state;
    tuff_generator *generator = generator_of(64, NULL);
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    const tuff_generate_params params = {.struct_size = sizeof params,
                                         .max_new_tokens = 8,
                                         .ignore_eos = true,
                                         .on_text = misuse,
                                         .user = generator};
    KIT_OK(tuff_generate(generator, "The river", 9, &params, &result));
    assert_int_equal(result.new_tokens, 8);
    KIT_OK(tuff_generate(generator, "The river", 9, &params, &result));
    assert_non_null(tuff_generator_program(generator));
    tuff_generator_destroy(&generator);
    assert_null(generator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_prompt_ends_soon),
        cmocka_unit_test(progress_is_told_and_can_end_calls),
        cmocka_unit_test(callbacks_keep_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
