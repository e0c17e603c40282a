/* Tasks of records: what their data may be, heads that are new, what batches cost, figures. */
#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "formats/safetensors.h"
#include "kit/files.h"
#include "kit/kit.h"
#include "models/heads/head.h"
#include "train/figures.h"
#include "train/labels.h"
#include "train/line_ends.h"
#include "train/squad.h"
#include "train/trainer.h"

static tuff_device *device;
static tuff_model *base, *classes, *tokens, *spans, *masked;

static tuff_model *load(const char *name)
{
    tuff_model *model = NULL;
    const char *path = kit_copy_model(kit_golden(name), name), *from = kit_golden("tasks");
    kit_copy_file(kit_join(from, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(kit_join(from, "tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

static const char *file_of(const char *name, const char *text)
{
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    return path;
}

static tuff_data_params task_of(const char *task, bool training)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = task;
    p.training = training;
    return p;
}

static tuff_dataset *read(const tuff_model *model, const char *path, tuff_data_params p)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load(model, path, &p, &data));
    return data;
}

/* ---- what is refused */

typedef struct mistake {
    const char *task;
    tuff_model **model;
    bool training;
    const char *name, *text;
    tuff_status status;
    const char *part;
} mistake;

static const mistake mistakes[] = {
    {"classification", &classes, false, "a.tsv", "text\tlabel\nw5 w6\tbad\nw7\tnope\n", TUFF_BAD_FORMAT,
     "a.tsv, line 3: its label \"nope\" is none of bad, so so, good"},
    {"classification", &base, false, "a.tsv", "text\tlabel\nw5\tbad\n", TUFF_UNSUPPORTED,
     "a classifier of sequences is needed to be measured; the head of this model is: none"},
    {"token-classification", &classes, false, "a.jsonl", "{\"tokens\": [\"w5\"], \"labels\": [\"O\"]}\n",
     TUFF_UNSUPPORTED, "a classifier of tokens is needed"},
    {"classification", &base, true, "a.tsv", "text\tlabel\nw5\tbad\n\tgood\n", TUFF_BAD_FORMAT,
     "line 3: its text is empty"},
    {"classification", &base, true, "a.tsv", "text\tlabel\nw5\tbad\nw6\n", TUFF_BAD_FORMAT, "line 3"},
    {"classification", &base, true, "a.tsv", "text\tlabel\nw5\tbad\nw6\t\n", TUFF_BAD_FORMAT,
     "line 3: its label is empty"},
    {"classification", &base, true, "a.tsv", "text\tclass\nw5\tbad\n", TUFF_INVALID_ARGUMENT,
     "has no column \"label\""},
    {"classification", &base, true, "a.tsv", "text\tlabel\nw5\tbad\nw6\tbad\n", TUFF_INVALID_ARGUMENT,
     "all examples have the label \"bad\"; there is nothing to tell apart"},
    {"classification", &base, true, "a.tsv", "text\tlabel\n", TUFF_INVALID_ARGUMENT, "has no records"},
    {"classification", &base, true, "a.jsonl",
     "{\"text\": \"w5\", \"label\": []}\n{\"text\": \"w6\", \"label\": []}\n", TUFF_INVALID_ARGUMENT,
     "a.jsonl: none of its 2 examples has a label: their lists are all empty"},
    {"token-classification", &base, true, "a.jsonl", "{\"tokens\": [\"w5\"], \"labels\": [-100]}\n",
     TUFF_INVALID_ARGUMENT, "a.jsonl: none of its words has a label (all are -100)"},
    {"classification", &base, true, "a.jsonl", "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": \"w6\"\n",
     TUFF_BAD_FORMAT, "line 2"},
    {"classification", &base, true, "a.jsonl", "{\"text\": \"w5\"}\n", TUFF_BAD_FORMAT,
     "its \"label\" is missing"},
    {"classification", &base, true, "a.jsonl",
     "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": \"w6\", \"label\": [\"b\"]}\n", TUFF_BAD_FORMAT,
     "line 2: its label is a list, those before it are not"},
    {"token-classification", &base, true, "a.jsonl", "{\"tokens\": [\"w5\"], \"labels\": [\"O\", \"P\"]}\n",
     TUFF_BAD_FORMAT, "line 1: it has 1 words and 2 labels"},
    {"token-classification", &base, true, "a.jsonl", "{\"tokens\": \"w5\", \"labels\": \"O\"}\n",
     TUFF_BAD_FORMAT, "must be lists"},
    {"token-classification", &tokens, false, "a.jsonl", "{\"tokens\": [\"w5\"], \"labels\": [\"X\"]}\n",
     TUFF_BAD_FORMAT, "its label \"X\" is none of O, B-PER"},
    {"qa", &base, true, "a.jsonl",
     "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w7\"], \"answer_start\": [9]}}\n",
     TUFF_BAD_FORMAT, "line 1: its answer \"w7\" begins at character 9"},
    {"qa", &base, true, "a.jsonl", "{\"question\": \"\", \"context\": \"w6\", \"answers\": []}\n",
     TUFF_BAD_FORMAT, "its question is empty"},
    {"qa", &base, true, "a.jsonl", "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": 7}\n",
     TUFF_BAD_FORMAT, "its answers are neither an object nor a list"},
    {"mlm", &base, true, "a.txt", "\n\n", TUFF_INVALID_ARGUMENT, "has no records"},
    {"translation", &base, true, "a.txt", "w5\n", TUFF_UNSUPPORTED,
     "there is no task \"translation\"; Tuff has"},
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const mistake *m = &mistakes[i];
        tuff_data_params p = task_of(m->task, m->training);
        tuff_dataset *data = NULL;
        const char *path = file_of(m->name, m->text);
        p.strict = true;
        KIT_FAILS(tuff_dataset_load(*m->model, path, &p, &data), m->status, m->part);
        assert_null(data);
    }
}

