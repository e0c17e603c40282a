/* Checkpoints: a training that goes on from one makes the same bytes; what differs is said; damage is found.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "failing_device.h"
#include "kit/killed.h"
#include "train/trainer.h"
#include "training_fixture.h"

enum { IDS = 210, STEPS = 6 };

static tuff_model *gpt2;

static int begin(void **state)
{
    tuff_disk_hook = kit_never_sync;
    gpt2 = model_open("gpt2");
    return training_begin(state, IDS);
}

static int end(void **state)
{
    tuff_model_destroy(&gpt2);
    return training_end(state);
}

static tuff_train_params few_steps(int64_t micro, int64_t lora_rank)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.gradient_accumulation_steps = micro;
    p.learning_rate = 1e-3;
    p.lora_rank = lora_rank;
    p.lora_dropout = lora_rank ? 0.1 : 0;
    return p;
}

static tuff_trainer *resumed(const tuff_model *model, tuff_train_params p, const char *directory)
{
    tuff_trainer *trainer = training_of(model, p);
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    char *lines = NULL;
    KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &lines));
    assert_string_equal(lines, "");
    tuff_free(lines);
    KIT_OK(tuff_trainer_resume(trainer, checkpoint));
    tuff_checkpoint_destroy(&checkpoint);
    return trainer;
}

/* ---- the same bytes */

static void expect_the_same_bytes(const tuff_model *model, tuff_train_params p, const char *file)
{
    static int run;
    char name[5][32];
    for (int i = 0; i < 5; i++)
        snprintf(name[i], sizeof name[i], "same-%d-%d", run, i);
    run++;
    const char *half = kit_path(name[0]), *whole = kit_path(name[1]), *again = kit_path(name[2]);
    const char *last = kit_path(name[3]), *last_again = kit_path(name[4]);

    tuff_trainer *trainer = training_of(model, p);
    training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, half, NULL));
    double loss = training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save(trainer, whole));
    KIT_OK(tuff_trainer_save_checkpoint(trainer, last, NULL));
    tuff_trainer_destroy(&trainer);

    trainer = resumed(model, p, half);
    assert_true(training_steps(trainer, 3) == loss);
    KIT_OK(tuff_trainer_save(trainer, again));
    KIT_OK(tuff_trainer_save_checkpoint(trainer, last_again, NULL));
    expect_same_file(whole, again, file);
    expect_same_file(last, last_again, file);
    expect_same_file(last, last_again, "optimizer.safetensors");
    expect_same_file(last, last_again, "trainer_state.json");

    /* at any time, also back */
    tuff_checkpoint *checkpoint = training_checkpoint(half);
    KIT_OK(tuff_trainer_resume(trainer, checkpoint));
    assert_true(training_steps(trainer, 3) == loss);
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&trainer);
}

static void full_trainings_go_on(void **state)
{
    (void)state;
    for (int64_t micro = 1; micro <= 2; micro++) {
        expect_the_same_bytes(llama, few_steps(micro, 0), "model.safetensors");
        expect_the_same_bytes(gpt2, few_steps(micro, 0), "model.safetensors");
    }
}

static void adapters_go_on(void **state)
{
    (void)state;
    for (int64_t micro = 1; micro <= 2; micro++) {
        expect_the_same_bytes(llama, few_steps(micro, 4), "adapter_model.safetensors");
        expect_the_same_bytes(gpt2, few_steps(micro, 4), "adapter_model.safetensors");
    }
    static const char *const others[] = {"ia3", "prompt_tuning"};
    for (int i = 0; i < 2; i++) {
        tuff_train_params p = few_steps(1, 0);
        p.peft_type = others[i];
        p.num_virtual_tokens = i ? 3 : 0;
        expect_the_same_bytes(llama, p, "adapter_model.safetensors");
    }
}

static void every_optimizer_goes_on(void **state)
{
    (void)state;
    static const char *const names[] = {
#define TUFF_OPTIMIZER(name) #name,
#include "train/optimizers/optimizers.def"
#undef TUFF_OPTIMIZER
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tuff_train_params p = few_steps(1, 0);
        p.optim = names[i];
        p.lr_scheduler_type = TUFF_SCHEDULE_COSINE;
        p.warmup_steps = 2;
        if (strcmp(names[i], "sgd") == 0) p.momentum = 0.9;
        expect_the_same_bytes(gpt2, p, "model.safetensors");
    }
}

