/* Sequence classification: of a text, or a pair of texts, one label, several, or a number. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/examples.h"
#include "train/figures.h"
#include "train/labels.h"
#include "train/pairs.h"
#include "train/record_cache.h"

/* What the examples have beside their texts. */
typedef struct answers {
    tuff_problem problem;
    tuff_labels labels;
    int32_t *numbers; /* of labels, of all examples, one after the other */
    float *values;    /* of a regression, as many */
    size_t count;
    int64_t *starts; /* example i has numbers[starts[i] .. starts[i + 1]) */
    size_t examples;
    struct {
        tuff_column numbers, values, starts;
    } room;
} answers;

/* ---- data */

static void release(tuff_dataset *data)
{
    answers *a = data->own;
    if (!a) return;
    tuff_labels_free(&a->labels);
    tuff_column_free(&a->room.numbers);
    tuff_column_free(&a->room.values);
    tuff_column_free(&a->room.starts);
    tuff_free(a);
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const answers *a = data->own;
    tuff_sha256_update(out, a->numbers, a->count * sizeof *a->numbers);
    tuff_sha256_update(out, a->values, a->count * sizeof *a->values);
    tuff_sha256_update(out, a->starts, (a->examples + 1) * sizeof *a->starts);
}

static tuff_status add_number(answers *a, int32_t number, float value)
{
    if (!tuff_column_put(&a->room.numbers, a->count * sizeof number, &number, sizeof number) ||
        !tuff_column_put(&a->room.values, a->count * sizeof value, &value, sizeof value))
        return tuff_fail_memory("the labels of a data set");
    a->numbers = a->room.numbers.data;
    a->values = a->room.values.data;
    a->count++;
    return TUFF_OK;
}

/* Room for where the next example ends. */
static tuff_status reserve_example(answers *a)
{
    if (!tuff_column_reserve(&a->room.starts, (a->examples + 2) * sizeof *a->starts))
        return tuff_fail_memory("the labels of a data set");
    a->starts = a->room.starts.data;
    if (!a->examples) a->starts[0] = 0;
    return TUFF_OK;
}

/* It is no name; one that only begins like it is. */
static tuff_status refuse_object(const tuff_example_reader *r, tuff_view name)
{
    cJSON *json = NULL;
    if (name.data[0] != '{') return TUFF_OK;
    const tuff_status status = tuff_json_parse(name.data, name.size, "a label", &json);
    const bool object = cJSON_IsObject(json);
    cJSON_Delete(json);
    if (status == TUFF_OUT_OF_MEMORY) return status;
    return object ? tuff_record_reader_fail(&r->file, "its label is an object, expected a name or a number")
                  : TUFF_OK;
}

/* A label that is none ends it: how good a model is would be said of the others alone. */
static tuff_status add_label(answers *a, tuff_example_reader *r, tuff_view name)
{
    int32_t number = -1;
    char known[200], text[64];
    double value = 0;
    bool numeric = false;
    snprintf(text, sizeof text, "%.*s", (int)(name.size < 60 ? name.size : 60), name.data ? name.data : "");
    if (name.size) TUFF_TRY(tuff_pairs_number(name, &numeric, &value));
    numeric = numeric && fabs(value) <= FLT_MAX;
    if (a->problem == TUFF_PROBLEM_REGRESSION) {
        if (numeric) return add_number(a, -1, (float)value);
        return tuff_record_reader_fail(
            &r->file, "its label is \"%s\", expected a number, for this is a regression", text);
    }
    if (!name.size) return tuff_record_reader_fail(&r->file, "its label is empty");
    TUFF_TRY(refuse_object(r, name));
    TUFF_TRY(tuff_labels_take(&a->labels, name, &number));
    if (number >= 0) return add_number(a, number, numeric ? (float)value : NAN);
    tuff_labels_list(&a->labels, known);
    r->file.refused = true;
    return tuff_record_reader_fail(&r->file, "its label \"%s\" is none of %s", text, known);
}

static tuff_status add_item(answers *a, tuff_example_reader *r, const cJSON *item)
{
    tuff_buf number = {0};
    if (cJSON_IsNumber(item)) tuff_json_double(&number, item->valuedouble);
    const tuff_status status =
        number.failed ? tuff_fail_memory("the labels of a data set")
                      : add_label(a, r, tuff_view_of(number.data ? number.data : item->valuestring));
    tuff_buf_free(&number);
    return status;
}

