#include "base/json.h"
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/trainer.h"

/* A task of assets/golden/tasks. */
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
    {"embedding", "embedding", "embedding.csv", NULL, NULL, NULL, NULL},
};

static const char *task_asset(const char *name)
{
    return kit_join(kit_golden("tasks"), name);
}

static const cJSON *part(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("truth.json has no %s", key);
    return item;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = part(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

/* The model of a golden, with the tokenizer of the tasks, or one of these words alone. */
static tuff_model *load_model(const char *name, const char *as, const char *words)
{
    tuff_model *model = NULL;
    const char *path = kit_copy_model(kit_golden(name), as);
    if (words) {
        char *lines = tuff_strdup(words);
        assert_non_null(lines);
        for (char *at = lines; *at; at++)
            if (*at == ' ') *at = '\n';
        kit_write_file(kit_join(path, "vocab.txt"), lines, strlen(lines));
        tuff_free(lines);
        remove(kit_join(path, "tokenizer.json"));
    } else {
        kit_copy_file(task_asset("tokenizer.json"), kit_join(path, "tokenizer.json"));
        kit_copy_file(task_asset("tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    }
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

static void expect_near(const char *run, const char *what, int step, double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s on %s: the %s of step %d is %.9g, the truth %.9g", run, device_name, what, step, got,
                 want);
}

static tuff_train_params settings(const cJSON *truth, double rate, bool accumulates)
{
    const cJSON *adamw = part(truth, "adamw");
    int64_t batch = (int64_t)number(truth, "batch");
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = (int64_t)number(adamw, "steps");
    p.per_device_train_batch_size = accumulates ? 1 : batch;
    p.gradient_accumulation_steps = accumulates ? batch : 1;
    p.learning_rate = rate;
    p.weight_decay = number(adamw, "weight_decay");
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.seed = (uint64_t)number(truth, "seed");
    p.no_shuffle = true;
    return p;
}

enum { STEPS = 20 };
typedef struct steps {
    double losses[STEPS], norms[STEPS];
} steps;

/* The batches of a step at once, or one example after the other: their labels differ in number. */
static void train(const char *run, const cJSON *truth, const steps *wanted, double rate,
                  const tuff_model *model, const tuff_dataset *data, bool accumulates)
{
    tuff_trainer *trainer = NULL;
    tuff_train_params p = settings(truth, rate, accumulates);
    assert_int_equal(p.max_steps, STEPS);
    KIT_OK(tuff_trainer_create_with(model, device, data, &p, true, &trainer));
    /* it has the head that it needs, but that several labels may hold is news to it */
    assert_int_equal(trainer->own_model != NULL, strcmp(run, "several") == 0);
    for (int step = 0; step < STEPS; step++) {
        tuff_train_step got = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &got));
        expect_near(run, "loss", step + 1, got.loss, wanted->losses[step], 1e-5);
        expect_near(run, "gradient norm", step + 1, got.grad_norm, wanted->norms[step], 2e-4);
    }
    tuff_trainer_destroy(&trainer);
}

static tuff_dataset *load_data(const recipe *r, const cJSON *truth, const tuff_model *model, int64_t most)
{
    tuff_dataset *data = NULL;
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = r->task;
    p.training = true;
    p.text_field = r->text;
    p.text_pair_field = r->pair;
    p.label_field = r->label;
    p.problem_type = r->problem;
    p.stride = (int64_t)number(truth, "stride");
    p.max_length = strcmp(r->name, "qa") == 0 ? (int64_t)number(truth, "window") : most;
    KIT_OK(tuff_dataset_load(model, task_asset(r->file), &p, &data));
    return data;
}

static void run_task(void **state)
{
    const recipe *r = *state;
    cJSON *truth = NULL;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    const cJSON *task = part(part(truth, "tasks"), r->name);
    const cJSON *loss = part(task, "losses")->child, *norm = part(task, "norms")->child;
    steps wanted;
    for (int i = 0; i < STEPS; i++, loss = loss->next, norm = norm->next) {
        wanted.losses[i] = loss->valuedouble;
        wanted.norms[i] = norm->valuedouble;
    }
    tuff_model *model = load_model(part(task, "model")->valuestring, r->name, NULL);
    tuff_dataset *data = load_data(r, truth, model, 0);
    double rate = number(part(truth, "adamw"), "learning_rate");
    train(r->name, truth, &wanted, rate, model, data, false);
    train(r->name, truth, &wanted, rate, model, data, true);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    cJSON_Delete(truth);
}

static void read_steps(const tuff_weights *file, const char *run, const char *what, double *out)
{
    char name[64];
    float values[STEPS];
    snprintf(name, sizeof name, "%s.%s", run, what);
    const tuff_weight *w = tuff_weights_find(file, name);
    if (!w || tuff_weight_elements(w) != STEPS) fail_msg("steps.safetensors has no %s", name);
    KIT_OK(tuff_weight_read(w, TUFF_F32, values));
    for (int i = 0; i < STEPS; i++)
        out[i] = (double)values[i];
}

/* As sentence-transformers has it: decoders by their last token. */
static tuff_dataset *load_vectors(const recipe *r, const tuff_model *model, int64_t most)
{
    tuff_dataset *data = NULL;
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    p.max_length = most;
    p.pooling = model->config.causal ? TUFF_POOLING_LAST : TUFF_POOLING_MEAN;
    p.normalize = TUFF_NORMALIZE_YES;
    KIT_OK(tuff_dataset_load_pairs(model, task_asset(r->file), &p, &data));
    return data;
}

/* Every architecture with each of its heads, and their vectors. */
static void run_steps(void **state)
{
    const recipe *r = *state;
    cJSON *truth = NULL;
    tuff_weights *file = NULL;
    int count = 0;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    KIT_OK(tuff_safetensors_open(task_asset("steps.safetensors"), &file));
    const int64_t most = (int64_t)number(truth, "short");
    const cJSON *all = part(truth, "steps"), *vocabularies = part(all, "vocabularies"), *run;
    cJSON_ArrayForEach(run, part(all, "runs"))
    {
        if (strcmp(part(run, "task")->valuestring, r->name) != 0) continue;
        const char *name = run->string;
        const char *words = part(vocabularies, part(run, "vocabulary")->valuestring)->valuestring;
        steps wanted;
        read_steps(file, name, "losses", wanted.losses);
        read_steps(file, name, "norms", wanted.norms);
        tuff_model *model = load_model(name, name, words);
        bool vectors = strcmp(r->name, "embedding") == 0;
        tuff_dataset *data = vectors ? load_vectors(r, model, most) : load_data(r, truth, model, most);
        train(name, truth, &wanted, number(run, "learning_rate"), model, data, false);
        tuff_dataset_destroy(&data);
        tuff_model_destroy(&model);
        count++;
    }
    assert_true(count >= 5);
    tuff_weights_destroy(&file);
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
        cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[0]),
        cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[1]),
        cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[4]),
        cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[5]),
        cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[6]),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
