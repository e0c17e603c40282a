/* Eight sequences decoded together: each gives what it gives alone. */
#include "kit/golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "generate/batcher.h"
#include "kit/kit.h"

static tuff_device *device;

enum { SEQUENCES = 8, PIECE = 16, MOST_TOKENS = 14 };

/* The prompts differ in length; some are longer than a step. */
static const char *const prompts[SEQUENCES] = {"The river",
                                               "a",
                                               "An old stone bridge stood over it",
                                               "she went to the river and the old bridge",
                                               "of",
                                               "the other side of",
                                               "Once there was",
                                               "in"};

typedef struct made {
    int32_t ids[64];
    size_t count, prompt;
    float *logits; /* [MOST_TOKENS, vocab]: what each new id was chosen from */
    size_t rows;
} made;

/* The texts differ in length too; some are drawn by chance. */
static tuff_sequence *add(tuff_batcher *b, int i, bool draw)
{
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_sequence *sequence = NULL;
    sampling.temperature = draw && i % 2 ? 0.9f : 0;
    sampling.seed = 11;
    sampling.sequence = (uint32_t)i;
    params.sampling = &sampling;
    params.ignore_eos = true;
    params.max_new_tokens = MOST_TOKENS - i % 4;
    KIT_OK(tuff_batcher_add(b, prompts[i], strlen(prompts[i]), &params, &sequence));
    return sequence;
}

/* After a step: the logits that it chose from, by slot. */
static void keep_logits(const tuff_batcher *b, made *by_slot)
{
    size_t vocab = (size_t)b->runner->model->config.vocab_size;
    for (size_t i = 0; i < b->n_feeds; i++) {
        const tuff_feed *feed = &b->feeds[i];
        made *m = &by_slot[feed->slot];
        if (feed->start + feed->count < (int64_t)m->prompt) continue;
        memcpy(m->logits + vocab * m->rows++, b->runner->logits + vocab * i, vocab * sizeof *m->logits);
    }
}

/* Sequences first..first + n, the first of them in slot 0. */
static void decode(tuff_batcher *b, int first, int n, bool draw, made *out)
{
    tuff_sequence *sequences[SEQUENCES];
    size_t left = 1, vocab = (size_t)b->runner->model->config.vocab_size, count;
    for (int i = 0; i < n; i++) {
        sequences[i] = add(b, first + i, draw);
        tuff_sequence_ids(sequences[i], &out[i].prompt);
        out[i].rows = 0;
        out[i].logits = tuff_alloc_array(MOST_TOKENS * vocab, sizeof *out[i].logits);
        assert_non_null(out[i].logits);
    }
    while (left) {
        KIT_OK(tuff_batcher_step(b, NULL, &left));
        keep_logits(b, out);
    }
    for (int i = 0; i < n; i++) {
        const int32_t *ids = tuff_sequence_ids(sequences[i], &count);
        assert_true(count <= sizeof out->ids / sizeof *out->ids);
        memcpy(out[i].ids, ids, count * sizeof *ids);
        out[i].count = count;
        assert_int_equal(out[i].rows, count - out[i].prompt);
        KIT_OK(tuff_batcher_remove(b, &sequences[i]));
    }
}

/* By how much the best logit is above the second. */
static double lead(const float *x, size_t n)
{
    double best = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double value = (double)x[i];
        if (value > best) {
            second = best;
            best = value;
        } else if (value > second) {
            second = value;
        }
    }
    return best - second;
}

/* Rounding may decide only where two tokens are about equally likely. */
static void check_tokens(const made *alone, const made *together, int i, size_t vocab)
{
    for (size_t k = 0; k < alone->rows; k++) {
        const float *a = alone->logits + k * vocab, *b = together->logits + k * vocab;
        for (size_t j = 0; j < vocab; j++)
            if (!(fabs((double)a[j] - (double)b[j]) <= 1e-4 * (1 + fabs((double)a[j]))))
                fail_msg("sequence %d, token %zu: logit %zu is %g alone, %g together", i, k, j, (double)a[j],
                         (double)b[j]);
        if (lead(a, vocab) <= 1e-3) return;
        assert_int_equal(alone->ids[alone->prompt + k], together->ids[together->prompt + k]);
    }
}

static void check(const tuff_model *model, bool invariant)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b = NULL;
    static made alone, together[SEQUENCES];
    size_t vocab = (size_t)model->config.vocab_size;
    params.step_tokens = SEQUENCES + PIECE;
    params.invariant = invariant;
    KIT_OK(tuff_batcher_create(model, device, &params, &b));
    decode(b, 0, SEQUENCES, invariant, together);
    for (int i = 0; i < SEQUENCES; i++) {
        decode(b, i, 1, invariant, &alone);
        assert_int_equal(alone.rows, together[i].rows);
        if (invariant) {
            assert_memory_equal(alone.logits, together[i].logits, alone.rows * vocab * sizeof(float));
            assert_memory_equal(alone.ids, together[i].ids, alone.count * sizeof *alone.ids);
        } else {
            check_tokens(&alone, &together[i], i, vocab);
        }
        tuff_free(alone.logits);
        tuff_free(together[i].logits);
    }
    tuff_batcher_destroy(&b);
}

static void run_batch(void **state)
{
    char path[64];
    tuff_model *model = NULL;
    snprintf(path, sizeof path, "golden/%s", (const char *)*state);
    KIT_OK(tuff_model_load(kit_asset(path), &model));
    check(model, true);
    check(model, false);
    tuff_model_destroy(&model);
}

int batch_main(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_batch, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_batch, (void *)"llama"),
    };
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    if (tuff_device_open(&params, &device) != TUFF_OK) {
        printf("skipped: %s\n", tuff_error_message());
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
