#include "packed/packed.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/watch.h"
#include "formats/hf_config.h"
#include "models/model.h"
#include "runtime/program.h"

enum { USUAL_TOKENS = 4096, MOST_TOKENS = 1 << 24 };

tuff_status tuff_packed_choose(tuff_packed *p, int64_t max_length, int64_t usual, int64_t batch_tokens)
{
    const tuff_config *c = &p->model->config;
    int64_t most = c->learned_positions ? c->max_positions : MOST_TOKENS, longest = 0;
    if (c->encoder)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: it is an encoder-decoder, which writes texts (generate, train and eval with "
                         "seq2seq); vectors and classes of texts need a model of one stack of layers",
                         p->model->path);
    if (!p->model->gguf && tuff_is_directory(p->model->path))
        TUFF_TRY(tuff_hf_max_length(p->model->path, &longest));
    if (!longest || longest > c->max_positions) longest = c->max_positions;
    p->max_length = max_length ? max_length : usual ? usual : longest;
    p->usual_length = !max_length;
    if (!max_length && p->max_length > most) p->max_length = most;
    if (p->max_length < 2 || p->max_length > most)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the longest text is %lld tokens, expected 2 to %lld",
                         (long long)max_length, (long long)most);
    p->batch_tokens = batch_tokens ? batch_tokens : USUAL_TOKENS;
    if (p->batch_tokens >= 1 && p->batch_tokens <= MOST_TOKENS) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "batch_tokens is %lld, expected 1 to %d", (long long)batch_tokens,
                     MOST_TOKENS);
}

/* Where positions end, virtual tokens take some of the text's. */
static tuff_status make_room(tuff_packed *p)
{
    const tuff_config *c = &p->model->config;
    const int64_t before = tuff_adapter_virtual_tokens(p->adapter), left = c->max_positions - before;
    if (!c->learned_positions || p->max_length <= left) return TUFF_OK;
    if (p->usual_length && left >= 2) {
        p->max_length = left;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "texts of %lld tokens behind %lld virtual ones need more than the %lld positions of the "
                     "model",
                     (long long)p->max_length, (long long)before, (long long)c->max_positions);
}

tuff_status tuff_packed_open(tuff_packed *p, const char *adapter, const tuff_watch *watch)
{
    p->turn = tuff_turn_create();
    if (!p->turn) return tuff_fail_memory("a model that texts run through");
    TUFF_TRY(tuff_session_create(p->device, &p->session));
    if (adapter) TUFF_TRY(tuff_adapter_open(p->model, adapter, &p->device->log, &p->adapter));
    p->pack.virtual_tokens = tuff_adapter_virtual_tokens(p->adapter);
    if (p->pack.virtual_tokens && !p->takes_virtual)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: it has virtual tokens; how vectors behind such are pooled is defined neither by "
            "PEFT nor by sentence-transformers",
            adapter);
    TUFF_TRY(make_room(p));
    tuff_store *store = tuff_session_store(p->session);
    p->rope_positions = p->max_length + p->pack.virtual_tokens;
    TUFF_TRY(tuff_adapter_upload_model(p->model, p->adapter, false, p->rope_positions, watch, store));
    return p->top.upload ? p->top.upload(p->top.user, store) : TUFF_OK;
}

tuff_status tuff_packed_open_on(tuff_packed *p, tuff_session *session, tuff_adapter *adapter, bool in_f32,
                                int64_t rope_positions)
{
    p->borrowed = true;
    p->session = session;
    p->adapter = adapter;
    p->in_f32 = in_f32;
    p->rope_positions = rope_positions;
    p->turn = tuff_turn_create();
    return p->turn ? TUFF_OK : tuff_fail_memory("a model that texts run through");
}

void tuff_packed_close(tuff_packed *p)
{
    if (!p->borrowed) {
        tuff_session_destroy(&p->session);
        tuff_adapter_destroy(&p->adapter);
    }
    tuff_turn_destroy(&p->turn);
    tuff_pack_free(&p->pack);
    tuff_free(p->scratch);
    p->scratch = NULL;
}

void *tuff_packed_words(tuff_packed *p, size_t words)
{
    void *scratch = tuff_realloc_array(p->scratch, words ? words : 1, sizeof(int32_t));
    if (!scratch) {
        (void)!tuff_fail_memory("a batch of texts");
        return NULL;
    }
    p->scratch = scratch;
    return memset(scratch, 0, words * sizeof(int32_t));
}

