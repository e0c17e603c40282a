/* Names in texts: classes of tokens, alone or put together. */
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "predict/predictor.h"

typedef struct list {
    tuff_entity *items;
    size_t count, capacity;
} list;

static bool add(list *l, const tuff_entity *entity)
{
    if (!tuff_grow((void **)&l->items, l->count, &l->capacity, sizeof *l->items)) return false;
    l->items[l->count++] = *entity;
    return true;
}

/* What a class is called without "B-" or "I-", and whether it begins an entity. */
static const char *tag_of(const char *label, bool *begins)
{
    *begins = strncmp(label, "B-", 2) == 0;
    return *begins || strncmp(label, "I-", 2) == 0 ? label + 2 : label;
}

static const char *group_name(const char *label)
{
    const char *dash = strchr(label, '-');
    return dash ? dash + 1 : label;
}

/* The tokens of one group, first and last among them: their mean. */
typedef struct group {
    tuff_entity entity;
    double sum;
    size_t tokens;
    const char *label; /* of the last one */
} group;

static bool close_group(const tuff_entities_params *params, group *g, list *out)
{
    if (!g->tokens) return true;
    g->entity.score = (float)(g->sum / (double)g->tokens);
    bool left_out = strcmp(g->entity.name, "O") == 0 && !params->outside;
    g->tokens = 0;
    return left_out || add(out, &g->entity);
}

static bool add_grouped(const tuff_entities_params *params, const tuff_entity *token, group *g, list *out)
{
    bool begins, began;
    const char *tag = tag_of(token->name, &begins);
    if (g->tokens && !begins && strcmp(tag, tag_of(g->label, &began)) == 0) {
        g->entity.span.end = token->span.end;
    } else {
        if (!close_group(params, g, out)) return false;
        g->entity = *token;
        g->entity.name = group_name(token->name);
        g->sum = 0;
    }
    g->label = token->name;
    g->sum += (double)token->score;
    g->tokens++;
    return true;
}

static tuff_entity best_of(const tuff_predictor *p, const tuff_predict_text *text, size_t k, float *row)
{
    int64_t best = 0;
    tuff_predict_softmax(row, p->outputs);
    for (int64_t i = 1; i < p->outputs; i++)
        if (row[i] > row[best]) best = i;
    return (tuff_entity){.input = text->input,
                         .span = text->encoding->spans[k],
                         .name = p->labels[best],
                         .label = best,
                         .score = row[best]};
}

static bool find_in(tuff_predict_call *call, const tuff_predict_text *text,
                    const tuff_entities_params *params, list *out)
{
    const tuff_predictor *p = call->predictor;
    group g = {.tokens = 0};
    for (size_t k = 0; k < text->rows; k++) {
        if (text->encoding->texts[k] < 0) continue; /* the template's */
        const tuff_entity token = best_of(p, text, k, call->rows + (text->start + k) * (size_t)p->outputs);
        if (params->group ? !add_grouped(params, &token, &g, out)
                          : (params->outside || strcmp(token.name, "O") != 0) && !add(out, &token))
            return false;
    }
    return close_group(params, &g, out);
}

static tuff_status find(tuff_predict_call *call, const tuff_entities_params *params, list *out)
{
    tuff_encode_params encoding = tuff_predict_encode_params(call);
    encoding.spans = true;
    for (size_t i = 0; i < call->n; i++)
        TUFF_TRY(tuff_predict_encode(call, i, &encoding));
    TUFF_TRY(tuff_predict_run(call));
    for (size_t i = 0; i < call->count; i++)
        if (!find_in(call, &call->texts[i], params, out)) return tuff_fail_memory("names in texts");
    return TUFF_OK;
}

tuff_status tuff_find_entities(tuff_predictor *predictor, const tuff_predict_input *inputs, size_t n,
                               const tuff_entities_params *params, tuff_entity **out_entities,
                               size_t *out_count, tuff_predict_result *out_result)
{
    TUFF_NEED_OUT(out_entities);
    TUFF_NEED(predictor);
    TUFF_NEED_MANY(inputs, n);
    TUFF_NEED(out_count);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_PREDICT_RESULT_INIT, truncated));
    tuff_entities_params given = TUFF_ENTITIES_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&given, params, TUFF_ENTITIES_PARAMS_INIT, watch));
    *out_count = 0;
    list found = {0};
    tuff_predict_call call = {.predictor = predictor, .inputs = inputs, .n = n};
    tuff_status status = tuff_predict_begin(&call, TUFF_PREDICT_ENTITIES, given.watch);
    if (status == TUFF_OK) status = find(&call, &given, &found);
    if (status == TUFF_OK) {
        *out_entities = found.items;
        *out_count = found.count;
    } else {
        tuff_free(found.items);
    }
    return tuff_predict_end(&call, status, out_result);
}
