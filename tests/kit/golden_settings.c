/* Losses of 50 steps with settings that the other goldens leave as they are, as make_setting_goldens.py has
 * them. */
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"

enum { STEPS = 50 };

/* Labels of a language model's own blocks. */
static tuff_dataset *blocks_of(const char *model, int64_t *out_rows)
{
    golden g = load(model, "truth.safetensors");
    size_t n;
    int32_t *ids = ints(&g, "batch_ids", &n);
    const tuff_weight *batches = tensor(&g, "batch_ids");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n, batches->shape[2], &data));
    *out_rows = batches->shape[1];
    tuff_free(ids);
    unload(&g);
    return data;
}

/* Sources and targets of an encoder-decoder's. */
static tuff_dataset *pairs_of(const char *model, int64_t *out_rows)
{
    golden g = load(model, "truth.safetensors");
    size_t n, m;
    const tuff_weight *from = tensor(&g, "batch_source"), *to = tensor(&g, "batch_labels");
    int32_t *a = ints(&g, "batch_source", &n), *b = ints(&g, "batch_labels", &m);
    const int64_t rows = from->shape[0] * from->shape[1], source = from->shape[2], target = to->shape[2];
    tuff_dataset *data = tuff_alloc(sizeof *data);
    assert_non_null(data);
    data->task = &tuff_task_seq2seq;
    for (int64_t i = 0; i < rows; i++) {
        KIT_OK(tuff_dataset_add(data, a + i * source, NULL, (size_t)source));
        KIT_OK(tuff_dataset_add(data, b + i * target, NULL, (size_t)target));
    }
    *out_rows = from->shape[1];
    tuff_free(a);
    tuff_free(b);
    unload(&g);
    return data;
}

/* Classes of the records of assets/golden/tasks. */
static tuff_dataset *records_of(const char *name, tuff_model **model, int64_t *out_rows)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json"};
    const char *path = kit_copy_model(kit_golden(name), name);
    for (int i = 0; i < 2; i++)
        kit_copy_file(kit_join(kit_golden("tasks"), files[i]), kit_join(path, files[i]));
    tuff_model_destroy(model);
    KIT_OK(tuff_model_load(path, model));
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "classification";
    p.training = true;
    p.text_field = "one";
    p.text_pair_field = "two";
    p.label_field = "class";
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load(*model, kit_join(kit_golden("tasks"), "classification.tsv"), &p, &data));
    *out_rows = 4;
    return data;
}

static golden load_settings(const char *model, const char *file)
{
    golden g = {.name = model};
    KIT_OK(tuff_model_load(kit_golden(model), &g.model));
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("settings"), file), &g.truth));
    return g;
}

/* The losses and norms of a run's steps. */
static void check_steps(const golden *g, const char *run, tuff_trainer *trainer)
{
    char part[96];
    size_t n, n_norms;
    snprintf(part, sizeof part, "%s.losses", run);
    float *losses = floats(g, part, &n);
    snprintf(part, sizeof part, "%s.grad_norms", run);
    float *norms = floats(g, part, &n_norms);
    assert_int_equal(n, STEPS);
    assert_int_equal(n_norms, STEPS);
    for (size_t i = 0; i < n; i++)
        check_step(g, run, trainer, &losses[i], &norms[i]);
    tuff_free(losses);
    tuff_free(norms);
}

/* ---- label smoothing */

typedef struct smoothing {
    const char *run, *model;
    double factor;
    bool lora;
} smoothing;
static const smoothing smoothings[] = {
    {"llama", "llama", 0.1, false},     {"gpt2", "gpt2", 0.3, false},
    {"t5", "t5", 0.1, false},           {"bert-classes", "bert-classes", 0.1, false},
    {"llama.lora", "llama", 0.1, true}, {"gpt2.lora", "gpt2", 0.3, true}};

static void run_smoothing(void **state)
{
    const smoothing *s = *state;
    golden g = load_settings(s->model, "smoothing.safetensors");
    int64_t rows = 0;
    tuff_dataset *data = s->model[0] == 't'   ? pairs_of(s->model, &rows)
                         : s->model[0] == 'b' ? records_of(s->model, &g.model, &rows)
                                              : blocks_of(s->model, &rows);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        tuff_trainer *trainer = NULL;
        tuff_train_params p = adamw_params(STEPS, rows, accumulate);
        p.label_smoothing_factor = s->factor;
        p.lora_rank = s->lora ? 4 : 0;
        p.lora_alpha = 8;
        p.lora_target = s->lora ? "all-linear" : NULL;
        KIT_OK(tuff_trainer_create_with(g.model, device, data, &p, true, &trainer));
        if (s->lora) {
            KIT_OK(tuff_trainer_prepare(trainer));
            begin_with_adapter(kit_join(kit_golden(s->model), "lora/initial"), trainer);
        }
        check_steps(&g, s->run, trainer);
        tuff_trainer_destroy(&trainer);
    }
    tuff_dataset_destroy(&data);
    unload(&g);
}

