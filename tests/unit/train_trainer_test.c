/* Trainers: small and odd shapes, accumulation, long contexts, evaluation, and failures of memory and device.
 */
#include <math.h>

#include <tuff/generate.h>
#include <tuff/train.h>

#include "failing_device.h"
#include "model_fixture.h"
#include "train/trainer.h"

enum { IDS = 210 };

static tuff_device *device;
static tuff_model *llama, *gpt2;
static int32_t ids[IDS];

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    device = kit_cpu();
    llama = model_open("llama");
    gpt2 = model_open("gpt2");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&llama);
    tuff_model_destroy(&gpt2);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_dataset *blocks_of(int64_t block_size, size_t n)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n, block_size, &data));
    return data;
}

static tuff_train_params few_steps(int64_t batch, int64_t micro, int64_t lora_rank)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 4;
    p.per_device_train_batch_size = batch;
    p.gradient_accumulation_steps = micro;
    p.learning_rate = 1e-3;
    p.lora_rank = lora_rank;
    p.dropout = TUFF_DROPOUT_NONE;
    return p;
}

static tuff_trainer *trainer_of(const tuff_model *model, const tuff_dataset *data, tuff_train_params p)
{
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    return trainer;
}

static void run_norms(tuff_trainer *trainer, double *losses, double *norms, int steps)
{
    for (int i = 0; i < steps; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_int_equal(step.step, i + 1);
        assert_true(isfinite(step.loss) && !step.skipped);
        losses[i] = step.loss;
        norms[i] = step.grad_norm;
    }
}

static void run(tuff_trainer *trainer, double *losses, int steps)
{
    double norms[4];
    assert_true(steps <= 4);
    run_norms(trainer, losses, norms, steps);
}

