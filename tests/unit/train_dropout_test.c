/* The dropouts inside models: which there are, where they act, that they are of a training alone. */
#include <math.h>

#include "model_fixture.h"
#include "models/dropouts.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/trainer.h"

enum { IDS = 400, STEPS = 3 };
static tuff_device *device;
static int32_t ids[IDS];

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    for (int i = 0; i < IDS; i++)
        ids[i] = i * 7 % 97 + i % 5;
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

static tuff_trainer *trainer_of(const tuff_model *model, const tuff_dataset *data, double dropout,
                                int64_t rank)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 4;
    p.learning_rate = 1e-3;
    p.lora_rank = rank;
    p.dropout = dropout;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    return trainer;
}

static tuff_dataset *blocks(void)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    return data;
}

static void run(const tuff_model *model, double dropout, int64_t rank, double losses[STEPS])
{
    tuff_dataset *data = blocks();
    tuff_trainer *trainer = trainer_of(model, data, dropout, rank);
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        losses[i] = step.loss;
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* What a model's own config says, and what all of its dropouts are. */
static void they_are_the_configs(void **state)
{
    (void)state;
    static const struct {
        const char *model, *own, *all;
    } models[] = {
        {"gpt2", "0.1 of embeddings, attention, attention's output, feed-forward's output",
         "0.5 of embeddings, attention, attention's output, feed-forward's output"},
        {"llama", "", "0.5 of attention"},
        {"t5-encoder",
         "0.1 of embeddings, attention, attention's output, within feed-forward, feed-forward's output, the last states",
         "0.5 of embeddings, attention, attention's output, within feed-forward, feed-forward's output, the last states"},
        {"bert-tokens",
         "0.1 of embeddings, attention, attention's output, feed-forward's output, what gives the tokens' labels",
         "0.5 of embeddings, attention, attention's output, feed-forward's output, what gives the tokens' labels"},
        {"roberta-classes",
         "0.1 of embeddings, attention, attention's output, feed-forward's output, the classifier's input, what gives "
         "classes",
         "0.5 of embeddings, attention, attention's output, feed-forward's output, the classifier's input, what gives "
         "classes"},
        {"distilbert-classes",
         "0.1 of embeddings, attention, feed-forward's output; 0.2 of what gives classes",
         "0.5 of embeddings, attention, feed-forward's output, what gives classes"},
        {"bart", "",
         "0.5 of embeddings, attention, attention's output, attention to the encoder, that attention's output, within "
         "feed-forward, feed-forward's output"},
        {"falcon", "", "0.5 of feed-forward's output"},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        tuff_model *model = model_open(models[i].model);
        for (int all = 0; all < 2; all++) {
            tuff_buf text = {0};
            tuff_dropouts d = all ? tuff_dropouts_all(&model->config, 0.5) : model->config.dropouts;
            tuff_dropouts_fit(&model->config, &d);
            tuff_dropouts_put(&d, &text);
            assert_string_equal(text.data ? text.data : "", all ? models[i].all : models[i].own);
            tuff_buf_free(&text);
        }
        tuff_model_destroy(&model);
    }
}

/* Keys of config.json: their presets where there are none, the first of several, refusals. */
static void keys_are_read(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("bert-tokens"), "dropped"),
               *config = kit_join(directory, "config.json");
    kit_edit_file(config, "\"hidden_dropout_prob\":", "\"nothing\":");
    kit_edit_file(config, "\"attention_probs_dropout_prob\":", "\"none\":");
    kit_edit_file(config, "\"classifier_dropout\": null", "\"classifier_dropout\": 0.25");
    tuff_model *model = model_open(directory);
    assert_true(model->config.dropouts.of[TUFF_DROP_EMBEDDINGS] == 0.1);
    assert_true(model->config.dropouts.of[TUFF_DROP_ATTENTION] == 0.1);
    assert_true(model->config.dropouts.of[TUFF_DROP_TOKENS] == 0.25);
    tuff_model_destroy(&model);
    kit_edit_file(config, "\"classifier_dropout\": 0.25", "\"classifier_dropout\": 1");
    KIT_FAILS(tuff_model_load(directory, &model), TUFF_BAD_FORMAT,
              "classifier_dropout must be a number from 0 to less than 1");
}

/* A dropout that never drops changes no bit; one that drops does, in the same way each time; beside an
 * adapter it acts in what is frozen. */
static void they_are_drawn_by_the_seed(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "llama"};
    for (int m = 0; m < 2; m++)
        for (int64_t rank = 0; rank <= 4; rank += 4) {
            double none[STEPS], never[STEPS], some[STEPS], again[STEPS];
            tuff_model *model = model_open(names[m]);
            run(model, TUFF_DROPOUT_NONE, rank, none);
            run(model, 1e-12, rank, never);
            run(model, 0.3, rank, some);
            run(model, 0.3, rank, again);
            assert_memory_equal(none, never, sizeof none);
            assert_memory_equal(some, again, sizeof some);
            assert_true(fabs(some[0] - none[0]) > 1e-4 * none[0]);
            tuff_model_destroy(&model);
        }
}

/* Unless they are asked for. */
static void preferences_have_none(const tuff_model *model)
{
    static const char text[] = "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" c\"}\n";
    const char *path = kit_path("pairs.jsonl");
    tuff_data_params params = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    params.task = "preference";
    params.training = true;
    kit_write_file(path, text, sizeof text - 1);
    KIT_OK(tuff_dataset_load(model, path, &params, &data));
    for (int asked = 0; asked < 2; asked++) {
        tuff_trainer *trainer = trainer_of(model, data, asked ? TUFF_DROPOUT_CONFIG : 0, 4);
        if (!!*tuff_trainer_dropout(trainer) != asked) fail_msg("%s", tuff_trainer_dropout(trainer));
        tuff_trainer_destroy(&trainer);
    }
    tuff_dataset_destroy(&data);
}

