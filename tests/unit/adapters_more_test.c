/* Adapters in caches, and numbers that they share with PEFT. */
#include <math.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "base/mersenne.h"
#include "cpu_fixture.h"
#include "generate/generator.h"
#include "model_fixture.h"

/* ---- keys and values before a text's own */

/* Prompts in pieces, one token after the other, and all at once: the same logits; not the model's own. */
static void virtual_tokens_take_rows_of_the_cache(void **state)
{
    (void)state;
    enum { N = 300 };
    tuff_model *model = model_open("llama");
    int64_t vocab = model->config.vocab_size;
    float *want = tuff_alloc_array((size_t)vocab, sizeof *want),
          *got = tuff_alloc_array((size_t)vocab, sizeof *got);
    int32_t ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = (i * 37 + 5) % 250;
    const char *const adapters[] = {"golden/llama/prompt", "golden/llama/prefix",
                                    "golden/llama/prefix-projection", NULL};
    for (int kind = 0; kind < 4; kind++) {
        const bool with = adapters[kind] != NULL;
        tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
        tuff_generator *generator = NULL;
        p.context_length = N;
        p.adapter = with ? kit_asset(adapters[kind]) : NULL;
        KIT_OK(tuff_generator_create(model, device, &p, &generator));
        KIT_OK(tuff_generator_logits(generator, ids, N, with ? want : got));
        double largest = 0, apart = 0;
        if (with) KIT_OK(tuff_generator_run(generator, ids, 7, 0));
        for (int i = 7; with && i < N; i++)
            KIT_OK(tuff_generator_run(generator, ids + i, 1, i));
        if (with) memcpy(got, generator->batcher->runner->logits, (size_t)vocab * sizeof *got);
        for (int64_t i = 0; i < vocab; i++) {
            largest = fmax(largest, fabs((double)want[i]));
            apart = kit_farther(apart, (double)want[i], (double)got[i]);
        }
        if (with)
            assert_true(apart < 1e-5 * largest);
        else
            assert_true(apart > 1e-3 * largest);
        tuff_generator_destroy(&generator);
    }
    tuff_free(want);
    tuff_free(got);
    tuff_model_destroy(&model);
}

static void logits_of(const tuff_model *model, const char *adapter, const int32_t *ids, size_t n, float *out)
{
    tuff_generator *generator = NULL;
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    p.adapter = adapter;
    p.context_length = 32;
    KIT_OK(tuff_generator_create(model, device, &p, &generator));
    KIT_OK(tuff_generator_logits(generator, ids, n, out));
    tuff_generator_destroy(&generator);
}

static void same(const float *got, const float *want, size_t n)
{
    double largest = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)want[i]));
        apart = kit_farther(apart, (double)got[i], (double)want[i]);
    }
    assert_true(apart <= 1e-5 * largest);
}

/* Two sequences in one cache, one of which goes on by a token while the other is given more of its prompt:
 * each as if it were alone. */
