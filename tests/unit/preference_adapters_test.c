/* Preferences with each kind of adapter, and with what else a training may have: phases, averages. The
 * reference is the model as it is without the adapter, whatever that holds and however long it was trained.
 */
#include <tuff/checkpoint.h>

#include "adapters/adapter.h"
#include "formats/save.h"
#include "preference_fixture.h"

static tuff_model *gpt2, *llama;

static int set_up(void **state)
{
    gpt2 = model_open("gpt2");
    llama = model_open("llama");
    return open_device(state);
}

static int tear_down(void **state)
{
    tuff_model_destroy(&gpt2);
    tuff_model_destroy(&llama);
    return close_device(state);
}

typedef struct training {
    const char *name;
    bool has_biases; /* those of GPT-2, else Llama */
    const char *peft_type, *bias, *schedule;
    int64_t rank, micro;
    double ema, rate;
    bool dora, moved; /* moved: it changes the model before any step */
} training;

static const training all[] = {
    {.name = "lora", .rank = 4, .rate = 1e-2},
    {.name = "dora", .rank = 4, .rate = 1e-2, .dora = true},
    {.name = "all biases", .has_biases = true, .rank = 4, .bias = "all", .rate = 1e-2},
    {.name = "bitfit", .has_biases = true, .peft_type = "bitfit", .rate = 1e-1},
    {.name = "bitfit, averaged", .has_biases = true, .peft_type = "bitfit", .rate = 1e-1, .ema = 0.5},
    {.name = "bitfit, unfrozen", .has_biases = true, .peft_type = "bitfit", .rate = 1e-1, .schedule = "2"},
    {.name = "ia3", .peft_type = "ia3", .rate = 1e-1},
    {.name = "vera", .peft_type = "vera", .rank = 4, .rate = 1e-1},
    {.name = "prefix", .peft_type = "prefix_tuning", .rate = 1e-1, .moved = true},
    {.name = "prompt", .peft_type = "prompt_tuning", .rate = 1e-1, .moved = true},
    {.name = "lora, unfrozen", .rank = 4, .rate = 1e-2, .schedule = "2"},
    {.name = "lora, averaged", .rank = 4, .rate = 1e-2, .ema = 0.5},
    {.name = "vera, averaged, summed", .peft_type = "vera", .rank = 4, .rate = 1e-1, .ema = 0.5, .micro = 2},
    {.name = "prefix, averaged", .peft_type = "prefix_tuning", .rate = 1e-1, .ema = 0.5, .moved = true},
    {.name = "all, unfrozen", .rate = 1e-3, .schedule = "2"},
    {.name = "all, averaged", .rate = 1e-3, .ema = 0.5},
    {.name = "all, unfrozen, averaged, summed", .rate = 1e-3, .schedule = "2", .ema = 0.5, .micro = 2},
};
enum { TRAININGS = sizeof all / sizeof all[0], STEPS = 6, HALF = 3 };

static bool is_adapter(const training *k)
{
    return k->rank || k->peft_type;
}

static tuff_train_params params_of(const training *k)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    model = k->has_biases ? gpt2 : llama;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.gradient_accumulation_steps = k->micro ? k->micro : 1;
    p.learning_rate = k->rate;
    p.peft_type = k->peft_type;
    p.lora_rank = k->rank;
    p.bias = k->bias;
    p.use_dora = k->dora;
    p.num_virtual_tokens = 3;
    p.unfreeze_schedule = k->schedule;
    p.ema_decay = k->ema;
    return p;
}

/* A data set that the trainer has not seen. */
static tuff_eval_result measure(tuff_trainer *t)
{
    tuff_eval_result r = TUFF_EVAL_RESULT_INIT;
    tuff_dataset *data = load("dpo");
    KIT_OK(tuff_trainer_evaluate(t, data, &r));
    tuff_dataset_destroy(&data);
    return r;
}

/* The log-probabilities that the model itself has: those of a LoRA that begins. */
static const double *base_logps(const training *k)
{
    static double known[2][2];
    double *out = known[k->has_biases];
    if (out[0] != 0) return out;
    tuff_dataset *data = load("dpo");
    const training plain = {.has_biases = k->has_biases, .rank = 4, .rate = 1e-2};
    const tuff_train_params p = params_of(&plain);
    tuff_trainer *t = open_trainer(data, &p);
    const tuff_eval_result r = measure(t);
    out[0] = figure(r.count, r.figures, "logps/chosen");
    out[1] = figure(r.count, r.figures, "logps/rejected");
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
    return out;
}