/* What is measured has none. */
static void they_are_of_a_training(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    tuff_dataset *data = blocks();
    double losses[2];
    for (int i = 0; i < 2; i++) {
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        tuff_trainer *trainer = trainer_of(model, data, i ? 0.5 : TUFF_DROPOUT_NONE, 0);
        assert_string_equal(tuff_trainer_dropout(trainer),
                            i ? "0.5 of embeddings, attention, attention's output, feed-forward's output"
                              : "");
        KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
        losses[i] = result.loss;
        tuff_trainer_destroy(&trainer);
    }
    assert_true(losses[0] == losses[1]);
    preferences_have_none(model);
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.dropout = 1;
    KIT_FAILS(tuff_trainer_create(model, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT, "dropout is 1");
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* No two places, layers or stacks share a mask: each stream is of one operation and its gradients. */
static void every_place_has_a_mask_of_its_own(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "bart", "t5"};
    enum { MOST = 256 };
    for (int m = 0; m < 3; m++) {
        tuff_model *model = model_open(names[m]);
        const tuff_dropouts all = tuff_dropouts_all(&model->config, 0.5);
        uint32_t streams[MOST];
        size_t count = 0;
        tuff_graph *graph = NULL;
        KIT_OK(tuff_graph_create(&graph));
        tuff_net net = {.g = graph,
                        .config = &model->config,
                        .tokens = 8,
                        .source_tokens = model->config.encoder ? 8 : 0,
                        .sequences = 1,
                        .rope_positions = 8,
                        .dropouts = &all};
        tuff_net_begin(&net);
        tuff_net_hidden(&net);
        KIT_OK(tuff_graph_status(graph));
        for (size_t i = 0; i < graph->n_nodes; i++) {
            const tuff_node *node = graph->nodes[i];
            const bool attention = node->op == TUFF_OP_attention;
            if (!attention && node->op != TUFF_OP_dropout) continue;
            const uint32_t stream =
                attention ? node->attrs.attention.dropout_stream : node->attrs.dropout.stream;
            assert_true((attention ? node->attrs.attention.dropout : node->attrs.dropout.p) == 0.5);
            for (size_t k = 0; k < count; k++)
                assert_int_not_equal(streams[k], stream);
            assert_true(count < MOST);
            streams[count++] = stream;
        }
        const size_t layers = (size_t)model->config.layers;
        /* embeddings, last states; of each layer attention, two outputs, within; across twice */
        const size_t expected = m == 0   ? 1 + 3 * layers
                                : m == 1 ? 2 + 4 * (size_t)model->config.encoder->layers + 6 * layers
                                         : 4 + 4 * (size_t)model->config.encoder->layers + 6 * layers;
        assert_int_equal(count, expected);
        tuff_graph_destroy(&graph);
        tuff_model_destroy(&model);
    }
}

/* What attention gives with dropout is, on average over steps, what it gives without: within five standard
 * errors of the mean of each number. */
static void attention_is_the_same_on_average(void **state)
{
    (void)state;
    enum { N = 12, D = 4, ALL = N * D, RUNS = 2000 };
    float x[3][ALL], with[ALL], without[ALL];
    double sum[ALL] = {0}, squares[ALL] = {0};
    for (int i = 0; i < 3 * ALL; i++)
        x[i / ALL][i % ALL] = (float)sin(0.7 * i);
    const int64_t shape[] = {N, 1, D};
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *in[3];
    static const char *const names[] = {"q", "k", "v"};
    for (int i = 0; i < 3; i++)
        in[i] = tuff_input(g, names[i], TUFF_F32, 3, shape);
    tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, (int64_t[]){1, 4});
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    tuff_output(g, "without", tuff_attention(g, in[0], in[1], in[2], segments, NULL, NULL, &params));
    params.dropout = 0.4;
    params.dropout_seed = tuff_input(g, "seed", TUFF_U32, 1, (int64_t[]){3});
    tuff_output(g, "with", tuff_attention(g, in[0], in[1], in[2], segments, NULL, NULL, &params));
    KIT_OK(tuff_program_create(device, &g, &program));
    const int32_t table[] = {0, N, 0, N};
    for (int i = 0; i < 3; i++)
        KIT_OK(tuff_program_input(program, names[i], x[i], sizeof x[i]));
    KIT_OK(tuff_program_input(program, "segments", table, sizeof table));
    for (uint32_t r = 0; r < RUNS; r++) {
        const uint32_t seed[] = {1, 2, r};
        KIT_OK(tuff_program_input(program, "seed", seed, sizeof seed));
        KIT_OK(tuff_program_run(program));
        KIT_OK(tuff_program_output(program, "with", with, sizeof with));
        for (int i = 0; i < ALL; i++) {
            sum[i] += (double)with[i];
            squares[i] += (double)with[i] * (double)with[i];
        }
    }
    KIT_OK(tuff_program_output(program, "without", without, sizeof without));
    for (int i = 0; i < ALL; i++) {
        const double mean = sum[i] / RUNS, error = sqrt((squares[i] / RUNS - mean * mean) / RUNS);
        assert_true(error > 1e-4);
        assert_true(fabs(mean - (double)without[i]) < 5 * error);
    }
    tuff_program_destroy(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_the_configs),
        cmocka_unit_test(keys_are_read),
        cmocka_unit_test(they_are_drawn_by_the_seed),
        cmocka_unit_test(they_are_of_a_training),
        cmocka_unit_test(every_place_has_a_mask_of_its_own),
        cmocka_unit_test(attention_is_the_same_on_average),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