static void odd_shapes_train(void **state)
{
    (void)state;
    static const struct {
        int64_t block, batch;
        size_t ids;
    } shapes[] = {{2, 1, IDS}, {2, 64, 3}, {16, 8, 50}, {200, 1, IDS}, {128, 3, IDS}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tuff_dataset *data = blocks_of(shapes[i].block, shapes[i].ids);
        tuff_trainer *trainer = trainer_of(llama, data, few_steps(shapes[i].batch, 1, 0));
        double losses[3];
        run(trainer, losses, 3);
        if (shapes[i].batch > 1) assert_true(losses[2] < losses[0]); /* it sees the same blocks again */
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
}

/* A batch larger than the data has whole epochs in it. */
static void batches_run_through_epochs(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(10, 30);
    tuff_trainer *trainer = trainer_of(llama, data, few_steps(7, 2, 0));
    int32_t batch[2 * 7 * 10], again[2 * 7 * 10];
    KIT_FAILS(tuff_trainer_next_batch(trainer, batch, 70), TUFF_INVALID_ARGUMENT, "140 ids");
    KIT_OK(tuff_trainer_next_batch(trainer, batch, 140));
    for (int epoch = 0; epoch < 4; epoch++) {
        unsigned seen = 0;
        for (int b = 0; b < 3; b++)
            for (int k = 0; k < 3; k++)
                if (memcmp(batch + (3 * epoch + b) * 10, ids + 10 * k, 40) == 0) seen |= 1u << k;
        assert_int_equal(seen, 7);
    }
    KIT_OK(tuff_trainer_next_batch(trainer, again, 140)); /* asking changes nothing */
    assert_memory_equal(batch, again, sizeof batch);
    double losses[1];
    run(trainer, losses, 1);
    KIT_OK(tuff_trainer_next_batch(trainer, again, 140));
    assert_memory_not_equal(batch, again, sizeof batch);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

static void accumulation_is_a_larger_batch(void **state)
{
    (void)state;
    const tuff_model *const models[] = {llama, gpt2};
    tuff_dataset *data = blocks_of(16, IDS);
    for (int m = 0; m < 2; m++)
        for (int64_t rank = 0; rank <= 4; rank += 4) {
            tuff_trainer *whole = trainer_of(models[m], data, few_steps(4, 1, rank));
            tuff_trainer *parts = trainer_of(models[m], data, few_steps(1, 4, rank));
            double a[8], b[8]; /* losses, norms */
            run_norms(whole, a, a + 4, 4);
            run_norms(parts, b, b + 4, 4);
            for (int i = 0; i < 8; i++)
                if (!(fabs(a[i] - b[i]) <= 1e-5 * a[i])) fail_msg("step %d: %.9g and %.9g", i, a[i], b[i]);
            tuff_trainer_destroy(&whole);
            tuff_trainer_destroy(&parts);
        }
    tuff_dataset_destroy(&data);
}

static void trainers_do_not_disturb_each_other(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(16, IDS);
    double alone[4], a[4], b[4];
    tuff_trainer *trainer = trainer_of(llama, data, few_steps(2, 2, 4));
    run(trainer, alone, 4);
    tuff_trainer_destroy(&trainer);
    tuff_trainer *one = trainer_of(llama, data, few_steps(2, 2, 4)),
                 *other = trainer_of(llama, data, few_steps(2, 2, 4));
    for (int i = 0; i < 4; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(one, &step));
        a[i] = step.loss;
        KIT_OK(tuff_trainer_step(other, &step));
        b[i] = step.loss;
    }
    assert_memory_equal(a, alone, sizeof a);
    assert_memory_equal(b, alone, sizeof b);
    tuff_trainer_destroy(&one);
    tuff_trainer_destroy(&other);
    tuff_dataset_destroy(&data);
}

static void no_steps_save_the_initial_state(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(16, IDS);
    tuff_train_params p = few_steps(2, 1, 0);
    p.max_steps = 0;
    tuff_trainer *trainer = trainer_of(gpt2, data, p);
    assert_int_equal(tuff_trainer_total_steps(trainer), 0);
    const char *directory = kit_temp_path("initial");
    KIT_OK(tuff_trainer_save(trainer, directory));
    tuff_trainer_destroy(&trainer);
    tuff_model *saved = model_open(directory);
    tuff_eval_result before = TUFF_EVAL_RESULT_INIT, after = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_evaluate(gpt2, device, data, NULL, &before));
    KIT_OK(tuff_evaluate(saved, device, data, NULL, &after));
    assert_true(before.loss == after.loss);
    tuff_model_destroy(&saved);
    tuff_dataset_destroy(&data);
}

static void positions_end_where_they_were_learned(void **state)
{
    (void)state;
    tuff_dataset *longer = blocks_of(200, IDS), *usual = blocks_of(16, IDS), *longest = blocks_of(210, IDS);
    tuff_trainer *trainer = NULL;
    tuff_train_params p = few_steps(1, 1, 0);
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_FAILS(tuff_trainer_create(gpt2, device, longer, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "the model has only 64 positions");
    KIT_FAILS(tuff_evaluate(gpt2, device, longer, NULL, &result), TUFF_INVALID_ARGUMENT, "only 64 positions");
    KIT_FAILS(tuff_save_logits(gpt2, device, longer, NULL, NULL, kit_temp_path("never")),
              TUFF_INVALID_ARGUMENT, "only 64 positions");
    trainer = trainer_of(gpt2, usual, p);
    KIT_FAILS(tuff_trainer_evaluate(trainer, longer, &result), TUFF_INVALID_ARGUMENT, "only 64 positions");
    tuff_trainer_destroy(&trainer);

    /* rotary ones go on: evaluation in a trainer as alone, within what its tables hold */
    tuff_eval_result alone = TUFF_EVAL_RESULT_INIT;
    trainer = trainer_of(llama, longer, p);
    KIT_OK(tuff_trainer_evaluate(trainer, longer, &result));
    KIT_OK(tuff_evaluate(llama, device, longer, NULL, &alone));
    assert_true(fabs(result.loss - alone.loss) < 1e-6);
    KIT_FAILS(tuff_trainer_evaluate(trainer, longest, &result), TUFF_INVALID_ARGUMENT,
              "made for at most 200");
    tuff_trainer_destroy(&trainer);
    trainer = trainer_of(llama, usual, p);
    tuff_dataset *context = blocks_of(128, IDS);
    KIT_OK(
        tuff_trainer_evaluate(trainer, context, &result)); /* the model's own context, past the training's */
    KIT_OK(tuff_trainer_evaluate(trainer, usual, &result));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&context);
    tuff_dataset_destroy(&longer);
    tuff_dataset_destroy(&longest);
    tuff_dataset_destroy(&usual);
}

