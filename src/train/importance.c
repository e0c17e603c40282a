/* A model runs over a text, and what its linear layers are given is squared and added up. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tuff/importance.h>

#include "base/structs.h"
#include "models/importance.h"
#include "models/model.h"
#include "packed/packed.h"

enum { USUAL_CONTEXT = 512 };

typedef struct observer {
    tuff_packed packed;
    tuff_importance *sums;
} observer;

static void add(observer *o, tuff_graph *g, const char *name, int64_t matrices, int64_t columns)
{
    if (g->status == TUFF_OK && tuff_importance_add(o->sums, name, matrices, columns) != TUFF_OK)
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "%s", tuff_error_message());
}

/* The mean over a batch's tokens of each column of x, squared, as output "<module>.weight". */
static tuff_tensor *observe(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *w,
                            tuff_tensor *y)
{
    observer *o = self;
    tuff_graph *g = net->g;
    tuff_tensor *used = tuff_graph_leaf(g, "used");
    const char *name = tuff_net_name(net, "%s.weight", module);
    (void)w;
    if (!used) used = tuff_input(g, "used", TUFF_I32, 2, (int64_t[]){1, 4});
    add(o, g, name, 1, tuff_tensor_dim(x, -1));
    tuff_output(g, name, tuff_segment_mean(g, tuff_mul(g, x, x), used, false));
    return y;
}

/* The same of each expert, over those of a batch's tokens that use it: [experts, columns]. What has a row for
 * each token has as many for its experts; none counts that is no token's. */
static void observe_matrix(observer *o, tuff_net *net, const char *module, tuff_tensor *x,
                           tuff_tensor *chosen)
{
    tuff_graph *g = net->g;
    const int64_t experts = net->config->experts.count, columns = tuff_tensor_dim(x, -1),
                  rows = tuff_tensor_dim(x, 0), pairs = tuff_tensor_dim(chosen, 0),
                  each = rows ? pairs / rows : 1, tokens = net->tokens, used = tokens ? pairs / tokens : 1;
    const char *name = tuff_net_name(net, "%s.weight", module);
    tuff_tensor *counts = tuff_graph_leaf(g, "counts");
    if (!counts) counts = tuff_input(g, "counts", TUFF_F32, 1, &tokens);
    add(o, g, name, experts, columns);
    const int64_t narrow[] = {rows, 1, columns}, wide[] = {rows, each, columns}, all[] = {pairs, columns};
    const int64_t token[] = {tokens, 1}, of_pairs[] = {tokens, used}, column[] = {pairs, 1};
    tuff_tensor *squares = tuff_reshape(g, tuff_mul(g, x, x), 3, narrow);
    squares = tuff_reshape(g, tuff_copy(g, tuff_expand(g, squares, 3, wide), TUFF_F32), 2, all);
    counts = tuff_copy(g, tuff_expand(g, tuff_reshape(g, counts, 2, token), 2, of_pairs), TUFF_F32);
    squares = tuff_mul(g, squares, tuff_reshape(g, counts, 2, column));
    tuff_output(g, name, tuff_scatter_add_rows(g, squares, chosen, experts));
}

static void observe_experts(void *self, tuff_net *net, const tuff_routes *to, const char *const *modules,
                            int n, tuff_tensor *x, tuff_tensor **y)
{
    (void)y;
    for (int i = 0; i < n; i++)
        observe_matrix(self, net, modules[i], x, to->chosen);
}

static const tuff_net_points points = {.linear = observe, .experts = observe_experts};

/* The states themselves are of no use: what only they need is not computed. */
static void build(void *user, tuff_net *net, tuff_tensor *states, const tuff_packed_shape *shape)
{
    (void)user;
    (void)net;
    (void)states;
    (void)shape;
}

static int32_t tokens_of(const tuff_packed_text *texts, size_t n)
{
    int32_t tokens = 0;
    for (size_t i = 0; i < n; i++)
        tokens += (int32_t)texts[i].count;
    return tokens;
}

static tuff_status set(void *user, tuff_program *program, const tuff_packed_shape *shape,
                       const tuff_packed_text *texts, size_t n)
{
    observer *o = user;
    const int32_t tokens = tokens_of(texts, n), used[] = {0, tokens, 0, tokens};
    TUFF_TRY(tuff_program_input(program, "used", used, sizeof used));
    if (o->packed.model->config.experts.count == 0) return TUFF_OK;
    float *counts = tuff_packed_words(&o->packed, (size_t)shape->tokens);
    if (!counts) return TUFF_OUT_OF_MEMORY;
    for (int32_t i = 0; i < tokens; i++)
        counts[i] = 1.0f / (float)tokens;
    return tuff_program_input(program, "counts", counts, (size_t)shape->tokens * sizeof *counts);
}