/* ---- freezing */

typedef struct freezing {
    const char *run, *model, *freeze, *train_only, *schedule;
    int64_t top_layers;
    bool lora;
} freezing;
static const freezing freezings[] = {
    {"gpt2.freeze", "gpt2", "wte, wpe, h.0-0", NULL, NULL, 0, false},
    {"llama.only", "llama", NULL, "*norm*,q_proj", NULL, 0, false},
    {"llama.top", "llama", NULL, NULL, NULL, 1, false},
    {"llama.lora", "llama", "lora_A", NULL, NULL, 0, true},
    {"llama.phases", "llama", NULL, NULL, "5,9,14", 0, false},
    {"gpt2.phases", "gpt2", NULL, NULL, "6,13", 0, false},
};

static void run_freezing(void **state)
{
    const freezing *f = *state;
    golden g = load_settings(f->model, "frozen.safetensors");
    int64_t rows = 0;
    tuff_dataset *data = blocks_of(f->model, &rows);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        tuff_trainer *trainer = NULL;
        tuff_train_params p = adamw_params(STEPS, rows, accumulate);
        p.freeze = f->freeze;
        p.train_only = f->train_only;
        p.unfreeze_top_layers = f->top_layers;
        p.unfreeze_schedule = f->schedule;
        p.lora_rank = f->lora ? 4 : 0;
        p.lora_alpha = 8;
        p.lora_target = f->lora ? "all-linear" : NULL;
        KIT_OK(tuff_trainer_create_with(g.model, device, data, &p, true, &trainer));
        if (f->lora) {
            KIT_OK(tuff_trainer_prepare(trainer));
            begin_with_adapter(kit_join(kit_golden(f->model), "lora/initial"), trainer);
        }
        check_steps(&g, f->run, trainer);
        tuff_trainer_destroy(&trainer);
    }
    tuff_dataset_destroy(&data);
    unload(&g);
}

/* ---- moving averages */

typedef struct averaging {
    const char *run, *model;
    double decay;
    bool lora;
} averaging;
static const averaging averagings[] = {
    {"llama", "llama", 0.9, false}, {"gpt2", "gpt2", 0.15, false}, {"llama.lora", "llama", 0.9, true}};

static tuff_dataset *measured_of(const char *model)
{
    golden g = load(model, "truth.safetensors");
    size_t n;
    int32_t *ids = ints(&g, "input_ids", &n);
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n, tensor(&g, "input_ids")->shape[1], &data));
    tuff_free(ids);
    unload(&g);
    return data;
}

/* The steps are as without averages; what is measured is the averages'. */
static void run_averaging(void **state)
{
    const averaging *a = *state;
    golden g = load_settings(a->model, "average.safetensors");
    int64_t rows = 0;
    size_t n, n_norms, n_averages;
    char part[64];
    tuff_dataset *data = blocks_of(a->model, &rows), *measured = measured_of(a->model);
    tuff_trainer *trainer = NULL;
    tuff_train_params p = adamw_params(STEPS, rows, false);
    p.ema_decay = a->decay;
    p.lora_rank = a->lora ? 4 : 0;
    p.lora_alpha = 8;
    p.lora_target = a->lora ? "all-linear" : NULL;
    KIT_OK(tuff_trainer_create_with(g.model, device, data, &p, true, &trainer));
    if (a->lora) {
        KIT_OK(tuff_trainer_prepare(trainer));
        begin_with_adapter(kit_join(kit_golden(a->model), "lora/initial"), trainer);
    }
    snprintf(part, sizeof part, "%s.losses", a->run);
    float *losses = floats(&g, part, &n);
    snprintf(part, sizeof part, "%s.grad_norms", a->run);
    float *norms = floats(&g, part, &n_norms);
    snprintf(part, sizeof part, "%s.average_losses", a->run);
    float *averages = floats(&g, part, &n_averages);
    for (size_t i = 0; i < n; i++) {
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        check_step(&g, a->run, trainer, &losses[i], &norms[i]);
        KIT_OK(tuff_trainer_evaluate(trainer, measured, &result));
        const float loss = (float)result.loss;
        compare(g.name, "the loss of averages", &loss, &averages[i], 1, 1e-5);
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&measured);
    tuff_free(losses);
    tuff_free(norms);
    tuff_free(averages);
    unload(&g);
}

int settings_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[0]),
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[1]),
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[2]),
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[3]),
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[4]),
        cmocka_unit_test_prestate(run_smoothing, (void *)(uintptr_t)&smoothings[5]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[0]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[1]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[2]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[3]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[4]),
        cmocka_unit_test_prestate(run_freezing, (void *)(uintptr_t)&freezings[5]),
        cmocka_unit_test_prestate(run_averaging, (void *)(uintptr_t)&averagings[0]),
        cmocka_unit_test_prestate(run_averaging, (void *)(uintptr_t)&averagings[1]),
        cmocka_unit_test_prestate(run_averaging, (void *)(uintptr_t)&averagings[2]),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