static void evaluation_counts_every_prediction(void **state)
{
    (void)state;
    static const struct {
        size_t ids;
        int64_t block, tokens;
    } cases[] = {{40, 16, 15 + 15 + 7}, {33, 16, 30}, {34, 16, 31}, {2, 16, 1}, {3, 2, 1}, {16, 16, 15}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_dataset *data = blocks_of(cases[i].block, cases[i].ids);
        double loss = 0;
        for (int64_t batch = 1; batch <= 5; batch++) {
            tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
            KIT_OK(tuff_evaluate(
                llama, device, data,
                &(tuff_eval_params){.struct_size = sizeof(tuff_eval_params), .batch_size = batch}, &result));
            assert_int_equal(result.tokens, cases[i].tokens);
            if (batch == 1) loss = result.loss;
            assert_true(fabs(result.loss - loss) < 1e-5 * loss);
            assert_true(fabs(result.perplexity - exp(result.loss)) < 1e-9 * result.perplexity);
        }
        tuff_dataset_destroy(&data);
    }
}

/* What an optimizer keeps is counted; it trains with accumulation too. */
static void optimizers_keep_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *optim;
        double momentum;
        uint64_t states;
    } optimizers[] = {{NULL, 0, 2}, {"adamw", 0, 2}, {"sgd", 0, 0}, {"sgd", 0.9, 1}, {"lion", 0, 1}};
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++) {
        tuff_dataset *data = blocks_of(16, IDS);
        tuff_train_params p = few_steps(1, 2, 0);
        p.optim = optimizers[i].optim;
        p.momentum = optimizers[i].momentum;
        tuff_trainer *trainer = trainer_of(llama, data, p);
        double losses[4], norms[4];
        tuff_train_memory memory = tuff_trainer_memory(trainer);
        assert_true(memory.optimizer == optimizers[i].states * 4 * (uint64_t)memory.trained_parameters + 16);
        run_norms(trainer, losses, norms, 4);
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
}

/* How far one step moves what is trained: of tensor `name` the sum of the magnitudes. */
static double moved(tuff_trainer *trainer, const char *name, bool before, float *was)
{
    tuff_buffer *buffer = tuff_store_find(trainer->store, name);
    double sum = 0;
    if (!buffer) fail_msg("nothing is called %s", name);
    int64_t n = tuff_buffer_count(buffer);
    float *now = before ? was : tuff_alloc_array((size_t)n, sizeof *now);
    KIT_OK(tuff_buffer_read(buffer, 0, now, n));
    for (int64_t i = 0; !before && i < n; i++)
        sum += fabs((double)now[i] - (double)was[i]);
    if (!before) tuff_free(now);
    return sum;
}