static void noise_goes_on(void **state)
{
    (void)state;
    for (int64_t micro = 1; micro <= 2; micro++) {
        tuff_train_params p = few_steps(micro, 4);
        p.neftune_noise_alpha = 5;
        expect_the_same_bytes(llama, p, "adapter_model.safetensors");
        p.lora_rank = 0;
        expect_the_same_bytes(llama, p, "model.safetensors");
    }
}

/* What is frozen is in the checkpoint, too, phases go on where they were, and so do averages. */
static void frozen_trainings_go_on(void **state)
{
    (void)state;
    static const char *const schedules[] = {"2", "2,4,5", "3", "one-per-epoch"};
    for (int64_t micro = 1; micro <= 2; micro++) {
        tuff_train_params p = few_steps(micro, 0);
        p.freeze = "embed*,layers.0";
        expect_the_same_bytes(llama, p, "model.safetensors");
        p.lora_rank = 4;
        p.freeze = "lora_A";
        p.ema_decay = 0.9;
        expect_the_same_bytes(llama, p, "adapter_model.safetensors");
    }
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        tuff_train_params p = few_steps(1 + (int64_t)i % 2, 0);
        p.unfreeze_schedule = schedules[i];
        p.optim = i ? NULL : "adamw_8bit";
        p.ema_decay = i % 2 ? 0.9 : 0;
        p.dropout = i % 2 ? 0.2 : 0;
        if (i == 3) p.per_device_train_batch_size = 4; /* an epoch of 13 blocks */
        expect_the_same_bytes(llama, p, "model.safetensors");
    }
}

/* ---- of other tasks, whose heads may be new */

static void expect_task_goes_on(const tuff_model *model, tuff_dataset *examples, const char *file,
                                int64_t rank, int64_t micro)
{
    tuff_dataset *usual = data;
    tuff_train_params p = few_steps(micro, rank);
    data = examples;
    expect_the_same_bytes(model, p, file);
    data = usual;
}

static tuff_dataset *classified(const tuff_model *model, const char *name, const char *text)
{
    tuff_data_params params = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *examples = NULL;
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    params.task = "classification";
    params.training = true;
    KIT_OK(tuff_dataset_load(model, path, &params, &examples));
    return examples;
}

#define LABELLED "text\tlabel\nthe river\tgood\nthe road\tbad\na bridge\tgood\nstones\tbad\nno\tgood\n"

static void tasks_go_on(void **state)
{
    (void)state;
    tuff_dataset *examples = classified(llama, "labelled.tsv", LABELLED);
    for (int64_t micro = 1; micro <= 2; micro++) {
        expect_task_goes_on(llama, examples, "model.safetensors", 0, micro);
        expect_task_goes_on(llama, examples, "adapter_model.safetensors", 4, micro); /* with its head whole */
    }
    tuff_dataset_destroy(&examples);

    static const struct {
        const char *loss, *file;
        int64_t cache;
    } pairs[] = {{"mnrl", "ranked.jsonl", 0}, {"mnrl", "ranked.jsonl", 2}, {"cosine", "pairs.csv", 0}};
    tuff_model *bert = model_open(kit_golden("embedding/bert"));
    for (int i = 0; i < 3; i++) {
        tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
        params.loss = pairs[i].loss;
        params.gradient_cache_batch = pairs[i].cache;
        KIT_OK(tuff_dataset_load_pairs(bert, kit_join(kit_golden("embedding"), pairs[i].file), &params,
                                       &examples));
        expect_task_goes_on(bert, examples, "model.safetensors", 0, 1);
        expect_task_goes_on(bert, examples, "adapter_model.safetensors", 4, 1);
        tuff_dataset_destroy(&examples);
    }
    tuff_model_destroy(&bert);
}

/* ---- what a checkpoint says */

