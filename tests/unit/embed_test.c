/* Embedders: vectors are what their poolings say, do not depend on what else is embedded, and follow the
 * files of sentence-transformers directories. */
#include <math.h>
#include <string.h>
#include <tuff/embed.h>

#include "adapters/adapter.h"
#include "base/rng.h"
#include "base/thread.h"
#include "cpu_fixture.h"
#include "packed/batch.h"
#include "model_fixture.h"
#include "models/net.h"
#include "runtime/program.h"

static tuff_embedder *embedder_of(const tuff_model *model, const tuff_embedder_params *params)
{
    tuff_embedder *e = NULL;
    KIT_OK(tuff_embedder_create(model, device, params, &e));
    return e;
}

enum { MOST_TOKENS = 20, TEXTS = 40, LONGEST = 12 };

/* Ids of any lengths from 1 to the model's longest text. */
typedef struct texts {
    int32_t ids[TEXTS][MOST_TOKENS];
    const int32_t *all[TEXTS];
    size_t counts[TEXTS];
} texts;

static void make_texts(texts *t, int64_t vocab)
{
    for (size_t i = 0; i < TEXTS; i++) {
        t->counts[i] = 1 + (size_t)(tuff_rng_uniform(3, i, 0, 0) * (LONGEST - 1));
        t->all[i] = t->ids[i];
        for (size_t k = 0; k < t->counts[i]; k++)
            t->ids[i][k] = (int32_t)(tuff_rng_uniform(4, i * MOST_TOKENS + k, 0, 0) * (double)vocab);
    }
}

/* The states of one text, [count, hidden_size], by a program of its own. */
static void states_of(const tuff_model *model, const int32_t *ids, int64_t count, float *out)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    tuff_store *store = NULL;
    int32_t positions[MOST_TOKENS], zeros[MOST_TOKENS] = {0};
    size_t bytes = (size_t)count * sizeof *ids;
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_adapter_upload_model(model, NULL, false, MOST_TOKENS, NULL, store));
    KIT_OK(tuff_graph_create(&g));
    tuff_net net = {
        .g = g, .config = &model->config, .tokens = count, .sequences = 1, .rope_positions = MOST_TOKENS};
    tuff_net_begin(&net);
    tuff_output(g, "states", tuff_net_hidden(&net));
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_store_bind(store, program));
    tuff_config_positions(&model->config, ids, (size_t)count, positions);
    KIT_OK(tuff_program_input(program, "ids", ids, bytes));
    KIT_OK(tuff_program_input(program, "positions", positions, bytes));
    KIT_OK(tuff_program_input(program, "types", zeros, bytes));
    const int32_t segment[4] = {0, (int32_t)count, 0, (int32_t)count};
    KIT_OK(tuff_program_input(program, "segments", segment, sizeof segment));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "states", out,
                               (size_t)(count * model->config.hidden_size) * sizeof *out));
    tuff_program_destroy(&program);
    tuff_store_destroy(&store);
}

/* What a pooling makes of states [n, d], in double. */
static void pool(tuff_pooling pooling, const float *states, int64_t n, int64_t d, double *out)
{
    double weights = 0;
    for (int64_t k = 0; k < d; k++)
        out[k] = pooling == TUFF_POOLING_MAX ? -INFINITY : 0;
    for (int64_t i = 0; i < n; i++) {
        double w = pooling == TUFF_POOLING_WEIGHTED_MEAN ? (double)(i + 1)
                   : pooling == TUFF_POOLING_CLS         ? i == 0
                   : pooling == TUFF_POOLING_LAST        ? i == n - 1
                                                         : 1;
        weights += w;
        for (int64_t k = 0; k < d; k++)
            out[k] = pooling == TUFF_POOLING_MAX ? fmax(out[k], (double)states[i * d + k])
                                                 : out[k] + w * (double)states[i * d + k];
    }
    if (pooling == TUFF_POOLING_MEAN_SQRT_LEN) weights = sqrt((double)n);
    for (int64_t k = 0; k < d && pooling != TUFF_POOLING_MAX; k++)
        out[k] /= weights;
}

