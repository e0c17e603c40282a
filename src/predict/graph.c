/* The graph of a predictor: the head on the states that it looks at. */
#include <string.h>

#include "base/memory.h"
#include "models/heads/head.h"
#include "predict/predictor.h"

static void build_masks(const tuff_predictor *p, tuff_net *net, tuff_tensor *states, int64_t picked)
{
    tuff_tensor *logits = tuff_net_head(net, tuff_net_pick(net, states, picked, false)), *values, *places;
    tuff_top_k(net->g, tuff_softmax(net->g, logits), p->outputs, &values, &places);
    tuff_output(net->g, "rows", values);
    tuff_output(net->g, "places", places);
}

static void build(void *user, tuff_net *net, tuff_tensor *states, const tuff_packed_shape *shape)
{
    const tuff_predictor *p = user;
    if (p->task == TUFF_PREDICT_MASKS) {
        build_masks(p, net, states, shape->picked);
        return;
    }
    if (p->task == TUFF_PREDICT_CLASSES) states = tuff_net_pooled(net, states, false);
    tuff_output(net->g, "rows", tuff_net_head(net, states));
}

/* Which rows of the states are picked: of masks those, of classifiers the one that stands for the text. What
 * is first is so with virtual tokens counted, as PEFT has it. */
static tuff_status set(void *user, tuff_program *program, const tuff_packed_shape *shape,
                       const tuff_packed_text *texts, size_t n)
{
    tuff_predictor *p = user;
    const tuff_config *c = &p->model->config;
    bool masks = p->task == TUFF_PREDICT_MASKS;
    if (!masks && (p->task != TUFF_PREDICT_CLASSES || c->head_means)) return TUFF_OK;
    size_t count = (size_t)(masks ? shape->picked : shape->sequences), to = 0;
    const int32_t before = (int32_t)p->packed.pack.virtual_tokens;
    int32_t *picked = tuff_packed_words(&p->packed, count), at = 0;
    if (!picked) return TUFF_OUT_OF_MEMORY;
    for (size_t s = 0; s < n; s++) {
        int32_t size = before + (int32_t)texts[s].count;
        for (size_t i = 0; masks && i < texts[s].picks; i++)
            picked[to++] = at + texts[s].picked[i];
        if (!masks) picked[to++] = c->head->last ? at + size - 1 : at;
        at += size;
    }
    return tuff_program_input(program, "picked", picked, count * sizeof *picked);
}

static tuff_status take(void *user, void *user_call, tuff_program *program, const tuff_packed_shape *shape,
                        const tuff_packed_text *texts, size_t n)
{
    tuff_predictor *p = user;
    tuff_predict_call *call = user_call;
    const size_t d = (size_t)p->outputs, rows = (size_t)(p->task == TUFF_PREDICT_MASKS     ? shape->picked
                                                         : p->task == TUFF_PREDICT_CLASSES ? shape->sequences
                                                                                           : shape->tokens);
    const size_t before = p->task == TUFF_PREDICT_ENTITIES ? (size_t)p->packed.pack.virtual_tokens : 0;
    float *values = tuff_packed_words(&p->packed, 2 * rows * d);
    if (!values) return TUFF_OUT_OF_MEMORY;
    int32_t *places = (int32_t *)(values + rows * d);
    TUFF_TRY(tuff_program_output(program, "rows", values, rows * d * sizeof *values));
    if (call->places) TUFF_TRY(tuff_program_output(program, "places", places, rows * d * sizeof *places));
    for (size_t s = 0, at = 0; s < n; s++) {
        const tuff_predict_text *t = &call->texts[texts[s].index];
        at += before;
        memcpy(call->rows + t->start * d, values + at * d, t->rows * d * sizeof *values);
        if (call->places) memcpy(call->places + t->start * d, places + at * d, t->rows * d * sizeof *places);
        at += t->rows;
    }
    return TUFF_OK;
}

tuff_packed_top tuff_predictor_top(tuff_predictor *predictor)
{
    return (tuff_packed_top){.build = build, .set = set, .take = take, .user = predictor};
}
