/* Losses and margins of 50 steps by each loss of preferences, as make_preference_goldens.py sets them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/trainer.h"

static double number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static const char *asset(const char *name)
{
    return kit_join(kit_golden("preference"), name);
}

static tuff_dataset *load_data(const tuff_model *model, const cJSON *how, double beta)
{
    const char *loss = cJSON_GetObjectItemCaseSensitive(how, "loss")->valuestring;
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    p.task = "preference";
    p.training = p.strict = true;
    p.loss = loss;
    p.beta = number(how, "beta", beta);
    p.label_smoothing = number(how, "label_smoothing", 0);
    p.desirable_weight = number(how, "desirable_weight", 1);
    p.undesirable_weight = number(how, "undesirable_weight", 1);
    KIT_OK(tuff_dataset_load(model, asset(strcmp(loss, "kto") == 0 ? "answers.jsonl" : "pairs.jsonl"), &p,
                             &data));
    return data;
}

static double margin_of(const tuff_train_step *step)
{
    for (int64_t i = 0; i < step->count; i++)
        if (strcmp(step->figures[i].name, "rewards/margins") == 0) return step->figures[i].value;
    fail_msg("step %d has no margin", (int)step->step);
    return 0;
}

static tuff_trainer *open_trainer(const golden *g, const tuff_dataset *data, const cJSON *truth,
                                  const cJSON *how)
{
    const cJSON *adamw = cJSON_GetObjectItemCaseSensitive(truth, "adamw");
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    char initial[96];
    p.max_steps = (int64_t)number(adamw, "steps", 0);
    p.per_device_train_batch_size = (int64_t)number(truth, "batch", 0);
    p.learning_rate = number(how, "learning_rate", 0);
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.weight_decay = number(adamw, "weight_decay", 0);
    p.no_shuffle = true;
    p.dropout = TUFF_DROPOUT_NONE;
    p.lora_rank = 4;
    p.lora_alpha = 8;
    p.lora_target = "all-linear";
    KIT_OK(tuff_trainer_create_with(g->model, device, data, &p, true, &trainer));
    KIT_OK(tuff_trainer_prepare(trainer));
    snprintf(initial, sizeof initial, "golden/%s/lora/initial", g->name);
    begin_with_adapter(kit_asset(initial), trainer);
    return trainer;
}

static double bound_of(const golden *g, const tuff_weights *steps, const char *loss)
{
    char name[64];
    float drift;
    snprintf(name, sizeof name, "%s.%s.drift", g->name, loss);
    const tuff_weight *w = tuff_weights_find(steps, name);
    if (!w) fail_msg("the truth has no %s", name);
    KIT_OK(tuff_weight_read(w, TUFF_F32, &drift));
    return loss_bound((double)drift);
}

static void check_loss(const golden *g, const tuff_weights *steps, const cJSON *truth, const cJSON *how)
{
    enum { MOST = 64 };
    static const char *const what[] = {"losses", "norms", "margins"};
    float wanted[3][MOST];
    char name[64];
    int64_t n = 0;
    for (int k = 0; k < 3; k++) {
        snprintf(name, sizeof name, "%s.%s.%s", g->name, how->string, what[k]);
        const tuff_weight *w = tuff_weights_find(steps, name);
        if (!w) fail_msg("the truth has no %s", name);
        n = tuff_weight_elements(w);
        assert_true(n >= 20 && n <= MOST);
        KIT_OK(tuff_weight_read(w, TUFF_F32, wanted[k]));
    }
    tuff_dataset *data = load_data(g->model, how, number(truth, "beta", 0));
    tuff_trainer *trainer = open_trainer(g, data, truth, how);
    const double bound = bound_of(g, steps, how->string);
    for (int64_t i = 0; i < n; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        const float loss = (float)step.loss, norm = (float)step.grad_norm;
        snprintf(name, sizeof name, "%s, step %d, the loss", how->string, (int)i + 1);
        compare(g->name, name, &loss, &wanted[0][i], 1, bound);
        snprintf(name, sizeof name, "%s, step %d, the gradient's norm", how->string, (int)i + 1);
        compare(g->name, name, &norm, &wanted[1][i], 1, 20 * bound);
        const double margin = margin_of(&step);
        if (!(fabs(margin - (double)wanted[2][i]) <= 1e-4))
            fail_msg("%s of %s on %s, step %d: the margin is %.9g, the truth %.9g", how->string, g->name,
                     device_name, (int)i + 1, margin, (double)wanted[2][i]);
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

static void run_losses(void **state)
{
    golden g = load(*state, "truth.safetensors");
    tuff_weights *steps = NULL;
    cJSON *truth = NULL;
    const cJSON *how;
    int count = 0;
    KIT_OK(tuff_safetensors_open(asset("steps.safetensors"), &steps));
    KIT_OK(tuff_json_read(asset("truth.json"), &truth));
    cJSON_ArrayForEach(how, cJSON_GetObjectItemCaseSensitive(truth, "losses"))
    {
        check_loss(&g, steps, truth, how);
        count++;
    }
    assert_true(count >= 8);
    cJSON_Delete(truth);
    tuff_weights_destroy(&steps);
    unload(&g);
}

int preference_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_losses, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_losses, (void *)"llama"),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
