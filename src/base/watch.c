#include "base/watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"
#include "base/structs.h"

/* A lock-free atomic is what a signal handler may write (C11, 7.14.1.1). */
struct tuff_cancel {
    atomic_int requested;
};

tuff_status tuff_cancel_create(tuff_cancel **out_cancel)
{
    TUFF_NEED_OUT(out_cancel);
    tuff_cancel *cancel = tuff_alloc(sizeof *cancel);
    if (!cancel) return tuff_fail_memory("a request to stop");
    atomic_init(&cancel->requested, 0);
    *out_cancel = cancel;
    return TUFF_OK;
}

void tuff_cancel_request(tuff_cancel *cancel)
{
    if (cancel) atomic_store(&cancel->requested, 1);
}

bool tuff_cancel_requested(const tuff_cancel *cancel)
{
    return cancel && atomic_load(&cancel->requested) != 0;
}

void tuff_cancel_reset(tuff_cancel *cancel)
{
    if (cancel) atomic_store(&cancel->requested, 0);
}

void tuff_cancel_destroy(tuff_cancel **cancel)
{
    if (!cancel) return;
    tuff_free(*cancel);
    *cancel = NULL;
}

/* What a phase is called, what one is at in it, what it usually counts. */
typedef struct phase_words {
    const char *name, *doing, *unit;
} phase_words;

static phase_words words_of(tuff_phase phase)
{
    switch (phase) {
    case TUFF_PHASE_LOAD:
        return (phase_words){"load", "loading", "bytes"};
    case TUFF_PHASE_TOKENIZE:
        return (phase_words){"tokenize", "tokenizing", "bytes"};
    case TUFF_PHASE_UPLOAD:
        return (phase_words){"upload", "weights were put on the device", "parameters"};
    case TUFF_PHASE_PROMPT:
        return (phase_words){"prompt", "reading a prompt", "tokens"};
    case TUFF_PHASE_GENERATE:
        return (phase_words){"generate", "generating", "tokens"};
    case TUFF_PHASE_TRAIN:
        return (phase_words){"train", "training", "batches of a step"};
    case TUFF_PHASE_EVALUATE:
        return (phase_words){"evaluate", "evaluating", "batches"};
    case TUFF_PHASE_SAVE:
        return (phase_words){"save", "saving", "bytes"};
    case TUFF_PHASE_EMBED:
        return (phase_words){"embed", "embedding", "tokens"};
    case TUFF_PHASE_SEARCH:
        return (phase_words){"search", "searching", "vectors"};
    case TUFF_PHASE_PREDICT:
        return (phase_words){"predict", "predicting", "tokens"};
    case TUFF_PHASE_OBSERVE:
        return (phase_words){"observe", "seeing which weights matter", "tokens"};
    case TUFF_PHASE_TEST:
        return (phase_words){"test", "testing kernels", "kernels of a program"};
    case TUFF_PHASE_MEASURE:
        return (phase_words){"measure", "measuring", "rows"};
    }
    return (phase_words){"unknown phase", "working", "steps"};
}

const char *tuff_phase_name(tuff_phase phase)
{
    return words_of(phase).name;
}

tuff_status tuff_watch_check(const tuff_watch *watch)
{
    tuff_watch taken = TUFF_WATCH_INIT;
    return tuff_note(TUFF_TAKE(&taken, watch, TUFF_WATCH_INIT, user), "tuff_watch");
}

/* What its maker knew of; the rest has its defaults. The caller's struct may be shorter than ours. */
static tuff_watch known(const tuff_watch *watch)
{
    tuff_watch known = TUFF_WATCH_INIT;
    size_t size = watch->struct_size < sizeof known ? watch->struct_size : sizeof known;
    memcpy(&known, watch, size);
    return known;
}

/* ---- what is said of a work that ends early ---- */

static bool tell_part(const tuff_progress *progress, void *user);
static bool tell_call(const tuff_progress *progress, void *user);

/* 1234567 as 1,234,567. */
static const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    const size_t size = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t to = 0;
    for (size_t i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0) out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = '\0';
    return out;
}

/* The share of a work's part that is done. */
static uint64_t share(const tuff_watched *work, uint64_t done, uint64_t total)
{
    if (!total || done >= total) return total ? work->part : 0;
    return (uint64_t)((double)work->part * ((double)done / (double)total));
}

static tuff_progress of_call(const tuff_watched *work, const tuff_progress *call)
{
    const bool same = call->phase == work->phase;
    return (tuff_progress){.phase = work->phase,
                           .done = work->done + (same ? share(work, call->done, call->total) : 0),
                           .total = work->total};
}

/* In the words of who called: of a part of a work, how far the work is. */
static tuff_status cancelled(const tuff_watch *watch, tuff_progress at, const char *unit)
{
    for (;;) {
        const tuff_watch w = known(watch);
        const tuff_watched *work = NULL;
        if (w.on_progress == tell_part) {
            work = &((const tuff_watched_parts *)w.user)->whole;
            at = (tuff_progress){.phase = work->phase, .done = work->done + at.done, .total = work->total};
        } else if (w.on_progress == tell_call) {
            work = ((const tuff_watched_call *)w.user)->work;
            at = of_call(work, &at);
        }
        if (!work || !work->watch) break;
        watch = work->watch;
        unit = work->unit;
    }
    const phase_words words = words_of(at.phase);
    char done[32], total[32];
    if (!unit) unit = words.unit;
    if (!at.done && !at.total) return tuff_fail(TUFF_CANCELLED, "cancelled while %s", words.doing);
    if (!at.total)
        return tuff_fail(TUFF_CANCELLED, "cancelled while %s, after %s %s", words.doing,
                         grouped(at.done, done), unit);
    return tuff_fail(TUFF_CANCELLED, "cancelled while %s, after %s of %s %s", words.doing,
                     grouped(at.done, done), grouped(at.total, total), unit);
}