static void a_checkpoint_says_what_it_is(void **state)
{
    (void)state;
    const char *directory = kit_path("said");
    const tuff_checkpoint_number numbers[] = {{"patience", 2}, {"not a number", (double)NAN}};
    tuff_checkpoint_params params = TUFF_CHECKPOINT_PARAMS_INIT;
    params.best_model_checkpoint = "out/checkpoint-2";
    params.best_metric = 1.25;
    params.best_global_step = 2;
    params.log_history = "[{\"step\": 1, \"loss\": 2.5}]";
    params.numbers = numbers;
    params.number_count = 2;
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, &params));
    params.log_history = "{}";
    KIT_FAILS(tuff_trainer_save_checkpoint(trainer, kit_path("never"), &params), TUFF_INVALID_ARGUMENT,
              "must be a list");
    params.log_history = "[1";
    KIT_FAILS(tuff_trainer_save_checkpoint(trainer, kit_path("never"), &params), TUFF_BAD_FORMAT,
              "log_history");
    assert_false(tuff_is_directory(kit_path("never")));

    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    KIT_OK(tuff_checkpoint_get_info(checkpoint, &info));
    assert_int_equal(info.step, 3);
    assert_int_equal(info.max_steps, STEPS);
    assert_int_equal(info.best_global_step, 2);
    assert_true(info.best_metric == 1.25 && info.epoch > 0.45 && info.epoch < 0.47);
    assert_string_equal(info.best_model_checkpoint, "out/checkpoint-2");
    assert_string_equal(info.directory, directory);
    double value = 0;
    assert_true(tuff_checkpoint_get_number(checkpoint, "patience", &value) && value == 2);
    assert_true(tuff_checkpoint_get_number(checkpoint, "not a number", &value) && isnan(value));
    assert_false(tuff_checkpoint_get_number(checkpoint, "nothing", &value));
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&trainer);

    /* the weights load as an adapter does */
    tuff_eval_params eval = TUFF_EVAL_PARAMS_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    eval.adapter = directory;
    KIT_OK(tuff_evaluate(llama, device, data, &eval, &result));
}

static void expect_differences(tuff_train_params p, const tuff_model *model,
                               const tuff_checkpoint *checkpoint, const char *expected)
{
    char *lines = NULL;
    tuff_trainer *trainer = training_of(model, p);
    KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &lines));
    assert_string_equal(lines, expected);
    KIT_OK(tuff_trainer_resume(trainer, checkpoint)); /* and it goes on */
    training_steps(trainer, 1);
    tuff_free(lines);
    tuff_trainer_destroy(&trainer);
}

static void what_differs_is_said(void **state)
{
    (void)state;
    const char *directory = kit_path("differs");
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    tuff_trainer_destroy(&trainer);
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    tuff_train_params p = few_steps(1, 4);
    p.learning_rate = 5e-4;
    p.max_steps = 10;
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.seed = 18446744073709551615u;
    p.no_shuffle = true;
    expect_differences(
        p, llama, checkpoint,
        "total_steps was 6, is 10\nmax_steps was 6, is 10\nlearning_rate was 0.001, is 0.0005\n"
        "lr_scheduler_type was linear, is constant\nseed was 42, is 18446744073709551615\n"
        "no_shuffle was false, is true\n");
    p = few_steps(1, 4);
    p.optim = "lion";
    expect_differences(p, llama, checkpoint,
                       "optim was adamw, is lion\nother kernels compute: adamw host then, lion host now\n");

    p = few_steps(1, 4);
    p.alpha_pattern = "v_proj=8";
    expect_differences(p, llama, checkpoint, "the adapter's alpha_pattern was {}, is {\"v_proj\":8}\n");
    p = few_steps(1, 4);
    p.label_smoothing_factor = 0.125;
    expect_differences(p, llama, checkpoint, "label_smoothing_factor was 0, is 0.125\n");
    p = few_steps(1, 4);
    p.bf16 = true;
    expect_differences(p, llama, checkpoint, "bf16 was false, is true\n");
    p = few_steps(1, 4);
    p.neftune_noise_alpha = 5;
    expect_differences(
        p, llama, checkpoint,
        "neftune_noise_alpha was 0, is 5\nother kernels compute: none of these then, add host, mul host, uniform host now\n");

    /* other data, another model of the same shape */
    int32_t others[IDS];
    training_ids(others, IDS);
    others[100] ^= 1;
    tuff_dataset *usual = data;
    KIT_OK(tuff_dataset_from_ids(others, IDS - 16, 16, &data));
    expect_differences(few_steps(1, 4), llama, checkpoint,
                       "the training data is not the same: 210 tokens in 13 examples then, 194 in 12 now\n");
    tuff_dataset_destroy(&data);
    data = usual;
    const char *copy = kit_copy_model(kit_golden("llama"), "other-weights");
    kit_poke_file(kit_join(copy, "model.safetensors"), -16, "\0\0\0\0", 4);
    tuff_model *other = model_open(copy);
    expect_differences(few_steps(1, 4), other, checkpoint,
                       "the model beside the adapter is not the same: its weights are others\n");
    tuff_model_destroy(&other);
    tuff_checkpoint_destroy(&checkpoint);
}

