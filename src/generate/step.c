/* One run of the model for a batcher: who takes part, is there room, what comes of it. */
#include "base/memory.h"
#include "base/os.h"
#include "generate/batcher.h"

/* ---- slots ---- */

static void leave_slot(tuff_batcher *b, tuff_sequence *s)
{
    if (s->slot >= 0) b->slots[s->slot] = NULL;
    s->slot = -1;
    s->encoded = false;
}

static void fail(tuff_batcher *b, tuff_sequence *s, tuff_status status)
{
    tuff_sequence_fail(s, status);
    leave_slot(b, s);
}

void tuff_batcher_forget(tuff_batcher *b)
{
    for (int64_t slot = 0; slot < b->max_slots; slot++) {
        if (!b->slots[slot]) continue;
        b->slots[slot]->fed = 0;
        b->slots[slot]->encoded = false;
    }
}

/* A sequence that was asked to end does so, also while it waits. */
static void end_cancelled(tuff_batcher *b)
{
    for (size_t i = 0; i < b->count; i++) {
        tuff_sequence *s = b->all[i];
        if (!s->ended && s->watch && tuff_cancel_requested(s->watch->cancel))
            fail(b, s, tuff_fail(TUFF_CANCELLED, "cancelled while it %s", s->slot < 0 ? "waited" : "ran"));
    }
}

/* Free slots go to those that wait longest. */
static void give_slots(tuff_batcher *b)
{
    int64_t slot = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (b->all[i]->ended || b->all[i]->slot >= 0) continue;
        while (slot < b->use_slots && b->slots[slot])
            slot++;
        if (slot == b->use_slots) return;
        b->slots[slot] = b->all[i];
        b->all[i]->slot = slot;
    }
}

/* ---- who takes part ---- */

typedef struct step {
    tuff_batcher *b;
    tuff_watched *work;
    tuff_watched prompt;   /* which is told in its place where a prompt of its watch is all that is run */
    int64_t tokens;        /* of them */
    int64_t slots, length; /* that they need in the cache */
    bool wants;            /* logits */
    bool is_new;           /* the program has never run */
} step;

static void add_feed(step *w, tuff_sequence *s, int64_t count)
{
    w->b->feeds[w->b->n_feeds++] = (tuff_feed){.slot = s->slot,
                                               .start = s->fed,
                                               .count = count,
                                               .ids = s->ids + s->fed,
                                               .source_slot = s->slot,
                                               .source = (int64_t)s->source_count};
    w->tokens += count;
    if (s->slot >= w->slots) w->slots = s->slot + 1;
    if (s->fed + count > w->length) w->length = s->fed + count;
    if (s->fed + count == (int64_t)s->count) w->wants = true;
}

static bool in_prompt(const tuff_sequence *s)
{
    return s->fed < s->given || s->fed + 1 < (int64_t)s->count;
}

/* All single tokens, for which there is always room, then the pieces of prompts that fit beside them. The
 * first of them does too, so nobody waits forever. */
static void choose(step *w)
{
    tuff_batcher *b = w->b;
    b->n_feeds = 0;
    w->tokens = w->slots = w->length = 0;
    w->wants = false;
    for (int64_t slot = 0; slot < b->max_slots; slot++)
        if (b->slots[slot] && !in_prompt(b->slots[slot])) add_feed(w, b->slots[slot], 1);
    for (size_t i = 0; i < b->count; i++) {
        tuff_sequence *s = b->all[i];
        if (s->slot < 0 || !in_prompt(s)) continue;
        int64_t count = tuff_sequence_next(s, b->piece);
        if (w->tokens + count <= b->step_tokens) add_feed(w, s, count);
    }
}