/* ---- steps ---- */

static const uint64_t every_ns = 100000000; /* what is told by the clock */

static tuff_status step(const tuff_watch *watch, tuff_progress at, const char *unit)
{
    if (!watch) return TUFF_OK;
    const tuff_watch w = known(watch);
    bool go_on = !tuff_cancel_requested(w.cancel);
    if (go_on && w.on_progress) go_on = w.on_progress(&at, w.user);
    return go_on ? TUFF_OK : cancelled(watch, at, unit);
}

tuff_status tuff_watch_step(const tuff_watch *watch, tuff_phase phase, uint64_t done, uint64_t total)
{
    return step(watch, (tuff_progress){.phase = phase, .done = done, .total = total}, NULL);
}

static tuff_progress of_work(const tuff_watched *work, uint64_t more)
{
    return (tuff_progress){.phase = work->phase, .done = work->done + more, .total = work->total};
}

tuff_status tuff_watched_tell(tuff_watched *work)
{
    if (!work || !work->watch) return TUFF_OK;
    work->told_ns = tuff_now_ns();
    return step(work->watch, of_work(work, 0), work->unit);
}

tuff_status tuff_watched_add(tuff_watched *work, uint64_t more)
{
    if (!work) return TUFF_OK;
    work->done += more;
    return tuff_watched_tell(work);
}

bool tuff_watched_due(const tuff_watched *work)
{
    if (!work || !work->watch) return false;
    const tuff_watch w = known(work->watch);
    return tuff_cancel_requested(w.cancel) ||
           (w.on_progress && (!work->told_ns || tuff_now_ns() - work->told_ns >= every_ns));
}

tuff_status tuff_watched_within(tuff_watched *work, uint64_t pieces_done, uint64_t pieces)
{
    if (!tuff_watched_due(work)) return TUFF_OK;
    const bool begins = !work->told_ns && !tuff_cancel_requested(work->watch->cancel);
    work->told_ns = tuff_now_ns();
    if (begins) return TUFF_OK;
    return step(work->watch, of_work(work, share(work, pieces_done, pieces)), work->unit);
}

bool tuff_watched_wait(void *work)
{
    return tuff_watched_within(work, 0, 0) == TUFF_OK;
}

/* ---- works of parts ---- */

static bool tell_call(const tuff_progress *progress, void *user)
{
    tuff_watched *work = ((const tuff_watched_call *)user)->work;
    if (progress->phase == TUFF_PHASE_TEST) /* of no call's own: it is told as it is */
        return step(work->watch, *progress, NULL) == TUFF_OK;
    if (!work->watch || progress->phase != work->phase) return tuff_watched_wait(work);
    work->told_ns = tuff_now_ns();
    return step(work->watch, of_call(work, progress), work->unit) == TUFF_OK;
}

void tuff_watched_call_begin(tuff_watched_call *call, tuff_watched *work)
{
    *call = (tuff_watched_call){.work = work, .each = TUFF_WATCH_INIT};
    call->each.cancel = work->watch ? work->watch->cancel : NULL;
    call->each.on_progress = tell_call;
    call->each.user = call;
}

/* As far as the whole is; not each time, for a part may be a few bytes of millions. */
static tuff_status tell(tuff_watched_parts *parts, uint64_t more)
{
    tuff_watched *whole = &parts->whole;
    const uint64_t total = whole->total, every = total / 100 + 1, now = whole->watch ? tuff_now_ns() : 0;
    const tuff_progress at = of_work(whole, more);
    if (at.done <= parts->told) return TUFF_OK; /* what is gone through twice is not told twice */
    if (at.done < parts->told + every && at.done < total && now - whole->told_ns < every_ns)
        return TUFF_OK; /* a request to stop is heard by the steps of the parts */
    parts->told = at.done;
    whole->told_ns = now;
    return step(whole->watch, at, whole->unit);
}

static bool tell_part(const tuff_progress *progress, void *user)
{
    return tell(user, progress->done) == TUFF_OK;
}

tuff_status tuff_watched_parts_begin(tuff_watched_parts *parts, const tuff_watch *watch, tuff_phase phase,
                                     uint64_t total)
{
    *parts = (tuff_watched_parts){.whole = {.watch = watch, .phase = phase, .total = total},
                                  .each = TUFF_WATCH_INIT};
    parts->each.cancel = watch ? watch->cancel : NULL;
    parts->each.on_progress = tell_part;
    parts->each.user = parts;
    return tuff_watched_tell(&parts->whole);
}

tuff_status tuff_watched_parts_next(tuff_watched_parts *parts, uint64_t size)
{
    parts->whole.done += size;
    return tell(parts, 0);
}
