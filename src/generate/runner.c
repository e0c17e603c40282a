#include "generate/runner.h"

#include <string.h>

#include "base/memory.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "runtime/program.h"

/* What a program is made for. */
typedef struct shape {
    int64_t tokens, sequences; /* the most that it takes; no sequences: a source, for the encoder */
    int64_t slots, capacity;   /* of the cache */
    int64_t source_rows;       /* of all sources */
} shape;

static tuff_status choose_context(tuff_runner *r, int64_t wanted)
{
    const tuff_config *c = &r->model->config;
    int64_t before = r->virtual_tokens;
    r->context = wanted ? wanted : c->max_positions - before;
    if (!wanted && before >= c->max_positions)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the adapter's %lld virtual tokens leave none of the model's %lld positions for text",
            (long long)before, (long long)c->max_positions);
    if (r->context < 1 || r->context > 1 << 24)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the context length is %lld, expected 1 to %d%s",
                         (long long)r->context, 1 << 24, wanted ? "" : "; give one that is shorter");
    if (before && c->learned_positions && r->context + before > c->max_positions)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "a context of %lld positions is asked for, but the model learned only %lld, of which the "
            "adapter's virtual tokens take %lld",
            (long long)wanted, (long long)c->max_positions, (long long)before);
    if (c->learned_positions && r->context > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a context of %lld positions is asked for, but the model learned only %lld",
                         (long long)wanted, (long long)c->max_positions);
    return TUFF_OK;
}

/* Takes what is there, or puts it there. */
static tuff_status load(tuff_runner *r, const tuff_runner_params *params)
{
    r->borrowed = params->loaded != NULL;
    if (r->borrowed) {
        r->adapter = params->loaded->adapter;
        r->in_f32 = params->loaded->in_f32;
        return tuff_session_create_on(params->loaded->store, &r->session);
    }
    if (params->adapter) TUFF_TRY(tuff_adapter_open(r->model, params->adapter, &r->device->log, &r->adapter));
    TUFF_TRY(tuff_session_create(r->device, &r->session));
    tuff_store *store = tuff_session_store(r->session);
    TUFF_TRY(tuff_model_upload(r->model, false, params->watch, store));
    return r->adapter ? tuff_adapter_upload(r->adapter, store) : TUFF_OK;
}

static tuff_status build(tuff_runner *r, const tuff_runner_params *params)
{
    TUFF_TRY(load(r, params));
    r->virtual_tokens = tuff_adapter_virtual_tokens(r->adapter);
    TUFF_TRY(choose_context(r, params->context));
    r->most_slots = params->most_slots;
    r->cache_dtype = params->cache_f16 ? TUFF_F16 : TUFF_F32;
    r->invariant = params->invariant;
    r->exact = params->exact;
    return TUFF_OK;
}

tuff_status tuff_runner_create(const tuff_model *model, tuff_device *device, const tuff_runner_params *params,
                               tuff_runner **out_runner)
{
    *out_runner = NULL;
    if (!tuff_config_has_head(&model->config, &tuff_head_seq2seq)) TUFF_TRY(tuff_model_need_lm(model));
    tuff_runner *r = tuff_alloc(sizeof *r);
    if (!r) return tuff_fail_memory("a model's runner");
    r->model = model;
    r->device = device;
    tuff_model_keep(model);
    tuff_status status = build(r, params);
    if (status != TUFF_OK)
        tuff_runner_destroy(&r);
    else
        *out_runner = r;
    return status;
}

void tuff_runner_destroy(tuff_runner **runner)
{
    tuff_runner *r = *runner;
    if (!r) return;
    tuff_session_destroy(&r->session);
    if (!r->borrowed) tuff_adapter_destroy(&r->adapter);
    tuff_free(r->host);
    tuff_free(r->logits);
    tuff_model_let_go(r->model);
    tuff_free(r);
    *runner = NULL;
}

tuff_generate_memory tuff_runner_memory(const tuff_runner *r)
{
    const tuff_store *caches = tuff_session_caches(r->session);
    tuff_generate_memory m = TUFF_GENERATE_MEMORY_INIT;
    m.weights = tuff_store_bytes(tuff_session_store(r->session));
    m.cache = caches ? tuff_store_bytes(caches) : 0;
    m.arena = tuff_session_arena(r->session);
    m.transfers = tuff_session_transfers(r->session);
    m.total = m.weights + m.cache + m.arena + m.transfers;
    return m;
}

/* Few lengths, so that few programs are made: a sequence alone goes through four, several together through
 * powers of two to 64, then multiples of 64 or of an eighth of the power of two below. */
static int64_t token_capacity(int64_t tokens, int64_t sequences)
{
    static const int64_t alone[] = {1, 16, 64, TUFF_PIECE_TOKENS};
    for (size_t i = 0; sequences == 1 && i < sizeof alone / sizeof *alone; i++)
        if (tokens <= alone[i]) return alone[i];
    int64_t step = 2;
    while (step < tokens && step < 64)
        step *= 2;
    while (16 * step <= tokens)
        step *= 2;
    return (tokens + step - 1) / step * step;
}