/* Another label of the same text. */
static void other_labels_are_other_data(void **state)
{
    (void)state;
    const char *directory = kit_path("labels");
    tuff_dataset *usual = data, *examples = classified(llama, "one.tsv", LABELLED "maybe\tgood\n"),
                 *others = classified(llama, "other.tsv", LABELLED "maybe\tbad\n");
    data = examples;
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    tuff_trainer_destroy(&trainer);
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    expect_differences(few_steps(1, 4), llama, checkpoint, "");
    data = others;
    expect_differences(few_steps(1, 4), llama, checkpoint,
                       "the training data is not the same: 36 tokens in 6 examples then, 36 in 6 now\n");
    tuff_checkpoint_destroy(&checkpoint);
    data = usual;
    tuff_dataset_destroy(&examples);
    tuff_dataset_destroy(&others);
}

static void what_cannot_go_on_is_refused(void **state)
{
    (void)state;
    const char *directory = kit_path("refused");
    char *lines = NULL;
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL)); /* before the first step, too */
    tuff_trainer_destroy(&trainer);
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    tuff_train_params ia3 = few_steps(1, 0);
    ia3.peft_type = "ia3";
    const struct {
        const tuff_model *model;
        tuff_train_params params;
        const char *part;
    } others[] = {
        {llama, few_steps(1, 0), "is of a training of LORA, this one is of all parameters"},
        {llama, ia3, "is of a training of LORA, this one is of IA3"},
        {llama, few_steps(1, 8), "has other names or shapes there"},
        {gpt2, few_steps(1, 4), "is of another model or adapter"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        trainer = training_of(others[i].model, others[i].params);
        KIT_FAILS(tuff_checkpoint_differences(checkpoint, trainer, &lines), TUFF_INVALID_ARGUMENT,
                  others[i].part);
        KIT_FAILS(tuff_trainer_resume(trainer, checkpoint), TUFF_INVALID_ARGUMENT, others[i].part);
        training_steps(trainer, 1); /* it is as it was */
        tuff_trainer_destroy(&trainer);
    }
    tuff_checkpoint_destroy(&checkpoint);
}

/* ---- damage */

static void expect_damage(const char *directory, tuff_status status, const char *part)
{
    tuff_checkpoint *checkpoint = NULL;
    KIT_FAILS(tuff_checkpoint_open(directory, NULL, &checkpoint), status, part);
    assert_null(checkpoint);
    if (strchr(tuff_error_message(), '\n')) fail_msg("%s", tuff_error_message());
}

