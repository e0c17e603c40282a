#include "adapters/adapter.h"
#include "base/json.h"
#include "formats/records.h"
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "predict/predictor.h"
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
    p.dropout = TUFF_DROPOUT_NONE;
    return p;
}

enum { STEPS = 20 };
typedef struct steps {
    double losses[STEPS], norms[STEPS];
} steps;

/* Begins with what an adapter has, instead of a new one. */
static void copy_adapter(tuff_trainer *trainer, const char *path)
{
    tuff_adapter *initial = NULL;
    KIT_OK(tuff_trainer_prepare(trainer));
    KIT_OK(tuff_adapter_open(trainer->model, path, NULL, &initial));
    assert_int_equal(initial->count, 1);
    const tuff_adapter_tensor *rows = &initial->tensors[0];
    tuff_buffer *buffer = tuff_store_find(trainer->store, rows->name);
    int64_t n = rows->shape[0] * rows->shape[1];
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_weight_read(rows->weight, TUFF_F32, values));
    KIT_OK(tuff_buffer_write(buffer, 0, values, n));
    tuff_free(values);
    /* all that PEFT trains is trained here */
    assert_int_equal(initial->whole_count + 1, tuff_lm_trained_count(&trainer->runs.lm));
    KIT_OK(tuff_adapter_upload_whole(initial, trainer->store));
    tuff_adapter_destroy(&initial);
}

/* The batches of a step at once, or one example after the other: their labels differ in number. Where there
 * is an adapter, its virtual tokens are trained. */
static void train(const char *run, const cJSON *truth, const steps *wanted, double rate,
                  const tuff_model *model, const tuff_dataset *data, const char *adapter, bool accumulates)
{
    tuff_trainer *trainer = NULL;
    tuff_train_params p = settings(truth, rate, accumulates);
    assert_int_equal(p.max_steps, STEPS);
    if (adapter) {
        p.peft_type = "prompt_tuning";
        p.num_virtual_tokens = (int64_t)number(part(truth, "prompts"), "virtual_tokens");
    }
    KIT_OK(tuff_trainer_create_with(model, device, data, &p, true, &trainer));
    /* it has the head that it needs, but that several labels may hold is news to it, as is one beside an
     * adapter */
    assert_int_equal(trainer->own_model != NULL, strcmp(run, "several") == 0 || adapter);
    if (adapter) copy_adapter(trainer, adapter);
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
    train(r->name, truth, &wanted, rate, model, data, NULL, false);
    train(r->name, truth, &wanted, rate, model, data, NULL, true);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    cJSON_Delete(truth);
}

static void read_floats(const tuff_weights *file, const char *run, const char *what, size_t n, float *out)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", run, what);
    const tuff_weight *w = tuff_weights_find(file, name);
    if (!w || tuff_weight_elements(w) != (int64_t)n) fail_msg("there are no %zu of %s", n, name);
    KIT_OK(tuff_weight_read(w, TUFF_F32, out));
}

static steps read_steps(const tuff_weights *file, const char *run)
{
    float losses[STEPS], norms[STEPS];
    steps out;
    read_floats(file, run, "losses", STEPS, losses);
    read_floats(file, run, "norms", STEPS, norms);
    for (int i = 0; i < STEPS; i++) {
        out.losses[i] = (double)losses[i];
        out.norms[i] = (double)norms[i];
    }
    return out;
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
        const steps wanted = read_steps(file, name);
        tuff_model *model = load_model(name, name, words);
        bool vectors = strcmp(r->name, "embedding") == 0;
        tuff_dataset *data = vectors ? load_vectors(r, model, most) : load_data(r, truth, model, most);
        train(name, truth, &wanted, number(run, "learning_rate"), model, data, NULL, false);
        tuff_dataset_destroy(&data);
        tuff_model_destroy(&model);
        count++;
    }
    assert_true(count >= 5);
    tuff_weights_destroy(&file);
    cJSON_Delete(truth);
}

/* ---- virtual tokens before what is classified */