/* Where each sequence gives one token there are as many sequences as tokens; else as many as there are slots.
 */
static shape shape_of(const tuff_runner *r, int64_t tokens, int64_t sequences)
{
    shape s = {.tokens = token_capacity(tokens, sequences),
               .sequences = 1,
               .slots = r->slots,
               .capacity = r->capacity,
               .source_rows = r->source_slots * r->source_capacity};
    if (sequences > 1) s.sequences = tokens == sequences ? s.tokens : r->slots;
    return s;
}

typedef struct building {
    const tuff_runner *runner;
    shape shape;
} building;

static tuff_status build_graph(void *user, tuff_graph *g)
{
    const building *b = user;
    const tuff_runner *r = b->runner;
    tuff_net net = {.g = g,
                    .config = &r->model->config,
                    .tokens = b->shape.tokens,
                    .sequences = b->shape.sequences,
                    .params = r->in_f32 ? NULL : &r->model->params,
                    .capacity = r->slots * r->capacity,
                    .cross_capacity = b->shape.source_rows,
                    .cache_dtype = r->cache_dtype,
                    .rope_positions = r->capacity,
                    .hook = tuff_adapter_hook(r->adapter, false)};
    tuff_graph_set_invariant(g, r->invariant);
    tuff_graph_set_quantized_activations(g, !r->exact);
    if (b->shape.sequences == 0) { /* a source */
        net.source_tokens = net.tokens;
        net.tokens = net.capacity = 0;
        net.sequences = 1;
        tuff_net_begin(&net);
        tuff_net_remember(&net);
        return tuff_graph_status(g);
    }
    tuff_net_begin(&net);
    tuff_output(g, "logits", tuff_net_logits(&net, tuff_net_hidden(&net), true));
    return tuff_graph_status(g);
}

/* The inputs of a run, one after the other in memory. */
typedef struct inputs {
    int32_t *ids, *positions, *rows, *segments, *cross, *last;
    int32_t *embedding_rows; /* with virtual tokens */
} inputs;

static int64_t words_of(const shape *s)
{
    return 4 * s->tokens + 9 * s->sequences;
}

static inputs cut(int32_t *host, const shape *s)
{
    inputs in = {.ids = host};
    in.positions = in.ids + s->tokens;
    in.rows = in.positions + s->tokens;
    in.segments = in.rows + s->tokens;
    in.cross = in.segments + 4 * s->sequences;
    in.last = in.cross + 4 * s->sequences;
    in.embedding_rows = in.last + s->sequences;
    return in;
}

/* Room for the inputs and the logits of a run. */
static tuff_status make_room(tuff_runner *r, const shape *s)
{
    if (words_of(s) > r->host_words) {
        int32_t *host = tuff_realloc_array(r->host, (size_t)words_of(s), sizeof *host);
        if (!host) return tuff_fail_memory("the tokens of a run");
        r->host = host;
        r->host_words = words_of(s);
    }
    if (s->sequences > r->logits_rows) {
        size_t count = (size_t)(s->sequences * r->model->config.vocab_size);
        float *logits = tuff_realloc_array(r->logits, count, sizeof *logits);
        if (!logits) return tuff_fail_memory("logits");
        r->logits = logits;
        r->logits_rows = s->sequences;
    }
    return TUFF_OK;
}

static tuff_status find_program(tuff_runner *r, const shape *s, const tuff_watch *watch,
                                tuff_program **out_program)
{
    building b = {r, *s};
    TUFF_TRY(make_room(r, s));
    if (s->tokens == 1 && s->sequences && r->single) {
        *out_program = r->single;
        return TUFF_OK;
    }
    TUFF_TRY(tuff_session_program(r->session, s, sizeof *s, build_graph, &b, watch, out_program));
    if (s->tokens != 1 || s->sequences == 0) return TUFF_OK;
    r->single = *out_program;
    tuff_session_keep(r->session, r->single);
    return TUFF_OK;
}

tuff_status tuff_runner_prepare(tuff_runner *r, int64_t tokens, int64_t sequences, const tuff_watch *watch,
                                bool *out_new)
{
    const shape s = shape_of(r, tokens, sequences);
    tuff_program *program = NULL;
    TUFF_TRY(find_program(r, &s, watch, &program));
    if (out_new) *out_new = !program->ran;
    return tuff_program_prepare(program);
}

/* Sequences that attend to the same source one after the other are one segment: no key may be in two, and
 * where all are seen it does not matter which query is whose. */
static void fill_cross(const tuff_runner *r, const tuff_feed *feeds, size_t n, const inputs *in)
{
    int32_t *segment = in->cross - 4;
    int64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const tuff_feed *f = &feeds[i];
        if (i == 0 || f->source_slot != feeds[i - 1].source_slot) {
            segment += 4;
            segment[0] = (int32_t)at;
            segment[2] = (int32_t)(f->source_slot * r->source_capacity);
            segment[3] = (int32_t)f->source;
        }
        segment[1] += (int32_t)f->count;
        at += f->count;
    }
}

