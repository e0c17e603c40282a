#include "embed/embedder.h"

#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "formats/hf_config.h"
#include "models/model.h"

static tuff_status choose_pooling(tuff_embedder *e, tuff_pooling wanted)
{
    if (wanted < TUFF_POOLING_MODEL || wanted > TUFF_POOLING_NONE)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no pooling %d", (int)wanted);
    e->pooling = wanted;
    if (e->pooling == TUFF_POOLING_MODEL) e->pooling = e->sentence.pooling;
    if (e->pooling == TUFF_POOLING_MODEL && e->model->gguf)
        TUFF_TRY(tuff_model_gguf_pooling(e->model, &e->pooling));
    if (e->pooling == TUFF_POOLING_MODEL)
        e->pooling = e->model->config.causal ? TUFF_POOLING_LAST : TUFF_POOLING_MEAN;
    return TUFF_OK;
}

static tuff_status choose_normalize(tuff_embedder *e, tuff_normalize wanted)
{
    if (wanted < TUFF_NORMALIZE_MODEL || wanted > TUFF_NORMALIZE_NO)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no normalization %d", (int)wanted);
    bool usual = e->pooling != TUFF_POOLING_NONE && (e->sentence.normalize || !e->sentence.there);
    e->normalize = wanted == TUFF_NORMALIZE_MODEL ? usual : wanted == TUFF_NORMALIZE_YES;
    return TUFF_OK;
}

static tuff_status choose_dimensions(tuff_embedder *e, int64_t wanted)
{
    e->full = e->model->config.hidden_size;
    for (size_t i = 0; e->pooling != TUFF_POOLING_NONE && i < e->sentence.denses; i++) {
        const tuff_sentence_dense *layer = &e->sentence.dense[i];
        if (layer->in != e->full)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: in_features is %lld, but vectors have %lld numbers there",
                             layer->directory, (long long)layer->in, (long long)e->full);
        e->full = layer->out;
    }
    e->dimensions = wanted ? wanted : e->full;
    if (e->dimensions >= 1 && e->dimensions <= e->full) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s makes vectors of %lld numbers: dimensions is %lld, expected 1 to %lld",
                     e->model->path, (long long)e->full, (long long)wanted, (long long)e->full);
}

/* Texts that are to be lower-cased need a tokenizer that does so by itself, as nearly all that are asked to
 * do. */
static tuff_status check_case(const tuff_embedder *e)
{
    static const char upper[] = "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
                      lower[] = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
    const tuff_tokenizer *t = e->model->tokenizer;
    int32_t *a = NULL, *b = NULL;
    size_t n = 0, m = 0;
    if (!e->sentence.lower || !t) return TUFF_OK;
    tuff_status status = tuff_tokenizer_encode(t, upper, sizeof upper - 1, 0, &a, &n);
    if (status == TUFF_OK) status = tuff_tokenizer_encode(t, lower, sizeof lower - 1, 0, &b, &m);
    if (status == TUFF_OK && (n != m || memcmp(a, b, n * sizeof *a) != 0))
        status =
            tuff_fail(TUFF_UNSUPPORTED,
                      "%s: sentence_bert_config.json has do_lower_case, but its tokenizer tells capitals "
                      "from small letters: make the tokenizer lower-case (tokenizer.json's normalizer), "
                      "and take do_lower_case out",
                      e->model->path);
    tuff_free(a);
    tuff_free(b);
    return status;
}

static tuff_status choose(tuff_embedder *e, const tuff_embedder_params *params)
{
    const tuff_model *model = e->model;
    if (!model->gguf && tuff_is_directory(model->path))
        TUFF_TRY(tuff_sentence_read(model->path, &e->sentence));
    TUFF_TRY(check_case(e));
    TUFF_TRY(choose_pooling(e, params->pooling));
    TUFF_TRY(choose_normalize(e, params->normalize));
    TUFF_TRY(choose_dimensions(e, params->dimensions));
    return tuff_packed_choose(&e->packed, params->max_length, e->sentence.max_length, params->batch_tokens);
}

static tuff_status build(tuff_embedder *e, const tuff_embedder_params *params)
{
    TUFF_TRY(tuff_watch_check(params->watch));
    e->watch = params->watch;
    e->packed = (tuff_packed){
        .model = e->model, .device = e->device, .top = tuff_embedder_top(e), .phase = TUFF_PHASE_EMBED};
    TUFF_TRY(choose(e, params));
    return tuff_packed_open(&e->packed, params->adapter, e->watch);
}

tuff_status tuff_embedder_settle(const tuff_model *model, const tuff_embedder_params *params,
                                 tuff_embedder **out_embedder)
{
    *out_embedder = NULL;
    tuff_embedder *e = tuff_alloc(sizeof *e);
    if (!e) return tuff_fail_memory("an embedder");
    e->model = e->packed.model = model;
    tuff_model_keep(model);
    tuff_status status = choose(e, params);
    if (status != TUFF_OK)
        tuff_embedder_destroy(&e);
    else
        *out_embedder = e;
    return status;
}

tuff_status tuff_embedder_create(const tuff_model *model, tuff_device *device,
                                 const tuff_embedder_params *params, tuff_embedder **out_embedder)
{
    TUFF_NEED_OUT(out_embedder);
    TUFF_NEED(model);
    TUFF_NEED(device);
    tuff_embedder_params p = TUFF_EMBEDDER_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EMBEDDER_PARAMS_INIT, watch));
    tuff_embedder *e = tuff_alloc(sizeof *e);
    if (!e) return tuff_fail_memory("an embedder");
    e->model = model;
    e->device = device;
    tuff_model_keep(model);
    tuff_status status = build(e, &p);
    if (status != TUFF_OK)
        tuff_embedder_destroy(&e);
    else
        *out_embedder = e;
    return status;
}

void tuff_embedder_destroy(tuff_embedder **embedder)
{
    if (!embedder || !*embedder) return;
    tuff_embedder *e = *embedder;
    tuff_packed_close(&e->packed);
    tuff_sentence_free(&e->sentence);
    tuff_model_let_go(e->model);
    tuff_free(e);
    *embedder = NULL;
}

int64_t tuff_embedder_dimensions(const tuff_embedder *embedder)
{
    return embedder ? embedder->dimensions : 0;
}

int64_t tuff_embedder_full_dimensions(const tuff_embedder *embedder)
{
    return embedder ? embedder->full : 0;
}

int64_t tuff_embedder_max_length(const tuff_embedder *embedder)
{
    return embedder ? embedder->packed.max_length : 0;
}

const char *tuff_embedder_prompt(const tuff_embedder *embedder, const char *name)
{
    if (!embedder) return NULL;
    const tuff_sentence *s = &embedder->sentence;
    if (!name) return s->default_prompt;
    for (size_t i = 0; i < s->prompt_count; i++)
        if (strcmp(s->prompts[i].name, name) == 0) return s->prompts[i].text;
    return NULL;
}
