#include "base/watch.h"

#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
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

const char *tuff_phase_name(tuff_phase phase)
{
    switch (phase) {
    case TUFF_PHASE_LOAD:
        return "load";
    case TUFF_PHASE_TOKENIZE:
        return "tokenize";
    case TUFF_PHASE_UPLOAD:
        return "upload";
    case TUFF_PHASE_PROMPT:
        return "prompt";
    case TUFF_PHASE_GENERATE:
        return "generate";
    case TUFF_PHASE_TRAIN:
        return "train";
    case TUFF_PHASE_EVALUATE:
        return "evaluate";
    case TUFF_PHASE_SAVE:
        return "save";
    case TUFF_PHASE_EMBED:
        return "embed";
    case TUFF_PHASE_SEARCH:
        return "search";
    case TUFF_PHASE_PREDICT:
        return "predict";
    case TUFF_PHASE_OBSERVE:
        return "observe";
    }
    return "unknown phase";
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

tuff_status tuff_watch_step(const tuff_watch *watch, tuff_phase phase, uint64_t done, uint64_t total)
{
    if (!watch) return TUFF_OK;
    const tuff_watch w = known(watch);
    bool go_on = !tuff_cancel_requested(w.cancel);
    if (go_on && w.on_progress)
        go_on = w.on_progress(&(tuff_progress){.phase = phase, .done = done, .total = total}, w.user);
    return go_on ? TUFF_OK : tuff_fail(TUFF_CANCELLED, "cancelled during %s", tuff_phase_name(phase));
}

tuff_status tuff_watched_add(tuff_watched *work, uint64_t more)
{
    if (!work) return TUFF_OK;
    work->done += more;
    return tuff_watch_step(work->watch, work->phase, work->done, work->total);
}

/* As far as the whole is; not each time, for a part may be a few bytes of millions. */
static tuff_status tell(tuff_watched_parts *parts, uint64_t done)
{
    const uint64_t total = parts->whole.total, step = total / 100 + 1;
    if (done < parts->told + step && (done < total || parts->told == total))
        return TUFF_OK; /* a request to stop is heard by the steps of the parts */
    parts->told = done;
    return tuff_watch_step(parts->whole.watch, parts->whole.phase, done, total);
}

static bool tell_within(const tuff_progress *progress, void *user)
{
    tuff_watched_parts *parts = user;
    return tell(parts, parts->whole.done + progress->done) == TUFF_OK;
}

tuff_status tuff_watched_parts_begin(tuff_watched_parts *parts, const tuff_watch *watch, tuff_phase phase,
                                     uint64_t total)
{
    *parts = (tuff_watched_parts){.whole = {watch, phase, 0, total}, .each = TUFF_WATCH_INIT};
    parts->each.cancel = watch ? watch->cancel : NULL;
    parts->each.on_progress = tell_within;
    parts->each.user = parts;
    return tuff_watch_step(watch, phase, 0, total);
}

tuff_status tuff_watched_parts_next(tuff_watched_parts *parts, uint64_t size)
{
    parts->whole.done += size;
    return tell(parts, parts->whole.done);
}
