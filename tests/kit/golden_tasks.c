#include "base/json.h"
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/trainer.h"

/* A task of assets/golden/tasks/truth.json. */
typedef struct recipe {
    const char *name, *task, *file;
    const char *text, *pair, *label, *problem;
} recipe;
static const recipe recipes[] = {
    {"mlm", "mlm", "mlm.txt", NULL, NULL, NULL, NULL},
    {"classification", "classification", "classification.tsv", "one", "two", "class", NULL},
    {"several", "classification", "several.jsonl", NULL, NULL, NULL, "multi_label_classification"},
    {"regression", "classification", "regression.csv", NULL, NULL, NULL, NULL},
    {"tokens", "token-classification", "tokens.jsonl", NULL, NULL, NULL, NULL},
    {"qa", "qa", "qa.jsonl", NULL, NULL, NULL, NULL},
};

static const char *task_asset(const char *name)
{
    return kit_join(kit_golden("tasks"), name);
}

/* The model of a golden, with the tokenizer of the tasks. */
static tuff_model *load_model(const char *name, const char *as)
{
    tuff_model *model = NULL;
    const char *path = kit_copy_model(kit_golden(name), as);
    kit_copy_file(task_asset("tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(task_asset("tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void expect_near(const recipe *r, const char *what, int step, double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s on %s: the %s of step %d is %.9g, the truth %.9g", r->name, device_name, what, step, got,
                 want);
}

static tuff_train_params settings(const cJSON *truth, bool accumulates)
{
    const cJSON *adamw = cJSON_GetObjectItemCaseSensitive(truth, "adamw");
    int64_t batch = (int64_t)number(truth, "batch");
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = (int64_t)number(adamw, "steps");
    p.per_device_train_batch_size = accumulates ? 1 : batch;
    p.gradient_accumulation_steps = accumulates ? batch : 1;
    p.learning_rate = number(adamw, "learning_rate");
    p.weight_decay = number(adamw, "weight_decay");
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.seed = (uint64_t)number(truth, "seed");
    p.no_shuffle = true;
    return p;
}

/* The batches of a step at once, or one example after the other: their labels differ in number. */
static void train(const recipe *r, const cJSON *truth, const cJSON *task, const tuff_model *model,
                  const tuff_dataset *data, bool accumulates)
{
    tuff_trainer *trainer = NULL;
    tuff_train_params p = settings(truth, accumulates);
    const cJSON *loss = cJSON_GetObjectItemCaseSensitive(task, "losses")->child,
                *norm = cJSON_GetObjectItemCaseSensitive(task, "norms")->child;
    KIT_OK(tuff_trainer_create_with(model, device, data, &p, true, &trainer));
    /* it has the head that it needs, but that several labels may hold is news to it */
    assert_int_equal(trainer->own_model != NULL, strcmp(r->name, "several") == 0);
    for (int step = 1; step <= p.max_steps; step++, loss = loss->next, norm = norm->next) {
        tuff_train_step got = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &got));
        expect_near(r, "loss", step, got.loss, loss->valuedouble, 1e-5);
        expect_near(r, "gradient norm", step, got.grad_norm, norm->valuedouble, 2e-4);
    }
    tuff_trainer_destroy(&trainer);
}

static void run_task(void **state)
{
    const recipe *r = *state;
    cJSON *truth = NULL;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    const cJSON *task =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(truth, "tasks"), r->name);
    assert_non_null(task);
    tuff_model *model = load_model(cJSON_GetObjectItemCaseSensitive(task, "model")->valuestring, r->name);
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = r->task;
    p.training = true;
    p.text_field = r->text;
    p.text_pair_field = r->pair;
    p.label_field = r->label;
    p.problem_type = r->problem;
    p.stride = (int64_t)number(truth, "stride");
    if (strcmp(r->name, "qa") == 0) p.max_length = (int64_t)number(truth, "window");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load(model, task_asset(r->file), &p, &data));
    train(r, truth, task, model, data, false);
    train(r, truth, task, model, data, true);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    cJSON_Delete(truth);
}

int tasks_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[0]),
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[1]),
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[2]),
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[3]),
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[4]),
        cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[5]),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
