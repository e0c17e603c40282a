/* Examples that an application gives itself: ids, a label for each token or for the sequence, and how much
 * each label counts. */
#include "train/tasks/given.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "train/examples.h"

/* What the examples have beside their ids: of each token, of classes of sequences of each sequence. */
typedef struct given {
    int32_t *labels;
    float *weights;
    char **names; /* of classes; NULL: they have none */
    int64_t classes;
} given;

static bool is_of_sequences(const tuff_dataset *data)
{
    return data->task == &tuff_task_given_classes;
}

static bool is_of_classes(const tuff_task *task)
{
    return task != &tuff_task_given_causal_lm;
}

/* ---- data */

static tuff_status load(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data)
{
    (void)model;
    (void)params;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: examples of %s come from the application, not from a file", path,
                     data->task->title);
}

static void release(tuff_dataset *data)
{
    given *own = data->own;
    if (!own) return;
    for (int64_t i = 0; own->names && i < own->classes; i++)
        tuff_free(own->names[i]);
    tuff_free(own->names);
    tuff_free(own->labels);
    tuff_free(own->weights);
    tuff_free(own);
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const given *own = data->own;
    const size_t n = (size_t)(is_of_sequences(data) ? data->sequences : data->tokens);
    tuff_sha256_update(out, own->labels, n * sizeof *own->labels);
    tuff_sha256_update(out, own->weights, n * sizeof *own->weights);
}

static void wish(const tuff_dataset *data, tuff_head_wish *out)
{
    const given *own = data->own;
    out->labels = (const char *const *)own->names;
    out->label_count = own->classes;
    if (is_of_sequences(data)) out->problem = TUFF_PROBLEM_SINGLE_LABEL;
}

static tuff_status check_lm(const tuff_dataset *data, const tuff_model *model)
{
    const given *own = data->own;
    TUFF_TRY(tuff_model_need_lm(model));
    TUFF_TRY(tuff_examples_check(data, model));
    for (int64_t i = 0; i < data->tokens; i++)
        if (own->labels[i] >= model->config.vocab_size)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "the data has token id %d as a label, the model's vocabulary only %lld",
                             own->labels[i], (long long)model->config.vocab_size);
    return TUFF_OK;
}

/* ---- batches */

/* Of the next token, a sequence's first one is predicted only from virtual tokens before it. */
static int64_t first_label(const tuff_batch *batch)
{
    return batch->data->task == &tuff_task_given_causal_lm && !batch->virtual_tokens ? 1 : 0;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_dataset *data = batch->data;
    const given *own = data->own;
    tuff_examples_shape(batch, out_shape);
    *out_labels = 0;
    for (int64_t i = 0; i < batch->count; i++) {
        const uint32_t example = batch->examples[i];
        if (is_of_sequences(data)) {
            *out_labels += own->labels[example] >= 0;
            continue;
        }
        for (int64_t k = data->starts[example] + first_label(batch); k < data->starts[example + 1]; k++)
            *out_labels += own->labels[k] >= 0;
    }
}

/* Where a batch's labels and weights go: a row for each output of the head. */
typedef struct rows {
    int32_t *labels;
    float *weights;
} rows;