/* Without `strict` records that are none are left out, and nothing of them is left. */
static const struct {
    const char *task;
    bool new_head;
    const char *name, *text;
    int64_t examples, malformed;
} counted[] = {
    {"classification", true, "a.tsv",
     "text\tlabel\nw5\tbad\n\tawful\nw6\nw7\t\n\xff\xfe\tlatin\nw5 w6\tgood\r\n", 2, 4},
    {"classification", true, "a.jsonl",
     "7\n{\"text\": \"w5\", \"label\": [\"a\", 7, null]}\n{\"text\": \"w5\", \"label\": [\"\"]}\n"
     "{\"text\": \"w5\", \"label\": \"yes\"}\n{\"text\": \"w6\", \"label\": [\"b\"]}\n"
     "{\"text\": \"w5\", \"label\": \"no\"}\n",
     2, 4},
    {"classification", false, "a.csv", "text,label\nw5,bad\nw6,\"[\"\nw7,good\n\"w8\n", 2, 2},
    {"token-classification", true, "a.jsonl",
     "{\"tokens\": [\"w5\", \"w6\"], \"labels\": [\"X\", true]}\n{\"tokens\": \"w5\", \"labels\": [1]}\n"
     "{\"tokens\": [\"w5\"], \"labels\": [\"Y\", \"X\"]}\n{\"tokens\": [\"w5\"], \"labels\": [\"O\"]}\n"
     "{\"tokens\": [1], \"labels\": [\"X\"]}\n{\"tokens\": [\"w5\"], \"labels\": [\"P\"]}\n",
     2, 4},
    {"qa", true, "a.jsonl",
     "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w7\"], \"answer_start\": [3]}}\n"
     "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w6\", \"w7\"], "
     "\"answer_start\": [1, 9]}}\n"
     "{\"question\": \"\", \"context\": \"w6\", \"answers\": []}\n{\"question\": \"w5\"}\n"
     "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": []}\n",
     2, 3},
    {"mlm", true, "a.txt", "w5 w6\n\n\xe9t\xe9\nw7\r\n", 2, 1},
    {"mlm", true, "a.json", "[{\"text\": \"w5\"}, {\"text\": null}, 7, {\"text\": \"w6\"}]", 2, 2},
};