/* Rewards are beta times what the answers became more probable than they are to the model itself. */
static void expect_rewards(const training *k, const tuff_eval_result *r)
{
    static const char *const names[2][2] = {{"rewards/chosen", "logps/chosen"},
                                            {"rewards/rejected", "logps/rejected"}};
    const double *base = base_logps(k);
    for (int i = 0; i < 2; i++) {
        const double got = figure(r->count, r->figures, names[i][0]),
                     want = 0.1 * (figure(r->count, r->figures, names[i][1]) - base[i]);
        if (!(fabs(got - want) < 1e-5))
            fail_msg("%s: %s is %.9g, expected %.9g", k->name, names[i][0], got, want);
    }
}

/* Without a reference nothing is kept for one, unless other data that is measured beside has one; then that
 * is in time only before the first step. */
static void losses_without_reference_keep_nothing(void **state)
{
    (void)state;
    enum { SMALL = 2 };
    const training k = {.has_biases = true, .rank = 4, .bias = "all", .rate = 1e-2};
    const tuff_train_params p = params_of(&k);
    tuff_dataset *dpo = load("dpo"), *orpo = load("orpo"), *data[SMALL] = {dpo, orpo};
    uint64_t weights[SMALL];
    tuff_trainer *t = NULL;
    for (int i = 0; i < SMALL; i++) {
        tuff_train_memory memory = TUFF_TRAIN_MEMORY_INIT;
        t = open_trainer(data[i], &p);
        KIT_OK(tuff_trainer_get_memory(t, &memory));
        weights[i] = memory.weights;
        if (i == 0) tuff_trainer_destroy(&t);
    }
    assert_true(weights[0] > weights[1]);
    const tuff_eval_result r = measure(t); /* of dpo */
    expect_rewards(&k, &r);
    tuff_trainer_destroy(&t);
    t = open_trainer(orpo, &p);
    step_of(t);
    tuff_eval_result none = TUFF_EVAL_RESULT_INIT;
    KIT_FAILS(tuff_trainer_evaluate(t, dpo, &none), TUFF_INVALID_ARGUMENT,
              "plan evaluations before the first step");
    tuff_trainer_destroy(&t);
    t = open_trainer(orpo, &p);
    KIT_OK(tuff_trainer_plan_evaluation(t, dpo));
    step_of(t);
    KIT_OK(tuff_trainer_evaluate(t, dpo, &none));
    expect_rewards(&k, &none);
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&dpo);
    tuff_dataset_destroy(&orpo);
}

/* An adapter that does nothing yet is the reference: ln 2. */
static void each_begins_where_the_model_is(void **state)
{
    (void)state;
    for (int i = 0; i < TRAININGS; i++) {
        const training *k = &all[i];
        const tuff_train_params p = params_of(k);
        tuff_dataset *data = load("dpo");
        tuff_trainer *t = open_trainer(data, &p);
        const tuff_eval_result r = measure(t);
        expect_rewards(k, &r);
        const tuff_train_step step = step_of(t);
        if (!k->moved && !(fabs(step.loss - log(2)) < 1e-5))
            fail_msg("%s: the first loss is %.9g", k->name, step.loss);
        if (k->moved && !(fabs(step.loss - log(2)) > 1e-6)) fail_msg("%s changes nothing", k->name);
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
    }
}

