/* Token classification: of words, each a label; a word's first token has it. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/entities.h"
#include "train/examples.h"
#include "train/figures.h"
#include "train/labels.h"
#include "train/record_cache.h"

typedef struct marks {
    tuff_labels labels;
    int32_t *of_tokens; /* as many as the data has tokens, */
    tuff_column room;   /* here */
} marks;

/* ---- data */

static void release(tuff_dataset *data)
{
    marks *m = data->own;
    if (!m) return;
    tuff_labels_free(&m->labels);
    tuff_column_free(&m->room);
    tuff_free(m);
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const marks *m = data->own;
    tuff_sha256_update(out, m->of_tokens, (size_t)data->tokens * sizeof *m->of_tokens);
}

static tuff_status reserve(marks *m, int64_t tokens)
{
    if (!tuff_column_reserve(&m->room, (size_t)tokens * sizeof *m->of_tokens))
        return tuff_fail_memory("the labels of a data set");
    m->of_tokens = m->room.data;
    return TUFF_OK;
}

/* The words of a record as one text with spaces between; begins[i] is where word i begins in it. False: they
 * are no texts. */
static bool join_words(const cJSON *words, tuff_buf *text, tuff_buf *begins)
{
    const cJSON *word;
    cJSON_ArrayForEach(word, words)
    {
        if (!cJSON_IsString(word)) return false;
        if (text->size) tuff_buf_char(text, ' ');
        tuff_buf_bytes(begins, &text->size, sizeof text->size);
        tuff_buf_text(text, word->valuestring);
    }
    return true;
}

/* Encodes the words; those that are none are seen when the record is taken. */
static tuff_status prepare(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    const tuff_view none = {0};
    tuff_buf text = {0}, begins = {0};
    cJSON *words = NULL;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    (void)own;
    (void)watch;
    params.max_length = (uint32_t)r->max_length;
    params.flags |= TUFF_ENCODE_PLAIN_SPECIAL;
    params.spans = true;
    TUFF_TRY(tuff_json_parse(item->values[0].data, item->values[0].size, r->file.path, &words));
    const bool good = join_words(words, &text, &begins);
    tuff_status status = TUFF_OK;
    if (text.failed || begins.failed) status = tuff_fail_memory("a record");
    if (status == TUFF_OK && good)
        status = tuff_example_item_encode(r, item, (tuff_view){text.data, text.size}, none, &params);
    cJSON_Delete(words);
    tuff_buf_free(&text);
    tuff_buf_free(&begins);
    return status;
}

static tuff_status check_labels(const tuff_example_reader *r, const cJSON *labels)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, labels)
    {
        if (cJSON_IsNumber(item) || (cJSON_IsString(item) && *item->valuestring)) continue;
        return tuff_record_reader_fail(&r->file, "its labels must be texts or numbers");
    }
    return TUFF_OK;
}

/* A label that is none ends it: how good a model is would be said of the others alone. */
static tuff_status take_label(marks *m, tuff_example_reader *r, const cJSON *item, int32_t *out)
{
    char known[200];
    tuff_buf number = {0};
    *out = TUFF_NO_LABEL;
    if (cJSON_IsNumber(item) && item->valuedouble == TUFF_NO_LABEL) return TUFF_OK;
    if (cJSON_IsNumber(item)) tuff_json_double(&number, item->valuedouble);
    const char *name = number.data ? number.data : item->valuestring;
    tuff_status status = number.failed ? tuff_fail_memory("the labels of a data set")
                                       : tuff_labels_take(&m->labels, tuff_view_of(name), out);
    if (status == TUFF_OK && *out < 0) {
        tuff_labels_list(&m->labels, known);
        r->file.refused = true;
        status = tuff_record_reader_fail(&r->file, "its label \"%.60s\" is none of %s", name, known);
    }
    tuff_buf_free(&number);
    return status;
}

/* The labels of an encoding's tokens: each word's first has the word's. */
static tuff_status mark(const tuff_dataset *data, tuff_example_reader *r, const tuff_encoding *e,
                        const tuff_buf *begins, const cJSON *labels)
{
    marks *m = data->own;
    const size_t *begin = (const size_t *)(const void *)begins->data;
    size_t words = begins->size / sizeof *begin, word = 0;
    const cJSON *label = labels->child;
    TUFF_TRY(reserve(m, data->tokens + (int64_t)e->count));
    for (size_t i = 0; i < e->count; i++) {
        int32_t *out = &m->of_tokens[data->tokens + (int64_t)i];
        *out = TUFF_NO_LABEL;
        if (e->texts[i] < 0 || e->spans[i].end == e->spans[i].start) continue;
        /* words that gave no token are passed over */
        while (word + 1 < words && begin[word + 1] < e->spans[i].end) {
            if (begin[word] >= e->spans[i].start) break;
            word++;
            label = label->next;
        }
        if (word >= words || begin[word] >= e->spans[i].end) continue;
        TUFF_TRY(take_label(m, r, label, out));
        word++;
        label = label->next;
        if (!label) word = words;
    }
    return TUFF_OK;
}

