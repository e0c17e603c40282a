/* Examples of the application's own: that their losses are what they say, that they train and go on. */
#include <math.h>

#include <tuff/checkpoint.h>
#include <tuff/train.h>

#include "model_fixture.h"
#include "train/trainer.h"

enum { LENGTH = 16, EXAMPLES = 6 };

static tuff_device *device;
static int32_t ids[EXAMPLES][LENGTH];

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLES; i++)
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = (i * 61 + k * 37 + i * k) % 40 + 5;
    device = kit_cpu();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

/* Examples of different lengths; labels and weights may be NULL. */
static tuff_dataset *data_of(const char *task, const int32_t (*labels)[LENGTH],
                             const float (*weights)[LENGTH], size_t classes)
{
    tuff_example examples[EXAMPLES];
    tuff_dataset *data = NULL;
    for (int i = 0; i < EXAMPLES; i++) {
        examples[i] = (tuff_example)TUFF_EXAMPLE_INIT;
        examples[i].ids = ids[i];
        examples[i].count = (size_t)(LENGTH - i);
        examples[i].labels = labels ? labels[i] : NULL;
        examples[i].weights = weights ? weights[i] : NULL;
    }
    KIT_OK(tuff_dataset_from_examples(task, examples, EXAMPLES, NULL, classes, &data));
    return data;
}

static tuff_eval_result measured(const tuff_model *model, const tuff_dataset *data)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_evaluate(model, device, data, NULL, &result));
    return result;
}

static void expect_near(double a, double b)
{
    if (!(fabs(a - b) <= 2e-6 * fabs(b))) fail_msg("%.9g, expected %.9g", a, b);
}

/* Without labels each token but the first is found: as a text in one block. */
static void the_next_token(void **state)
{
    (void)state;
    static const char *const models[] = {"llama", "gpt2"};
    for (int m = 0; m < 2; m++) {
        tuff_model *model = model_open(models[m]);
        tuff_dataset *given = data_of("causal-lm", NULL, NULL, 0);
        const tuff_eval_result all = measured(model, given);
        double sum = 0;
        int64_t n = 0;
        for (int i = 0; i < EXAMPLES; i++) {
            tuff_dataset *block = NULL;
            KIT_OK(tuff_dataset_from_ids(ids[i], (size_t)(LENGTH - i), LENGTH, &block));
            const tuff_eval_result one = measured(model, block);
            sum += one.loss * (double)one.tokens;
            n += one.tokens;
            tuff_dataset_destroy(&block);
        }
        assert_int_equal(all.tokens, n);
        expect_near(all.loss, sum / (double)n);
        tuff_dataset_destroy(&given);
        tuff_model_destroy(&model);
    }
}

/* Labels that are left out in one data set and found in another add up; weights are factors. */
static void labels_and_weights(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    int32_t even[EXAMPLES][LENGTH], odd[EXAMPLES][LENGTH];
    float weights[EXAMPLES][LENGTH];
    for (int i = 0; i < EXAMPLES; i++)
        for (int k = 0; k < LENGTH; k++) {
            even[i][k] = k % 2 ? -100 : ids[i][k];
            odd[i][k] = k % 2 ? ids[i][k] : -100;
            weights[i][k] = k % 2 ? -0.5f : 3;
        }
    tuff_dataset *sets[] = {data_of("causal-lm", even, NULL, 0), data_of("causal-lm", odd, NULL, 0),
                            data_of("causal-lm", NULL, NULL, 0), data_of("causal-lm", NULL, weights, 0)};
    tuff_eval_result r[4];
    for (int i = 0; i < 4; i++)
        r[i] = measured(model, sets[i]);
    const double a = r[0].loss * (double)r[0].tokens, b = r[1].loss * (double)r[1].tokens;
    assert_int_equal(r[0].tokens + r[1].tokens, r[2].tokens);
    assert_int_equal(r[2].tokens, r[3].tokens);
    expect_near(r[2].loss, (a + b) / (double)r[2].tokens);
    expect_near(r[3].loss, (3 * a - 0.5 * b) / (double)r[3].tokens);
    for (int i = 0; i < 4; i++)
        tuff_dataset_destroy(&sets[i]);
    tuff_model_destroy(&model);
}

