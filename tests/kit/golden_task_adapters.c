/* Adapters of models with heads: virtual tokens before what is classified, LoRA by each task and by each
 * loss of vectors, bottleneck adapters. */
#include "formats/records.h"
#include "kit/golden.h"
#include "kit/task_truth.h"
#include "predict/predictor.h"

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

/* All that PEFT trains is trained, from what it began with. */
static void train(const char *run, const tuff_train_params *p, const steps *wanted, const tuff_model *model,
                  const tuff_dataset *data, const char *adapter)
{
    tuff_trainer *trainer = NULL;
    tuff_adapter *initial = NULL;
    KIT_OK(tuff_trainer_create_with(model, device, data, p, true, &trainer));
    KIT_OK(tuff_trainer_prepare(trainer));
    KIT_OK(tuff_adapter_open(trainer->model, adapter, NULL, &initial));
    assert_int_equal(initial->count + initial->whole_count, tuff_lm_trained_count(&trainer->runs.lm));
    tuff_adapter_destroy(&initial);
    begin_with_adapter(adapter, trainer);
    check_steps(run, trainer, wanted);
    tuff_trainer_destroy(&trainer);
}

/* Of classifiers of every kind: their logits and losses as PEFT has them, steps from its adapter on. */
static void run_prompts(void **state)
{
    (void)state;
    cJSON *truth = NULL;
    tuff_weights *file = NULL;
    int count = 0;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    KIT_OK(tuff_safetensors_open(task_asset("prompts.safetensors"), &file));
    const cJSON *all = part(truth, "prompts"), *run;
    const int64_t most = (int64_t)number(all, "length");
    cJSON_ArrayForEach(run, part(all, "runs"))
    {
        char name[64], adapter[600];
        const char *task = part(run, "task")->valuestring;
        snprintf(name, sizeof name, "prompts/%s", run->string);
        snprintf(adapter, sizeof adapter, "%s", task_asset(name));
        const steps wanted = read_steps(file, run->string);
        tuff_model *model = load_model_of(truth, run, run->string);
        tuff_dataset *data = load_data(recipe_of(task), truth, model, most);
        check_room(model, data, adapter);
        compare_outputs(run->string, task, model, data, adapter, most, file);
        for (int accumulates = 0; accumulates < 2; accumulates++) {
            tuff_train_params p = settings_of(truth, number(all, "learning_rate"), accumulates);
            p.peft_type = "prompt_tuning";
            p.num_virtual_tokens = (int64_t)number(all, "virtual_tokens");
            train(run->string, &p, &wanted, model, data, adapter);
        }
        tuff_dataset_destroy(&data);
        tuff_model_destroy(&model);
        count++;
    }
    assert_true(count >= 11);
    tuff_weights_destroy(&file);
    cJSON_Delete(truth);
}

/* ---- matrices and nets */

typedef struct kind {
    const char *folder, *steps; /* the adapters; their losses */
    int least;                  /* so many runs, at least */
} kind;
static const kind lora = {"tasks/lora", "tasks/lora.safetensors", 19},
                  bottleneck = {"bottleneck", "bottleneck/steps.safetensors", 4};

static void set_kind(const kind *k, const cJSON *run, tuff_train_params *p)
{
    if (k == &lora) {
        p->lora_rank = 4;
        p->lora_alpha = 8;
    } else {
        p->peft_type = "bottleneck";
        p->adapter_config = part(run, "config")->valuestring;
        p->reduction_factor = number(run, "reduction_factor");
    }
}

/* Of a model that has the head of its task, or of a language model that gets one. */
static void run_adapter(const kind *k, const cJSON *run, const cJSON *truth, const tuff_weights *file)
{
    char name[96], adapter[600];
    const recipe *task = recipe_of(part(run, "task")->valuestring);
    const int64_t most = (int64_t)number(truth, "short");
    const char *begins = k == &lora ? part(run, "adapter")->valuestring : run->string;
    snprintf(name, sizeof name, "%s/%s", k->folder, begins);
    snprintf(adapter, sizeof adapter, "%s", kit_golden(name));
    const steps wanted = read_steps(file, run->string);
    tuff_model *model = load_model_of(truth, run, part(run, "model")->valuestring);
    const bool vectors = strcmp(task->task, "embedding") == 0; /* a batch's are seen together */
    tuff_dataset *data = vectors ? load_vectors(task, model, most) : load_data(task, truth, model, most);
    for (int accumulates = 0; accumulates < (vectors ? 1 : 2); accumulates++) {
        tuff_train_params p = settings_of(truth, number(run, "learning_rate"), accumulates);
        set_kind(k, run, &p);
        train(run->string, &p, &wanted, model, data, adapter);
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

static void run_adapters(void **state)
{
    const kind *k = *state;
    cJSON *truth = NULL, *own = NULL;
    tuff_weights *file = NULL;
    const cJSON *run;
    int count = 0;
    KIT_OK(tuff_json_read(task_asset("truth.json"), &truth));
    KIT_OK(tuff_safetensors_open(kit_golden(k->steps), &file));
    if (k == &bottleneck) KIT_OK(tuff_json_read(kit_golden("bottleneck/truth.json"), &own));
    const cJSON *runs = own;
    if (!runs) runs = part(truth, "lora");
    cJSON_ArrayForEach(run, runs)
    {
        run_adapter(k, run, truth, file);
        count++;
    }
    assert_true(count >= k->least);
    tuff_weights_destroy(&file);
    cJSON_Delete(own);
    cJSON_Delete(truth);
}

int task_adapters_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_prompts),
        cmocka_unit_test_prestate(run_adapters, (void *)(uintptr_t)&lora),
        cmocka_unit_test_prestate(run_adapters, (void *)(uintptr_t)&bottleneck),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
