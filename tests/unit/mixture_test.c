/* Data sets that are mixed by weights: how much of each an epoch has, its order, what is learned of it. */
#include "train/mixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model_fixture.h"
#include "train/trainer.h"

static tuff_device *device;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

/* A text of so many blocks of 4 tokens, which begin with `first`, `first` + 1, ... */
static tuff_dataset *text_of(int blocks, int32_t first)
{
    enum { BLOCK = 4, MOST = 64 };
    int32_t ids[MOST * BLOCK];
    tuff_dataset *data = NULL;
    for (int i = 0; i < blocks * BLOCK; i++)
        ids[i] = i % BLOCK ? 3 : first + i / BLOCK;
    KIT_OK(tuff_dataset_from_ids(ids, (size_t)(blocks * BLOCK), BLOCK, &data));
    return data;
}

/* A mixture of texts of these many blocks. */
static tuff_dataset *mix_of(const int *blocks, const double *weights, size_t n, tuff_mixture_end ending)
{
    tuff_dataset *parts[8] = {NULL}, *out = NULL;
    for (size_t i = 0; i < n; i++)
        parts[i] = text_of(blocks[i], (int32_t)(10 + 100 * i));
    KIT_OK(tuff_dataset_mix((const tuff_dataset *const *)parts, weights, n, ending, &out));
    for (size_t i = 0; i < n; i++)
        tuff_dataset_destroy(&parts[i]);
    return out;
}