/* Each tensor's step of gradient descent with groups, over that without them. */
static void groups_have_rates_of_their_own(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double rate;
        bool lora;
    } tensors[] = {
        {"lm_head.weight", 1, false},
        {"model.norm.weight", 1, false},
        {"model.layers.1.mlp.down_proj.weight", 0.5, false},
        {"model.layers.0.self_attn.q_proj.weight", 0.25, false},
        {"model.embed_tokens.weight", 0.125, false},
        {"base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight", 8, true},
        {"base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight", 4, true},
    };
    enum { MOST = 16384 };
    static float was[MOST];
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        double moves[2];
        for (int grouped = 0; grouped < 2; grouped++) {
            tuff_dataset *data = blocks_of(16, IDS);
            tuff_train_params p = few_steps(1, 1, tensors[i].lora ? 2 : 0);
            p.optim = "sgd";
            p.learning_rate = 1e-2;
            p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
            p.max_grad_norm = p.weight_decay = 0;
            p.layerwise_lr_decay = grouped ? 0.5 : 0;
            p.loraplus_lr_ratio = grouped && tensors[i].lora ? 16 : 0;
            tuff_trainer *trainer = trainer_of(llama, data, p);
            tuff_train_step step = TUFF_TRAIN_STEP_INIT;
            KIT_OK(tuff_trainer_prepare(trainer));
            moved(trainer, tensors[i].name, true, was);
            KIT_OK(tuff_trainer_step(trainer, &step));
            moves[grouped] = moved(trainer, tensors[i].name, false, was);
            tuff_trainer_destroy(&trainer);
            tuff_dataset_destroy(&data);
        }
        if (!(moves[0] > 0 && fabs(moves[1] / moves[0] / tensors[i].rate - 1) < 1e-3))
            fail_msg("%s moves by %g, with groups by %g", tensors[i].name, moves[0], moves[1]);
    }
}

/* Adafactor's rates of its own, as transformers has them. */
static void adafactor_has_rates_of_its_own(void **state)
{
    (void)state;
    static const char *const args[] = {"relative_step=true, warmup_init=true", "{\"relative_step\": true}",
                                       NULL};
    static const double rates[3][2] = {{1e-6, 2e-6}, {1e-2, 1e-2}, {0.5, 0.5}};
    for (int i = 0; i < 3; i++) {
        tuff_dataset *data = blocks_of(16, IDS);
        tuff_train_params p = few_steps(1, 1, 0);
        p.optim = "adafactor";
        p.optim_args = args[i];
        p.learning_rate = 0.5;
        p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
        tuff_trainer *trainer = trainer_of(llama, data, p);
        for (int k = 0; k < 2; k++) {
            tuff_train_step step = TUFF_TRAIN_STEP_INIT;
            KIT_OK(tuff_trainer_step(trainer, &step));
            assert_true(step.learning_rate == rates[i][k]);
        }
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    KIT_FAILS(tuff_dataset_from_ids(ids, 1, 16, &data), TUFF_INVALID_ARGUMENT, "1 token;");
    KIT_FAILS(tuff_dataset_from_ids(ids, 10, 1, &data), TUFF_INVALID_ARGUMENT, "block size is 1");
    KIT_FAILS(tuff_dataset_from_ids(ids, 10, INT64_MAX, &data), TUFF_INVALID_ARGUMENT, "expected 2 to");
    KIT_FAILS(tuff_dataset_from_ids((const int32_t[]){1, -1}, 2, 2, &data), TUFF_INVALID_ARGUMENT,
              "token 1 has the id -1");
    assert_null(data);
    KIT_OK(tuff_dataset_from_ids((const int32_t[]){1, 280, 3, 4}, 4, 2, &data));
    tuff_train_params p = few_steps(1, 1, 0);
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT, "token id 280");
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_FAILS(tuff_evaluate(llama, device, data, NULL, &result), TUFF_INVALID_ARGUMENT, "token id 280");
    tuff_dataset_destroy(&data);

    data = blocks_of(16, 15);
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "15 tokens, fewer than one block of 16");
    tuff_dataset_destroy(&data);
    data = blocks_of(16, IDS);
    static const struct {
        size_t offset;
        double value;
        const char *part;
    } numbers[] = {
        {offsetof(tuff_train_params, learning_rate), (double)NAN, "learning_rate is nan"},
        {offsetof(tuff_train_params, adam_beta1), 1, "adam_beta1 is 1"},
        {offsetof(tuff_train_params, warmup_ratio), -1, "warmup_ratio is -1"},
        {offsetof(tuff_train_params, max_grad_norm), (double)INFINITY, "max_grad_norm is inf"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        p = few_steps(1, 1, 0);
        memcpy((char *)&p + numbers[i].offset, &numbers[i].value, sizeof(double));
        KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
                  numbers[i].part);
    }
    p = few_steps(0, 1, 0);
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "per_device_train_batch_size is 0");
    p = few_steps(1, 1, 0);
    p.lr_scheduler_type = (tuff_schedule)99;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "lr_scheduler_type is 99");
    p = few_steps(1, 1, 0);
    p.optim = "adagrad";
    KIT_FAILS(
        tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
        "optim is \"adagrad\", which Tuff does not have; it has adamw, sgd, lion, adafactor, adamw_8bit, muon");
    p.optim = "paged_adamw_32bit";
    p.optim_args = "beta3=0.5";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "optim_args has \"beta3\", which the optimizer adamw does not know");
    p.optim_args = NULL;
    p.layerwise_lr_decay = 1.5;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "layerwise_lr_decay is 1.5");
    p.layerwise_lr_decay = 0;
    p.loraplus_lr_ratio = 16;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "loraplus_lr_ratio is 16, but no LoRA is trained");
    p.loraplus_lr_ratio = 0;
    p.optim = "adafactor";
    p.optim_args = "warmup_init=true";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "warmup_init needs relative_step=true");
    p.optim = "muon";
    p.optim_args = "adamw_lr=0";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT, "adamw_lr is 0");
    p.optim_args = "adjust_lr_fn=torch";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "adjust_lr_fn is \"torch\"");
    p.optim_args = NULL;
    p.optim = "adamw_torch";
    p.momentum = 0.9;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "the optimizer is adamw, which has none");
    p.momentum = 1;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT, "momentum is 1");
    p.optim = "sgd";
    p.momentum = 0;
    p.nesterov = true;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "nesterov needs a momentum");
    p = few_steps(1, 1, -1);
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "lora_rank is -1");
    assert_null(trainer);
    tuff_dataset_destroy(&data);
}

