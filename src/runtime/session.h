/* A session: what the programs of one user share on a device. Named buffers, an arena, and plans, made when
 * they are first asked for, and let go where there are many. Belongs to one thread at a time; its programs
 * never run at once. */
#ifndef TUFF_RUNTIME_SESSION_H
#define TUFF_RUNTIME_SESSION_H

#include <tuff/watch.h>

#include "runtime/store.h"

typedef struct tuff_session tuff_session;

/* The device must outlive the session. */
TUFF_MUST_USE tuff_status tuff_session_create(tuff_device *device, tuff_session **out_session);
/* One whose programs read what another has in its store, which must outlive it; its arena is its own. */
TUFF_MUST_USE tuff_status tuff_session_create_on(tuff_store *store, tuff_session **out_session);
void tuff_session_destroy(tuff_session **session);

/* What outlives runs and stays as large as it is: weights, states, tables. */
tuff_store *tuff_session_store(const tuff_session *session);
/* What grows with use, NULL until it is set: a second store, whose buffers programs are bound to as well.
 * Where both have one of a name, it is this one's. */
tuff_store *tuff_session_caches(const tuff_session *session);
/* Takes *caches in place of the caches so far. These end, and with them all programs, which are bound to
 * them; the arena stays. */
void tuff_session_set_caches(tuff_session *session, tuff_store **caches);

/* Builds the graph of a program. */
typedef tuff_status (*tuff_session_build)(void *user, tuff_graph *g);
/* A session has a limited number of programs: one of a transformer of 6 layers holds 0.3 MB on the CPU and
 * 0.7 on lavapipe (12 layers: 0.4), and keys may be of any number, as lengths of texts are, numbers of hits
 * and of queries. When another is made, the one that was asked for longest ago goes, and comes back when it
 * is asked for, within milliseconds. So many are there at most: what a training plans before it begins, so
 * that it makes none later (64 shapes of its batches, as many of its evaluation, the update), and twice the
 * 64 pieces of an index. */
enum { TUFF_SESSION_PROGRAMS = 144 };
/* Bytes of their inputs and outputs, which lie in each program: a few of many tokens' vectors or logits are
 * as large as all others together. */
enum { TUFF_SESSION_STAGING = 256 << 20 };
/* Whatever there is, so many that were asked for last stay, and work by turns makes nothing twice. */
enum { TUFF_SESSION_RECENT = 16 };

/* The program of a key of `size` bytes, which says all that its graph depends on: the one that is there, or
 * a new one whose variables are bound to the stores' buffers of their names. It lives until other caches are
 * set or the session ends, and unless it is kept may be let go once TUFF_SESSION_RECENT others were asked for
 * after it; its outputs are gone when another one runs. The watch, which may be NULL, is told of kernels that
 * are tested for it (TUFF_PHASE_TEST). */
TUFF_MUST_USE tuff_status tuff_session_program(tuff_session *session, const void *key, size_t size,
                                               tuff_session_build build, void *user, const tuff_watch *watch,
                                               tuff_program **out_program);

/* The same program, planned: it takes nothing on the device, and its variables need not be in the store yet.
 * It can be run once tuff_session_program, or tuff_session_ready, which does so for all that are planned, has
 * given it its memory. */
TUFF_MUST_USE tuff_status tuff_session_plan(tuff_session *session, const void *key, size_t size,
                                            tuff_session_build build, void *user, const tuff_watch *watch,
                                            tuff_program **out_program);
TUFF_MUST_USE tuff_status tuff_session_ready(tuff_session *session);

/* A program that its user holds on to: it is not let go. */
void tuff_session_keep(tuff_session *session, const tuff_program *program);

/* Bytes of the arena that its programs share; and what it will have once all that are planned are ready. */
uint64_t tuff_session_arena(const tuff_session *session);
uint64_t tuff_session_arena_planned(const tuff_session *session);

/* Bytes of inputs and outputs on their way, of the programs that there are. */
uint64_t tuff_session_transfers(const tuff_session *session);

#endif