static tuff_status add_record(tuff_example_reader *r, const cJSON *words, const cJSON *labels)
{
    tuff_dataset *data = r->file.data;
    if (!cJSON_IsArray(words) || !cJSON_IsArray(labels))
        return tuff_record_reader_fail(&r->file, "its words and its labels must be lists");
    if (cJSON_GetArraySize(words) != cJSON_GetArraySize(labels))
        return tuff_record_reader_fail(&r->file, "it has %d words and %d labels", cJSON_GetArraySize(words),
                                       cJSON_GetArraySize(labels));
    if (!words->child) return tuff_record_reader_fail(&r->file, "it has no words");
    TUFF_TRY(check_labels(r, labels));
    tuff_buf text = {0}, begins = {0};
    const tuff_encoding *e = NULL;
    tuff_status status = join_words(words, &text, &begins)
                             ? TUFF_OK
                             : tuff_record_reader_fail(&r->file, "its words must be texts");
    if (text.failed || begins.failed) status = tuff_fail_memory("a record");
    if (status == TUFF_OK) status = tuff_example_reader_next(r, &e);
    if (status == TUFF_OK && !e->count)
        status = tuff_record_reader_fail(&r->file, "its words have no tokens");
    if (status == TUFF_OK) {
        data->cut += e->lost[0] > 0;
        status = mark(data, r, e, &begins, labels);
    }
    if (status == TUFF_OK) status = tuff_dataset_add_encoding(data, e);
    tuff_buf_free(&text);
    tuff_buf_free(&begins);
    return status;
}

static tuff_status take(tuff_example_reader *r, void *own)
{
    cJSON *words = NULL, *labels = NULL;
    (void)own;
    tuff_status status = tuff_json_parse(r->values[0].data, r->values[0].size, r->file.path, &words);
    if (status == TUFF_OK)
        status = tuff_json_parse(r->values[1].data, r->values[1].size, r->file.path, &labels);
    if (status == TUFF_OK)
        status = add_record(r, words, labels);
    else if (status == TUFF_BAD_FORMAT)
        status = tuff_record_reader_fail(&r->file, "its words and its labels must be lists");
    cJSON_Delete(words);
    cJSON_Delete(labels);
    return status;
}

static tuff_status begin(marks *m, const tuff_model *model, const tuff_data_params *params)
{
    if (params->like) return tuff_labels_copy(&m->labels, &((const marks *)params->like->own)->labels);
    if (params->training) return TUFF_OK;
    if (tuff_config_has_head(&model->config, &tuff_head_tokens))
        return tuff_labels_of_model(&m->labels, model);
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: a classifier of tokens is needed to be measured; the head of this model is: %s",
                     model->path, tuff_config_head_title(&model->config));
}

static tuff_status load(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data)
{
    marks *m = data->own = tuff_alloc(sizeof *m);
    if (!m) return tuff_fail_memory("a data set");
    const char *fields[] = {params->text_field ? params->text_field : "tokens",
                            params->label_field ? params->label_field : "labels"};
    tuff_example_reader r;
    m->room.stays = data->room.ids.stays;
    TUFF_TRY(begin(m, model, params));
    tuff_status status = tuff_example_reader_open(&r, model, path, params, fields, 2, data);
    for (size_t field = 0; status == TUFF_OK && field < 2; field++)
        tuff_records_take_json(r.file.records, field);
    if (status == TUFF_OK) status = tuff_example_reader_run(&r, &(tuff_example_work){prepare, take}, NULL);
    tuff_example_reader_close(&r);
    if (status != TUFF_OK) return status;
    TUFF_TRY(tuff_labels_settle(&m->labels, model, m->of_tokens, (size_t)data->tokens));
    if (m->labels.count > 1 || !params->training) return TUFF_OK;
    if (m->labels.count == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: none of its words has a label (all are %d)", path,
                         TUFF_NO_LABEL);
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s: all words have the label \"%s\"; there is nothing to tell apart", path,
                     m->labels.names[0]);
}

static void keep(tuff_kept *k, tuff_dataset *data)
{
    marks *m = data->own;
    tuff_kept_column(k, &m->room, (size_t)data->tokens * sizeof *m->of_tokens);
    tuff_labels_keep(&m->labels, k);
    m->of_tokens = m->room.data;
    for (int64_t i = 0; i < data->tokens && k->status == TUFF_OK; i++)
        tuff_kept_expect(k, m->of_tokens[i] < (int32_t)m->labels.count &&
                                (m->of_tokens[i] >= 0 || m->of_tokens[i] == TUFF_NO_LABEL));
}

