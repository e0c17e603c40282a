/* What is told of a text's tokens: how probable they were; which of them end it. */
#include <math.h>
#include <tuff/batch.h>

#include "cpu_fixture.h"
#include "model_fixture.h"

enum { MOST = 32, TOP = 5 };
static const char prompt[] = "The river";

typedef struct told {
    int32_t ids[MOST];
    float logprobs[MOST];
    tuff_token_logprob top[MOST][TOP];
    size_t count, top_count;
} told;

static void tell(const tuff_chosen *token, void *user)
{
    told *t = user;
    assert_true(t->count < MOST && token->top_count <= TOP);
    t->ids[t->count] = token->id;
    t->logprobs[t->count] = token->logprob;
    t->top_count = token->top_count;
    for (size_t i = 0; i < token->top_count; i++)
        t->top[t->count][i] = token->top[i];
    t->count++;
}

static tuff_generate_params params_of(told *t, int64_t tokens)
{
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    *t = (told){.count = 0};
    params.max_new_tokens = tokens;
    params.ignore_eos = true;
    params.on_token = tell;
    params.user = t;
    return params;
}

static tuff_generate_result run(tuff_generator *generator, const tuff_generate_params *params)
{
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    KIT_OK(tuff_generate(generator, prompt, strlen(prompt), params, &result));
    return result;
}

/* Against the softmax of the logits after the ids before each. */
static void check_logprobs(tuff_generator *generator, const tuff_model *model, const told *t)
{
    const tuff_tokenizer *tokenizer;
    int32_t *ids, all[64];
    size_t n;
    static float logits[4096];
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    const uint32_t vocab = tuff_tokenizer_vocab_size(tokenizer);
    assert_true(vocab <= 4096);
    KIT_OK(tuff_tokenizer_encode(tokenizer, prompt, strlen(prompt), TUFF_ENCODE_ADD_SPECIAL, &ids, &n));
    memcpy(all, ids, n * sizeof *ids);
    tuff_free(ids);
    for (size_t i = 0; i < t->count; all[n++] = t->ids[i++]) {
        double sum = 0;
        size_t better = 0;
        KIT_OK(tuff_generator_logits(generator, all, n, logits));
        for (uint32_t k = 0; k < vocab; k++)
            sum += exp((double)logits[k]);
        assert_true(fabs((double)t->logprobs[i] - ((double)logits[t->ids[i]] - log(sum))) < 1e-4);
        for (uint32_t k = 0; k < vocab; k++)
            better += (double)logits[k] - log(sum) > (double)t->top[i][TOP - 1].logprob + 1e-4;
        assert_true(better < TOP);
        for (size_t k = 0; k < TOP; k++) {
            const tuff_token_logprob *top = &t->top[i][k];
            assert_true(fabs((double)top->logprob - ((double)logits[top->id] - log(sum))) < 1e-4);
            if (k) assert_true(top->logprob <= top[-1].logprob && top->id != top[-1].id);
        }
    }
}

static void logprobs_are_the_models_own(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_generator *generator;
    const int32_t favourite = 7;
    tuff_logit_bias bias = TUFF_LOGIT_BIAS_INIT;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    static told greedy, drawn;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    tuff_generate_params params = params_of(&greedy, 8);
    params.top_logprobs = TOP;
    run(generator, &params);
    assert_int_equal(greedy.count, 8);
    check_logprobs(generator, model, &greedy);
    for (size_t i = 0; i < greedy.count; i++) {
        assert_int_equal(greedy.ids[i], greedy.top[i][0].id);
        assert_true(greedy.logprobs[i] == greedy.top[i][0].logprob);
    }
    /* whatever changes the choice */
    bias.ids = &favourite;
    bias.count = 1;
    bias.bias = 4;
    sampling.temperature = 3;
    sampling.repetition_penalty = 1.5f;
    sampling.top_k = 40;
    sampling.logit_bias = &bias;
    sampling.logit_bias_count = 1;
    params = params_of(&drawn, 8);
    params.sampling = &sampling;
    params.top_logprobs = TOP;
    run(generator, &params);
    assert_memory_not_equal(drawn.ids, greedy.ids, sizeof greedy.ids);
    check_logprobs(generator, model, &drawn);
    params.top_logprobs = 0;
    drawn.count = 0;
    run(generator, &params);
    assert_int_equal(drawn.top_count, 0);
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
}

