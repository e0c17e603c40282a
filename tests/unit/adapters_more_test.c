/* Adapters in caches, and numbers that they share with PEFT. */
#include <math.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "base/mersenne.h"
#include "cpu_fixture.h"
#include "formats/safetensors.h"
#include "generator_fixture.h"
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

/* ---- weighted sums */

static const char *sum_of(const char *model, const char *first, const char *second, char text[512])
{
    char path[128];
    snprintf(path, sizeof path, "golden/%s/lora", model);
    const int n = snprintf(text, 512, "%s%s,", kit_asset(path), first);
    snprintf(path, sizeof path, "golden/%s/tables", model);
    snprintf(text + n, 512 - (size_t)n, " %s%s", kit_asset(path), second);
    return text;
}

/* PEFT's add_weighted_adapter has the same numbers, and transformers the same logits with them. */
static void sums_are_those_of_peft(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama"};
    for (int i = 0; i < 2; i++) {
        char text[512], path[128];
        tuff_model *model = model_open(models[i]);
        tuff_adapter *sum = NULL, *peft = NULL;
        tuff_weights *truth = NULL;
        const tuff_weight *ids = NULL, *logits = NULL;
        snprintf(path, sizeof path, "golden/%s/sum", models[i]);
        KIT_OK(tuff_adapter_open(model, sum_of(models[i], "=0.7", "=-0.5", text), NULL, &sum));
        KIT_OK(tuff_adapter_open(model, kit_asset(path), NULL, &peft));
        assert_int_equal(sum->count, peft->count);
        for (size_t k = 0; k < sum->count; k++) {
            const tuff_adapter_tensor *t = &sum->tensors[k];
            const size_t at = tuff_adapter_find(peft, t->name), n = (size_t)(t->shape[0] * t->shape[1]);
            assert_true(at != SIZE_MAX);
            assert_memory_equal(t->shape, peft->tensors[at].shape, sizeof t->shape);
            float *got = tuff_alloc_array(n, sizeof *got), *want = tuff_alloc_array(n, sizeof *want);
            KIT_OK(tuff_adapter_read(sum, k, 0, t->shape[0], got));
            KIT_OK(tuff_adapter_read(peft, at, 0, t->shape[0], want));
            for (size_t j = 0; j < n; j++)
                assert_true(got[j] == want[j]); /* PEFT's zeros have signs */
            /* rows from the middle are those of the whole */
            KIT_OK(tuff_adapter_read(sum, k, t->shape[0] / 2, t->shape[0], got));
            const size_t before = (size_t)(t->shape[0] / 2 * t->shape[1]);
            for (size_t j = before; j < n; j++)
                assert_true(got[j - before] == want[j]);
            tuff_free(got);
            tuff_free(want);
        }
        snprintf(path, sizeof path, "golden/%s/sum/truth.safetensors", models[i]);
        KIT_OK(tuff_safetensors_open(kit_asset(path), &truth));
        ids = tuff_weights_find(truth, "input_ids");
        logits = tuff_weights_find(truth, "logits");
        assert_true(ids && logits);
        const size_t length = (size_t)ids->shape[1], vocab = (size_t)logits->shape[1];
        float *want = tuff_alloc_array((size_t)logits->shape[0] * vocab, sizeof *want),
              *got = tuff_alloc_array(vocab, sizeof *got);
        int32_t *tokens = tuff_alloc_array((size_t)ids->shape[0] * length, sizeof *tokens);
        KIT_OK(tuff_weight_read(logits, TUFF_F32, want));
        KIT_OK(tuff_weight_stored(ids, tokens));
        logits_of(model, text, tokens, length, got);
        same(got, want, vocab);
        tuff_free(want);
        tuff_free(got);
        tuff_free(tokens);
        tuff_weights_destroy(&truth);
        tuff_adapter_destroy(&sum);
        tuff_adapter_destroy(&peft);
        tuff_model_destroy(&model);
    }
}

static void sums_that_cannot_be_are_refused(void **state)
{
    (void)state;
    char text[512];
    tuff_model *model = model_open("llama");
    tuff_adapter *sum = NULL;
    KIT_FAILS(tuff_adapter_open(model, sum_of("llama", "=0.7", "", text), NULL, &sum), TUFF_INVALID_ARGUMENT,
              "expected is a path, or several, each with its weight");
    KIT_FAILS(tuff_adapter_open(model, sum_of("llama", "=0.7", "=x", text), NULL, &sum),
              TUFF_INVALID_ARGUMENT, "tables=x\", and no file is called so");
    KIT_FAILS(tuff_adapter_open(model, sum_of("llama", "=1e99", "=1", text), NULL, &sum),
              TUFF_INVALID_ARGUMENT, "and no file is called so");
    KIT_FAILS(tuff_adapter_open(model, "=1", NULL, &sum), TUFF_INVALID_ARGUMENT, "expected is a path");
    KIT_FAILS(tuff_adapter_open(model, "none=1,none=2", NULL, &sum), TUFF_NOT_FOUND, "none");
    static const struct {
        const char *kind, *part;
    } others[] = {{"dora", "it is DoRA, of which no weighted sum is made"},
                  {"ia3", "it is IA3, of which"},
                  {"prompt", "it is prompt tuning"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char path[128];
        snprintf(path, sizeof path, "golden/llama/%s", others[i].kind);
        snprintf(text, sizeof text, "%s=0.5", kit_asset(path));
        KIT_FAILS(tuff_adapter_open(model, text, NULL, &sum), TUFF_UNSUPPORTED, others[i].part);
        assert_null(sum);
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
        cmocka_unit_test(sums_are_those_of_peft),
        cmocka_unit_test(sums_that_cannot_be_are_refused),
        cmocka_unit_test(the_twister_is_known),
        cmocka_unit_test(matrices_are_those_of_peft),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