static tuff_status take(void *user, void *call, tuff_program *program, const tuff_packed_shape *shape,
                        const tuff_packed_text *texts, size_t n)
{
    observer *o = user;
    const double tokens = tokens_of(texts, n);
    (void)call;
    (void)shape;
    for (size_t i = 0; i < o->sums->count; i++) {
        const tuff_importance_item *item = &o->sums->items[i];
        const size_t columns = (size_t)(item->matrices * item->columns);
        float *means = tuff_packed_words(&o->packed, columns);
        if (!means) return TUFF_OUT_OF_MEMORY;
        TUFF_TRY(tuff_program_output(program, item->name, means, columns * sizeof *means));
        for (size_t k = 0; k < columns; k++) {
            if (!isfinite(means[k]))
                return tuff_fail(
                    TUFF_NOT_FINITE,
                    "the inputs of %s are not finite, or their squares are not: no importances come of them",
                    item->name);
            item->sums[k] += tokens * (double)means[k];
        }
    }
    return TUFF_OK;
}

/* The text as inputs of the model, each of `context` tokens at most, with what the model wants around them.
 */
static tuff_status run_text(observer *o, const char *text, size_t size, const tuff_watch *watch)
{
    tuff_status status = TUFF_OK;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *encoding = NULL;
    tuff_packed_text *texts = NULL;
    const tuff_tokenizer *tokenizer;
    size_t n = 0, i = 0;
    int64_t tokens;
    params.max_length = (uint32_t)o->packed.max_length;
    params.truncation = TUFF_TRUNCATE_ONLY_FIRST;
    params.windows = true;
    params.watch = watch;
    TUFF_TRY(tuff_model_get_tokenizer(o->packed.model, &tokenizer));
    TUFF_GO(tuff_tokenizer_encode_pair(tokenizer, (tuff_piece){text, size}, (tuff_piece){NULL, 0}, &params,
                                       &encoding));
    for (const tuff_encoding *e = encoding; e; e = e->next)
        n += e->count > 0;
    if (!size || !n) TUFF_GO(tuff_fail(TUFF_INVALID_ARGUMENT, "the text for importances has no token"));
    texts = tuff_alloc_array(n, sizeof *texts);
    if (!texts) TUFF_GO(tuff_fail_memory("the parts of a text"));
    for (const tuff_encoding *e = encoding; e; e = e->next)
        if (e->count > 0) {
            texts[i] = (tuff_packed_text){.ids = e->ids, .types = e->type_ids, .count = e->count, .index = i};
            TUFF_GO(tuff_packed_check_ids(&o->packed, e->ids, e->count, i));
            i++;
        }
    status = tuff_packed_run(&o->packed, texts, n, NULL, watch, &tokens);
done:
    tuff_free(texts);
    tuff_encoding_destroy(&encoding);
    return status;
}

tuff_status tuff_importance_create(const tuff_model *model, tuff_device *device, const char *text,
                                   size_t size, const tuff_importance_params *params,
                                   tuff_importance **out_importance)
{
    tuff_importance_params p = TUFF_IMPORTANCE_PARAMS_INIT;
    TUFF_NEED(out_importance);
    *out_importance = NULL;
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(text);
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_IMPORTANCE_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    if (model->config.encoder)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: what its weights are given is not observed of an encoder-decoder; quantize it "
                         "without a text for importances",
                         model->path);
    observer o = {.sums = tuff_alloc(sizeof *o.sums)};
    const tuff_net_hook hook = {.points = &points, .self = &o};
    const int64_t most =
        model->config.max_positions < USUAL_CONTEXT ? model->config.max_positions : USUAL_CONTEXT;
    if (!o.sums) return tuff_fail_memory("importances");
    o.packed = (tuff_packed){.model = model,
                             .device = device,
                             .top = {.build = build, .set = set, .take = take, .user = &o},
                             .phase = TUFF_PHASE_OBSERVE,
                             .hook = &hook};
    tuff_status status = tuff_packed_choose(&o.packed, p.context, most, USUAL_CONTEXT);
    if (status == TUFF_OK) status = tuff_packed_open(&o.packed, NULL, p.watch);
    if (status == TUFF_OK) status = run_text(&o, text, size, p.watch);
    tuff_packed_close(&o.packed);
    if (status != TUFF_OK) tuff_importance_destroy(&o.sums);
    *out_importance = o.sums;
    return status;
}