static void ids_end_texts_that_are_long_enough(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_generator *generator;
    static told usual, t;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    tuff_generate_params params = params_of(&usual, 10);
    run(generator, &params);
    size_t at = 4; /* of a token that does not come before */
    for (size_t i = 0; i < at; i++)
        if (usual.ids[i] == usual.ids[at]) {
            at++;
            i = (size_t)-1;
            assert_true(at < usual.count);
        }
    const int32_t ends[] = {3, usual.ids[at]};
    params = params_of(&t, 10);
    params.eos_ids = ends;
    params.eos_id_count = 2;
    tuff_generate_result result = run(generator, &params);
    assert_int_equal(result.finish, TUFF_FINISH_EOS);
    assert_int_equal(result.new_tokens, at);
    assert_int_equal(t.count, at);
    assert_memory_equal(t.ids, usual.ids, at * sizeof *t.ids);
    t.count = 0;
    params.min_new_tokens = 10;
    result = run(generator, &params);
    assert_int_equal(result.finish, TUFF_FINISH_LENGTH);
    assert_memory_equal(t.ids, usual.ids, at * sizeof *t.ids);
    for (size_t i = 0; i < t.count; i++)
        assert_true(t.ids[i] != ends[0] && t.ids[i] != ends[1]);
    t.count = 0;
    params.min_new_tokens = (int64_t)at;
    result = run(generator, &params);
    assert_int_equal(result.new_tokens, at);

    const int32_t wrong = 1 << 20;
    params.eos_ids = &wrong;
    params.eos_id_count = 1;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT,
              "id 1048576 is to end the text, but the model's vocabulary has");
    params.eos_ids = NULL;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT, "is NULL");
    params.eos_id_count = 0;
    params.min_new_tokens = 11;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT,
              "min_new_tokens is 11, expected 0 or more, and no more than max_new_tokens");
    params.min_new_tokens = -1;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT, "min_new_tokens is -1");
    params.min_new_tokens = 0;
    params.top_logprobs = 1001;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT,
              "top_logprobs is 1001, expected 0 to 1000");
    params.top_logprobs = 0;
    params.num_beams = 2;
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_UNSUPPORTED,
              "beams takes no log-probabilities of tokens");
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
}

static bool compare(const tuff_generated *text, void *user)
{
    const told *t = user;
    assert_int_equal(text->token_count, t->count);
    for (size_t i = 0; i < t->count; i++) {
        assert_int_equal(text->tokens[i].id, t->ids[i]);
        assert_true(fabsf(text->tokens[i].logprob - t->logprobs[i]) < 1e-5f);
        assert_int_equal(text->tokens[i].top_count, TOP);
        for (size_t k = 0; k < TOP; k++)
            assert_true(fabsf(text->tokens[i].top[k].logprob - t->top[i][k].logprob) < 1e-5f);
    }
    return true;
}

static tuff_status many(void *user)
{
    const char *const texts[] = {prompt, prompt, prompt};
    tuff_batcher *b = NULL;
    tuff_generate_params each = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_many_params params = TUFF_GENERATE_MANY_PARAMS_INIT;
    static told alone;
    tuff_generator *generator = NULL;
    tuff_generate_params one = params_of(&alone, 6);
    one.top_logprobs = TOP;
    tuff_status status = tuff_generator_create(user, device, NULL, &generator);
    if (status == TUFF_OK) status = tuff_generate(generator, prompt, strlen(prompt), &one, NULL);
    tuff_generator_destroy(&generator);
    each.max_new_tokens = 6;
    each.ignore_eos = true;
    each.top_logprobs = TOP;
    params.generate = &each;
    params.on_text = compare;
    params.user = &alone;
    params.tokens = true;
    if (status == TUFF_OK) status = tuff_batcher_create(user, device, NULL, &b);
    if (status == TUFF_OK) status = tuff_generate_many(b, texts, NULL, 3, &params, NULL);
    if (status == TUFF_OK) {
        each.on_token = tell;
        KIT_FAILS(tuff_generate_many(b, texts, NULL, 3, &params, NULL), TUFF_INVALID_ARGUMENT,
                  "no callbacks");
    }
    tuff_batcher_destroy(&b);
    return status;
}

static void many_texts_have_them_too(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    KIT_OK(many(model));
    model_fail_some_allocations(many, model);
    tuff_model_destroy(&model);
}

static void tokens_are_spelled_as_within_a_text(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "mistral", "gpt2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char text[] = "an old old bridge";
        tuff_tokenizer *tokenizer;
        int32_t *ids;
        size_t n, size, at = 0;
        char *all, *one;
        KIT_OK(tuff_tokenizer_load(kit_golden(names[i]), &tokenizer));
        KIT_OK(tuff_tokenizer_encode(tokenizer, text, strlen(text), 0, &ids, &n));
        KIT_OK(tuff_tokenizer_decode(tokenizer, ids, n, true, &all, &size));
        for (size_t k = 0; k < n; k++) {
            KIT_OK(tuff_tokenizer_decode_token(tokenizer, ids[k], &one, &size));
            const size_t spare = k == 0 && *one == ' '; /* SentencePiece's, which no text begins with */
            assert_memory_equal(one + spare, text + at, size - spare);
            at += size - spare;
            tuff_free(one);
        }
        assert_int_equal(at, strlen(text));
        tuff_free(all);
        tuff_free(ids);
        tuff_tokenizer_destroy(&tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logprobs_are_the_models_own),
        cmocka_unit_test(ids_end_texts_that_are_long_enough),
        cmocka_unit_test(many_texts_have_them_too),
        cmocka_unit_test(tokens_are_spelled_as_within_a_text),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
