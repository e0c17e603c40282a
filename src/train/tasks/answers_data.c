/* Questions out of records: {"question", "context", "answers"}, as SQuAD's files have them a line each. */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/examples.h"
#include "train/tasks/answers.h"

void tuff_questions_release(tuff_dataset *data)
{
    tuff_questions *q = data->own;
    if (!q) return;
    tuff_free(q->windows);
    tuff_free(q->items);
    tuff_free(q->answers);
    tuff_free(q->places);
    tuff_arena_free(&q->arena);
    tuff_free(q);
}

static tuff_status keep(tuff_questions *q, tuff_view text, tuff_view *out)
{
    char *copy = tuff_arena_alloc(&q->arena, text.size + 1);
    if (!copy) return tuff_fail_memory("a data set");
    memcpy(copy, text.data, text.size);
    *out = (tuff_view){copy, text.size};
    return TUFF_OK;
}

/* The place of the first answer in its context, in bytes; and how far characters were counted for the last
 * one, as many answers may stand in one context, mostly in order. */
typedef struct truth {
    bool there;
    size_t begin, end;
    double counted;
    size_t reached; /* where the character of that number begins */
} truth;

/* Where the character number `n` of a text begins; its size where there are fewer. */
static size_t byte_of(tuff_view text, double n, truth *t)
{
    uint32_t unused;
    if (n < t->counted) {
        t->counted = 0;
        t->reached = 0;
    }
    for (; t->counted < n && t->reached < text.size; t->counted++) {
        const size_t size = tuff_utf8_decode(text.data + t->reached, text.size - t->reached, &unused);
        t->reached += size ? size : 1;
    }
    return t->reached;
}

static tuff_status add_answer(tuff_questions *q, const tuff_example_reader *r, const cJSON *text,
                              const cJSON *start, truth *out)
{
    tuff_question *item = &q->items[q->count];
    if (!cJSON_IsString(text) || !cJSON_IsNumber(start))
        return tuff_record_reader_fail(&r->file, "its answers need a \"text\" and a number \"answer_start\"");
    if (!tuff_grow((void **)&q->answers, q->answer_count, &q->answer_capacity, sizeof *q->answers))
        return tuff_fail_memory("a data set");
    TUFF_TRY(keep(q, tuff_view_of(text->valuestring), &q->answers[q->answer_count]));
    size_t size = q->answers[q->answer_count++].size, begin = byte_of(item->context, start->valuedouble, out);
    if (start->valuedouble < 0 || begin + size > item->context.size)
        return tuff_record_reader_fail(
            &r->file, "its answer \"%.60s\" begins at character %g, where its context has no room for it",
            text->valuestring, start->valuedouble);
    if (memcmp(item->context.data + begin, text->valuestring, size) != 0 && !q->astray++)
        q->astray_line = r->file.line;
    if (item->answers++) return TUFF_OK;
    out->there = size > 0;
    out->begin = begin;
    out->end = begin + size;
    return TUFF_OK;
}

/* {"text": [...], "answer_start": [...]}, or a list of {"text", "answer_start"}. */
static tuff_status add_answers(tuff_questions *q, const tuff_example_reader *r, const cJSON *json, truth *out)
{
    if (cJSON_IsObject(json)) {
        const cJSON *texts = cJSON_GetObjectItemCaseSensitive(json, "text"),
                    *starts = cJSON_GetObjectItemCaseSensitive(json, "answer_start");
        if (!cJSON_IsArray(texts) || !cJSON_IsArray(starts) ||
            cJSON_GetArraySize(texts) != cJSON_GetArraySize(starts))
            return tuff_record_reader_fail(
                &r->file, "its answers need lists \"text\" and \"answer_start\" of one length");
        for (const cJSON *t = texts->child, *s = starts->child; t; t = t->next, s = s->next)
            TUFF_TRY(add_answer(q, r, t, s, out));
        return TUFF_OK;
    }
    if (!cJSON_IsArray(json))
        return tuff_record_reader_fail(&r->file, "its answers are neither an object nor a list");
    for (const cJSON *one = json->child; one; one = one->next)
        TUFF_TRY(add_answer(q, r, cJSON_GetObjectItemCaseSensitive(one, "text"),
                            cJSON_GetObjectItemCaseSensitive(one, "answer_start"), out));
    return TUFF_OK;
}