/* Labels [from, to) of the data to the rows from `row` on. */
static void put(const given *own, int64_t from, int64_t to, int64_t row, const rows *out)
{
    const size_t n = (size_t)(to - from);
    memcpy(out->labels + row, own->labels + from, n * sizeof *out->labels);
    memcpy(out->weights + row, own->weights + from, n * sizeof *out->weights);
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_dataset *data = batch->data;
    const given *own = data->own;
    const bool sequences = is_of_sequences(data);
    const int64_t n = sequences ? shape->sequences : shape->tokens, skip = first_label(batch);
    TUFF_TRY(tuff_pack_begin(pack, config, shape, 2 * n + shape->sequences));
    const rows out = {pack->own, (float *)(void *)(pack->own + n)};
    int32_t *picked = pack->own + 2 * n;
    for (int64_t i = 0; i < n; i++)
        out.labels[i] = TUFF_NO_LABEL;
    for (int64_t i = 0; i < batch->count; i++) {
        const uint32_t example = batch->examples[i];
        const int64_t begin = data->starts[example], end = data->starts[example + 1];
        int64_t first, length;
        tuff_examples_pack(batch, pack, i, &first, &length);
        if (sequences) {
            /* the first token may be a virtual one: PEFT has it so */
            picked[i] = (int32_t)(config->head->last ? first + length - 1 : first - pack->virtual_tokens);
            put(own, example, (int64_t)example + 1, i, &out);
        } else if (is_of_classes(data->task))
            put(own, begin, end, first, &out);
        else /* a token is found in the row before its own */
            put(own, begin + skip, end, first + skip - 1, &out);
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    if (sequences) TUFF_TRY(tuff_pack_set_picked(pack, program, "picked", picked, n));
    TUFF_TRY(tuff_program_input(program, "weights", out.weights, (size_t)n * sizeof *out.weights));
    return tuff_program_input(program, "labels", out.labels, (size_t)n * sizeof *out.labels);
}

/* ---- graph */

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_graph *g = net->g;
    const bool sequences = is_of_sequences(at->data), gradient = at->use == TUFF_TASK_TRAIN;
    const int64_t n = sequences ? at->shape.sequences : at->shape.tokens;
    tuff_net_begin(net);
    tuff_tensor *x = tuff_net_hidden(net);
    if (sequences) x = tuff_net_pooled(net, x, gradient);
    x = is_of_classes(at->data->task) ? tuff_net_head(net, x) : tuff_net_logits(net, x, false);
    if (at->use == TUFF_TASK_LOGITS) {
        tuff_output(g, "logits", x);
        return NULL;
    }
    tuff_tensor *each = tuff_cross_entropy_rows(g, x, tuff_input(g, "labels", TUFF_I32, 1, &n));
    return tuff_sum(g, tuff_mul(g, each, tuff_input(g, "weights", TUFF_F32, 1, &n)), 1, false);
}

/* What the tasks of given examples share. */
#define GIVEN                                                                                   \
    .load = load, .hash = hash, .release = release, .count = tuff_examples_count, .size = size, \
    .fill = fill, .loss = loss

const tuff_task tuff_task_given_causal_lm = {.name = "given-causal-lm",
                                             .title = "causal language modelling of given examples",
                                             .head = &tuff_head_lm,
                                             .check = check_lm,
                                             GIVEN};
const tuff_task tuff_task_given_tokens = {.name = "given-token-classification",
                                          .title = "token classification of given examples",
                                          .head = &tuff_head_tokens,
                                          .wish = wish,
                                          .check = tuff_examples_check,
                                          GIVEN};
const tuff_task tuff_task_given_classes = {.name = "given-classification",
                                           .title = "classification of given examples",
                                           .head = &tuff_head_classes,
                                           .wish = wish,
                                           .check = tuff_examples_check,
                                           GIVEN};

/* ---- what an application gives */

static tuff_status find_task(const char *name, const tuff_task **out)
{
    static const struct {
        const char *name;
        const tuff_task *task;
    } tasks[] = {{"causal-lm", &tuff_task_given_causal_lm},
                 {"token-classification", &tuff_task_given_tokens},
                 {"classification", &tuff_task_given_classes}};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        *out = tasks[i].task;
        if (strcmp(tasks[i].name, name) == 0) return TUFF_OK;
    }
    return tuff_fail(TUFF_UNSUPPORTED,
                     "the task of given examples is \"%.40s\", expected causal-lm, token-classification or "
                     "classification",
                     name);
}

static tuff_status wrong(size_t i, const char *what, size_t k, double value, const char *expected)
{
    return tuff_fail(TUFF_INVALID_ARGUMENT, "example %zu: %s %zu is %g, expected %s", i, what, k, value,
                     expected);
}

/* Copies one, whose ids are the data set's last sequence. */
static tuff_status take(const tuff_dataset *data, const tuff_example *e, size_t i, int64_t at, size_t n)
{
    given *own = data->own;
    const int64_t most = is_of_classes(data->task) ? own->classes : INT32_MAX;
    if (!e->labels && is_of_classes(data->task))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "example %zu has no labels", i);
    for (size_t k = 0; k < n; k++) {
        const int32_t label = e->labels ? e->labels[k] : e->ids[k];
        const float weight = e->weights ? e->weights[k] : 1;
        if ((label < 0 && label != TUFF_NO_LABEL) || label >= most)
            return wrong(i, "label", k, label, "a number of a class or token, or -100");
        if (!isfinite(weight)) return wrong(i, "weight", k, (double)weight, "a finite number");
        own->labels[at + (int64_t)k] = label;
        own->weights[at + (int64_t)k] = weight;
    }
    return TUFF_OK;
}