static void records_that_are_none_are_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        tuff_data_report r = TUFF_DATA_REPORT_INIT;
        const char *path = file_of(counted[i].name, counted[i].text), *name;
        tuff_dataset *data = read(counted[i].new_head ? base : classes, path, task_of(counted[i].task, true));
        int64_t n, labels = 0;
        KIT_OK(tuff_dataset_get_report(data, &r));
        if (r.examples != counted[i].examples || r.malformed != counted[i].malformed)
            fail_msg("file %zu has %lld examples and %lld malformed ones", i, (long long)r.examples,
                     (long long)r.malformed);
        assert_int_equal(r.windows_lines, strchr(counted[i].text, '\r') != NULL);
        while (counted[i].new_head && tuff_dataset_label(data, (size_t)labels, &name, &n))
            labels++;
        assert_true(!labels || labels == 2); /* none is of what was left out */
        assert_int_equal(data->starts[data->sequences], data->tokens);
        tuff_dataset_destroy(&data);
    }
}

static void lines_of_windows_are_turned(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"", ""},        {"a\n", "a\n"},         {"\r\n", "\n"},
        {"a\r", "a\r"},  {"\r\r\n\n", "\r\n\n"}, {"a\r\nb\rc\r\n", "a\nb\rc\n"},
        {"\n\r", "\n\r"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[16];
        size_t size = strlen(texts[i][0]);
        memcpy(text, texts[i][0], size);
        const size_t turned = tuff_turn_line_ends(text, &size);
        assert_int_equal(size, strlen(texts[i][1]));
        assert_int_equal(turned, strlen(texts[i][0]) - size);
        assert_memory_equal(text, texts[i][1], size);
    }
}

/* Rows that end as on Windows are those of other systems, within cells too. */
static void line_ends_of_windows_are_turned(void **state)
{
    (void)state;
    static const char *const texts[] = {"text,label\n\"w5\nw6\",bad\nw7,good\n",
                                        "text,label\r\n\"w5\r\nw6\",bad\r\nw7,good\r\n"};
    tuff_dataset *data[2];
    for (int i = 0; i < 2; i++)
        data[i] = read(base, file_of("lines.csv", texts[i]), task_of("classification", true));
    assert_int_equal(data[0]->windows_lines, 0);
    assert_int_equal(data[1]->windows_lines, 4);
    assert_int_equal(data[0]->tokens, data[1]->tokens);
    assert_memory_equal(data[0]->ids, data[1]->ids, (size_t)data[0]->tokens * sizeof *data[0]->ids);
    tuff_dataset_destroy(&data[0]);
    tuff_dataset_destroy(&data[1]);
}

static char heard[512];

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_WARN) snprintf(heard, sizeof heard, "%s", message);
}

/* They are trained as they are, and a file whose places are bytes is not noticed otherwise. */
static void answers_that_are_elsewhere_are_told(void **state)
{
    (void)state;
    const char *path = file_of(
        "q.jsonl",
        "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w7\"], \"answer_start\": [3]}}\n"
        "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w7\"], \"answer_start\": [2]}}\n");
    heard[0] = 0;
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    tuff_dataset *data = read(base, path, task_of("qa", true));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(
        strstr(heard, "1 of 2 answers are not in their contexts where answer_start says, first in line 2"));
    tuff_dataset_destroy(&data);
}

static void settings_are_checked(void **state)
{
    (void)state;
    const char *path = file_of("b.tsv", "text\tlabel\nw5\t1\nw6\t0\n");
    tuff_data_params p = task_of("classification", true);
    tuff_dataset *data = NULL;
    p.problem_type = "guessing";
    KIT_FAILS(tuff_dataset_load(base, path, &p, &data), TUFF_INVALID_ARGUMENT,
              "problem_type is \"guessing\"");
    p.problem_type = NULL;
    p.max_length = 21;
    KIT_FAILS(tuff_dataset_load(base, path, &p, &data), TUFF_INVALID_ARGUMENT, "only 20 positions");
    tuff_model *rotary = NULL;
    KIT_OK(tuff_model_load(kit_golden("modernbert-classes"), &rotary));
    p.max_length = 33;
    KIT_FAILS(tuff_dataset_load(rotary, path, &p, &data), TUFF_INVALID_ARGUMENT, "only 32 positions");
    tuff_model_destroy(&rotary);
    p = task_of("mlm", true);
    p.mlm_probability = 1.5;
    KIT_FAILS(tuff_dataset_load(base, path, &p, &data), TUFF_INVALID_ARGUMENT, "mlm_probability is 1.5");
}

