/* A session: what the programs of one user share on a device. Named buffers, an arena, and plans, made when
 * they are first asked for. Belongs to one thread at a time; its programs never run at once. */
#ifndef TUFF_RUNTIME_SESSION_H
#define TUFF_RUNTIME_SESSION_H

#include "runtime/store.h"

typedef struct tuff_session tuff_session;

/* The device must outlive the session. */
TUFF_MUST_USE tuff_status tuff_session_create(tuff_device *device, tuff_session **out_session);
void tuff_session_destroy(tuff_session **session);

/* What outlives runs: weights, states, caches, tables. */
tuff_store *tuff_session_store(const tuff_session *session);

/* Builds the graph of a program. */
typedef tuff_status (*tuff_session_build)(void *user, tuff_graph *g);
/* The program of a key of `size` bytes, which says all that its graph depends on: the one that is there, or
 * a new one whose variables are bound to the store's buffers of their names. It lives as long as the session;
 * its outputs are gone when another one runs. */
TUFF_MUST_USE tuff_status tuff_session_program(tuff_session *session, const void *key, size_t size,
                                               tuff_session_build build, void *user,
                                               tuff_program **out_program);

/* Bytes of the arena that its programs share. */
uint64_t tuff_session_arena(const tuff_session *session);

#endif