static tuff_status take_names(given *own, const char *const *names, size_t count)
{
    own->classes = (int64_t)count;
    if (!names) return TUFF_OK;
    own->names = tuff_alloc_array(count, sizeof *own->names);
    if (!own->names) return tuff_fail_memory("the labels of a data set");
    for (size_t i = 0; i < count; i++) {
        own->names[i] = tuff_strdup(names[i]);
        if (!own->names[i]) return tuff_fail_memory("the labels of a data set");
    }
    return TUFF_OK;
}

static tuff_status take_example(tuff_dataset *data, const tuff_example *examples, size_t i, tuff_example *out)
{
    *out = (tuff_example)TUFF_EXAMPLE_INIT;
    TUFF_TRY(TUFF_TAKE_ENTRY(out, examples, i, TUFF_EXAMPLE_INIT));
    if (!out->ids || out->count == 0 || out->count > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "example %zu has no tokens", i);
    for (size_t k = 0; k < out->count; k++)
        if (out->ids[k] < 0) return wrong(i, "token", k, out->ids[k], "0 or more");
    for (size_t k = 0; out->types && k < out->count; k++)
        if (out->types[k] < 0) return wrong(i, "type", k, out->types[k], "0 or more");
    return tuff_dataset_add(data, out->ids, out->types, out->count);
}

static tuff_status build(tuff_dataset *data, const tuff_example *examples, size_t n, const char *const *names,
                         size_t classes)
{
    given *own = data->own = tuff_alloc(sizeof *own);
    tuff_example e;
    if (!own) return tuff_fail_memory("a data set");
    TUFF_TRY(take_names(own, names, classes));
    for (size_t i = 0; i < n; i++)
        TUFF_TRY(take_example(data, examples, i, &e));
    const size_t labels = (size_t)(is_of_sequences(data) ? data->sequences : data->tokens);
    own->labels = tuff_alloc_array(labels, sizeof *own->labels);
    own->weights = tuff_alloc_array(labels, sizeof *own->weights);
    if (!own->labels || !own->weights) return tuff_fail_memory("the labels of a data set");
    for (size_t i = 0; i < n; i++) {
        e = (tuff_example)TUFF_EXAMPLE_INIT;
        TUFF_TRY(TUFF_TAKE_ENTRY(&e, examples, i, TUFF_EXAMPLE_INIT));
        const bool one = is_of_sequences(data);
        TUFF_TRY(take(data, &e, i, one ? (int64_t)i : data->starts[i], one ? 1 : e.count));
    }
    return TUFF_OK;
}

tuff_status tuff_dataset_from_examples(const char *task, const tuff_example *examples, size_t n,
                                       const char *const *class_names, size_t class_count,
                                       tuff_dataset **out_dataset)
{
    const tuff_task *found;
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(task);
    TUFF_TRY(find_task(task, &found));
    if (n == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "there are no examples");
    TUFF_TRY(TUFF_CHECK_ARRAY(examples, const tuff_example, TUFF_EXAMPLE_INIT, weights));
    if (is_of_classes(found) ? class_count < 2 || class_count > 1 << 20 : class_count != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there are %zu classes, expected %s", class_count,
                         is_of_classes(found) ? "2 to 1048576" : "none of causal-lm");
    for (size_t i = 0; class_names && i < class_count; i++)
        TUFF_NEED(class_names[i]);
    tuff_dataset *data = tuff_alloc(sizeof *data);
    if (!data) return tuff_fail_memory("a data set");
    data->task = found;
    tuff_dataset_stay(data, true);
    const tuff_status status = build(data, examples, n, class_names, class_count);
    if (status != TUFF_OK)
        tuff_dataset_destroy(&data);
    else
        *out_dataset = data;
    return status;
}