/* Prompts tell how far they are before each piece. False: one has ended by that. */
static bool tell(step *w)
{
    tuff_batcher *b = w->b;
    bool all = true;
    for (size_t i = 0; i < b->n_feeds; i++) {
        tuff_sequence *s = b->slots[b->feeds[i].slot];
        if (!in_prompt(s)) continue;
        tuff_sequence_begin(s);
        if (s->result.prompt_tokens == 1) continue;
        tuff_status status = s->fed < s->given
                                 ? tuff_watch_step(s->watch, TUFF_PHASE_PROMPT, (uint64_t)s->fed,
                                                   (uint64_t)s->result.prompt_tokens)
                                 : TUFF_OK;
        if (status != TUFF_OK) fail(b, s, status);
        all = all && status == TUFF_OK;
    }
    return all;
}

/* ---- room ---- */

static tuff_status reserve(step *w)
{
    tuff_batcher *b = w->b;
    tuff_room room = {.slots = w->slots,
                      .positions = w->length,
                      .kept = b->max_slots,
                      .used = b->used,
                      .encoded = b->encoded};
    for (int64_t slot = 0; slot < b->max_slots; slot++) {
        const tuff_sequence *s = b->slots[slot];
        b->used[slot] = s ? s->fed : 0;
        b->encoded[slot] = s && s->encoded ? (int64_t)s->source_count : 0;
        if (s && tuff_sequence_most(s) > room.most) room.most = tuff_sequence_most(s);
        if (s && (int64_t)s->source_count > room.source) room.source = (int64_t)s->source_count;
    }
    if (room.source) room.sources = b->runner->slots > w->slots ? b->runner->slots : w->slots;
    return tuff_runner_reserve(b->runner, &room, w->work->watch);
}

/* Whether keys in the cache are of other angles than those that are now: then all is fed again. */
static bool begin_again(const step *w, uint64_t changes)
{
    bool any = false;
    for (int64_t slot = 0; slot < w->b->max_slots && w->b->runner->angle_changes != changes; slot++) {
        tuff_sequence *s = w->b->slots[slot];
        if (!s || s->fed == 0) continue;
        s->fed = s->result.cached_tokens = 0;
        any = true;
    }
    return any;
}

/* Memory that was short may be there again: after a while, or with nothing running, more are tried, and after
 * each time in vain later. */
static void try_more(tuff_batcher *b)
{
    bool idle = true;
    if (b->use_slots == b->max_slots) return;
    for (int64_t slot = 0; slot < b->max_slots; slot++)
        idle = idle && !b->slots[slot];
    if (!idle && --b->steps_left > 0) return;
    b->use_slots = 2 * b->use_slots < b->max_slots && !idle ? 2 * b->use_slots : b->max_slots;
    b->steps_left = b->patience;
}

static void wait_longer(tuff_batcher *b)
{
    enum { FIRST = 64, MOST = 4096 };
    b->patience = b->patience ? 2 * b->patience : FIRST;
    if (b->patience > MOST) b->patience = MOST;
    b->steps_left = b->patience;
}

/* The device has no memory for all: first fewer sequences at once, those that have not begun, then without
 * the longest. */
static void make_do(step *w, tuff_status status)
{
    tuff_batcher *b = w->b;
    if (w->slots > 1 && w->slots > b->runner->slots) {
        b->use_slots = b->runner->slots ? b->runner->slots : w->slots / 2;
        wait_longer(b);
        for (int64_t slot = b->use_slots; slot < b->max_slots; slot++)
            if (b->slots[slot]) leave_slot(b, b->slots[slot]);
        return;
    }
    for (size_t i = 0; i < b->n_feeds; i++)
        if (b->feeds[i].start + b->feeds[i].count == w->length) {
            fail(b, b->slots[b->feeds[i].slot], status);
            return;
        }
}

/* Who takes part, with room in the cache for them and a program. */
static tuff_status gather(step *w)
{
    for (;;) {
        end_cancelled(w->b);
        give_slots(w->b);
        choose(w);
        if (w->b->n_feeds == 0) return TUFF_OK;
        const uint64_t changes = w->b->runner->angle_changes;
        tuff_status status = reserve(w);
        if (status == TUFF_OUT_OF_MEMORY) {
            make_do(w, status);
            continue;
        }
        if (status == TUFF_OK && begin_again(w, changes)) continue;
        if (status == TUFF_OK)
            status = tuff_runner_prepare(w->b->runner,
                                         tuff_runner_tokens(w->b->runner, w->b->feeds, w->b->n_feeds),
                                         (int64_t)w->b->n_feeds, w->work->watch, &w->is_new);
        if (status != TUFF_OK || tell(w)) return status;
    }
}