typedef struct record {
    char *text, *pair; /* NULL: none */
} record;

/* The records of classification and of tokens, as texts. */
static size_t read_records(const char *task, record *out, size_t most)
{
    bool tokens = strcmp(task, "tokens") == 0;
    tuff_records *records = NULL;
    const char *const pair[] = {"one", "two"}, *const words[] = {"tokens"};
    size_t n = 0;
    bool there = true;
    KIT_OK(tuff_records_open(task_asset(tokens ? "tokens.jsonl" : "classification.tsv"), TUFF_RECORDS_AUTO,
                             tokens ? words : pair, tokens ? 1 : 2, &records));
    if (tokens) tuff_records_take_json(records, 0);
    for (;; n++) {
        tuff_view values[2] = {{0}};
        KIT_OK(tuff_records_next(records, values, &there));
        if (!there) break;
        assert_true(n < most);
        out[n] = (record){tuff_alloc(values[0].size + 1), tokens ? NULL : tuff_alloc(values[1].size + 1)};
        memcpy(out[n].text, values[0].data, values[0].size);
        if (out[n].pair) memcpy(out[n].pair, values[1].data, values[1].size);
        /* ["a", "b"] */
        for (char *at = out[n].text; tokens && *at; at++)
            if (strchr("[],\"", *at)) *at = ' ';
    }
    tuff_records_close(&records);
    return n;
}

static tuff_piece piece(const char *text)
{
    return text ? (tuff_piece){text, strlen(text)} : (tuff_piece){NULL, 0};
}

/* What a predictor says of all records, against the logits of PEFT. */
static void compare_logits(const char *run, const char *task, tuff_predictor *predictor,
                           const tuff_weights *file)
{
    enum { MOST = 32 };
    record records[MOST] = {{NULL, NULL}};
    tuff_predict_input inputs[MOST];
    char name[64];
    size_t n = read_records(task, records, MOST), labels = (size_t)tuff_predictor_labels(predictor);
    for (size_t i = 0; i < n; i++)
        inputs[i] = (tuff_predict_input){piece(records[i].text), piece(records[i].pair)};
    snprintf(name, sizeof name, "%s.logits", run);
    const tuff_weight *logits = tuff_weights_find(file, name);
    assert_non_null(logits);
    size_t count = (size_t)tuff_weight_elements(logits), seen = 0, special = 0;
    float *want = tuff_alloc_array(count, sizeof *want), *got = tuff_alloc_array(count, sizeof *got);
    KIT_OK(tuff_weight_read(logits, TUFF_F32, want));
    if (strcmp(task, "tokens") != 0) {
        tuff_classify_params p = TUFF_CLASSIFY_PARAMS_INIT;
        p.scoring = TUFF_SCORING_NONE;
        assert_int_equal(count, n * labels);
        KIT_OK(tuff_classify(predictor, inputs, n, &p, got, NULL));
        compare(run, "the logits behind virtual tokens", got, want, count, 1e-5);
    } else {
        tuff_entities_params p = TUFF_ENTITIES_PARAMS_INIT;
        tuff_entity *found = NULL;
        p.outside = true;
        KIT_OK(tuff_find_entities(predictor, inputs, n, &p, &found, &seen, NULL));
        /* a record's tokens between two that are the template's */
        for (size_t i = 0, row = 0; i < seen; i++, row++) {
            bool first = i == 0 || found[i].input != found[i - 1].input;
            if (first) row += i ? 2 : 1;
            special += first ? 2 : 0;
            assert_true((row + 1) * labels <= count);
            float *x = want + row * labels;
            tuff_predict_softmax(x, (int64_t)labels);
            for (size_t k = 0; k < labels; k++)
                assert_true(x[k] <= x[found[i].label]);
            assert_true(fabsf(x[found[i].label] - found[i].score) < 1e-5F);
        }
        assert_int_equal((seen + special) * labels, count);
        tuff_free(found);
    }
    for (size_t i = 0; i < n; i++) {
        tuff_free(records[i].text);
        tuff_free(records[i].pair);
    }
    tuff_free(want);
    tuff_free(got);
}