static void epochs_are_as_long_as_the_weights_say(void **state)
{
    (void)state;
    static const struct {
        int blocks[3];
        double weights[3];
        size_t n;
        tuff_mixture_end ending;
        int64_t shares[3];
    } cases[] = {
        {{10, 30}, {1, 1}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, {30, 30}},
        {{10, 30}, {1, 1}, 2, TUFF_MIXTURE_FIRST_EXHAUSTED, {10, 10}},
        {{10, 30}, {0.25, 0.75}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, {10, 30}},
        {{10, 30}, {0.7, 0.3}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, {70, 30}},
        {{10, 30}, {0.7, 0.3}, 2, TUFF_MIXTURE_FIRST_EXHAUSTED, {10, 4}},
        {{5, 7, 9}, {3, 2, 1}, 3, TUFF_MIXTURE_ALL_EXHAUSTED, {27, 18, 9}},
        {{5, 7, 9}, {1. / 3, 1. / 3, 1. / 3}, 3, TUFF_MIXTURE_ALL_EXHAUSTED, {9, 9, 9}},
        {{8}, {0.1}, 1, TUFF_MIXTURE_ALL_EXHAUSTED, {8}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tuff_dataset *data = mix_of(cases[c].blocks, cases[c].weights, cases[c].n, cases[c].ending);
        int64_t examples, share, all = 0;
        for (size_t i = 0; i < cases[c].n; i++) {
            assert_true(tuff_dataset_mixed(data, i, &examples, &share));
            assert_int_equal(examples, cases[c].blocks[i]);
            assert_int_equal(share, cases[c].shares[i]);
            all += share;
        }
        assert_false(tuff_dataset_mixed(data, cases[c].n, &examples, &share));
        assert_int_equal(tuff_dataset_blocks(data), all);
        tuff_dataset_destroy(&data);
    }
}

enum { EPOCH = 14, SMALL = 10, LARGE = 30, OF_SMALL = 10, OF_LARGE = 4 };

/* Part of each example, and how often each comes in so many epochs. */
static void count_examples(const tuff_mixture *m, int64_t epochs, int *counts)
{
    uint32_t room[LARGE], order[EPOCH];
    memset(counts, 0, (SMALL + LARGE) * sizeof *counts);
    for (int64_t e = 0; e < epochs; e++) {
        int of_small = 0;
        tuff_mixture_order(m, 7, e, true, room, order);
        for (int i = 0; i < EPOCH; i++) {
            assert_true(order[i] < SMALL + LARGE);
            of_small += order[i] < SMALL;
            counts[order[i]]++;
        }
        assert_int_equal(of_small, OF_SMALL);
    }
}

/* A part that an epoch has not room for is gone through in several, each example as often as others. */
static void parts_go_on_from_epoch_to_epoch(void **state)
{
    (void)state;
    tuff_dataset *data = mix_of((int[]){SMALL, LARGE}, (double[]){0.7, 0.3}, 2, TUFF_MIXTURE_FIRST_EXHAUSTED);
    const tuff_mixture *m = data->mixture;
    int counts[SMALL + LARGE];
    assert_int_equal(m->epoch, EPOCH);
    count_examples(m, 15, counts); /* twice through the large one */
    for (int i = 0; i < SMALL + LARGE; i++)
        assert_int_equal(counts[i], i < SMALL ? 15 : 2);
    count_examples(m, 7, counts);
    for (int i = SMALL; i < SMALL + LARGE; i++)
        assert_true(counts[i] <= 1);
    tuff_dataset_destroy(&data);
}

static void orders_are_drawn_from_the_seed(void **state)
{
    (void)state;
    tuff_dataset *data = mix_of((int[]){SMALL, LARGE}, (double[]){0.7, 0.3}, 2, TUFF_MIXTURE_FIRST_EXHAUSTED);
    uint32_t room[LARGE], a[EPOCH], b[EPOCH];
    tuff_mixture_order(data->mixture, 7, 2, true, room, a);
    tuff_mixture_order(data->mixture, 7, 3, true, room, b);
    assert_memory_not_equal(a, b, sizeof a);
    tuff_mixture_order(data->mixture, 8, 2, true, room, b);
    assert_memory_not_equal(a, b, sizeof a);
    tuff_mixture_order(data->mixture, 7, 2, true, room, b);
    assert_memory_equal(a, b, sizeof a);
    tuff_mixture_order(data->mixture, 7, 0, false, room, b);
    uint32_t next[2] = {0,
                        SMALL}; /* each part in its own order, in turns: never two places behind its share */
    for (int i = 0, seen = 0; i < EPOCH; i++) {
        const int part = b[i] >= SMALL;
        assert_int_equal(b[i], next[part]++);
        seen += part;
        assert_true(fabs(seen - (double)(i + 1) * OF_LARGE / EPOCH) <= 1);
    }
    tuff_dataset_destroy(&data);
}

/* The trainer's batches are those of the order, and its losses those of the examples themselves. */
static void trainers_take_the_order(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_dataset *data = mix_of((int[]){3, 6}, (double[]){1, 1}, 2, TUFF_MIXTURE_ALL_EXHAUSTED);
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.per_device_train_batch_size = 12;
    p.num_train_epochs = 2;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    assert_int_equal(tuff_trainer_total_steps(trainer), 2);
    int counts[9] = {0};
    const tuff_batch batch = tuff_trainer_take_batch(trainer, 0, 0);
    assert_int_equal(batch.count, 12);
    for (int i = 0; i < 12; i++)
        counts[batch.examples[i]]++;
    for (int i = 0; i < 9; i++)
        assert_int_equal(counts[i], i < 3 ? 2 : 1);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(trainer, &step));
    assert_true(step.epoch == 1 && step.loss > 0 && step.tokens == 48);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* A model of the goldens; encoders get the tokenizer of records. */
static tuff_model *model_of(const char *name)
{
    tuff_model *model = NULL;
    if (strncmp(name, "bert", 4) != 0) return model_open(name);
    const char *path = kit_copy_model(kit_golden(name), name), *from = kit_golden("tasks");
    kit_copy_file(kit_join(from, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(kit_join(from, "tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

static tuff_dataset *read(const tuff_model *model, const char *task, const char *name, const char *records,
                          const tuff_dataset *like)
{
    const char *file = kit_path(name);
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    kit_write_file(file, records, strlen(records));
    p.task = task;
    p.training = true;
    p.like = like;
    p.max_length = 20;
    p.block_size = 8;
    KIT_OK(tuff_dataset_load(model, file, &p, &data));
    return data;
}

static const char answers[] = "{\"prompt\": \"one two\", \"completion\": \" three\"}\n"
                              "{\"prompt\": \"four\", \"completion\": \" five six seven\"}\n";

static double loss_of(const tuff_model *model, const tuff_dataset *data, int64_t *out_tokens)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_evaluate(model, device, data, NULL, &result));
    *out_tokens = result.tokens;
    return result.loss * (double)result.tokens;
}

/* A text's blocks, of which every token is learned, beside answers, of which the prompts are not. */
static void texts_stand_beside_conversations(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    static const char words[] = "The river was long and the bridge was old, and in the morning it rains.";
    for (int packed = 0; packed < 2; packed++) {
        tuff_dataset *text = read(model, "causal-lm", "text.txt", words, NULL), *mixed = NULL;
        tuff_data_params p = TUFF_DATA_PARAMS_INIT;
        tuff_dataset *chat = NULL;
        kit_write_file(kit_path("chat.jsonl"), answers, sizeof answers - 1);
        p.task = "sft";
        p.packing = packed;
        p.max_length = 64;
        KIT_OK(tuff_dataset_load(model, kit_path("chat.jsonl"), &p, &chat));
        const tuff_dataset *const parts[] = {text, chat};
        KIT_OK(tuff_dataset_mix(parts, (double[]){1, 1}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, &mixed));
        assert_string_equal(mixed->task->name, "sft");
        int64_t tokens, a, b, blocks = tuff_dataset_blocks(text), examples, share;
        tuff_dataset *whole = NULL;
        KIT_OK(tuff_dataset_from_ids(text->ids, (size_t)(blocks * 8), 8, &whole));
        const double sum = loss_of(model, whole, &a) + loss_of(model, chat, &b);
        const double found = loss_of(model, mixed, &tokens);
        assert_int_equal(tokens, a + b);
        assert_true(fabs(found - sum) < 1e-5 * sum);
        assert_true(tuff_dataset_mixed(mixed, 1, &examples, &share));
        assert_int_equal(examples, packed ? 1 : 2);
        tuff_data_report report = TUFF_DATA_REPORT_INIT;
        KIT_OK(tuff_dataset_get_report(mixed, &report));
        assert_int_equal(report.rows, packed ? blocks + 1 : 0);
        tuff_dataset_destroy(&whole);
        tuff_dataset_destroy(&mixed);
        tuff_dataset_destroy(&text);
        tuff_dataset_destroy(&chat);
    }
    tuff_model_destroy(&model);
}

/* What examples have beside their tokens goes with them. */
static void labels_go_with_their_examples(void **state)
{
    (void)state;
    static const struct {
        const char *model, *task, *first, *second;
    } cases[] = {
        {"bert-classes", "classification",
         "{\"text\": \"w5 w6\", \"label\": \"ant\"}\n{\"text\": \"w7\", \"label\": \"bee\"}\n",
         "{\"text\": \"w8 w9 w5\", \"label\": \"bee\"}\n"},
        {"bert-tokens", "token-classification",
         "{\"tokens\": [\"w5\", \"w6\"], \"labels\": [\"O\", \"B-PER\"]}\n",
         "{\"tokens\": [\"w7\", \"w8\", \"w5\"], \"labels\": [\"B-PER\", \"O\", \"O\"]}\n"},
        {"bert-mlm", "mlm", "{\"text\": \"w5 w6 w7 w8\"}\n", "{\"text\": \"w8 w9 w5 w6 w7\"}\n"},
        {"t5", "seq2seq", "{\"source\": \"the cat\", \"target\": \"a dog\"}\n",
         "{\"source\": \"two\", \"target\": \"one\"}\n"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tuff_model *model = model_of(cases[c].model);
        const bool labels = strstr(cases[c].task, "class") != NULL;
        char both[1024];
        snprintf(both, sizeof both, "%s%s", cases[c].first, cases[c].second);
        tuff_dataset *a = read(model, cases[c].task, "a.jsonl", cases[c].first, NULL),
                     *b = read(model, cases[c].task, "b.jsonl", cases[c].second, labels ? a : NULL),
                     *all = read(model, cases[c].task, "all.jsonl", both, NULL), *mixed = NULL;
        const tuff_dataset *const parts[] = {a, b};
        KIT_OK(tuff_dataset_mix(parts, (double[]){1, 1}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, &mixed));
        assert_int_equal(mixed->tokens, all->tokens);
        assert_memory_equal(mixed->ids, all->ids, (size_t)all->tokens * sizeof *all->ids);
        assert_memory_equal(mixed->starts, all->starts, (size_t)(all->sequences + 1) * sizeof *all->starts);
        if (all->task->hash) {
            tuff_sha256 hashes[2];
            char of_mixed[65], of_all[65];
            for (int i = 0; i < 2; i++)
                tuff_sha256_init(&hashes[i]);
            all->task->hash(mixed, &hashes[0]);
            all->task->hash(all, &hashes[1]);
            tuff_sha256_hex(&hashes[0], of_mixed);
            tuff_sha256_hex(&hashes[1], of_all);
            assert_string_equal(of_mixed, of_all);
        }
        tuff_dataset_destroy(&mixed);
        tuff_dataset_destroy(&all);
        tuff_dataset_destroy(&b);
        tuff_dataset_destroy(&a);
        tuff_model_destroy(&model);
    }
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    tuff_model *model = model_of("bert-classes");
    tuff_dataset *text = text_of(3, 10), *tiny = text_of(1, 10), *mixed = NULL, *out = NULL;
    tuff_dataset *a = read(model, "classification", "a.jsonl",
                           "{\"text\": \"w5\", \"label\": \"ant\"}\n{\"text\": \"w7\", \"label\": \"bee\"}\n",
                           NULL),
                 *b = read(model, "classification", "b.jsonl",
                           "{\"text\": \"w5\", \"label\": \"cow\"}\n{\"text\": \"w7\", \"label\": \"dog\"}\n",
                           NULL);
    const tuff_dataset *parts[] = {text, a}, *labels[] = {a, b}, *texts[] = {text, tiny}, *twice[] = {NULL};
    double weights[] = {1, 1};
    const tuff_mixture_end all = TUFF_MIXTURE_ALL_EXHAUSTED;
    KIT_FAILS(tuff_dataset_mix(parts, weights, 2, all, &out), TUFF_INVALID_ARGUMENT,
              "part 2 of the mixture is of");
    KIT_FAILS(tuff_dataset_mix(labels, weights, 2, all, &out), TUFF_INVALID_ARGUMENT,
              "its labels are cow, dog");
    assert_null(out);
    KIT_FAILS(tuff_dataset_mix(texts, weights, 0, all, &out), TUFF_INVALID_ARGUMENT, "0 parts");
    KIT_FAILS(tuff_dataset_mix(texts, weights, 2, (tuff_mixture_end)2, &out), TUFF_INVALID_ARGUMENT, "is 2");
    weights[1] = 0;
    KIT_FAILS(tuff_dataset_mix(texts, weights, 2, all, &out), TUFF_INVALID_ARGUMENT, "is 0, expected");
    weights[1] = NAN;
    KIT_FAILS(tuff_dataset_mix(texts, weights, 2, all, &out), TUFF_INVALID_ARGUMENT, "expected a number");
    weights[1] = 1e-8;
    KIT_FAILS(tuff_dataset_mix(texts, weights, 2, TUFF_MIXTURE_FIRST_EXHAUSTED, &out), TUFF_INVALID_ARGUMENT,
              "none of them is of part 2");
    weights[0] = 1e-10;
    weights[1] = 100;
    KIT_FAILS(tuff_dataset_mix(texts, weights, 2, all, &out), TUFF_INVALID_ARGUMENT, "too far from");
    weights[0] = weights[1] = 1;
    KIT_OK(tuff_dataset_mix(texts, weights, 2, all, &mixed));
    twice[0] = mixed;
    KIT_FAILS(tuff_dataset_mix(twice, weights, 1, all, &out), TUFF_INVALID_ARGUMENT, "a mixture itself");
    tuff_dataset_destroy(&mixed);
    tuff_dataset_destroy(&a);
    tuff_dataset_destroy(&b);
    tuff_dataset_destroy(&text);
    tuff_dataset_destroy(&tiny);
    tuff_model_destroy(&model);
}

static tuff_status mix_all(void *user)
{
    tuff_dataset *out = NULL;
    const tuff_status status = tuff_dataset_mix(user, (double[]){1, 1}, 2, TUFF_MIXTURE_ALL_EXHAUSTED, &out);
    tuff_dataset_destroy(&out);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_dataset *text = read(model, "causal-lm", "text.txt", "The river was long, and the bridge was old.",
                              NULL),
                 *chat = read(model, "sft", "chat.jsonl", answers, NULL);
    const tuff_dataset *parts[] = {text, chat};
    assert_true(kit_for_each_allocation_failure(mix_all, parts) > 5);
    tuff_dataset_destroy(&text);
    tuff_dataset_destroy(&chat);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_are_as_long_as_the_weights_say),
        cmocka_unit_test(parts_go_on_from_epoch_to_epoch),
        cmocka_unit_test(orders_are_drawn_from_the_seed),
        cmocka_unit_test(trainers_take_the_order),
        cmocka_unit_test(texts_stand_beside_conversations),
        cmocka_unit_test(labels_go_with_their_examples),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