/* ---- the run ---- */

static void stop_clock(tuff_batcher *b)
{
    double seconds = (double)(tuff_now_ns() - b->clock_ns) / 1e9;
    b->clock_ns = 0;
    for (int64_t slot = 0; slot < b->max_slots; slot++) {
        tuff_sequence *s = b->slots[slot];
        if (!s || !s->pending) continue;
        s->warm_tokens += s->pending;
        s->warm_seconds += seconds;
        s->pending = 0;
    }
}

static tuff_status wait(tuff_batcher *b)
{
    TUFF_TRY(tuff_runner_wait(b->runner));
    if (b->clock_ns) stop_clock(b);
    return TUFF_OK;
}

/* A text's source goes through the encoder before its first token. */
static tuff_status encode(step *w, tuff_sequence *s)
{
    if (!s->source || s->encoded) return TUFF_OK;
    TUFF_TRY(tuff_runner_encode(w->b->runner, s->slot, s->source, (int64_t)s->source_count, w->work));
    s->encoded = true;
    return TUFF_OK;
}

/* What a run is told as a part of. */
static tuff_watched *work_of(step *w)
{
    const tuff_feed *only = w->b->n_feeds == 1 ? &w->b->feeds[0] : NULL;
    const tuff_sequence *s = only ? w->b->slots[only->slot] : NULL;
    if (!s || !in_prompt(s) || s->watch != w->work->watch || s->result.prompt_tokens == 1) return w->work;
    w->prompt = (tuff_watched){.watch = s->watch,
                               .phase = TUFF_PHASE_PROMPT,
                               .done = (uint64_t)s->fed,
                               .total = (uint64_t)s->result.prompt_tokens,
                               .part = (uint64_t)only->count};
    return &w->prompt;
}

/* What runs for the first time is waited for and not counted: drivers and libraries may still compile. */
static tuff_status run(step *w)
{
    tuff_batcher *b = w->b;
    if (w->is_new && b->clock_ns) TUFF_TRY(wait(b));
    if (!w->is_new && !b->clock_ns) b->clock_ns = tuff_now_ns();
    for (size_t i = 0; i < b->n_feeds; i++)
        TUFF_TRY(encode(w, b->slots[b->feeds[i].slot]));
    TUFF_TRY(tuff_runner_run(b->runner, b->feeds, b->n_feeds, work_of(w)));
    for (size_t i = 0; i < b->n_feeds && !w->is_new; i++)
        b->slots[b->feeds[i].slot]->pending += in_prompt(b->slots[b->feeds[i].slot]) ? b->feeds[i].count : 0;
    return w->is_new || w->wants ? wait(b) : TUFF_OK;
}

/* Every sequence whose ids are all fed has logits. */
static void take(step *w)
{
    tuff_batcher *b = w->b;
    for (size_t i = 0; i < b->n_feeds; i++) {
        tuff_sequence *s = b->slots[b->feeds[i].slot];
        int64_t before = s->result.new_tokens;
        s->fed += b->feeds[i].count;
        if (s->fed < (int64_t)s->count) continue;
        tuff_status status =
            tuff_sequence_take(s, b->runner->logits + (int64_t)i * b->runner->model->config.vocab_size);
        b->new_tokens += (uint64_t)(s->result.new_tokens - before);
        if (status != TUFF_OK)
            fail(b, s, status);
        else if (s->ended)
            leave_slot(b, s);
    }
}

tuff_status tuff_batcher_advance(tuff_batcher *b, tuff_watched *work)
{
    step w = {.b = b, .work = work};
    try_more(b);
    TUFF_TRY(gather(&w));
    if (b->n_feeds == 0) return TUFF_OK;
    TUFF_TRY(run(&w));
    take(&w);
    return TUFF_OK;
}