static double loss_after(tuff_model *model, const tuff_dataset *data, const tuff_dataset *seen, int steps)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    p.max_steps = steps;
    p.per_device_train_batch_size = 3;
    p.learning_rate = 3e-3;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    for (int i = 0; i < steps; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_true(isfinite(step.loss) && !step.skipped);
    }
    KIT_OK(tuff_trainer_evaluate(trainer, seen, &result));
    tuff_trainer_destroy(&trainer);
    return result.loss;
}

/* Of each kind: what is trained is learned; with a weight below 0 it is unlearned. */
static void they_train(void **state)
{
    (void)state;
    static const struct {
        const char *task, *model;
        size_t classes;
    } cases[] = {{"causal-lm", "llama", 0},
                 {"token-classification", "bert", 3},
                 {"classification", "bert", 2},
                 {"classification", "llama", 2}};
    int32_t labels[EXAMPLES][LENGTH];
    float negative[EXAMPLES][LENGTH];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tuff_model *model = model_open(cases[c].model);
        for (int i = 0; i < EXAMPLES; i++)
            for (int k = 0; k < LENGTH; k++) {
                labels[i][k] = cases[c].classes ? (ids[i][k] + i) % (int)cases[c].classes : ids[i][k];
                negative[i][k] = -0.1f;
            }
        tuff_dataset *data = data_of(cases[c].task, labels, NULL, cases[c].classes),
                     *contrary = data_of(cases[c].task, labels, negative, cases[c].classes);
        const double before = loss_after(model, data, data, 0), after = loss_after(model, data, data, 8),
                     unlearned = loss_after(model, contrary, data, 8);
        if (!(after < 0.98 * before && unlearned > before))
            fail_msg("%s: %g before, %g after, %g with weights below 0", cases[c].task, before, after,
                     unlearned);
        tuff_dataset_destroy(&data);
        tuff_dataset_destroy(&contrary);
        tuff_model_destroy(&model);
    }
}

/* A checkpoint knows labels and weights. */
static void checkpoints_know_them(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    int32_t labels[EXAMPLES][LENGTH];
    float weights[EXAMPLES][LENGTH];
    memcpy(labels, ids, sizeof labels);
    for (int i = 0; i < EXAMPLES; i++)
        for (int k = 0; k < LENGTH; k++)
            weights[i][k] = 1;
    tuff_dataset *same = data_of("causal-lm", labels, weights, 0),
                 *data = data_of("causal-lm", NULL, NULL, 0);
    labels[2][3] = -100;
    tuff_dataset *others = data_of("causal-lm", labels, NULL, 0);
    weights[1][1] = 2;
    tuff_dataset *heavier = data_of("causal-lm", NULL, weights, 0);
    const tuff_dataset *const sets[] = {data, same, others, heavier};
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 2;
    const char *path = kit_temp_path("given/checkpoint-1");
    for (int i = 0; i < 4; i++) {
        tuff_trainer *trainer = NULL;
        tuff_checkpoint *checkpoint = NULL;
        char *differences = NULL;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_create(model, device, sets[i], &p, &trainer));
        if (i == 0) KIT_OK(tuff_trainer_step(trainer, &step));
        if (i == 0) KIT_OK(tuff_trainer_save_checkpoint(trainer, path, NULL));
        KIT_OK(tuff_checkpoint_open(path, NULL, &checkpoint));
        KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &differences));
        assert_int_equal(strstr(differences, "the training data is not the same") != NULL, i >= 2);
        tuff_free(differences);
        tuff_checkpoint_destroy(&checkpoint);
        tuff_trainer_destroy(&trainer);
    }
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&same);
    tuff_dataset_destroy(&others);
    tuff_dataset_destroy(&heavier);
    tuff_model_destroy(&model);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    int32_t some[] = {1, 2, 3}, labels[] = {0, 1, -100};
    float weights[] = {1, 1, 1};
    int8_t types[] = {0, 1, 0};
    tuff_example e = TUFF_EXAMPLE_INIT;
    tuff_dataset *data = NULL;
    tuff_model *model = model_open("llama");
    tuff_trainer *trainer = NULL;