/* The tokens that hold the answer, where all of it is in the window: as run_qa.py has it. */
static void find_tokens(const tuff_place *places, int32_t n, const truth *t, tuff_window *out)
{
    int32_t first = -1, last = -1, left = -1, right = -1;
    for (int32_t i = 0; i < n; i++) {
        if (!places[i].end) continue;
        if (left < 0) left = i;
        right = i;
        if (places[i].begin <= t->begin) first = i;
        if (last < 0 && places[i].end >= t->end) last = i;
    }
    bool within = t->there && left >= 0 && places[left].begin <= t->begin && places[right].end >= t->end;
    out->first = within ? first : 0;
    out->last = within ? last : 0;
}

static tuff_status reserve_places(tuff_questions *q, int64_t more)
{
    const int64_t count = q->place_count + more;
    if (count <= q->place_capacity) return TUFF_OK;
    tuff_place *places = tuff_realloc_array(q->places, (size_t)(2 * count), sizeof *places);
    if (!places) return tuff_fail_memory("a data set");
    q->places = places;
    q->place_capacity = 2 * count;
    return TUFF_OK;
}

static tuff_status add_window(tuff_questions *q, const tuff_encoding *e, const truth *t, tuff_dataset *data)
{
    TUFF_TRY(reserve_places(q, (int64_t)e->count));
    if (!tuff_grow((void **)&q->windows, q->window_count, &q->window_capacity, sizeof *q->windows))
        return tuff_fail_memory("a data set");
    tuff_place *places = q->places + q->place_count;
    for (size_t i = 0; i < e->count; i++)
        places[i] = e->texts[i] == 1 ? (tuff_place){(uint32_t)e->spans[i].start, (uint32_t)e->spans[i].end}
                                     : (tuff_place){0, 0};
    tuff_window *w = &q->windows[q->window_count++];
    *w = (tuff_window){.question = (int32_t)q->count};
    find_tokens(places, (int32_t)e->count, t, w);
    q->place_count += (int64_t)e->count;
    return tuff_dataset_add_encoding(data, e);
}

/* `own` is how many tokens windows share. What has no context or question is seen when it is taken. */
static tuff_status prepare(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    (void)watch;
    params.flags |= TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)r->max_length;
    params.truncation = TUFF_TRUNCATE_ONLY_SECOND;
    params.overlap = (uint32_t) * (const int64_t *)own;
    params.windows = params.spans = true;
    if (!item->values[0].size || !item->values[1].size || item->values[1].size > UINT32_MAX) return TUFF_OK;
    return tuff_example_item_encode(r, item, item->values[0], item->values[1], &params);
}

static tuff_status add_windows(tuff_example_reader *r, int64_t stride, const truth *t)
{
    tuff_dataset *data = r->file.data;
    const tuff_encoding *first = NULL;
    tuff_status status = tuff_example_reader_next(r, &first);
    if (status == TUFF_INVALID_ARGUMENT)
        status = tuff_record_reader_fail(&r->file, "%s (max_length %lld, stride %lld)", tuff_error_message(),
                                         (long long)r->max_length, (long long)stride);
    for (const tuff_encoding *e = first; e && status == TUFF_OK; e = e->next)
        status = add_window(data->own, e, t, data);
    return status;
}

static tuff_status add_record(tuff_example_reader *r, int64_t stride)
{
    tuff_questions *q = r->file.data->own;
    truth t = {0};
    cJSON *json = NULL;
    if (!r->values[0].size) return tuff_record_reader_fail(&r->file, "its question is empty");
    if (!r->values[1].size) return tuff_record_reader_fail(&r->file, "its context is empty");
    if (r->values[1].size > UINT32_MAX) return tuff_record_reader_fail(&r->file, "its context is too long");
    if (!tuff_grow((void **)&q->items, q->count, &q->capacity, sizeof *q->items))
        return tuff_fail_memory("a data set");
    q->items[q->count] = (tuff_question){.first_answer = q->answer_count};
    TUFF_TRY(keep(q, r->values[1], &q->items[q->count].context));
    tuff_status status = tuff_json_parse(r->values[2].data, r->values[2].size, r->file.path, &json);
    if (status == TUFF_BAD_FORMAT)
        status = tuff_record_reader_fail(&r->file, "its answers are neither an object nor a list");
    if (status == TUFF_OK) status = add_answers(q, r, json, &t);
    cJSON_Delete(json);
    TUFF_TRY(status);
    TUFF_TRY(add_windows(r, stride, &t));
    q->count++;
    return TUFF_OK;
}