static void check_pooling(const tuff_model *model, const texts *t, tuff_pooling pooling, bool normalize,
                          int64_t dimensions)
{
    int64_t d = model->config.hidden_size, n = dimensions ? dimensions : d;
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.pooling = pooling;
    params.normalize = normalize ? TUFF_NORMALIZE_YES : TUFF_NORMALIZE_NO;
    params.dimensions = dimensions;
    tuff_embedder *e = embedder_of(model, &params);
    float states[MOST_TOKENS * 64], vectors[TEXTS * 64];
    double want[64];
    assert_int_equal(tuff_embedder_dimensions(e), n);
    KIT_OK(tuff_embed_ids(e, t->all, t->counts, TEXTS, NULL, vectors));
    for (size_t i = 0; i < TEXTS; i++) {
        double norm = 0;
        states_of(model, t->ids[i], (int64_t)t->counts[i], states);
        pool(pooling, states, (int64_t)t->counts[i], d, want);
        for (int64_t k = 0; k < n; k++)
            norm += want[k] * want[k];
        for (int64_t k = 0; k < n; k++) {
            double x = normalize ? want[k] / sqrt(norm) : want[k];
            if (fabs(x - (double)vectors[i * (size_t)n + (size_t)k]) > 3e-6 * fmax(1, fabs(x)))
                fail_msg("pooling %d, text %zu, number %lld: %.9g, expected %.9g", (int)pooling, i,
                         (long long)k, (double)vectors[i * (size_t)n + (size_t)k], x);
        }
    }
    tuff_embedder_destroy(&e);
}

static void vectors_are_what_poolings_say(void **state)
{
    (void)state;
    static const char *const names[] = {"bert", "roberta", "llama"};
    for (size_t m = 0; m < 3; m++) {
        tuff_model *model = model_open(names[m]);
        texts t;
        make_texts(&t, model->config.vocab_size);
        for (int p = TUFF_POOLING_MEAN; p <= TUFF_POOLING_MEAN_SQRT_LEN; p++) {
            check_pooling(model, &t, (tuff_pooling)p, true, 0);
            check_pooling(model, &t, (tuff_pooling)p, false, 5);
        }
        check_pooling(model, &t, TUFF_POOLING_MEAN, true, 7);
        tuff_model_destroy(&model);
    }
}

/* ---- independence */

typedef struct user {
    tuff_embedder *embedder;
    const texts *t;
    float vectors[TEXTS * 64];
    tuff_status status;
} user;

static void use(void *context)
{
    user *u = context;
    for (int i = 0; i < 5; i++) {
        memset(u->vectors, 0xff, sizeof u->vectors);
        u->status = tuff_embed_ids(u->embedder, u->t->all, u->t->counts, TEXTS, NULL, u->vectors);
        if (u->status != TUFF_OK) return;
    }
}

static void a_vector_does_not_know_of_others(void **state)
{
    (void)state;
    static const char *const names[] = {"bert", "llama"};
    for (size_t m = 0; m < 2; m++) {
        tuff_model *model = model_open(names[m]);
        texts t;
        make_texts(&t, model->config.vocab_size);
        size_t d = (size_t)model->config.hidden_size;
        static float alone[TEXTS * 64], together[TEXTS * 64];
        tuff_embedder *e = embedder_of(model, NULL);
        for (size_t i = 0; i < TEXTS; i++)
            KIT_OK(tuff_embed_ids(e, &t.all[i], &t.counts[i], 1, NULL, alone + i * d));
        static const int64_t budgets[] = {1, 7, 30, 100, 4096};
        for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
            tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
            params.batch_tokens = budgets[b];
            tuff_embedder *other = embedder_of(model, &params);
            KIT_OK(tuff_embed_ids(other, t.all, t.counts, TEXTS, NULL, together));
            assert_memory_equal(together, alone, TEXTS * d * sizeof *alone);
            KIT_OK(tuff_embed_ids(other, t.all + 3, t.counts + 3, 7, NULL, together));
            assert_memory_equal(together, alone + 3 * d, 7 * d * sizeof *alone);
            tuff_embedder_destroy(&other);
        }
        static user users[4];
        tuff_thread *threads[4];
        for (int i = 0; i < 4; i++) {
            users[i] = (user){.embedder = e, .t = &t};
            threads[i] = tuff_thread_start(use, &users[i]);
            assert_non_null(threads[i]);
        }
        for (int i = 0; i < 4; i++) {
            tuff_thread_join(&threads[i]);
            KIT_OK(users[i].status);
            assert_memory_equal(users[i].vectors, alone, TEXTS * d * sizeof *alone);
        }
        tuff_embedder_destroy(&e);
        tuff_model_destroy(&model);
    }
}