static void damage_is_found(void **state)
{
    (void)state;
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "optimizer.safetensors"};
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    training_steps(trainer, 2);
    for (int i = 0; i < 3; i++) {
        const char *directory = kit_path("damaged");
        const char *file = kit_join(directory, files[i]);
        tuff_buf bytes = {0};
        KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
        kit_read_file(file, &bytes);
        bytes.data[bytes.size / 2] ^= 1;
        kit_write_file(file, bytes.data, bytes.size);
        expect_damage(directory, TUFF_BAD_FORMAT, "is not as it was written (its SHA-256 is another)");
        kit_cut_file(file, bytes.size - 1);
        expect_damage(directory, TUFF_BAD_FORMAT, "bytes, and ");
        assert_int_equal(remove(file), 0);
        expect_damage(directory, TUFF_BAD_FORMAT, "is missing");
        tuff_buf_free(&bytes);
    }
    static const struct {
        const char *from, *to;
        tuff_status status;
        const char *part;
    } edits[] = {
        {"\"format\": 1", "\"format\": 2", TUFF_UNSUPPORTED, "is a checkpoint of format 2"},
        {"\"tuff\"", "\"torch\"", TUFF_UNSUPPORTED, "is a checkpoint of another program"},
        {"\"global_step\": 2", "\"global_step\": -2", TUFF_BAD_FORMAT, "after how many steps"},
        {"\"global_step\": 2", "\"global_step\": [2", TUFF_BAD_FORMAT, "is not valid JSON"},
        {"\"adapter_config.json\"", "\"../outside.json\"", TUFF_BAD_FORMAT, "cannot be called"},
        {"\"optimizer.safetensors\"", "\"README.md\"", TUFF_BAD_FORMAT, "README.md is missing"},
        {"\"files\"", "\"fields\"", TUFF_BAD_FORMAT, "no list of the checkpoint's files"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *directory = kit_path("edited");
        KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
        kit_edit_file(kit_join(directory, "trainer_state.json"), edits[i].from, edits[i].to);
        expect_damage(directory, edits[i].status, edits[i].part);
    }
    expect_damage(kit_path("nowhere"), TUFF_NOT_FOUND, "it has no trainer_state.json");
    tuff_trainer_destroy(&trainer);
}

/* ---- which there are */

static void make(const char *parent, const char *name)
{
    const char *path = kit_join(parent, name);
    assert_int_equal(mkdir(path, 0755), 0);
    kit_write_file(kit_join(path, "x"), "x", 1);
}

static void expect_found(const char *out, size_t index, const char *expected)
{
    char *path = NULL;
    if (!expected) {
        KIT_FAILS(tuff_checkpoint_find(out, index, &path), TUFF_NOT_FOUND, "checkpoint");
        return;
    }
    KIT_OK(tuff_checkpoint_find(out, index, &path));
    assert_string_equal(path, kit_join(out, expected));
    tuff_free(path);
}