/* What is left of the inputs is padding: in no segment, and not written to the cache. */
static void fill(const tuff_runner *r, const tuff_feed *feeds, size_t n, const shape *s, const inputs *in)
{
    const int64_t before = r->virtual_tokens, offset = r->model->config.position_offset;
    int64_t at = 0;
    memset(r->host, 0, (size_t)words_of(s) * sizeof *r->host);
    for (int64_t i = 0; before && i < s->tokens; i++)
        in->embedding_rows[i] = (int32_t)i;
    for (size_t i = 0; i < n; i++) {
        const tuff_feed *f = &feeds[i];
        int32_t *segment = in->segments + 4 * i;
        int64_t first = f->start ? before + f->start : 0, end = before + f->start + f->count;
        segment[0] = (int32_t)at;
        segment[1] = (int32_t)(end - first);
        segment[2] = (int32_t)(f->slot * r->capacity);
        segment[3] = (int32_t)end;
        for (int64_t k = first; k < end; k++, at++) {
            in->positions[at] = (int32_t)(offset + k);
            in->rows[at] = segment[2] + (int32_t)k;
            if (k < before)
                in->embedding_rows[at] = (int32_t)(s->tokens + k);
            else
                in->ids[at] = f->ids[k - before - f->start];
        }
        in->last[i] = (int32_t)at - 1;
    }
    for (; at < s->tokens; at++)
        in->rows[at] = -1;
    if (r->source_slots) fill_cross(r, feeds, n, in);
}

int64_t tuff_runner_tokens(const tuff_runner *r, const tuff_feed *feeds, size_t n)
{
    int64_t tokens = 0;
    for (size_t i = 0; i < n; i++)
        tokens += feeds[i].count + (feeds[i].start ? 0 : r->virtual_tokens);
    return tokens;
}

tuff_status tuff_runner_run(tuff_runner *r, const tuff_feed *feeds, size_t n, tuff_watched *work)
{
    const int64_t tokens = tuff_runner_tokens(r, feeds, n);
    const shape s = shape_of(r, tokens, (int64_t)n);
    tuff_program *program = NULL;
    TUFF_TRY(find_program(r, &s, work ? work->watch : NULL, &program));
    const inputs in = cut(r->host, &s);
    fill(r, feeds, n, &s, &in);
    size_t per_token = (size_t)s.tokens * sizeof(int32_t),
           per_sequence = (size_t)s.sequences * sizeof(int32_t);
    TUFF_TRY(tuff_program_input(program, "ids", in.ids, per_token));
    TUFF_TRY(tuff_program_input(program, "positions", in.positions, per_token));
    TUFF_TRY(tuff_program_input(program, "rows", in.rows, per_token));
    TUFF_TRY(tuff_program_input(program, "segments", in.segments, 4 * per_sequence));
    TUFF_TRY(tuff_program_input(program, "cross.segments", in.cross, 4 * per_sequence));
    TUFF_TRY(tuff_program_input(program, "last", in.last, per_sequence));
    if (r->virtual_tokens)
        TUFF_TRY(tuff_program_input(program, "embedding_rows", in.embedding_rows, per_token));
    r->program = program;
    r->program_rows = s.sequences;
    return tuff_program_run_until(program, work, false);
}

tuff_status tuff_runner_encode(tuff_runner *r, int64_t source_slot, const int32_t *ids, int64_t n,
                               tuff_watched *work)
{
    const tuff_config *c = r->model->config.encoder;
    const shape s = {.tokens = token_capacity(n, 1),
                     .slots = r->slots,
                     .capacity = r->capacity,
                     .source_rows = r->source_slots * r->source_capacity};
    const int32_t first = (int32_t)(source_slot * r->source_capacity),
                  segment[] = {0, (int32_t)n, 0, (int32_t)n};
    tuff_program *program = NULL;
    TUFF_TRY(find_program(r, &s, work ? work->watch : NULL, &program));
    const inputs in = cut(r->host, &s);
    const size_t bytes = (size_t)s.tokens * sizeof *ids;
    memset(r->host, 0, (size_t)words_of(&s) * sizeof *r->host);
    memcpy(in.ids, ids, (size_t)n * sizeof *ids);
    tuff_config_positions(c, ids, (size_t)n, in.positions);
    for (int64_t i = 0; i < s.tokens; i++)
        in.rows[i] = i < n ? first + (int32_t)i : -1;
    TUFF_TRY(tuff_program_input(program, "source.ids", in.ids, bytes));
    TUFF_TRY(tuff_program_input(program, "source.positions", in.positions, bytes));
    TUFF_TRY(tuff_program_input(program, "source.rows", in.rows, bytes));
    TUFF_TRY(tuff_program_input(program, "source.segments", segment, sizeof segment));
    return tuff_program_run_until(program, work, false);
}

tuff_status tuff_runner_wait(tuff_runner *r)
{
    return tuff_program_output(r->program, "logits", r->logits,
                               (size_t)(r->program_rows * r->model->config.vocab_size) * sizeof *r->logits);
}