/* Nothing is left of a record that is none. */
static tuff_status take(tuff_example_reader *r, void *own)
{
    tuff_questions *q = r->file.data->own;
    const tuff_questions before = *q;
    const tuff_status status = add_record(r, *(const int64_t *)own);
    if (status == TUFF_OK) return TUFF_OK;
    q->window_count = before.window_count;
    q->answer_count = before.answer_count;
    q->place_count = before.place_count;
    q->astray = before.astray;
    q->astray_line = before.astray_line;
    return status;
}

/* They would be learned as they are. */
static void say_astray(const tuff_example_reader *r, const tuff_questions *q)
{
    if (!q->astray) return;
    tuff_log(
        TUFF_LOG_WARN,
        "%s: %zu of %zu answers are not in their contexts where answer_start says, first in line %llu; it "
        "counts characters, not bytes, from 0",
        r->file.path, q->astray, q->answer_count, (unsigned long long)q->astray_line);
}

tuff_status tuff_questions_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                                tuff_dataset *data)
{
    data->own = tuff_alloc(sizeof(tuff_questions));
    if (!data->own) return tuff_fail_memory("a data set");
    const char *fields[] = {params->question_field ? params->question_field : "question",
                            params->context_field ? params->context_field : "context",
                            params->answers_field ? params->answers_field : "answers"};
    tuff_example_reader r;
    if (params->stride < 0 || params->stride > 1 << 20)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "stride is %lld, expected 0 or more",
                         (long long)params->stride);
    tuff_status status = tuff_example_reader_open(&r, model, path, params, fields, 3, data);
    int64_t stride = params->stride;
    if (status == TUFF_OK) {
        tuff_records_take_json(r.file.records, 2);
        status = tuff_example_reader_run(&r, &(tuff_example_work){prepare, take}, &stride);
    }
    if (status == TUFF_OK) say_astray(&r, data->own);
    tuff_example_reader_close(&r);
    return status;
}

/* ---- mixtures */

static tuff_status join_question(tuff_questions *q, const tuff_questions *from, const tuff_question *item)
{
    if (!tuff_grow((void **)&q->items, q->count, &q->capacity, sizeof *q->items))
        return tuff_fail_memory("a mixture");
    tuff_question *to = &q->items[q->count++];
    *to = (tuff_question){.answers = item->answers, .first_answer = q->answer_count};
    TUFF_TRY(keep(q, item->context, &to->context));
    for (size_t i = 0; i < item->answers; i++) {
        if (!tuff_grow((void **)&q->answers, q->answer_count, &q->answer_capacity, sizeof *q->answers))
            return tuff_fail_memory("a mixture");
        TUFF_TRY(keep(q, from->answers[item->first_answer + i], &q->answers[q->answer_count]));
        q->answer_count++;
    }
    return TUFF_OK;
}

tuff_status tuff_questions_join(tuff_dataset *into, const tuff_dataset *part)
{
    const tuff_questions *from = part->own;
    if (!into->own && !(into->own = tuff_alloc(sizeof *from))) return tuff_fail_memory("a mixture");
    tuff_questions *q = into->own;
    const int32_t before = (int32_t)q->count;
    for (size_t i = 0; i < from->count; i++)
        TUFF_TRY(join_question(q, from, &from->items[i]));
    for (size_t i = 0; i < from->window_count; i++) {
        if (!tuff_grow((void **)&q->windows, q->window_count, &q->window_capacity, sizeof *q->windows))
            return tuff_fail_memory("a mixture");
        q->windows[q->window_count] = from->windows[i];
        q->windows[q->window_count++].question += before;
    }
    TUFF_TRY(reserve_places(q, from->place_count));
    memcpy(q->places + q->place_count, from->places, (size_t)from->place_count * sizeof *q->places);
    q->place_count += from->place_count;
    return TUFF_OK;
}