/* All of them, or none. */
static tuff_status add_list(answers *a, tuff_example_reader *r, const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) && !cJSON_IsNumber(item))
            return tuff_record_reader_fail(&r->file, "its labels must be texts or numbers");
        if (cJSON_IsString(item) && !*item->valuestring)
            return tuff_record_reader_fail(&r->file, "one of its labels is empty");
    }
    cJSON_ArrayForEach(item, list) TUFF_TRY(add_item(a, r, item));
    return TUFF_OK;
}

/* A list of JSON, or names between commas. */
static tuff_status add_labels(answers *a, tuff_example_reader *r, tuff_view field)
{
    if (field.size && field.data[0] == '[') {
        cJSON *list = NULL;
        tuff_status status = tuff_json_parse(field.data, field.size, r->file.path, &list);
        if (status == TUFF_BAD_FORMAT)
            status = tuff_record_reader_fail(&r->file, "its label begins with [, and is no list of JSON");
        if (status == TUFF_OK) status = add_list(a, r, list);
        cJSON_Delete(list);
        return status;
    }
    for (size_t at = 0; at < field.size;) {
        const char *comma = memchr(field.data + at, ',', field.size - at);
        size_t end = comma ? (size_t)(comma - field.data) : field.size;
        tuff_view name = {field.data + at, end - at};
        while (name.size && name.data[0] == ' ')
            name = (tuff_view){name.data + 1, name.size - 1};
        if (name.size) TUFF_TRY(add_label(a, r, name));
        at = end + 1;
    }
    return TUFF_OK;
}

static tuff_status add_answer(answers *a, tuff_example_reader *r, tuff_view field)
{
    const tuff_problem before = a->problem;
    TUFF_TRY(reserve_example(a));
    a->starts[a->examples] = (int64_t)a->count;
    if (a->problem == TUFF_PROBLEM_AUTO && field.size && field.data[0] == '[') {
        if (a->examples)
            return tuff_record_reader_fail(&r->file, "its label is a list, those before it are not");
        a->problem = TUFF_PROBLEM_MULTI_LABEL;
    }
    const tuff_status status =
        a->problem == TUFF_PROBLEM_MULTI_LABEL ? add_labels(a, r, field) : add_label(a, r, field);
    if (status == TUFF_OK) {
        a->starts[++a->examples] = (int64_t)a->count;
    } else {
        a->problem = before;
        a->count = (size_t)a->starts[a->examples]; /* of a list some were good */
    }
    return status;
}

/* Where nobody says what the labels are: also of those that the cache has. */
static void say_mixed(const answers *a, const char *path)
{
    size_t texts = 0;
    for (size_t i = 0; i < a->count; i++)
        texts += !isfinite(a->values[i]);
    if (texts && texts < a->count && a->problem == TUFF_PROBLEM_SINGLE_LABEL)
        tuff_log(TUFF_LOG_WARN, "%s: %zu of %zu labels are numbers and the others texts; each is a class",
                 path, a->count - texts, a->count);
}

/* What the labels are, where nobody says it: numbers, if all are and one is not whole; else names. */
static void find_problem(answers *a)
{
    bool numbers = a->count > 0, fraction = false;
    if (a->problem) return;
    for (size_t i = 0; i < a->count; i++) {
        numbers = numbers && isfinite(a->values[i]);
        fraction = fraction || (isfinite(a->values[i]) && a->values[i] != floorf(a->values[i]));
    }
    a->problem =
        numbers && fraction && !a->labels.closed ? TUFF_PROBLEM_REGRESSION : TUFF_PROBLEM_SINGLE_LABEL;
}

