#include "predict/predictor.h"

#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "models/heads/head.h"
#include "models/model.h"

enum { USUAL_GUESSES = 5, MOST_GUESSES = 1024, USUAL_WINDOW = 384 };

static const struct known {
    const tuff_head *head;
    tuff_predict_task task;
} heads[] = {{&tuff_head_mlm, TUFF_PREDICT_MASKS},
             {&tuff_head_classes, TUFF_PREDICT_CLASSES},
             {&tuff_head_tokens, TUFF_PREDICT_ENTITIES},
             {&tuff_head_spans, TUFF_PREDICT_ANSWERS}};

static tuff_status choose_task(tuff_predictor *p)
{
    const tuff_config *c = &p->model->config;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        if (!tuff_config_has_head(c, heads[i].head)) continue;
        p->task = heads[i].task;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: predictions need a head for masked tokens, classes of texts or tokens, or answers; "
                     "this is %s %s, whose head is: %s",
                     p->model->path, tuff_config_kind(c), c->arch->name, tuff_config_head_title(c));
}

static tuff_status take_labels(tuff_predictor *p)
{
    char scratch[TUFF_LABEL_SIZE];
    p->outputs = p->model->config.labels;
    p->labels = tuff_alloc_array((size_t)p->outputs, sizeof *p->labels);
    for (int64_t i = 0; p->labels && i < p->outputs; i++) {
        tuff_view name = tuff_model_label(p->model, i, scratch);
        p->labels[i] = tuff_alloc(name.size + 1);
        if (!p->labels[i]) return tuff_fail_memory("the names of classes");
        memcpy(p->labels[i], name.data, name.size);
    }
    return p->labels ? TUFF_OK : tuff_fail_memory("the names of classes");
}

static tuff_status choose_outputs(tuff_predictor *p, int64_t guesses)
{
    int64_t vocab = p->model->config.vocab_size;
    if (guesses < 0 || guesses > MOST_GUESSES)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "guesses is %lld, expected 1 to %d", (long long)guesses,
                         MOST_GUESSES);
    switch (p->task) {
    case TUFF_PREDICT_CLASSES:
    case TUFF_PREDICT_ENTITIES:
        return take_labels(p);
    case TUFF_PREDICT_ANSWERS:
        p->outputs = 2;
        return TUFF_OK;
    case TUFF_PREDICT_MASKS:
        break;
    }
    p->outputs = guesses ? guesses : USUAL_GUESSES;
    if (p->outputs > vocab) p->outputs = vocab;
    p->packed.batch_picks = tuff_packed_picks(vocab); /* each has a score of every token */
    p->mask = tuff_tokenizer_mask(p->tokenizer);
    if (p->mask >= 0) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: its tokenizer has no mask token", p->model->path);
}

static tuff_status choose(tuff_predictor *p, const tuff_predictor_params *params)
{
    TUFF_TRY(choose_task(p));
    TUFF_TRY(tuff_model_get_tokenizer(p->model, &p->tokenizer));
    TUFF_TRY(choose_outputs(p, params->guesses));
    TUFF_TRY(tuff_packed_choose(&p->packed, params->max_length, 0, params->batch_tokens));
    bool short_windows = p->task == TUFF_PREDICT_ANSWERS && !params->max_length;
    if (short_windows && p->packed.max_length > USUAL_WINDOW) p->packed.max_length = USUAL_WINDOW;
    return TUFF_OK;
}

static tuff_status build(tuff_predictor *p, const tuff_predictor_params *params)
{
    TUFF_TRY(tuff_watch_check(params->watch));
    p->watch = params->watch;
    TUFF_TRY(choose(p, params));
    return tuff_packed_open(&p->packed, params->adapter, p->watch);
}

tuff_status tuff_predictor_create(const tuff_model *model, tuff_device *device,
                                  const tuff_predictor_params *params, tuff_predictor **out_predictor)
{
    TUFF_NEED_OUT(out_predictor);
    TUFF_NEED(model);
    TUFF_NEED(device);
    tuff_predictor_params given = TUFF_PREDICTOR_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&given, params, TUFF_PREDICTOR_PARAMS_INIT, watch));
    tuff_predictor *p = tuff_alloc(sizeof *p);
    if (!p) return tuff_fail_memory("a predictor");
    p->model = model;
    tuff_model_keep(model);
    p->mask = -1;
    p->packed = (tuff_packed){.model = model,
                              .device = device,
                              .top = tuff_predictor_top(p),
                              .phase = TUFF_PHASE_PREDICT,
                              .takes_virtual = true};
    tuff_status status = build(p, &given);
    if (status != TUFF_OK)
        tuff_predictor_destroy(&p);
    else
        *out_predictor = p;
    return status;
}

void tuff_predictor_destroy(tuff_predictor **predictor)
{
    if (!predictor || !*predictor) return;
    tuff_predictor *p = *predictor;
    tuff_packed_close(&p->packed);
    for (int64_t i = 0; p->labels && i < p->outputs; i++)
        tuff_free(p->labels[i]);
    tuff_free(p->labels);
    tuff_model_let_go(p->model);
    tuff_free(p);
    *predictor = NULL;
}

tuff_predict_task tuff_predictor_task(const tuff_predictor *predictor)
{
    return predictor ? predictor->task : TUFF_PREDICT_MASKS;
}

int64_t tuff_predictor_labels(const tuff_predictor *predictor)
{
    return predictor && predictor->labels ? predictor->outputs : 0;
}

const char *tuff_predictor_label(const tuff_predictor *predictor, int64_t index)
{
    return index >= 0 && index < tuff_predictor_labels(predictor) ? predictor->labels[index] : NULL;
}

int64_t tuff_predictor_guesses(const tuff_predictor *predictor)
{
    return predictor && predictor->task == TUFF_PREDICT_MASKS ? predictor->outputs : 0;
}

int64_t tuff_predictor_max_length(const tuff_predictor *predictor)
{
    return predictor ? predictor->packed.max_length : 0;
}
