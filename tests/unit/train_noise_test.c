/* NEFTune: how large the noise on embeddings is, that it is only of a training, and that it comes again. */
#include <math.h>

#include "model_fixture.h"
#include "packed/pack.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "runtime/store.h"
#include "train/trainer.h"

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

enum { TOKENS = 96, FIRST = 9, SECOND = 81 };

/* What a model without layers, whose table is zeros, makes of two texts: the noise alone. */
static float *noise_of(double alpha, uint32_t step)
{
    tuff_config config = llama->config;
    config.layers = 0;
    config.final_norm = false;
    const int64_t table[] = {config.vocab_size, config.hidden_size};
    tuff_store *store = NULL;
    tuff_graph *graph = NULL;
    tuff_program *program = NULL;
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_store_add(store, "model.embed_tokens.weight", TUFF_F32, 2, table, NULL));
    KIT_OK(tuff_graph_create(&graph));
    tuff_net net = {.g = graph,
                    .config = &config,
                    .tokens = TOKENS,
                    .sequences = 3,
                    .rope_positions = TOKENS,
                    .noise = true};
    tuff_net_begin(&net);
    tuff_output(graph, "x", tuff_net_hidden(&net));
    KIT_OK(tuff_program_create(device, &graph, &program));
    KIT_OK(tuff_store_bind(store, program));

    int32_t ids[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        ids[i] = i;
    const uint32_t seed[] = {7, 0, step};
    tuff_pack pack = {.noise = alpha};
    KIT_OK(tuff_pack_begin(&pack, &config, &(tuff_pack_shape){.tokens = TOKENS, .sequences = 3}, 0));
    tuff_pack_add(&pack, ids, NULL, FIRST);
    tuff_pack_add(&pack, ids, NULL, SECOND);
    KIT_OK(tuff_pack_set(&pack, program));
    KIT_OK(tuff_program_input(program, "dropout_seed", seed, sizeof seed));
    KIT_OK(tuff_program_run(program));
    const size_t n = (size_t)(TOKENS * config.hidden_size);
    float *x = tuff_alloc_array(n, sizeof *x);
    assert_non_null(x);
    KIT_OK(tuff_program_output(program, "x", x, n * sizeof *x));
    tuff_pack_free(&pack);
    tuff_program_destroy(&program);
    tuff_store_destroy(&store);
    return x;
}

/* A uniform number's mean is 0 and its variance a third of its bound's square; of n numbers the mean of each
 * is within five standard errors. */
static void expect_uniform(const float *x, size_t n, double bound)
{
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double u = (double)x[i] / bound;
        sum += u;
        squares += u * u;
        largest = fmax(largest, fabs(u));
    }
    assert_true(largest <= 1 + 1e-6 && largest > 0.98);
    assert_true(fabs(sum / (double)n) < 5 * sqrt(1.0 / 3 / (double)n));
    assert_true(fabs(squares / (double)n - 1.0 / 3) < 5 * sqrt(4.0 / 45 / (double)n));
}

static void noise_is_as_large_as_its_authors_have_it(void **state)
{
    (void)state;
    const int64_t width = llama->config.hidden_size;
    const double alpha = 5;
    float *x = noise_of(alpha, 3);
    expect_uniform(x, (size_t)(FIRST * width), alpha / sqrt((double)(FIRST * width)));
    expect_uniform(x + FIRST * width, (size_t)(SECOND * width), alpha / sqrt((double)(SECOND * width)));
    for (int64_t i = (FIRST + SECOND) * width; i < TOKENS * width; i++)
        assert_true(x[i] == 0); /* no text has these */

    float *again = noise_of(alpha, 3), *twice = noise_of(2 * alpha, 3), *later = noise_of(alpha, 4);
    int64_t same = 0;
    for (int64_t i = 0; i < (FIRST + SECOND) * width; i++) {
        assert_true(again[i] == x[i] && twice[i] == 2 * x[i]);
        same += later[i] == x[i];
    }
    assert_true(same < 4);
    tuff_free(x);
    tuff_free(again);
    tuff_free(twice);
    tuff_free(later);
}

static void expect_only_trained(const tuff_model *model, const tuff_dataset *data)
{
    double losses[3], measured[3];
    for (int i = 0; i < 3; i++) {
        tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
        tuff_trainer *trainer = NULL;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        p.max_steps = 2;
        p.per_device_train_batch_size = 2;
        p.learning_rate = 0; /* the weights stay as they are */
        p.neftune_noise_alpha = 8.0 * i;
        KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
        KIT_OK(tuff_trainer_step(trainer, &step));
        losses[i] = step.loss;
        KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
        measured[i] = result.loss;
        tuff_trainer_destroy(&trainer);
    }
    assert_true(measured[1] == measured[0] && measured[2] == measured[0]);
    assert_true(losses[1] != losses[0] && losses[2] != losses[1]);
}

static void only_a_training_has_it(void **state)
{
    (void)state;
    int32_t ids[160];
    for (int i = 0; i < 160; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, 160, 16, &data));
    expect_only_trained(llama, data);
    tuff_dataset_destroy(&data);
}

static void encoders_and_decoders_have_it(void **state)
{
    (void)state;
    const char pairs[] = "source\ttarget\nthe river\tthe road\nstones\tno\n", *path = kit_path("pairs.tsv");
    tuff_model *t5 = model_open("t5");
    tuff_data_params params = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    kit_write_file(path, pairs, sizeof pairs - 1);
    params.task = "seq2seq";
    KIT_OK(tuff_dataset_load(t5, path, &params, &data));
    expect_only_trained(t5, data);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&t5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_as_large_as_its_authors_have_it),
        cmocka_unit_test(only_a_training_has_it),
        cmocka_unit_test(encoders_and_decoders_have_it),
    };
    return cmocka_run_group_tests_name("train_noise", tests, begin, end);
}