/* What is known of the labels before the first is read. */
static tuff_status begin(answers *a, const tuff_model *model, const tuff_data_params *params)
{
    const answers *like = params->like ? params->like->own : NULL;
    if (params->problem_type) {
        for (int i = TUFF_PROBLEM_REGRESSION; i <= TUFF_PROBLEM_MULTI_LABEL; i++)
            if (strcmp(tuff_problem_name((tuff_problem)i), params->problem_type) == 0)
                a->problem = (tuff_problem)i;
        if (!a->problem)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "problem_type is \"%.40s\", expected regression, single_label_classification or "
                             "multi_label_classification",
                             params->problem_type);
    }
    if (like) {
        a->problem = like->problem;
        return a->problem == TUFF_PROBLEM_REGRESSION ? TUFF_OK : tuff_labels_copy(&a->labels, &like->labels);
    }
    bool has = tuff_config_has_head(&model->config, &tuff_head_classes);
    if (!params->training && !has)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: a classifier of sequences is needed to be measured; the head of this model is: %s",
            model->path, tuff_config_head_title(&model->config));
    if (has && !a->problem) a->problem = model->config.problem;
    if (has && !a->problem && model->config.labels == 1) a->problem = TUFF_PROBLEM_REGRESSION;
    if (params->training || a->problem == TUFF_PROBLEM_REGRESSION) return TUFF_OK;
    return tuff_labels_of_model(&a->labels, model);
}

static tuff_status finish(answers *a, const tuff_model *model, const char *path, bool training)
{
    find_problem(a);
    if (a->problem == TUFF_PROBLEM_REGRESSION) return TUFF_OK;
    TUFF_TRY(tuff_labels_settle(&a->labels, model, a->numbers, a->count));
    if (training && a->labels.count == 0)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: none of its %zu examples has a label: their lists are all empty; at least one must "
            "have one",
            path, a->examples);
    if (a->labels.count > 1 || a->problem == TUFF_PROBLEM_MULTI_LABEL || !training) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s: all examples have the label \"%s\"; there is nothing to tell apart", path,
                     a->labels.names[0]);
}

static tuff_status prepare(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    const tuff_view none = {0};
    (void)own;
    (void)watch;
    return tuff_example_item_text(r, item, item->values[0], r->n == 3 ? item->values[2] : none);
}

/* Labels come last, as they cannot be taken back. */
static tuff_status take(tuff_example_reader *r, void *own)
{
    (void)own;
    if (!r->values[0].size) return tuff_record_reader_fail(&r->file, "its text is empty");
    TUFF_TRY(tuff_example_reader_add(r));
    return add_answer(r->file.data->own, r, r->values[1]);
}

static tuff_status load(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data)
{
    answers *a = data->own = tuff_alloc(sizeof *a);
    if (!a) return tuff_fail_memory("a data set");
    const char *pair = params->text_pair_field;
    const char *fields[] = {params->text_field ? params->text_field : "text",
                            params->label_field ? params->label_field : "label", pair};
    tuff_example_reader r;
    a->room.numbers.stays = a->room.values.stays = a->room.starts.stays = data->room.ids.stays;
    TUFF_TRY(begin(a, model, params));
    const bool open = !a->problem && !a->labels.closed;
    tuff_status status = tuff_example_reader_open(&r, model, path, params, fields, pair ? 3 : 2, data);
    if (status == TUFF_OK) {
        tuff_records_take_json(r.file.records, 1);
        status = tuff_example_reader_run(&r, &(tuff_example_work){prepare, take}, NULL);
    }
    tuff_example_reader_close(&r);
    if (status == TUFF_OK) status = finish(a, model, path, params->training);
    if (status == TUFF_OK && open) say_mixed(a, path);
    return status;
}

/* What was read is a set of labels for each example. */
static bool is_whole(const answers *a, const tuff_dataset *data)
{
    const bool named = a->problem != TUFF_PROBLEM_REGRESSION;
    bool right = a->examples == (size_t)data->sequences &&
                 tuff_kept_in_order(a->starts, a->examples, (int64_t)a->count);
    for (size_t i = 0; i < a->count && right; i++)
        right = !named || (a->numbers[i] >= 0 && (size_t)a->numbers[i] < a->labels.count);
    for (size_t i = 0; i < a->examples && right && a->problem != TUFF_PROBLEM_MULTI_LABEL; i++)
        right = a->starts[i] + 1 == a->starts[i + 1];
    return right;
}