static void sequences_have_their_own_prefix(void **state)
{
    (void)state;
    enum { VOCAB = 280 };
    static const int32_t first[] = {5, 9, 33, 20, 7, 81}, second[] = {60, 4, 4, 17, 90, 3, 12};
    static const char *const adapters[] = {"golden/llama/prompt", "golden/llama/prefix", "golden/llama/vera"};
    tuff_model *model = model_open("llama");
    assert_int_equal(model->config.vocab_size, VOCAB);
    for (int kind = 0; kind < 3; kind++) {
        const char *adapter = kit_asset(adapters[kind]);
        float want[2][VOCAB];
        tuff_runner *r = NULL;
        const tuff_runner_params params = {.context = 32, .most_slots = 2, .adapter = adapter};
        const tuff_feed begin[] = {{.slot = 0, .count = 5, .ids = first},
                                   {.slot = 1, .count = 3, .ids = second}},
                        go_on[] = {{.slot = 0, .start = 5, .count = 1, .ids = first + 5},
                                   {.slot = 1, .start = 3, .count = 4, .ids = second + 3}};
        KIT_OK(tuff_runner_create(model, device, &params, &r));
        KIT_OK(tuff_runner_reserve(r, &(tuff_room){.slots = 2, .positions = 16}, NULL));
        KIT_OK(tuff_runner_run(r, begin, 2, NULL));
        KIT_OK(tuff_runner_wait(r));
        KIT_OK(tuff_runner_run(r, go_on, 2, NULL));
        KIT_OK(tuff_runner_wait(r));
        adapter = kit_asset(adapters[kind]);
        logits_of(model, adapter, first, 6, want[0]);
        logits_of(model, adapter, second, 7, want[1]);
        same(r->logits, want[0], VOCAB);
        same(r->logits + VOCAB, want[1], VOCAB);
        tuff_runner_destroy(&r);
    }
    tuff_model_destroy(&model);
}

/* ---- VeRA's matrices */

/* The first numbers of MT19937, as its authors list them, and the 10000th, which C++ prescribes. */
static void the_twister_is_known(void **state)
{
    (void)state;
    tuff_mersenne m;
    tuff_mersenne_seed(&m, 5489);
    assert_int_equal(tuff_mersenne_next(&m), 3499211612U);
    assert_int_equal(tuff_mersenne_next(&m), 581869302U);
    for (int i = 2; i < 9999; i++)
        tuff_mersenne_next(&m);
    assert_int_equal(tuff_mersenne_next(&m), 4123659995U);
}

/* PEFT's files have what its key draws: a new adapter of that key has the same bits. */
static void matrices_are_those_of_peft(void **state)
{
    (void)state;
    static const struct {
        const char *model, *targets;
    } cases[] = {{"gpt2", "c_attn,c_proj"}, {"llama", "q_proj,v_proj,up_proj,down_proj"}};
    for (size_t i = 0; i < 2; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_adapter *made = NULL, *read = NULL;
        tuff_store *stores[2] = {NULL};
        char path[64];
        snprintf(path, sizeof path, "golden/%s/vera", cases[i].model);
        KIT_OK(tuff_adapter_create(
            model,
            &(tuff_adapter_settings){
                .peft_type = "vera", .rank = 12, .targets = cases[i].targets, .projection_key = 11},
            &made));
        KIT_OK(tuff_adapter_open(model, kit_asset(path), NULL, &read));
        assert_int_equal(made->fixed_count, 2);
        for (int k = 0; k < 2; k++) {
            KIT_OK(tuff_store_create(device, &stores[k]));
            KIT_OK(tuff_adapter_upload(k ? read : made, stores[k]));
        }
        for (size_t t = 0; t < 2; t++) {
            tuff_buffer *a = tuff_store_find(stores[0], made->fixed[t].name),
                        *b = tuff_store_find(stores[1], read->fixed[t].name);
            const int64_t n = tuff_buffer_count(a);
            assert_int_equal(tuff_buffer_count(b), n);
            float *x = tuff_alloc_array((size_t)n, sizeof *x), *y = tuff_alloc_array((size_t)n, sizeof *y);
            KIT_OK(tuff_buffer_read(a, 0, x, n));
            KIT_OK(tuff_buffer_read(b, 0, y, n));
            assert_memory_equal(x, y, (size_t)n * sizeof *x);
            tuff_free(x);
            tuff_free(y);
        }
        tuff_store_destroy(&stores[0]);
        tuff_store_destroy(&stores[1]);
        tuff_adapter_destroy(&made);
        tuff_adapter_destroy(&read);
        tuff_model_destroy(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_tokens_take_rows_of_the_cache),
        cmocka_unit_test(sequences_have_their_own_prefix),
        cmocka_unit_test(the_twister_is_known),
        cmocka_unit_test(matrices_are_those_of_peft),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
