/* What the library's loops do with a tuff_watch.
 *
 * The caller's struct may be of an older version and end before the newest fields: only tuff_watch_step reads
 * those. Of a watch that was checked, `cancel`, which every version has, may be read directly. */
#ifndef TUFF_BASE_WATCH_H
#define TUFF_BASE_WATCH_H

#include <tuff/watch.h>

/* Checks a watch from outside: TUFF_INVALID_ARGUMENT for one that was not made by TUFF_WATCH_INIT. NULL is
 * fine.
 */
TUFF_MUST_USE tuff_status tuff_watch_check(const tuff_watch *watch);

/* Between two steps of a loop: tells how far it is, and fails with TUFF_CANCELLED when it is to end. NULL is
 * fine. */
TUFF_MUST_USE tuff_status tuff_watch_step(const tuff_watch *watch, tuff_phase phase, uint64_t done,
                                          uint64_t total);

/* A long work that is watched, as far as it is. */
typedef struct tuff_watched {
    const tuff_watch *watch;
    tuff_phase phase;
    const char *unit; /* what is counted; NULL: what the phase usually counts */
    uint64_t done, total;
    uint64_t part;    /* of it: what is under way */
    uint64_t told_ns; /* when the watch was told last; 0: not yet */
} tuff_watched;
/* Between two parts: as tuff_watch_step. NULL is fine. */
TUFF_MUST_USE tuff_status tuff_watched_tell(tuff_watched *work);
/* After `more` of it: the same. */
TUFF_MUST_USE tuff_status tuff_watched_add(tuff_watched *work, uint64_t more);
/* Within the part that is under way, of whose `pieces` so many are done, as often as one likes: a request to
 * stop is heard each time, and the watch is told by the clock, ten times a second at most. NULL is fine. */
TUFF_MUST_USE tuff_status tuff_watched_within(tuff_watched *work, uint64_t pieces_done, uint64_t pieces);
/* Whether that would do more than nothing. */
bool tuff_watched_due(const tuff_watched *work);
/* The same as a function to be called while something is awaited; `work` is a tuff_watched or NULL. False: to
 * end, with the error set. */
bool tuff_watched_wait(void *work);

/* A call that is the part of a work that is under way: `each` is the watch for it. What the call tells of the
 * work's phase, in a unit of its own, is told as that share of the part. */
typedef struct tuff_watched_call {
    tuff_watched *work;
    tuff_watch each; /* its user is this struct, which must stay where it is */
} tuff_watched_call;
void tuff_watched_call_begin(tuff_watched_call *call, tuff_watched *work);

/* Parts of a work, one after the other, which are told as one whole: `each` is the watch for the part at
 * hand. However many parts there are, the whole is told some hundred times, and ten times a second in a long
 * one. */
typedef struct tuff_watched_parts {
    tuff_watched whole; /* done: by the parts that have ended */
    uint64_t told;
    tuff_watch each; /* its user is this struct, which must stay where it is */
} tuff_watched_parts;
/* Tells that nothing is done yet. `watch` may be NULL. */
TUFF_MUST_USE tuff_status tuff_watched_parts_begin(tuff_watched_parts *parts, const tuff_watch *watch,
                                                   tuff_phase phase, uint64_t total);
/* A part of that size has ended. */
TUFF_MUST_USE tuff_status tuff_watched_parts_next(tuff_watched_parts *parts, uint64_t size);

#endif