/* What is said before anything runs is what the device then holds. */
static void memory_is_as_it_was_said(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(16, IDS);
    for (int i = 0; i < 8; i++) {
        bool accumulates = i % 2, lora = i / 2 % 2, evaluates = i / 4;
        uint64_t before = kit_device_stats(device).bytes;
        tuff_trainer *trainer = trainer_of(llama, data, few_steps(2, accumulates ? 2 : 1, lora ? 4 : 0));
        uint64_t unplanned = tuff_trainer_memory(trainer).total;
        if (evaluates) KIT_OK(tuff_trainer_plan_evaluation(trainer, data));
        tuff_train_memory m = tuff_trainer_memory(trainer);
        assert_int_equal(m.gradients_apart, accumulates);
        assert_int_equal(m.gradients, 4 * (uint64_t)m.trained_parameters);
        assert_int_equal(m.evaluation > 0, evaluates);
        assert_int_equal(m.total, unplanned + m.evaluation);
        assert_int_equal(m.total, m.weights + m.optimizer + m.arena + m.evaluation + m.transfers +
                                      (accumulates ? m.gradients : 0));
        if (!accumulates) assert_true(m.arena > m.gradients);
        assert_int_equal(kit_device_stats(device).bytes, before);
        double losses[2];
        run(trainer, losses, 2);
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        if (evaluates) KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
        uint64_t held = kit_device_stats(device).bytes - before;
        uint64_t tables = 2 * 128 * 4 * 4, weights = 4 * (uint64_t)m.parameters + tables;
        if (lora) weights += 4 * (uint64_t)m.trained_parameters;
        assert_int_equal(m.weights, weights);
        assert_true(m.total >= held && (double)m.total <= 1.1 * (double)held);
        tuff_trainer_destroy(&trainer);
        assert_int_equal(kit_device_stats(device).bytes, before);
    }
    tuff_dataset_destroy(&data);
}