static void checkpoints_are_listed_and_removed(void **state)
{
    (void)state;
    const char *out = kit_path("list");
    assert_int_equal(mkdir(out, 0755), 0);
    expect_found(out, 0, NULL);
    static const char *const names[] = {"checkpoint-9",  "checkpoint-10",   "checkpoint-100", "checkpoint-09",
                                        "checkpoint-",   "checkpoint-1x",   "checkpoints-5",  "xcheckpoint-5",
                                        ".checkpoint-7", "checkpoint-1 000"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        make(out, names[i]);
    kit_write_file(kit_join(out, "checkpoint-200"), "a file", 6);
    expect_found(out, 0, "checkpoint-100");
    expect_found(out, 1, "checkpoint-10");
    expect_found(out, 2, "checkpoint-9");
    expect_found(out, 3, NULL);
    KIT_OK(tuff_checkpoint_remove(kit_join(out, "checkpoint-10/")));
    expect_found(out, 1, "checkpoint-9");
    KIT_FAILS(tuff_checkpoint_remove(kit_join(out, "checkpoints-5")), TUFF_INVALID_ARGUMENT,
              "is not removed");
    KIT_FAILS(tuff_checkpoint_remove(kit_join(out, "checkpoint-200")), TUFF_INVALID_ARGUMENT,
              "is not removed");
    KIT_FAILS(tuff_checkpoint_remove(out), TUFF_INVALID_ARGUMENT, "is not removed");
    assert_int_equal(tuff_checkpoint_step("a/checkpoint-12//"), 12);
    assert_int_equal(tuff_checkpoint_step("checkpoint-0"), 0);
    assert_int_equal(tuff_checkpoint_step("checkpoint-1234567890123456789"), -1);
    assert_int_equal(tuff_checkpoint_step(NULL), -1);
    KIT_FAILS(tuff_checkpoint_find(kit_path("no such"), 0, &(char *){NULL}), TUFF_NOT_FOUND, "no such");
}

static void what_was_left_is_cleared_away(void **state)
{
    (void)state;
    const char *out = kit_path("left");
    assert_int_equal(mkdir(out, 0755), 0);
    static const char *const names[] = {".checkpoint-3.tuff-stage", ".checkpoint-3.tuff-removed",
                                        "checkpoint-3", ".mine", ".model.tuff-stage"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        make(out, names[i]);
    tuff_stage *busy = NULL;
    KIT_OK(tuff_stage_open(kit_join(out, "checkpoint-4"), &busy));
    tuff_checkpoint_clean(out);
    assert_int_equal(kit_count_entries(out), 4);
    assert_true(tuff_is_directory(tuff_stage_path(busy)));
    tuff_stage_abort(&busy);
    assert_int_equal(kit_count_entries(out), 3);
    tuff_checkpoint_clean(kit_path("no such"));
}

/* ---- killed, and out of room, at every step of the disk */

typedef struct writing {
    tuff_trainer *trainer;
    const char *directory;
} writing;

static tuff_status write_checkpoint(void *user)
{
    const writing *w = user;
    return tuff_trainer_save_checkpoint(w->trainer, w->directory, NULL);
}

static void a_killed_checkpoint_is_whole_or_nothing(void **state)
{
    (void)state;
    int nothing = 0, whole = 0;
    tuff_trainer *trainer = training_of(llama, few_steps(2, 4));
    training_steps(trainer, 1);
    const char *out = kit_path("killed"), *directory = kit_join(out, "checkpoint-1");
    assert_int_equal(mkdir(out, 0755), 0);
    for (int n = 1;; n++) {
        const bool killed = kit_killed_at(n, write_checkpoint, &(writing){trainer, directory});
        const bool there = tuff_is_directory(directory);
        assert_true(there || killed);
        nothing += !there;
        whole += there;
        if (there) {
            tuff_checkpoint *checkpoint = training_checkpoint(directory);
            tuff_checkpoint_destroy(&checkpoint);
            KIT_OK(tuff_checkpoint_remove(directory));
        }
        tuff_checkpoint_clean(out);
        assert_int_equal(kit_count_entries(out), 0);
        if (!killed) break;
    }
    assert_true(nothing >= 15 && whole >= 2);
    tuff_trainer_destroy(&trainer);
}

static tuff_status remove_checkpoint(void *user)
{
    const writing *w = user;
    return tuff_checkpoint_remove(w->directory);
}

static void a_killed_removal_leaves_none_that_is_half(void **state)
{
    (void)state;
    int before = 0, after = 0;
    tuff_trainer *trainer = training_of(llama, few_steps(1, 4));
    training_steps(trainer, 1);
    const char *out = kit_path("removing"), *directory = kit_join(out, "checkpoint-1");
    for (int n = 1;; n++) {
        KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
        const bool killed = kit_killed_at(n, remove_checkpoint, &(writing){NULL, directory});
        const bool there = tuff_is_directory(directory);
        assert_true(!there || killed);
        before += there;
        after += !there;
        if (there) {
            tuff_checkpoint *checkpoint = training_checkpoint(directory);
            tuff_checkpoint_destroy(&checkpoint);
            KIT_OK(tuff_checkpoint_remove(directory));
        }
        tuff_checkpoint_clean(out);
        assert_int_equal(kit_count_entries(out), 0);
        if (!killed) break;
    }
    assert_true(before >= 1 && after >= 5);
    tuff_trainer_destroy(&trainer);
}

static int steps_left;
static int no_room(tuff_disk_step step, const char *path)
{
    if (step == TUFF_DISK_REMOVE) return 0;
    if (--steps_left <= 0) return ENOSPC;
    return kit_never_sync(step, path);
}

/* The one before stays, nothing half is left, and the training can go on. */
static void a_full_disk_keeps_the_last_one(void **state)
{
    (void)state;
    int full = 0;
    const char *out = kit_path("full"), *first = kit_join(out, "checkpoint-1"),
               *second = kit_join(out, "checkpoint-2");
    tuff_trainer *trainer = training_of(llama, few_steps(1, 0));
    training_steps(trainer, 1);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, first, NULL));
    training_steps(trainer, 1);
    for (int n = 1;; n++) {
        steps_left = n;
        tuff_disk_hook = no_room;
        tuff_status status = tuff_trainer_save_checkpoint(trainer, second, NULL);
        tuff_disk_hook = kit_never_sync;
        if (status == TUFF_OK) break;
        KIT_FAILS(status, TUFF_IO, "No space left");
        if (strstr(tuff_error_message(), ".tuff") || strchr(tuff_error_message(), '\n'))
            fail_msg("step %d: %s", n, tuff_error_message());
        assert_int_equal(kit_count_entries(out), 1);
        full++;
    }
    assert_true(full >= 15);
    assert_int_equal(kit_count_entries(out), 2);
    tuff_checkpoint *checkpoint = training_checkpoint(first);
    tuff_checkpoint_destroy(&checkpoint);
    training_steps(trainer, 1);
    tuff_trainer_destroy(&trainer);
}