#define REFUSED(task, classes, part) \
    KIT_FAILS(tuff_dataset_from_examples(task, &e, 1, NULL, classes, &data), TUFF_INVALID_ARGUMENT, part)
    e.ids = some;
    REFUSED("causal-lm", 0, "example 0 has no tokens");
    e.count = 3;
    REFUSED("causal-lm", 2, "there are 2 classes, expected none of causal-lm");
    REFUSED("classification", 1, "there are 1 classes, expected 2 to");
    REFUSED("classification", 2, "example 0 has no labels");
    KIT_FAILS(tuff_dataset_from_examples("chess", &e, 1, NULL, 0, &data), TUFF_UNSUPPORTED, "\"chess\"");
    KIT_FAILS(tuff_dataset_from_examples("causal-lm", &e, 0, NULL, 0, &data), TUFF_INVALID_ARGUMENT,
              "there are no examples");
    e.labels = labels;
    labels[1] = 2;
    REFUSED("token-classification", 2,
            "example 0: label 1 is 2, expected a number of a class or token, or -100");
    labels[1] = -1;
    REFUSED("causal-lm", 0, "label 1 is -1");
    labels[1] = 1;
    e.weights = weights;
    weights[2] = INFINITY;
    REFUSED("causal-lm", 0, "example 0: weight 2 is inf, expected a finite number");
    weights[2] = 1;
    some[0] = -5;
    REFUSED("causal-lm", 0, "token 0 is -5, expected 0 or more");
    some[0] = 1;
    e.types = types;
    types[1] = -1;
    REFUSED("causal-lm", 0, "type 1 is -1");
    e.types = NULL;
    labels[0] = 100000;
    KIT_OK(tuff_dataset_from_examples("causal-lm", &e, 1, NULL, 0, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, NULL, &trainer), TUFF_INVALID_ARGUMENT,
              "token id 100000 as a label");
    tuff_dataset_destroy(&data);
    labels[0] = 0;
    some[2] = 100000;
    KIT_OK(tuff_dataset_from_examples("causal-lm", &e, 1, NULL, 0, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, NULL, &trainer), TUFF_INVALID_ARGUMENT,
              "token id 100000");
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* Rotary positions end where the model's do, too; by whatever an example is trained or measured. */
static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *model, *task, *part;
        int fits;
        size_t classes;
    } cases[] = {
        {"llama", "causal-lm", "example 1 has 129 tokens, but the model has only 128 positions", 128, 0},
        {"modernbert", "token-classification", "only 32 positions", 32, 2},
        {"llama", "classification", "only 128 positions", 128, 2},
        {"gpt2", "causal-lm", "example 1 has 65 tokens, but the model has only 64 positions", 64, 0},
        {"bloom", "causal-lm", "only 128 positions", 128, 0}};
    int32_t long_ids[129], labels[129];
    for (int i = 0; i < 129; i++) {
        long_ids[i] = i % 40 + 1;
        labels[i] = i % 2;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_example e[2] = {TUFF_EXAMPLE_INIT, TUFF_EXAMPLE_INIT};
        tuff_dataset *data[2] = {NULL, NULL};
        tuff_trainer *trainer = NULL;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        for (int k = 0; k < 2; k++) {
            e[k].ids = long_ids;
            e[k].labels = labels;
            e[k].count = (size_t)(cases[i].fits + k);
            KIT_OK(tuff_dataset_from_examples(cases[i].task, e, (size_t)k + 1, NULL, cases[i].classes,
                                              &data[k]));
        }
        KIT_OK(tuff_trainer_create(model, device, data[0], NULL, &trainer));
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_false(step.skipped);
        KIT_FAILS(tuff_trainer_evaluate(trainer, data[1], &result), TUFF_INVALID_ARGUMENT, cases[i].part);
        tuff_trainer_destroy(&trainer);
        KIT_FAILS(tuff_trainer_create(model, device, data[1], NULL, &trainer), TUFF_INVALID_ARGUMENT,
                  cases[i].part);
        if (!cases[i].classes)
            KIT_FAILS(tuff_evaluate(model, device, data[1], NULL, &result), TUFF_INVALID_ARGUMENT,
                      cases[i].part);
        tuff_dataset_destroy(&data[0]);
        tuff_dataset_destroy(&data[1]);
        tuff_model_destroy(&model);
    }
}

static tuff_status make(void *user)
{
    static const char *const names[] = {"no", "yes"};
    const int32_t labels[] = {1, 0, -100};
    tuff_example e = TUFF_EXAMPLE_INIT;
    tuff_dataset *data = NULL;
    e.ids = user;
    e.count = 3;
    e.labels = labels;
    TUFF_TRY(tuff_dataset_from_examples("token-classification", &e, 1, names, 2, &data));
    tuff_dataset_destroy(&data);
    return TUFF_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    kit_for_each_allocation_failure(make, ids[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_token),
        cmocka_unit_test(labels_and_weights),
        cmocka_unit_test(they_train),
        cmocka_unit_test(checkpoints_know_them),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