/* A step whose gradient is not finite changes nothing, also when gradients are accumulated. */
static void bad_steps_are_skipped(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(16, IDS);
    for (int64_t micro = 1; micro <= 2; micro++) {
        tuff_trainer *trainer = trainer_of(llama, data, few_steps(2, micro, 0));
        KIT_OK(tuff_trainer_prepare(trainer));
        tuff_buffer *norm = tuff_store_find(trainer->store, "model.norm.weight");
        assert_non_null(norm);
        float good;
        const float bad = INFINITY;
        KIT_OK(tuff_buffer_read(norm, 0, &good, 1));
        KIT_OK(tuff_buffer_write(norm, 0, &bad, 1));
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_true(step.skipped && !isfinite(step.grad_norm));
        KIT_OK(tuff_buffer_write(norm, 0, &good, 1));
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT, truth = TUFF_EVAL_RESULT_INIT;
        KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
        KIT_OK(tuff_evaluate(llama, device, data, NULL, &truth));
        assert_true(fabs(result.loss - truth.loss) < 1e-6);
        KIT_OK(tuff_trainer_step(trainer, &step)); /* and nothing of it is left in the sums */
        assert_false(step.skipped);
        tuff_trainer_destroy(&trainer);
    }
    tuff_dataset_destroy(&data);
}

typedef struct job {
    tuff_device *device;
    const tuff_dataset *data;
    tuff_train_params params;
} job;

static tuff_status train_and_evaluate(void *user)
{
    const job *j = user;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_trainer_create(llama, j->device, j->data, &j->params, &trainer));
    TUFF_GO(tuff_trainer_step(trainer, &step));
    TUFF_GO(tuff_trainer_evaluate(trainer, j->data, &result));
done:
    tuff_trainer_destroy(&trainer);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(8, 40);
    job j = {device, data, few_steps(1, 2, 2)};
    j.params.lora_target = "q_proj";
    j.params.lora_dropout = 0.1;
    assert_true(kit_for_each_allocation_failure(train_and_evaluate, &j) > 50);
    j.params = few_steps(1, 1, 0);
    assert_true(kit_for_each_allocation_failure(train_and_evaluate, &j) > 50);
    tuff_dataset_destroy(&data);
}

/* The first step may be tried again when the device had no room; the losses are then as if nothing had been.
 */
static void device_memory_may_fail(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(8, 40);
    tuff_device failing = failing_device_open();
    tuff_trainer *trainer = trainer_of(llama, data, few_steps(1, 2, 0));
    double truth[2], losses[2];
    run(trainer, truth, 2);
    tuff_trainer_destroy(&trainer);
    tuff_train_params p = few_steps(1, 2, 0);
    int *const counters[] = {&failing_buffers, &failing_programs};
    for (int k = 0; k < 2; k++)
        for (int n = 1, failed = 1; failed; n++) {
            KIT_OK(tuff_trainer_create(llama, &failing, data, &p, &trainer));
            *counters[k] = n;
            tuff_train_step step = TUFF_TRAIN_STEP_INIT;
            tuff_status status = tuff_trainer_step(trainer, &step);
            failed = status != TUFF_OK;
            *counters[k] = 0;
            assert_true(failed || n > 2);
            if (failed) {
                assert_int_equal(status, TUFF_OUT_OF_MEMORY);
                run(trainer, losses, 2);
                assert_memory_equal(losses, truth, sizeof losses);
            }
            tuff_trainer_destroy(&trainer);
        }
    failing_device_close(&failing);
    tuff_dataset_destroy(&data);
}