/* ---- new heads */

static tuff_train_params few_steps(int64_t steps, uint64_t seed)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = steps;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 1e-2;
    p.seed = seed;
    p.dropout = TUFF_DROPOUT_NONE;
    return p;
}

/* Trains from the bare layers and saves; the mean loss of the last step. */
static double train_new(const tuff_dataset *data, uint64_t seed, const char *directory)
{
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_train_params p = few_steps(6, seed);
    KIT_OK(tuff_trainer_create(base, device, data, &p, &trainer));
    assert_non_null(trainer->own_model);
    for (int64_t i = 0; i < p.max_steps; i++)
        KIT_OK(tuff_trainer_step(trainer, &step));
    KIT_OK(tuff_trainer_save(trainer, directory));
    tuff_trainer_destroy(&trainer);
    return step.loss;
}

static void new_heads_are_saved_with_their_labels(void **state)
{
    (void)state;
    const char *path = file_of("c.jsonl", "{\"text\": \"w5 w6 w7\", \"label\": \"zebra\"}\n"
                                          "{\"text\": \"w8\", \"label\": \"ant\"}\n"
                                          "{\"text\": \"w9 w10\", \"label\": 3}\n");
    tuff_dataset *data = read(base, path, task_of("classification", true));
    const char *to = kit_path("new-head");
    double loss = train_new(data, 7, to);
    assert_true(loss == train_new(data, 7, kit_path("new-head-again"))); /* from the seed alone */
    assert_true(loss != train_new(data, 8, kit_path("new-head-other")));
    tuff_dataset_destroy(&data);

    tuff_model *saved = NULL;
    char scratch[TUFF_LABEL_SIZE];
    KIT_OK(tuff_model_load(to, &saved));
    assert_true(tuff_config_has_head(&saved->config, &tuff_head_classes));
    assert_int_equal(saved->config.labels, 3);
    assert_int_equal(saved->config.problem, TUFF_PROBLEM_SINGLE_LABEL);
    assert_true(tuff_view_is(tuff_model_label(saved, 1, scratch), "ant"));
    assert_true(tuff_view_is(tuff_model_label(saved, 2, scratch), "zebra"));
    data = read(saved, path, task_of("classification", false));
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_evaluate(saved, device, data, NULL, &result));
    assert_int_equal(result.tokens, 3);
    assert_int_equal(result.count, 9);
    assert_string_equal(result.figures[0].name, "accuracy");
    assert_true(result.perplexity == 0 && result.loss > 0);
    KIT_FAILS(tuff_evaluate(classes, device, data, NULL, &result), TUFF_INVALID_ARGUMENT,
              "its labels are not those of the data");
    KIT_FAILS(
        tuff_evaluate(spans, device, data, NULL, &result), TUFF_UNSUPPORTED,
        "a model for sequence classification is needed here; the head of this one is: question answering");
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&saved);
}