static void keep(tuff_kept *k, tuff_dataset *data)
{
    answers *a = data->own;
    unsigned problem = a->problem;
    tuff_kept_choice(k, &problem, TUFF_PROBLEM_MULTI_LABEL);
    tuff_kept_count(k, &a->count);
    tuff_kept_count(k, &a->examples);
    tuff_kept_column(k, &a->room.numbers, a->count * sizeof *a->numbers);
    tuff_kept_column(k, &a->room.values, a->count * sizeof *a->values);
    tuff_kept_column(k, &a->room.starts, (a->examples + 1) * sizeof *a->starts);
    a->problem = (tuff_problem)problem;
    if (a->problem != TUFF_PROBLEM_REGRESSION) tuff_labels_keep(&a->labels, k);
    a->numbers = a->room.numbers.data;
    a->values = a->room.values.data;
    a->starts = a->room.starts.data;
    if (k->status == TUFF_OK) tuff_kept_expect(k, is_whole(a, data));
}

static tuff_status join(tuff_dataset *into, const tuff_dataset *part)
{
    const answers *from = part->own;
    const bool first = !into->own;
    if (first && !(into->own = tuff_alloc(sizeof *from))) return tuff_fail_memory("a mixture");
    answers *a = into->own;
    if (!first && a->problem != from->problem)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "it is a %s, parts before it are a %s",
                         tuff_problem_name(from->problem), tuff_problem_name(a->problem));
    a->problem = from->problem;
    if (a->problem != TUFF_PROBLEM_REGRESSION)
        TUFF_TRY(first ? tuff_labels_copy(&a->labels, &from->labels)
                       : tuff_labels_need_same(&a->labels, &from->labels));
    for (size_t i = 0; i < from->examples; i++) {
        for (int64_t k = from->starts[i]; k < from->starts[i + 1]; k++)
            TUFF_TRY(add_number(a, from->numbers[k], from->values[k]));
        TUFF_TRY(reserve_example(a));
        a->starts[++a->examples] = (int64_t)a->count;
    }
    return TUFF_OK;
}

static void wish(const tuff_dataset *data, tuff_head_wish *out)
{
    const answers *a = data->own;
    bool regression = a->problem == TUFF_PROBLEM_REGRESSION;
    out->problem = a->problem;
    out->labels = regression ? NULL : a->labels.names;
    out->label_count = regression ? 1 : (int64_t)a->labels.count;
}

static bool label(const tuff_dataset *data, size_t index, const char **out_name, int64_t *out_count)
{
    const answers *a = data->own;
    if (a->problem == TUFF_PROBLEM_REGRESSION) return false;
    return tuff_labels_count(&a->labels, index, out_name, out_count);
}

/* ---- batches */

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const answers *a = batch->data->own;
    bool many = a->problem == TUFF_PROBLEM_MULTI_LABEL;
    tuff_examples_shape(batch, out_shape);
    *out_labels = batch->count * (many ? (int64_t)a->labels.count : 1);
}

/* Targets of examples as numbers: of a regression theirs, else 1 for each label that holds. */
static void fill_targets(const tuff_batch *batch, int64_t columns, float *targets, float *counted)
{
    const answers *a = batch->data->own;
    for (int64_t i = 0; i < batch->count; i++) {
        uint32_t example = batch->examples[i];
        counted[i] = 1;
        for (int64_t k = a->starts[example]; k < a->starts[example + 1]; k++)
            if (a->problem == TUFF_PROBLEM_REGRESSION)
                targets[i] = a->values[k];
            else
                targets[i * columns + a->numbers[k]] = 1;
    }
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const answers *a = batch->data->own;
    int64_t n = shape->sequences, columns = config->labels;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, n * (3 + columns)));
    int32_t *picked = pack->own, *labels = picked + n;
    float *counted = (float *)(labels + n), *targets = counted + n;
    for (int64_t i = 0; i < n; i++)
        labels[i] = TUFF_NO_LABEL;
    for (int64_t i = 0; i < batch->count; i++) {
        int64_t first, length;
        tuff_examples_pack(batch, pack, i, &first, &length);
        /* the first token may be a virtual one: PEFT has it so */
        picked[i] = (int32_t)(config->head->last ? first + length - 1 : first - pack->virtual_tokens);
        if (a->problem == TUFF_PROBLEM_SINGLE_LABEL) labels[i] = a->numbers[a->starts[batch->examples[i]]];
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "picked", picked, n));
    if (a->problem == TUFF_PROBLEM_SINGLE_LABEL)
        return tuff_program_input(program, "labels", labels, (size_t)n * sizeof *labels);
    fill_targets(batch, columns, targets, counted);
    TUFF_TRY(tuff_program_input(program, "counted", counted, (size_t)n * sizeof *counted));
    return tuff_program_input(program, "targets", targets, (size_t)(n * columns) * sizeof *targets);
}

