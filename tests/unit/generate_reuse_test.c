/* What a generator's cache has from the call before: turns of a chat are not run again. */
#include <tuff/generate.h>

#include "generate/generator.h"
#include "model_fixture.h"

static tuff_device *device;
static tuff_model *model;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    model = model_open("llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_generator *generator(void)
{
    tuff_generator *made;
    KIT_OK(tuff_generator_create(
        model, device,
        &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params), .context_length = 1024},
        &made));
    return made;
}

typedef struct answer {
    char text[2048];
    size_t size;
    tuff_generate_result result;
} answer;

static bool receive(const char *text, size_t size, void *user)
{
    answer *a = user;
    assert_true(a->size + size < sizeof a->text);
    memcpy(a->text + a->size, text, size);
    a->size += size;
    return true;
}

static answer say(tuff_generator *g, const char *prompt, bool reuse)
{
    answer a = {.result = TUFF_GENERATE_RESULT_INIT};
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = 20;
    params.ignore_eos = true;
    params.on_text = receive;
    params.user = &a;
    params.reuse_cache = reuse;
    KIT_OK(tuff_generate(g, prompt, strlen(prompt), &params, &a.result));
    return a;
}

/* Each prompt begins with the one before. */
static void turns_are_not_run_again(void **state)
{
    (void)state;
    char prompt[8192] = "the bridge over the river";
    int64_t before = 0; /* tokens of the last prompt */
    tuff_generator *kept = generator();
    for (int turn = 0; turn < 6; turn++) {
        tuff_generator *fresh = generator();
        const answer again = say(kept, prompt, true), once = say(fresh, prompt, false);
        assert_int_equal(again.size, once.size);
        assert_memory_equal(again.text, once.text, once.size);
        assert_int_equal(again.result.prompt_tokens, once.result.prompt_tokens);
        assert_int_equal(once.result.cached_tokens, 0);
        /* the last word may be cut otherwise where more follows it */
        assert_true(again.result.cached_tokens >= before - 3);
        assert_true(turn || again.result.cached_tokens == 0);
        assert_true(again.result.cached_tokens < again.result.prompt_tokens);
        before = again.result.prompt_tokens;
        tuff_generator_destroy(&fresh);
        strncat(prompt, " and the mountain behind the old town by the sea",
                sizeof prompt - strlen(prompt) - 1);
    }
    tuff_generator_destroy(&kept);
}

static void other_prompts_share_what_they_begin_with(void **state)
{
    (void)state;
    tuff_generator *g = generator(), *fresh = generator();
    (void)say(g, "the bridge over the river and more", true);
    const answer other = say(g, "the bridge over a wall", true),
                 same = say(g, "the bridge over a wall", true);
    const answer once = say(fresh, "the bridge over a wall", false);
    assert_true(other.result.cached_tokens > 0);
    assert_int_equal(same.result.cached_tokens,
                     same.result.prompt_tokens - 1); /* the last one gives the first logits */
    assert_memory_equal(other.text, once.text, once.size);
    assert_memory_equal(same.text, once.text, once.size);
    const answer nothing = say(g, "xyz", true);
    assert_memory_equal(nothing.text, say(fresh, "xyz", false).text, nothing.size);
    /* other uses of the slot leave nothing behind */
    float *logits = tuff_alloc_array((size_t)model->config.vocab_size, sizeof *logits);
    KIT_OK(tuff_generator_logits(g, (const int32_t[]){1, 2, 3}, 3, logits));
    assert_int_equal(say(g, "xyz", true).result.cached_tokens, 0);
    tuff_free(logits);
    tuff_generator_destroy(&g);
    tuff_generator_destroy(&fresh);
}

static void what_does_not_go_with_it_is_refused(void **state)
{
    (void)state;
    tuff_generator *g = generator();
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_batcher *batcher;
    tuff_sequence *sequence;
    params.reuse_cache = true;
    KIT_OK(tuff_batcher_create(model, device, NULL, &batcher));
    KIT_FAILS(tuff_batcher_add(batcher, "a", 1, &params, &sequence), TUFF_UNSUPPORTED, "reuse_cache");
    tuff_batcher_destroy(&batcher);
    params.num_beams = 2;
    params.max_new_tokens = 2;
    KIT_FAILS(tuff_generate(g, "a", 1, &params, NULL), TUFF_UNSUPPORTED, "cache of the call before");
    tuff_generator_destroy(&g);
}

/* A rendered chat has its begin token spelled out: a second one would be put before it. */
static void no_token_is_put_around(void **state)
{
    (void)state;
    tuff_generator *g = generator();
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_result with = TUFF_GENERATE_RESULT_INIT, without = with;
    params.max_new_tokens = 1;
    KIT_OK(tuff_generate(g, "river", 5, &params, &with));
    params.no_special = true;
    KIT_OK(tuff_generate(g, "river", 5, &params, &without));
    assert_int_equal(without.prompt_tokens, with.prompt_tokens - 1);
    tuff_generator_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_not_run_again),
        cmocka_unit_test(other_prompts_share_what_they_begin_with),
        cmocka_unit_test(what_does_not_go_with_it_is_refused),
        cmocka_unit_test(no_token_is_put_around),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