static tuff_status join(tuff_dataset *into, const tuff_dataset *part)
{
    const marks *from = part->own;
    const bool first = !into->own;
    if (first && !(into->own = tuff_alloc(sizeof *from))) return tuff_fail_memory("a mixture");
    marks *m = into->own;
    TUFF_TRY(first ? tuff_labels_copy(&m->labels, &from->labels)
                   : tuff_labels_need_same(&m->labels, &from->labels));
    TUFF_TRY(reserve(m, into->tokens + part->tokens));
    memcpy(m->of_tokens + into->tokens, from->of_tokens, (size_t)part->tokens * sizeof *m->of_tokens);
    return TUFF_OK;
}

static void wish(const tuff_dataset *data, tuff_head_wish *out)
{
    const marks *m = data->own;
    out->labels = m->labels.names;
    out->label_count = (int64_t)m->labels.count;
}

static bool label(const tuff_dataset *data, size_t index, const char **out_name, int64_t *out_count)
{
    const marks *m = data->own;
    return tuff_labels_count(&m->labels, index, out_name, out_count);
}

/* ---- batches */

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_dataset *data = batch->data;
    const marks *m = data->own;
    tuff_examples_shape(batch, out_shape);
    *out_labels = 0;
    for (int64_t i = 0; i < batch->count; i++)
        for (int64_t k = data->starts[batch->examples[i]]; k < data->starts[batch->examples[i] + 1]; k++)
            *out_labels += m->of_tokens[k] >= 0;
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_dataset *data = batch->data;
    const marks *m = data->own;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, shape->tokens));
    for (int64_t i = 0; i < shape->tokens; i++)
        pack->own[i] = TUFF_NO_LABEL;
    for (int64_t i = 0, first, n; i < batch->count; i++) {
        tuff_examples_pack(batch, pack, i, &first, &n);
        memcpy(pack->own + first, m->of_tokens + data->starts[batch->examples[i]],
               (size_t)n * sizeof *pack->own);
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    return tuff_program_input(program, "labels", pack->own, (size_t)shape->tokens * sizeof *pack->own);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_net_begin(net);
    tuff_tensor *x = tuff_net_head(net, tuff_net_hidden(net));
    if (at->use == TUFF_TASK_MEASURE) tuff_output(net->g, "best", tuff_argmax(net->g, x));
    return tuff_task_cross_entropy(at, net->g, x,
                                   tuff_input(net->g, "labels", TUFF_I32, 1, &at->shape.tokens));
}

/* ---- measurement: pairs of what is so and what was said, and two marks behind each example's */

static const int32_t between[] = {TUFF_NO_LABEL, TUFF_NO_LABEL};

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    const tuff_dataset *data = batch->data;
    const marks *m = data->own;
    int32_t *best = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "best", (size_t)shape->tokens, &best));
    for (int64_t i = 0, at = 0; i < batch->count; i++) {
        at += batch->virtual_tokens;
        for (int64_t k = data->starts[batch->examples[i]]; k < data->starts[batch->examples[i] + 1];
             k++, at++) {
            const int32_t pair[] = {m->of_tokens[k], best[at]};
            if (pair[0] >= 0) tuff_buf_bytes(&meter->seen, pair, sizeof pair);
        }
        tuff_buf_bytes(&meter->seen, between, sizeof between);
    }
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

static tuff_status report_entities(const marks *m, const int32_t *pairs, size_t count, tuff_eval_result *out)
{
    tuff_entities e;
    tuff_status status = tuff_entities_begin(&e, m->labels.names, m->labels.count);
    for (size_t i = 0, begin = 0; i < count && status == TUFF_OK; i++)
        if (pairs[2 * i] < 0) {
            tuff_entities_add(&e, pairs + 2 * begin, i - begin);
            begin = i + 1;
        }
    if (status == TUFF_OK) tuff_entities_put(&e, out);
    tuff_entities_end(&e);
    return status;
}

static tuff_status report(tuff_meter *meter, tuff_eval_result *out)
{
    const marks *m = meter->data->own;
    const int32_t *pairs = (const int32_t *)(const void *)meter->seen.data;
    const size_t count = meter->seen.size / (2 * sizeof *pairs);
    tuff_figures f;
    if (tuff_entities_are(m->labels.names, m->labels.count)) TUFF_TRY(report_entities(m, pairs, count, out));
    TUFF_TRY(tuff_figures_begin(&f, (size_t)meter->model->config.labels));
    for (size_t i = 0; i < count; i++)
        if (pairs[2 * i] >= 0) tuff_figures_add(&f, (size_t)pairs[2 * i], (size_t)pairs[2 * i + 1]);
    tuff_figures_put(&f, false, out);
    tuff_figures_end(&f);
    return TUFF_OK;
}

const tuff_task tuff_task_tokens = {.name = "token-classification",
                                    .title = "token classification",
                                    .head = &tuff_head_tokens,
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
                                    .smooths = tuff_task_smooths,
                                    .observe = observe,
                                    .report = report};
