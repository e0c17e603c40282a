/* Watching and stopping long calls.
 *
 * Calls that work with a model or a text have a field or a parameter `const tuff_watch *watch`, theirs or
 * their object's, or a twin that has one (tuff_model_load_watched, tuff_trainer_save_into): NULL, or where
 * the call reports how far it is and asks whether to go on. Exceptions: tuff_inspect and
 * tuff_trainer_dump_batches have none; tuff_conform_run has callbacks of its own. */
#ifndef TUFF_WATCH_H
#define TUFF_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A request to stop, shared between the call that works and whoever wants it to end. One may serve many
 * calls. It must outlive every call that it was given to. */
typedef struct tuff_cancel tuff_cancel;

TUFF_API TUFF_MUST_USE tuff_status tuff_cancel_create(tuff_cancel **out_cancel);
/* Asks the calls that watch `cancel` to end with TUFF_CANCELLED. They do so at their next step, or within a
 * tenth of a second where they wait for their turn: what they had
 * done is as after any failure. Thread-safe, and safe in a signal handler. NULL is ignored. */
TUFF_API void tuff_cancel_request(tuff_cancel *cancel);
/* Whether it was requested since it was made or reset; false for NULL. Thread-safe, and safe in a signal
 * handler. */
TUFF_API bool tuff_cancel_requested(const tuff_cancel *cancel);
/* Makes it usable for further calls. Thread-safe. NULL is ignored. */
TUFF_API void tuff_cancel_reset(tuff_cancel *cancel);
TUFF_API void tuff_cancel_destroy(tuff_cancel **cancel);

typedef enum tuff_phase {
    TUFF_PHASE_LOAD,     /* reading and checking a model's files; in bytes */
    TUFF_PHASE_TOKENIZE, /* encoding text; in bytes */
    TUFF_PHASE_UPLOAD,   /* putting weights on a device; in parameters */
    TUFF_PHASE_PROMPT,   /* feeding a prompt; in tokens */
    TUFF_PHASE_GENERATE, /* making tokens; of a file: in its bytes */
    TUFF_PHASE_TRAIN,    /* micro-batches of one optimizer step */
    TUFF_PHASE_EVALUATE, /* in batches */
    TUFF_PHASE_SAVE,     /* writing files; in bytes */
    TUFF_PHASE_EMBED,    /* in tokens; of a file: in its bytes */
    TUFF_PHASE_SEARCH,   /* in vectors */
    TUFF_PHASE_PREDICT,  /* in tokens */
    TUFF_PHASE_OBSERVE,  /* running a text to see which weights matter; in tokens */
    TUFF_PHASE_TEST,   /* testing kernels that a device has not run yet, by driver; in those of a program. It
                          comes within other phases, which go on after it */
    TUFF_PHASE_MEASURE /* how fast a device is; in rows of tuff_bench_run */
} tuff_phase;

/* How far a call is. Owned by the library, valid during the callback; later versions may add fields. */
typedef struct tuff_progress {
    tuff_phase phase;
    uint64_t done, total; /* total is 0 where it is not known */
} tuff_progress;

/* Take TUFF_WATCH_INIT and set what you need. Must stay as it is until the call that it was given to returns.
 */
typedef struct tuff_watch {
    size_t struct_size;  /* set by TUFF_WATCH_INIT */
    tuff_cancel *cancel; /* NULL: nothing to ask */
    /* Called from the thread that works, between its steps, several times a second where the steps allow, and
     * while it waits for its turn; false ends the call with TUFF_CANCELLED. Within a run of the model `done`
     * is an estimate, and may be the same as before. A step is an operation on the CPU, about a tenth of a
     * second of work on a GPU; a device's first use of a kernel, when it is tested, is one too. It must not
     * call into the object that is working. NULL: nothing to tell. */
    bool (*on_progress)(const tuff_progress *progress, void *user);
    void *user;
} tuff_watch;
#define TUFF_WATCH_INIT                      \
    {                                        \
        sizeof(tuff_watch), NULL, NULL, NULL \
    }

/* "load", "tokenize", ...: a constant. Thread-safe. */
TUFF_API const char *tuff_phase_name(tuff_phase phase);

#ifdef __cplusplus
}
#endif
#endif