/* Learned positions are for both, the virtual tokens and the text. */
static void check_room(const tuff_model *model, const tuff_dataset *data, const char *adapter)
{
    const int64_t positions = model->config.max_positions;
    tuff_predictor *predictor = NULL;
    tuff_trainer *trainer = NULL;
    tuff_predictor_params p = TUFF_PREDICTOR_PARAMS_INIT;
    tuff_train_params t = TUFF_TRAIN_PARAMS_INIT;
    if (!model->config.learned_positions) return;
    p.adapter = adapter;
    KIT_OK(tuff_predictor_create(model, device, &p, &predictor));
    assert_int_equal(tuff_predictor_max_length(predictor), positions - 3);
    tuff_predictor_destroy(&predictor);
    p.max_length = positions - 2;
    KIT_FAILS(tuff_predictor_create(model, device, &p, &predictor), TUFF_INVALID_ARGUMENT,
              "behind 3 virtual ones need more than the");
    t.peft_type = "prompt_tuning";
    t.num_virtual_tokens = positions - 4;
    KIT_FAILS(tuff_trainer_create(model, device, data, &t, &trainer), TUFF_INVALID_ARGUMENT,
              "virtual tokens and a text of");
}

static void compare_outputs(const char *run, const char *task, const tuff_model *model,
                            const tuff_dataset *data, const char *adapter, int64_t most,
                            const tuff_weights *file)
{
    tuff_predictor *predictor = NULL;
    tuff_predictor_params p = TUFF_PREDICTOR_PARAMS_INIT;
    p.adapter = adapter;
    p.max_length = most;
    KIT_OK(tuff_predictor_create(model, device, &p, &predictor));
    compare_logits(run, task, predictor, file);
    tuff_predictor_destroy(&predictor);

    float loss;
    tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    e.adapter = adapter;
    read_floats(file, run, "loss", 1, &loss);
    KIT_OK(tuff_evaluate(model, device, data, &e, &result));
    expect_near(run, "measured loss", 0, result.loss, (double)loss, 1e-5);
}

static const recipe *recipe_of(const char *name)
{
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        if (strcmp(recipes[i].name, name) == 0) return &recipes[i];
    fail_msg("there is no recipe %s", name);
    return NULL;
}

/* Of classifiers of every kind: their logits and losses as PEFT has them, 20 steps from its adapter on. */
static void run_prompts(void **state)
{
    (void)state;
    cJSON *truth = NULL;
    tuff_weights *file = NULL;
    int count = 0;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    KIT_OK(tuff_safetensors_open(task_asset("prompts.safetensors"), &file));
    const cJSON *all = part(truth, "prompts"), *run,
                *vocabularies = part(part(truth, "steps"), "vocabularies");
    const int64_t most = (int64_t)number(all, "length");
    cJSON_ArrayForEach(run, part(all, "runs"))
    {
        char name[64], adapter[600];
        const char *task = part(run, "task")->valuestring;
        const char *words = part(vocabularies, part(run, "vocabulary")->valuestring)->valuestring;
        snprintf(name, sizeof name, "prompts/%s", run->string);
        snprintf(adapter, sizeof adapter, "%s", task_asset(name));
        const steps wanted = read_steps(file, run->string);
        tuff_model *model = load_model(run->string, run->string, words);
        tuff_dataset *data = load_data(recipe_of(task), truth, model, most);
        check_room(model, data, adapter);
        compare_outputs(run->string, task, model, data, adapter, most, file);
        for (int accumulates = 0; accumulates < 2; accumulates++)
            train(run->string, truth, &wanted, number(all, "learning_rate"), model, data, adapter,
                  accumulates);
        tuff_dataset_destroy(&data);
        tuff_model_destroy(&model);
        count++;
    }
    assert_true(count >= 11);
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
        cmocka_unit_test(run_prompts),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