static void bad_ids_are_refused(void **state)
{
    (void)state;
    tuff_model *model = model_open("bert");
    tuff_embedder *e = embedder_of(model, NULL);
    float vector[64];
    int32_t ids[64] = {1, 2, 50};
    const int32_t *all = ids;
    size_t count = 3;
    KIT_FAILS(tuff_embed_ids(e, &all, &count, 1, NULL, vector), TUFF_INVALID_ARGUMENT,
              "text 0: id 50 is outside the vocabulary of 50");
    count = 0;
    KIT_FAILS(tuff_embed_ids(e, &all, &count, 1, NULL, vector), TUFF_INVALID_ARGUMENT, "text 0 has 0 tokens");
    count = 21;
    KIT_FAILS(tuff_embed_ids(e, &all, &count, 1, NULL, vector), TUFF_INVALID_ARGUMENT, "expected 1 to 20");
    KIT_OK(tuff_embed_ids(e, NULL, NULL, 0, NULL, NULL));
    tuff_embedder_destroy(&e);
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.max_length = 21;
    KIT_FAILS(tuff_embedder_create(model, device, &params, &e), TUFF_INVALID_ARGUMENT, "expected 2 to 20");
    params.max_length = 0;
    params.dimensions = 17;
    KIT_FAILS(tuff_embedder_create(model, device, &params, &e), TUFF_INVALID_ARGUMENT, "expected 1 to 16");
    tuff_model_destroy(&model);
}

/* ---- batches */

static void batches_waste_little(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 20000; n++) {
        int64_t capacity = tuff_packed_token_capacity(n);
        assert_true(capacity >= n && capacity % 16 == 0);
        if (n >= 128) assert_true((double)(capacity - n) < 0.12 * (double)capacity);
    }
    for (int64_t n = 1; n < 3000; n++)
        assert_true(tuff_packed_sequence_capacity(n) >= n && tuff_packed_sequence_capacity(n) < 2 * n);
}

/* Long texts, and such with many masks, are computed with fewer others. */
static void batches_have_room_for_all_that_is_made(void **state)
{
    (void)state;
    tuff_packed_text some[8];
    int64_t tokens = 0;
    for (size_t i = 0; i < 8; i++)
        some[i] = (tuff_packed_text){.count = 10, .index = i, .picks = 3};
    assert_int_equal(tuff_packed_batch(some, 8, &(tuff_packed_budget){1000, 0, 512}, &tokens), 8);
    assert_int_equal(tokens, 80);
    assert_int_equal(tuff_packed_batch(some, 8, &(tuff_packed_budget){59, 0, 512}, &tokens), 5);
    assert_int_equal(tuff_packed_batch(some, 8, &(tuff_packed_budget){59, 4, 512}, &tokens), 4);
    assert_int_equal(tokens, 40); /* their own */
    assert_int_equal(tuff_packed_batch(some, 8, &(tuff_packed_budget){1000, 0, 7}, &tokens), 2);
    assert_int_equal(tuff_packed_batch(some, 8, &(tuff_packed_budget){1, 9, 1}, &tokens), 1);
    assert_int_equal(tuff_packed_picks(30522), 512);
    assert_int_equal(tuff_packed_picks(250002), 64);
    assert_int_equal(tuff_packed_picks((int64_t)1 << 40), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_have_room_for_all_that_is_made),
        cmocka_unit_test(vectors_are_what_poolings_say),
        cmocka_unit_test(a_vector_does_not_know_of_others),
        cmocka_unit_test(bad_ids_are_refused),
        cmocka_unit_test(batches_waste_little),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