/* ---- after a failure */

static void a_failed_step_is_taken_back(void **state)
{
    (void)state;
    tuff_device failing = failing_device_open();
    const char *directory = kit_path("failed");
    tuff_train_params p = few_steps(2, 4);
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create(llama, &failing, data, &p, &trainer));
    training_steps(trainer, 2);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    double loss = training_steps(trainer, 1);
    failing_runs = 2;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_DEVICE_LOST, "the device is lost");
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_INVALID_ARGUMENT, "go on from a checkpoint");
    KIT_FAILS(tuff_trainer_save_checkpoint(trainer, kit_path("never"), NULL), TUFF_INVALID_ARGUMENT,
              "a step failed on its way");
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    KIT_OK(tuff_trainer_resume(trainer, checkpoint));
    tuff_checkpoint_destroy(&checkpoint);
    assert_true(training_steps(trainer, 1) == loss);
    tuff_trainer_destroy(&trainer);
    failing_device_close(&failing);
}

typedef struct job {
    const char *directory;
    int64_t rank;
} job;

static tuff_status save_and_resume(void *user)
{
    const job *j = user;
    tuff_trainer *trainer = NULL;
    tuff_checkpoint *checkpoint = NULL;
    char *lines = NULL;
    const tuff_train_params p = few_steps(1, j->rank);
    tuff_status status = tuff_trainer_create(llama, device, data, &p, &trainer);
    if (status == TUFF_OK) status = tuff_trainer_save_checkpoint(trainer, j->directory, NULL);
    if (status == TUFF_OK) status = tuff_checkpoint_open(j->directory, NULL, &checkpoint);
    if (status == TUFF_OK) status = tuff_checkpoint_differences(checkpoint, trainer, &lines);
    if (status == TUFF_OK) status = tuff_trainer_resume(trainer, checkpoint);
    tuff_free(lines);
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&trainer);
    return status;
}

static void memory_may_be_short(void **state)
{
    (void)state;
    for (int64_t rank = 0; rank <= 4; rank += 4) {
        job j = {kit_path(rank ? "short-lora" : "short-full"), rank};
        model_fail_some_allocations(save_and_resume, &j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_trainings_go_on),
        cmocka_unit_test(adapters_go_on),
        cmocka_unit_test(every_optimizer_goes_on),
        cmocka_unit_test(noise_goes_on),
        cmocka_unit_test(frozen_trainings_go_on),
        cmocka_unit_test(tasks_go_on),
        cmocka_unit_test(a_checkpoint_says_what_it_is),
        cmocka_unit_test(what_differs_is_said),
        cmocka_unit_test(other_labels_are_other_data),
        cmocka_unit_test(what_cannot_go_on_is_refused),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(checkpoints_are_listed_and_removed),
        cmocka_unit_test(what_was_left_is_cleared_away),
        cmocka_unit_test(a_killed_checkpoint_is_whole_or_nothing),
        cmocka_unit_test(a_killed_removal_leaves_none_that_is_half),
        cmocka_unit_test(a_full_disk_keeps_the_last_one),
        cmocka_unit_test(a_failed_step_is_taken_back),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