tuff_status tuff_packed_check_ids(const tuff_packed *p, const int32_t *ids, size_t count, size_t index)
{
    int64_t vocab = p->model->config.vocab_size;
    if (count < 1 || count > (size_t)p->max_length)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu has %zu tokens, expected 1 to %lld", index, count,
                         (long long)p->max_length);
    if (!ids)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu has %zu tokens, and its ids are NULL", index,
                         count);
    for (size_t k = 0; k < count; k++)
        if (ids[k] < 0 || ids[k] >= vocab)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu: id %d is outside the vocabulary of %lld",
                             index, ids[k], (long long)vocab);
    return TUFF_OK;
}

/* ---- programs */

typedef struct building {
    const tuff_packed *packed;
    const tuff_packed_shape *shape;
} building;

static tuff_status build(void *user, tuff_graph *g)
{
    const building *b = user;
    const tuff_packed *p = b->packed;
    tuff_net net = {.g = g,
                    .config = &p->model->config,
                    .tokens = b->shape->tokens,
                    .sequences = b->shape->sequences,
                    .params = p->in_f32 ? NULL : &p->model->params,
                    .rope_positions = p->rope_positions,
                    .hook = p->hook ? p->hook : tuff_adapter_hook(p->adapter, false)};
    tuff_graph_set_invariant(g, true);
    tuff_net_begin(&net);
    p->top.build(p->top.user, &net, tuff_net_hidden(&net), b->shape);
    return tuff_graph_status(g);
}

/* ---- runs */

static void fill(tuff_pack *pack, const tuff_packed_text *texts, size_t n)
{
    for (size_t s = 0; s < n; s++) {
        const tuff_packed_text *t = &texts[s];
        int64_t at = tuff_pack_add(pack, t->ids, NULL, (int64_t)t->count);
        if (t->types && tuff_config_types(pack->config))
            memcpy(pack->types + at, t->types, t->count * sizeof *t->types);
    }
}

static tuff_status run_batch(tuff_packed *p, const tuff_packed_text *texts, size_t n, int64_t tokens,
                             void *call, tuff_watched *work)
{
    int64_t picked = 0;
    for (size_t s = 0; s < n; s++)
        picked += (int64_t)texts[s].picks;
    tokens += (int64_t)n * p->pack.virtual_tokens;
    const tuff_packed_shape shape = {tuff_packed_token_capacity(tokens),
                                     tuff_packed_sequence_capacity((int64_t)n),
                                     tuff_packed_sequence_capacity(picked)};
    const tuff_pack_shape row = {.tokens = shape.tokens, .sequences = shape.sequences};
    building b = {p, &shape};
    tuff_program *program = NULL;
    TUFF_TRY(tuff_pack_begin(&p->pack, &p->model->config, &row, 0));
    TUFF_TRY(tuff_session_program(p->session, &shape, sizeof shape, build, &b, work ? work->watch : NULL,
                                  &program));
    fill(&p->pack, texts, n);
    TUFF_TRY(tuff_pack_set(&p->pack, program));
    if (p->top.set) TUFF_TRY(p->top.set(p->top.user, program, &shape, texts, n));
    TUFF_TRY(tuff_program_run_until(program, work, false));
    return p->top.take(p->top.user, call, program, &shape, texts, n);
}

tuff_status tuff_packed_run(tuff_packed *p, tuff_packed_text *texts, size_t n, void *call,
                            const tuff_watch *watch, int64_t *out_tokens)
{
    const tuff_packed_budget budget = {p->batch_tokens, p->pack.virtual_tokens,
                                       p->batch_picks ? p->batch_picks : TUFF_PACKED_PICKS};
    tuff_watched work = {.watch = watch, .phase = p->phase};
    *out_tokens = 0;
    tuff_packed_sort(texts, n);
    for (size_t i = 0; i < n; i++)
        work.total += texts[i].count;
    TUFF_TRY(tuff_watched_tell(&work));
    for (size_t at = 0; at < n;) {
        int64_t tokens = 0;
        size_t taken = tuff_packed_batch(texts + at, n - at, &budget, &tokens);
        if (!tuff_turn_wait(p->turn, tuff_watched_wait, &work)) return TUFF_CANCELLED;
        work.part = (uint64_t)tokens;
        tuff_status status = run_batch(p, texts + at, taken, tokens, call, &work);
        tuff_turn_give(p->turn);
        if (status != TUFF_OK) return status;
        *out_tokens += tokens;
        at += taken;
        TUFF_TRY(tuff_watched_add(&work, (uint64_t)tokens));
    }
    return TUFF_OK;
}