/* Also of data that comes late, and of the adapter that was saved. */
static void the_reference_stays_what_it_was(void **state)
{
    (void)state;
    for (int i = 0; i < TRAININGS; i++) {
        const training *k = &all[i];
        if (!is_adapter(k)) continue; /* the model is not there any more */
        const tuff_train_params p = params_of(k);
        tuff_dataset *data = load("dpo"), *early = load("dpo");
        tuff_trainer *t = open_trainer(data, &p);
        tuff_eval_result planned = TUFF_EVAL_RESULT_INIT, saved = TUFF_EVAL_RESULT_INIT;
        tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
        KIT_OK(tuff_trainer_plan_evaluation(t, early));
        while (step_of(t).step < STEPS) {
        }
        KIT_OK(tuff_trainer_evaluate(t, early, &planned));
        const tuff_eval_result late = measure(t);
        assert_true(fabs(figure(late.count, late.figures, "rewards/margins")) > 1e-4);
        if (!same_result(&late, &planned, 0)) fail_msg("%s: late data has another reference", k->name);
        expect_rewards(k, &late);
        const char *out = kit_path("saved-adapter");
        KIT_OK(tuff_trainer_save(t, out));
        e.adapter = out;
        e.batch_size = p.per_device_train_batch_size;
        KIT_OK(tuff_evaluate(model, device, early, &e, &saved));
        if (!same_result(&late, &saved, 1e-5)) fail_msg("%s: what is saved measures otherwise", k->name);
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
        tuff_dataset_destroy(&early);
    }
}

static void each_goes_on(void **state)
{
    (void)state;
    for (int i = 0; i < TRAININGS; i++) {
        const training *k = &all[i];
        const tuff_train_params p = params_of(k);
        tuff_dataset *data = load("dpo");
        tuff_train_step whole[STEPS];
        char name[32];
        snprintf(name, sizeof name, "checkpoint-%d", 100 + i);
        const char *path = kit_path(name);
        tuff_trainer *t = open_trainer(data, &p);
        for (int s = 0; s < STEPS; s++) {
            whole[s] = step_of(t);
            if (s + 1 == HALF) KIT_OK(tuff_trainer_save_checkpoint(t, path, NULL));
        }
        tuff_trainer_destroy(&t);
        tuff_checkpoint *checkpoint = NULL;
        KIT_OK(tuff_checkpoint_open(path, NULL, &checkpoint));
        t = open_trainer(data, &p);
        KIT_OK(tuff_trainer_resume(t, checkpoint));
        for (int s = HALF; s < STEPS; s++) {
            tuff_train_step step = step_of(t);
            step.seconds = whole[s].seconds;
            if (memcmp(&step, &whole[s], sizeof step) != 0)
                fail_msg("%s: step %d is another: loss %.9g, it was %.9g", k->name, s + 1, step.loss,
                         whole[s].loss);
        }
        tuff_trainer_destroy(&t);
        tuff_checkpoint_destroy(&checkpoint);
        tuff_dataset_destroy(&data);
    }
}

/* ---- modules_to_save */

static tuff_status rising(void *user, size_t index, tuff_sink *sink)
{
    float values[32];
    (void)user;
    for (size_t i = 0; i < 32; i++)
        values[i] = index ? 0.5F + 0.05F * (float)i : 1;
    return tuff_sink_write(sink, values, sizeof values);
}

/* A norm that the adapter has whole is in what is measured, not in what it is measured by. */
static void modules_are_exchanged(void **state)
{
    (void)state;
    static const tuff_save_item items[] = {
        {"base_model.model.model.layers.0.self_attn.q_proj.ia3_l", TUFF_STORE_F32, 2, {32, 1}},
        {"base_model.model.model.norm.weight", TUFF_STORE_F32, 1, {32, 1}}};
    const training k = {.name = "modules_to_save"};
    tuff_eval_result r = TUFF_EVAL_RESULT_INIT;
    tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
    tuff_buf text = {0};
    params_of(&k);
    tuff_dataset *data = load("dpo");
    const char *adapter = kit_path("whole");
    tuff_buf_text(&text, "{\"peft_type\": \"IA3\", \"target_modules\": [\"q_proj\"], "
                         "\"feedforward_modules\": [], \"modules_to_save\": [\"norm\"]}");
    KIT_OK(tuff_make_directories(adapter));
    KIT_OK(tuff_peft_write(adapter, &text, items, 2, rising, NULL));
    e.adapter = adapter;
    KIT_OK(tuff_evaluate(model, device, data, &e, &r));
    assert_true(fabs(figure(r.count, r.figures, "rewards/chosen")) > 1e-3);
    expect_rewards(&k, &r);
    tuff_buf_free(&text);
    tuff_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_begins_where_the_model_is),
        cmocka_unit_test(losses_without_reference_keep_nothing),
        cmocka_unit_test(the_reference_stays_what_it_was),
        cmocka_unit_test(each_goes_on),
        cmocka_unit_test(modules_are_exchanged),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