/* ---- graph */

/* log(1 + e^x) - x y, in a form that neither overflows nor loses a small one. */
static tuff_tensor *binary(tuff_graph *g, tuff_tensor *x, tuff_tensor *y)
{
    tuff_tensor *one = tuff_fill(g, 1, 0, NULL);
    tuff_tensor *rest = tuff_ln(g, tuff_add(g, one, tuff_exp(g, tuff_scale(g, tuff_abs(g, x), -1))));
    return tuff_add(g, tuff_sub(g, tuff_relu(g, x), tuff_mul(g, x, y)), rest);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    const answers *a = at->data->own;
    tuff_graph *g = net->g;
    int64_t n = at->shape.sequences;
    tuff_net_begin(net);
    bool gradient = at->use == TUFF_TASK_TRAIN;
    tuff_tensor *x = tuff_net_head(net, tuff_net_pooled(net, tuff_net_hidden(net), gradient));
    if (at->use == TUFF_TASK_MEASURE) tuff_output(g, "logits", x);
    if (a->problem == TUFF_PROBLEM_SINGLE_LABEL)
        return tuff_task_cross_entropy(at, g, x, tuff_input(g, "labels", TUFF_I32, 1, &n));
    tuff_tensor *y = tuff_input(g, "targets", TUFF_F32, 2, (int64_t[]){n, net->config->labels});
    tuff_tensor *counted = tuff_input(g, "counted", TUFF_F32, 2, (int64_t[]){n, 1});
    tuff_tensor *d = tuff_sub(g, x, y);
    tuff_tensor *each = a->problem == TUFF_PROBLEM_REGRESSION ? tuff_mul(g, d, d) : binary(g, x, y);
    return tuff_sum(g, tuff_mul(g, each, counted), 3, false);
}

static bool smooths(const tuff_dataset *data)
{
    const answers *a = data->own;
    return a->problem == TUFF_PROBLEM_SINGLE_LABEL;
}

/* ---- measurement */

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    int64_t columns = meter->model->config.labels;
    float *logits = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "logits", (size_t)(shape->sequences * columns), &logits));
    tuff_buf_bytes(&meter->seen, logits, (size_t)(batch->count * columns) * sizeof *logits);
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

static tuff_status report(tuff_meter *meter, tuff_eval_result *out)
{
    const answers *a = meter->data->own;
    const float *logits = (const float *)(const void *)meter->seen.data;
    size_t n = a->examples, columns = (size_t)meter->model->config.labels;
    if (a->problem == TUFF_PROBLEM_REGRESSION) return tuff_figures_of_numbers(logits, a->values, n, out);
    tuff_figures f;
    TUFF_TRY(tuff_figures_begin(&f, columns));
    for (size_t i = 0; i < n; i++) {
        const float *x = logits + i * columns;
        if (a->problem == TUFF_PROBLEM_SINGLE_LABEL)
            tuff_figures_add(&f, (size_t)a->numbers[a->starts[i]], tuff_figures_best(x, columns));
        else
            tuff_figures_add_set(&f, a->numbers + a->starts[i], (size_t)(a->starts[i + 1] - a->starts[i]), x);
    }
    tuff_figures_put(&f, a->problem == TUFF_PROBLEM_MULTI_LABEL, out);
    tuff_figures_end(&f);
    return TUFF_OK;
}

const tuff_task tuff_task_classification = {.name = "classification",
                                            .title = "sequence classification",
                                            .head = &tuff_head_classes,
                                            .load = load,
                                            .keep = keep,
                                            .join = join,
                                            .wish = wish,
                                            .label = label,
                                            .release = release,
                                            .hash = hash,
                                            .check = tuff_examples_check,
                                            .count = tuff_examples_count,
                                            .size = size,
                                            .fill = fill,
                                            .loss = loss,
                                            .smooths = smooths,
                                            .observe = observe,
                                            .report = report};
