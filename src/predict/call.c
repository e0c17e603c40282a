/* What all predictions share: inputs as tokens, a run, its end. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "predict/predictor.h"

static const char *const asked[] = {
    [TUFF_PREDICT_MASKS] = "guesses for masks",
    [TUFF_PREDICT_CLASSES] = "classes of texts",
    [TUFF_PREDICT_ENTITIES] = "classes of tokens",
    [TUFF_PREDICT_ANSWERS] = "answers",
};

static tuff_status check_inputs(const tuff_predict_call *call, tuff_predict_task task)
{
    for (size_t i = 0; i < call->n; i++) {
        const tuff_predict_input *in = &call->inputs[i];
        if (!in->text.data && in->text.size)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "the text of input %zu is NULL, and its size is not 0",
                             i);
        bool pairs = task == TUFF_PREDICT_CLASSES || task == TUFF_PREDICT_ANSWERS;
        if (in->pair.data && !pairs)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "input %zu is a pair; %s are of single texts", i,
                             asked[task]);
        if (!in->pair.data && task == TUFF_PREDICT_ANSWERS)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "input %zu is a question without a context", i);
    }
    return TUFF_OK;
}

static tuff_status begin_encoding(tuff_predict_call *call)
{
    uint64_t total = 0;
    for (size_t i = 0; i < call->n; i++)
        total += call->inputs[i].text.size + call->inputs[i].pair.size;
    return tuff_watched_parts_begin(&call->encoding, call->watch, TUFF_PHASE_TOKENIZE, total);
}

tuff_status tuff_predict_begin(tuff_predict_call *call, tuff_predict_task task, const tuff_watch *watch)
{
    const tuff_predictor *p = call->predictor;
    call->result = (tuff_predict_result)TUFF_PREDICT_RESULT_INIT;
    TUFF_TRY(tuff_watch_check(watch));
    call->watch = watch ? watch : p->watch;
    if (p->task != task)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s are asked for, and the model's head is: %s",
                         p->model->path, asked[task], tuff_config_head_title(&p->model->config));
    TUFF_TRY(check_inputs(call, task));
    call->encodings = tuff_alloc_array(call->n + 1, sizeof *call->encodings);
    if (!call->encodings) return tuff_fail_memory("a list of texts");
    return begin_encoding(call);
}

tuff_encode_params tuff_predict_encode_params(tuff_predict_call *call)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.flags = TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)call->predictor->packed.max_length;
    params.watch = &call->encoding.each;
    return params;
}

/* The places of the masks in a text. */
static tuff_status find_masks(tuff_predict_call *call, tuff_packed_text *text)
{
    const int32_t mask = call->predictor->mask;
    for (size_t k = 0; k < text->count; k++)
        text->picks += text->ids[k] == mask;
    int32_t *picked = tuff_arena_array(&call->picks, text->picks ? text->picks : 1, sizeof *picked);
    if (!picked) return tuff_fail_memory("the places of masks");
    for (size_t k = 0, to = 0; k < text->count; k++)
        if (text->ids[k] == mask) picked[to++] = (int32_t)k;
    text->picked = picked;
    return TUFF_OK;
}

static tuff_status add_text(tuff_predict_call *call, size_t input, const tuff_encoding *e)
{
    const tuff_config *c = &call->predictor->model->config;
    if (!tuff_grow((void **)&call->texts, call->count, &call->capacity, sizeof *call->texts) ||
        !tuff_grow((void **)&call->packed, call->count, &call->packed_capacity, sizeof *call->packed))
        return tuff_fail_memory("a list of texts");
    tuff_packed_text t = {.ids = e->ids, .types = e->type_ids, .count = e->count, .index = call->count};
    const tuff_predict_text *last = call->count ? &call->texts[call->count - 1] : NULL;
    if (!e->count)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "input %zu is empty, and this model puts no tokens around texts: there is nothing to "
            "predict from",
            input);
    for (size_t k = 0; k < e->count; k++)
        TUFF_TRY(tuff_config_check_types(c, call->predictor->model->path, e->type_ids[k]));
    if (call->predictor->task == TUFF_PREDICT_MASKS) TUFF_TRY(find_masks(call, &t));
    call->packed[call->count] = t;
    call->texts[call->count++] = (tuff_predict_text){
        .encoding = e,
        .input = input,
        .start = last ? last->start + last->rows : 0,
        .rows = call->predictor->task == TUFF_PREDICT_MASKS     ? t.picks
                : call->predictor->task == TUFF_PREDICT_CLASSES ? 1
                                                                : e->count,
    };
    return TUFF_OK;
}

tuff_status tuff_predict_encode(tuff_predict_call *call, size_t i, const tuff_encode_params *params)
{
    TUFF_TRY(tuff_tokenizer_encode_pair(call->predictor->tokenizer, call->inputs[i].text,
                                        call->inputs[i].pair, params, &call->encodings[i]));
    call->result.truncated += call->encodings[i]->lost[0] > 0 || call->encodings[i]->lost[1] > 0;
    for (const tuff_encoding *e = call->encodings[i]; e; e = e->next)
        TUFF_TRY(add_text(call, i, e));
    return tuff_watched_parts_next(&call->encoding, call->inputs[i].text.size + call->inputs[i].pair.size);
}

tuff_status tuff_predict_run(tuff_predict_call *call)
{
    tuff_predictor *p = call->predictor;
    const tuff_predict_text *last = call->count ? &call->texts[call->count - 1] : NULL;
    size_t rows = last ? last->start + last->rows : 0;
    call->rows = tuff_alloc_array(rows * (size_t)p->outputs + 1, sizeof *call->rows);
    bool masks = p->task == TUFF_PREDICT_MASKS;
    if (masks) call->places = tuff_alloc_array(rows * (size_t)p->outputs + 1, sizeof *call->places);
    if (!call->rows || (masks && !call->places)) return tuff_fail_memory("predictions");
    return tuff_packed_run(&p->packed, call->packed, call->count, call, call->watch, &call->result.tokens);
}

tuff_status tuff_predict_end(tuff_predict_call *call, tuff_status status, tuff_predict_result *out_result)
{
    for (size_t i = 0; call->encodings && i < call->n; i++)
        tuff_encoding_destroy(&call->encodings[i]);
    tuff_free(call->encodings);
    tuff_free(call->texts);
    tuff_free(call->packed);
    tuff_arena_free(&call->picks);
    tuff_free(call->rows);
    tuff_free(call->places);
    if (status != TUFF_OK || !out_result) return status;
    return TUFF_GIVE(out_result, &call->result, TUFF_PREDICT_RESULT_INIT, truncated);
}

void tuff_predict_softmax(float *x, int64_t n)
{
    float largest = x[0];
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        largest = fmaxf(largest, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)(x[i] - largest));
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(exp((double)(x[i] - largest)) / sum);
}
