#include "kit/golden.h"
#include "kit/task_truth.h"

/* The batches of a step at once, or one example after the other: their labels differ in number. */
static void train(const char *run, const cJSON *truth, const steps *wanted, double rate,
                  const tuff_model *model, const tuff_dataset *data, bool accumulates)
{
    tuff_trainer *trainer = NULL;
    const tuff_train_params p = settings_of(truth, rate, accumulates);
    KIT_OK(tuff_trainer_create_with(model, device, data, &p, true, &trainer));
    /* it has the head that it needs, but that several labels may hold is news to it */
    assert_int_equal(trainer->own_model != NULL, strcmp(run, "several") == 0);
    check_steps(run, trainer, wanted);
    tuff_trainer_destroy(&trainer);
}

static void run_task(void **state)
{
    const recipe *r = *state;
    cJSON *truth = NULL;
    tuff_weights *file = NULL;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    KIT_OK(tuff_safetensors_open(task_asset("steps.safetensors"), &file));
    const cJSON *task = part(part(truth, "tasks"), r->name);
    const steps wanted = read_steps(file, r->name);
    tuff_model *model = load_model(part(task, "model")->valuestring, r->name, NULL);
    tuff_dataset *data = load_data(r, truth, model, 0);
    for (int accumulates = 0; accumulates < 2; accumulates++)
        train(r->name, truth, &wanted, number(task, "learning_rate"), model, data, accumulates);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_weights_destroy(&file);
    cJSON_Delete(truth);
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
    const cJSON *run;
    cJSON_ArrayForEach(run, part(truth, "steps"))
    {
        if (strcmp(part(run, "task")->valuestring, r->name) != 0) continue;
        const char *name = run->string;
        const steps wanted = read_steps(file, name);
        tuff_model *model = load_model_of(truth, run, name);
        const bool vectors = r == &recipes[EMBEDDING];
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

/* A tiny BERT by each loss of vectors, beside sentence-transformers. */
static void run_vectors(void **state)
{
    static const struct {
        const char *loss, *file;
    } all[] = {{"mnrl", "ranked.jsonl"},
               {"cosine", "pairs.csv"},
               {"triplet", "triplets.jsonl"},
               {"contrastive", "together.csv"},
               {"cosent", "pairs.csv"}};
    (void)state;
    tuff_weights *truth = NULL;
    tuff_model *model = NULL;
    KIT_OK(tuff_safetensors_open(kit_golden("embedding/steps.safetensors"), &truth));
    KIT_OK(tuff_model_load(kit_golden("embedding/bert"), &model));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const steps wanted = read_steps(truth, all[i].loss);
        char file[64];
        tuff_dataset *data = NULL;
        tuff_trainer *trainer = NULL;
        tuff_pair_params pairs = TUFF_PAIR_PARAMS_INIT;
        tuff_train_params p = adamw_params(TASK_STEPS, 4, false);
        p.weight_decay = 0;
        pairs.loss = all[i].loss;
        snprintf(file, sizeof file, "embedding/%s", all[i].file);
        KIT_OK(tuff_dataset_load_pairs(model, kit_golden(file), &pairs, &data));
        KIT_OK(tuff_trainer_create_with(model, device, data, &p, true, &trainer));
        check_steps(all[i].loss, trainer, &wanted);
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
    tuff_model_destroy(&model);
    tuff_weights_destroy(&truth);
}

#define TASK(which)  cmocka_unit_test_prestate(run_task, (void *)(uintptr_t)&recipes[which])
#define STEPS(which) cmocka_unit_test_prestate(run_steps, (void *)(uintptr_t)&recipes[which])

int tasks_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        TASK(MLM),        TASK(CLASSIFICATION),  TASK(SEVERAL),
        TASK(REGRESSION), TASK(TOKENS),          TASK(QA),
        STEPS(MLM),       STEPS(CLASSIFICATION), STEPS(TOKENS),
        STEPS(QA),        STEPS(EMBEDDING),      cmocka_unit_test(run_vectors),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