/* Numbers of labels are theirs where the model has names. */
static void labels_of_the_model_stay(void **state)
{
    (void)state;
    const char *path = file_of("d.tsv", "text\tlabel\nw5\t2\nw6\t0\n");
    tuff_dataset *data = read(classes, path, task_of("classification", true));
    tuff_trainer *trainer = NULL;
    tuff_train_params p = few_steps(1, 1);
    KIT_OK(tuff_trainer_create(classes, device, data, &p, &trainer));
    assert_null(trainer->own_model);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* The adapter's directory and the model that it was trained beside are the model that was trained: it
 * measures the same, and its labels have their names. */
static void comes_back(const tuff_model *beside, const tuff_model *with_head, const char *adapter,
                       const char *file, const tuff_eval_result *trained)
{
    char one[TUFF_LABEL_SIZE], other[TUFF_LABEL_SIZE];
    tuff_model *adapted = NULL;
    tuff_eval_result again = TUFF_EVAL_RESULT_INIT;
    tuff_eval_params params = TUFF_EVAL_PARAMS_INIT;
    KIT_OK(tuff_model_adapted(beside, adapter, &adapted));
    assert_non_null(adapted);
    for (int64_t i = 0; i < 3; i++) {
        tuff_view wanted = tuff_model_label(with_head, i, one), found = tuff_model_label(adapted, i, other);
        assert_int_equal(found.size, wanted.size);
        assert_memory_equal(found.data, wanted.data, wanted.size);
    }
    tuff_dataset *data = read(adapted, file, task_of("classification", false));
    params.adapter = adapter;
    params.batch_size = 1;
    KIT_OK(tuff_evaluate(adapted, device, data, &params, &again));
    assert_true(fabs(again.loss - trained->loss) < 1e-6 * trained->loss);
    /* without the adapter it is another model */
    KIT_OK(tuff_evaluate(adapted, device, data, NULL, &again));
    assert_true(fabs(again.loss - trained->loss) > 1e-3);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&adapted);
    kit_write_file(kit_join(adapter, "adapter_labels.json"), "{\"num_labels\": 4}", 17);
    KIT_FAILS(tuff_model_adapted(beside, adapter, &adapted), TUFF_BAD_FORMAT,
              "has 4 labels, but the adapter's head 3 outputs");
    assert_null(adapted);
}

/* Numbers before words, whatever order they come in; what is too long for a number is a word. */
static void labels_have_one_order(void **state)
{
    (void)state;
    enum { NAMES = 4 };
    static const char *const names[NAMES] = {"9", "10", "1a", "99999999999999999999999999"};
    for (int turn = 0; turn < NAMES; turn++) {
        tuff_labels labels = {0};
        int32_t numbers[NAMES];
        for (int i = 0; i < NAMES; i++)
            KIT_OK(tuff_labels_take(&labels, tuff_view_of(names[(i * 3 + turn) % NAMES]), &numbers[i]));
        KIT_OK(tuff_labels_settle(&labels, base, numbers, NAMES));
        for (int i = 0; i < NAMES; i++) {
            assert_string_equal(labels.names[i], names[i]);
            assert_int_equal(numbers[i], (i * 3 + turn) % NAMES);
        }
        tuff_labels_free(&labels);
    }
}

