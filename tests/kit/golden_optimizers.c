/* Losses of 50 steps by each optimizer, as make_goldens.py sets them. */
#include <stdio.h>

#include "base/memory.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/trainer.h"

/* A rule of make_goldens.py's OPTIMIZERS. */
typedef struct rule {
    const char *name, *optim, *args;
    double rate, momentum, beta2;
    bool nesterov;
} rule;

/* 50 steps by a rule, of the whole model or of LoRA: within 1e-5, or three times what PyTorch's own losses in
 * f32 differ from those in f64, if that is more. */
static void check_rule(const golden *g, const rule *r, bool lora, tuff_dataset *data, int64_t rows)
{
    char name[64], part[96];
    size_t n, n_norms, n_drift;
    snprintf(name, sizeof name, "%s%s", r->name, lora ? ".lora" : "");
    snprintf(part, sizeof part, "%s.losses", name);
    float *losses = floats(g, part, &n);
    snprintf(part, sizeof part, "%s.grad_norms", name);
    float *norms = floats(g, part, &n_norms);
    snprintf(part, sizeof part, "%s.drift", name);
    float *drift = floats(g, part, &n_drift);
    const double bound = loss_bound((double)*drift);
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = (int64_t)n;
    p.per_device_train_batch_size = rows;
    p.learning_rate = r->rate;
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.weight_decay = 0.01;
    p.no_shuffle = true;
    p.dropout = TUFF_DROPOUT_NONE;
    p.optim = r->optim;
    p.optim_args = r->args;
    p.momentum = r->momentum;
    p.nesterov = r->nesterov;
    p.adam_beta2 = r->beta2;
    p.lora_rank = lora ? 4 : 0;
    p.lora_alpha = 8;
    p.lora_target = lora ? "all-linear" : NULL;
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create_with(g->model, device, data, &p, true, &trainer));
    if (lora) {
        snprintf(part, sizeof part, "golden/%s/lora/initial", g->name);
        KIT_OK(tuff_trainer_prepare(trainer));
        begin_with_adapter(kit_asset(part), trainer);
    }
    for (size_t i = 0; i < n; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        float loss = (float)step.loss, norm = (float)step.grad_norm;
        snprintf(part, sizeof part, "%s, step %zu", name, i);
        compare(g->name, part, &loss, &losses[i], 1, bound);
        compare(g->name, part, &norm, &norms[i], 1, 20 * bound);
    }
    tuff_trainer_destroy(&trainer);
    tuff_free(losses);
    tuff_free(norms);
    tuff_free(drift);
}

static void run_optimizers(void **state)
{
    static const rule rules[] = {
        {"sgd", "sgd", NULL, 0.1, 0, 0.999, false},
        {"momentum", "sgd", NULL, 0.05, 0.9, 0.999, false},
        {"nesterov", "sgd", NULL, 0.05, 0.9, 0.999, true},
        {"lion", "lion_32bit", NULL, 2e-4, 0, 0.99, false},
        {"adamw", NULL, NULL, 1e-3, 0, 0.999, false},
        {"adafactor", "adafactor", NULL, 3e-4, 0, 0.999, false},
        {"adafactor_scaled", "adafactor",
         "scale_parameter=true, beta1=0.8, clip_threshold=0.5, decay_rate=-0.7", 2e-3, 0, 0.999, false},
        {"adamw_8bit", "adamw_bnb_8bit", NULL, 1e-3, 0, 0.999, false},
        {"muon", "muon", NULL, 1e-3, 0, 0.999, false},
        {"muon_original", "muon", "adjust_lr_fn=original, nesterov=false, adamw_lr=1e-3", 5e-3, 0.9, 0.999,
         false}};
    golden g = load(*state, "optimizers.safetensors"), base = load(*state, "truth.safetensors");
    size_t n_ids;
    int32_t *ids = ints(&base, "batch_ids", &n_ids);
    const tuff_weight *batches = tensor(&base, "batch_ids");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n_ids, batches->shape[2], &data));
    for (size_t r = 0; r < 2 * (sizeof rules / sizeof rules[0]); r++)
        check_rule(&g, &rules[r / 2], r % 2, data, batches->shape[1]);
    tuff_dataset_destroy(&data);
    tuff_free(ids);
    unload(&g);
    unload(&base);
}
int optimizers_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_optimizers, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_optimizers, (void *)"llama"),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