/* What cannot fit is refused before any of it is taken, in numbers. */
static void too_little_room_is_said_first(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(8, 40);
    tuff_device small = failing_device_open();
    tuff_trainer *trainer = NULL;
    tuff_train_params p = few_steps(1, 1, 0);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_create(llama, &small, data, &p, &trainer));
    uint64_t total = tuff_trainer_memory(trainer).total, weights = tuff_trainer_memory(trainer).weights;
    small.info = (tuff_device_info){.type = TUFF_DEVICE_CPU, .memory_bytes = total - 1};
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_OUT_OF_MEMORY, "training needs");
    assert_int_equal(kit_device_stats(&small).allocations, 0);
    small.info.memory_bytes = total;
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    small.info.memory_bytes = weights / 2;
    KIT_FAILS(tuff_evaluate(llama, &small, data, NULL, &result), TUFF_OUT_OF_MEMORY, "the model needs");
    assert_int_equal(kit_device_stats(&small).bytes, 0);
    tuff_generator *generator = NULL;
    small.info.memory_bytes = weights;
    KIT_OK(tuff_generator_create(
        llama, &small,
        &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params), .context_length = 1 << 20},
        &generator));
    small.info.memory_bytes = 1000;
    float logits[300];
    KIT_FAILS(tuff_generator_logits(generator, (const int32_t[]){1}, 1, logits), TUFF_OUT_OF_MEMORY,
              "a KV cache of 256 positions needs 0.1 MB of memory");
    small.info.memory_bytes = weights;
    KIT_OK(tuff_generator_logits(generator, (const int32_t[]){1}, 1, logits));
    tuff_generator_destroy(&generator);
    tuff_model *bloom = NULL;
    KIT_OK(tuff_model_load(kit_asset("golden/bloom"), &bloom));
    small.info.memory_bytes = 1000000;
    KIT_OK(tuff_generator_create(bloom, &small, NULL, &generator));
    small.info.memory_bytes =
        100000; /* room for 128 keys and values of 6 heads, but not for ALiBi's table, too */
    KIT_FAILS(tuff_generator_logits(generator, (const int32_t[]){1}, 1, logits), TUFF_OUT_OF_MEMORY,
              "a KV cache of 128 positions needs 0.1 MB of memory");
    small.info.memory_bytes = 102000;
    KIT_OK(tuff_generator_logits(generator, (const int32_t[]){1}, 1, logits));
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&bloom);
    small.info.memory_bytes = weights;
    small.info.type = TUFF_DEVICE_DISCRETE; /* which says by itself what it cannot hold */
    KIT_OK(tuff_evaluate(llama, &small, data, NULL, &result));
    failing_device_close(&small);
    tuff_dataset_destroy(&data);
}

static void a_step_that_fails_on_its_way_ends_training(void **state)
{
    (void)state;
    tuff_dataset *data = blocks_of(8, 40);
    tuff_device failing = failing_device_open();
    tuff_trainer *trainer = NULL;
    tuff_train_params p = few_steps(1, 2, 0);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_create(llama, &failing, data, &p, &trainer));
    KIT_OK(tuff_trainer_step(trainer, &step));
    failing_runs = 2; /* the second micro-batch */
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_DEVICE_LOST, "the device is lost");
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_INVALID_ARGUMENT, "an earlier step failed");
    tuff_trainer_destroy(&trainer);
    failing_device_close(&failing);
    tuff_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_shapes_train),
        cmocka_unit_test(batches_run_through_epochs),
        cmocka_unit_test(accumulation_is_a_larger_batch),
        cmocka_unit_test(trainers_do_not_disturb_each_other),
        cmocka_unit_test(no_steps_save_the_initial_state),
        cmocka_unit_test(positions_end_where_they_were_learned),
        cmocka_unit_test(evaluation_counts_every_prediction),
        cmocka_unit_test(optimizers_keep_what_they_say),
        cmocka_unit_test(groups_have_rates_of_their_own),
        cmocka_unit_test(adafactor_has_rates_of_its_own),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(memory_is_as_it_was_said),
        cmocka_unit_test(bad_steps_are_skipped),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(device_memory_may_fail),
        cmocka_unit_test(too_little_room_is_said_first),
        cmocka_unit_test(a_step_that_fails_on_its_way_ends_training),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