/* With LoRA the head is trained whole, and saved as PEFT does. */
static void heads_go_along_with_lora(void **state)
{
    (void)state;
    static const struct {
        tuff_model **model;
        const char *saved; /* of what the head has */
        size_t tensors;
    } all[] = {{&base, "\"modules_to_save\": [\n    \"bert.pooler.dense\",\n    \"classifier\"\n  ]", 4},
               {&classes, "\"modules_to_save\": [\n    \"classifier\"\n  ]", 2}};
    const char *path = file_of("f.tsv", "text\tlabel\nw5\tbad\nw6\tso so\nw7\tgood\n");
    for (int i = 0; i < 2; i++) {
        tuff_dataset *data = read(*all[i].model, path, task_of("classification", true));
        tuff_trainer *trainer = NULL;
        tuff_train_params p = few_steps(3, 1);
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        p.lora_rank = 2;
        p.lora_target = "all-linear"; /* but for the head */
        KIT_OK(tuff_trainer_create(*all[i].model, device, data, &p, &trainer));
        for (int k = 0; k < 3; k++)
            KIT_OK(tuff_trainer_step(trainer, &step));
        const char *to = kit_path(i ? "lora-classes" : "lora-base");
        KIT_OK(tuff_trainer_save(trainer, to));
        tuff_eval_result measured = TUFF_EVAL_RESULT_INIT;
        KIT_OK(tuff_trainer_evaluate(trainer, data, &measured));
        comes_back(*all[i].model, trainer->model, to, path, &measured);
        tuff_buf config = {0};
        tuff_weights *weights = NULL;
        kit_read_file(kit_join(to, "adapter_config.json"), &config);
        assert_non_null(strstr(config.data, all[i].saved));
        assert_non_null(strstr(config.data, "\"task_type\": \"SEQ_CLS\""));
        KIT_OK(tuff_safetensors_open(kit_join(to, "adapter_model.safetensors"), &weights));
        assert_int_equal(weights->count,
                         2 * (2 * 6 + (size_t)i) + all[i].tensors); /* the pooler of a file is adapted */
        const tuff_weight *head = tuff_weights_find(weights, "base_model.model.classifier.weight");
        assert_true(head && head->shape[0] == 3);
        float *now = tuff_alloc_array((size_t)tuff_weight_elements(head), sizeof *now), before = 0;
        KIT_OK(tuff_weight_read(head, TUFF_F32, now));
        const tuff_param *param = tuff_params_find(&trainer->model->params, "classifier.weight");
        float *start = tuff_alloc_array((size_t)tuff_weight_elements(head), sizeof *start);
        KIT_OK(tuff_model_read(trainer->model, param, NULL, 0, 3, start));
        for (int64_t k = 0; k < tuff_weight_elements(head); k++)
            before = fmaxf(before, fabsf(now[k] - start[k]));
        assert_true(before > 1e-3F); /* it was trained */
        tuff_free(now);
        tuff_free(start);
        tuff_weights_destroy(&weights);
        tuff_buf_free(&config);
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
}

/* ---- batches */

static void measure_is_the_same_for_all_batch_sizes(void **state)
{
    (void)state;
    static const struct {
        tuff_model **model;
        const char *task, *file;
    } all[] = {{&masked, "mlm", "mlm.txt"},
               {&tokens, "token-classification", "tokens.jsonl"},
               {&spans, "qa", "qa.jsonl"}};
    for (size_t i = 0; i < 3; i++) {
        tuff_data_params p = task_of(all[i].task, false);
        p.max_length = 16;
        p.stride = 2;
        tuff_dataset *data = read(*all[i].model, kit_join(kit_golden("tasks"), all[i].file), p);
        tuff_eval_result first = TUFF_EVAL_RESULT_INIT;
        for (int64_t batch = 1; batch <= 7; batch += 3) {
            tuff_eval_params how = TUFF_EVAL_PARAMS_INIT;
            tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
            how.batch_size = batch;
            KIT_OK(tuff_evaluate(*all[i].model, device, data, &how, &result));
            if (batch == 1) first = result;
            assert_true(fabs(result.loss - first.loss) < 1e-5 * first.loss);
            assert_int_equal(result.tokens, first.tokens);
            assert_int_equal(result.count, first.count);
            for (int64_t k = 0; k < result.count; k++)
                assert_true(result.figures[k].value == first.figures[k].value);
        }
        tuff_dataset_destroy(&data);
    }
}

/* Programs are made for few capacities: from 128 tokens on less than 12 % of one is unused. */
static void capacities_waste_little(void **state)
{
    (void)state;
    tuff_buf text = {0};
    for (int i = 0; i < 400; i++) {
        for (int k = 0; k < 2 + i * 7 % 15; k++)
            tuff_buf_printf(&text, "w%d ", 5 + (i + k) % 40);
        tuff_buf_char(&text, '\n');
    }
    tuff_dataset *data = read(masked, file_of("long.txt", text.data), task_of("mlm", true));
    tuff_buf_free(&text);
    uint32_t examples[32];
    tuff_shapes shapes = {.count = 0};
    for (uint32_t first = 0; first + 32 <= 400; first += 32) {
        int64_t used = 0, labels;
        tuff_task_shape shape;
        for (uint32_t i = 0; i < 32; i++) {
            examples[i] = first + i;
            used += tuff_dataset_length(data, first + i);
        }
        const tuff_batch batch = {
            .data = data, .examples = examples, .count = 32, .most = 32, .first = first};
        data->task->size(&batch, &shape, &labels);
        assert_true(used >= 128 && shape.tokens >= used && shape.rows >= labels && labels > 0);
        assert_true((double)(shape.tokens - used) < 0.12 * (double)shape.tokens);
        tuff_shapes_note(&shapes, 0, &shape);
    }
    assert_true(shapes.count <= 6);
    tuff_dataset_destroy(&data);
}

/* A step whose examples have no labels changes nothing, and what is summed is not disturbed by one. */
static void steps_without_labels_are_skipped(void **state)
{
    (void)state;
    tuff_data_params p = task_of("token-classification", true);
    const char *path = file_of("e.jsonl", "{\"tokens\": [\"w5\"], \"labels\": [-100]}\n"
                                          "{\"tokens\": [\"w6\", \"w7\"], \"labels\": [\"O\", \"B-PER\"]}\n");
    tuff_dataset *data = read(tokens, path, p);
    tuff_trainer *trainer = NULL;
    tuff_train_params how = few_steps(4, 1);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    how.per_device_train_batch_size = 1;
    how.no_shuffle = true;
    KIT_OK(tuff_trainer_create(tokens, device, data, &how, &trainer));
    for (int i = 0; i < 4; i++) {
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_int_equal(step.skipped, i % 2 == 0);
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* What is said before anything runs is what the device then holds. */
static void memory_is_as_it_was_said(void **state)
{
    (void)state;
    tuff_dataset *data = read(masked, kit_join(kit_golden("tasks"), "mlm.txt"), task_of("mlm", true));
    tuff_trainer *trainer = NULL;
    tuff_train_params how = few_steps(5, 1);
    uint64_t before = kit_device_stats(device).bytes;
    KIT_OK(tuff_trainer_create(masked, device, data, &how, &trainer));
    KIT_OK(tuff_trainer_plan_evaluation(trainer, data));
    assert_int_equal(kit_device_stats(device).bytes, before);
    uint64_t total = tuff_trainer_memory(trainer).total;
    for (int i = 0; i < 5; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
    }
    uint64_t held = kit_device_stats(device).bytes - before;
    assert_true(total >= held && (double)total <= 1.25 * (double)held);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* ---- figures */

static void figures_are_scikit_learns(void **state)
{
    (void)state;
    static const size_t truth[] = {0, 0, 0, 1, 1, 3}, said[] = {0, 0, 1, 1, 0, 3};
    tuff_figures f;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_figures_begin(&f, 5));
    for (int i = 0; i < 6; i++)
        tuff_figures_add(&f, truth[i], said[i]);
    tuff_figures_put(&f, false, &result);
    tuff_figures_end(&f);
    double accuracy = 0, macro = 0;
    assert_true(tuff_eval_find(&result, "accuracy", &accuracy) &&
                tuff_eval_find(&result, "f1_macro", &macro));
    assert_true(fabs(accuracy - 4.0 / 6) < 1e-12);
    assert_true(fabs(macro - (2.0 / 3 + 0.5 + 1) / 3) < 1e-12); /* two classes never occur */
}

static void answers_are_counted_as_in_squad(void **state)
{
    (void)state;
    static const struct {
        const char *said, *truth;
        double exact, f1;
    } all[] = {{"The Eiffel Tower!", "eiffel tower", 1, 1},
               {"tower in Paris", "the tower", 0, 0.5},
               {"a", "the", 1, 1},
               {"", "x", 0, 0},
               {"", "", 1, 1},
               {"x x y", "x", 0, 0.5}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double exact, f1;
        KIT_OK(tuff_squad_compare(tuff_view_of(all[i].said), tuff_view_of(all[i].truth), &exact, &f1));
        assert_true(exact == all[i].exact && fabs(f1 - all[i].f1) < 1e-12);
    }
}

/* Names that are numbers: stars from 1 to 5, say. */
static void numbers_stand_for_names_that_are_none(void **state)
{
    (void)state;
    static const char *const said[][3] = {{"1", "2", "5"}, {"bad", "so so", "good"}};
    for (int i = 0; i < 2; i++) {
        tuff_labels open = {0}, labels = {0};
        int32_t number;
        for (int k = 0; k < 3; k++)
            KIT_OK(tuff_labels_take(&open, tuff_view_of(said[i][k]), &number));
        KIT_OK(tuff_labels_copy(&labels, &open));
        for (int k = 0; k < 3; k++)
            assert_int_equal(tuff_labels_find(&labels, tuff_view_of(said[i][k])), k);
        assert_int_equal(tuff_labels_find(&labels, tuff_view_of("0")), i ? 0 : -1);
        assert_int_equal(tuff_labels_find(&labels, tuff_view_of("2")), i ? 2 : 1);
        assert_int_equal(tuff_labels_find(&labels, tuff_view_of("3")), -1);
        tuff_labels_free(&open);
        tuff_labels_free(&labels);
    }
}

/* A mean over nothing would be no number. */
static void what_has_no_labels_is_not_measured(void **state)
{
    (void)state;
    const char *path = file_of("none.jsonl", "{\"tokens\": [\"w5\", \"w6\"], \"labels\": [-100, -100]}\n");
    tuff_dataset *data = read(tokens, path, task_of("token-classification", false));
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_FAILS(tuff_evaluate(tokens, device, data, NULL, &result), TUFF_INVALID_ARGUMENT,
              "the data has nothing to measure token classification by");
    tuff_dataset_destroy(&data);
}

/* Of the host program, where the machine has one with another decimal point. */
static void locales_change_no_numbers(void **state)
{
    (void)state;
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    const char *path = file_of("half.jsonl", "{\"text\": \"w5\", \"label\": 0.5}\n"
                                             "{\"text\": \"w6\", \"label\": \"1.5\"}\n");
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (!setlocale(LC_NUMERIC, locales[i])) continue;
        tuff_dataset *data = read(base, path, task_of("classification", true));
        assert_int_equal(tuff_task_wish(data).problem, TUFF_PROBLEM_REGRESSION);
        tuff_dataset_destroy(&data);
    }
    setlocale(LC_NUMERIC, "C");
}

/* A tokenizer may give the second text of a pair a type that the model does not have. */
static void types_that_the_model_lacks_are_refused(void **state)
{
    (void)state;
    const char *path = kit_copy_model(kit_golden("bert-classes"), "typed"), *from = kit_golden("tasks");
    tuff_model *model = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_data_params p = task_of("classification", true);
    p.text_pair_field = "other";
    kit_copy_file(kit_join(from, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_edit_file(kit_join(path, "tokenizer.json"), "\"type_id\": 1", "\"type_id\": 7");
    KIT_OK(tuff_model_load(path, &model));
    tuff_dataset *data =
        read(model, file_of("typed.tsv", "text\tother\tlabel\nw5\tw6\tbad\nw6\tw5\tgood\n"), p);
    KIT_FAILS(tuff_trainer_create(model, device, data, &params, &trainer), TUFF_BAD_FORMAT,
              "its tokenizer gives tokens the type 7, the model has 3 types");
    assert_null(trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_for_names_that_are_none),
        cmocka_unit_test(locales_change_no_numbers),
        cmocka_unit_test(what_has_no_labels_is_not_measured),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(records_that_are_none_are_left_out),
        cmocka_unit_test(lines_of_windows_are_turned),
        cmocka_unit_test(line_ends_of_windows_are_turned),
        cmocka_unit_test(answers_that_are_elsewhere_are_told),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(new_heads_are_saved_with_their_labels),
        cmocka_unit_test(labels_of_the_model_stay),
        cmocka_unit_test(labels_have_one_order),
        cmocka_unit_test(heads_go_along_with_lora),
        cmocka_unit_test(measure_is_the_same_for_all_batch_sizes),
        cmocka_unit_test(capacities_waste_little),
        cmocka_unit_test(steps_without_labels_are_skipped),
        cmocka_unit_test(memory_is_as_it_was_said),
        cmocka_unit_test(figures_are_scikit_learns),
        cmocka_unit_test(answers_are_counted_as_in_squad),
        cmocka_unit_test(types_that_the_model_lacks_are_refused),
    };
    device = kit_cpu();
    base = load("bert");
    classes = load("bert-classes");
    tokens = load("bert-tokens");
    spans = load("bert-spans");
    masked = load("bert-mlm");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_model *all[] = {base, classes, tokens, spans, masked};
    for (int i = 0; i < 5; i++)
        tuff_model_destroy(&all[i]);
    tuff_device_destroy(&device);
    return failed;
}
