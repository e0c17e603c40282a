/* Threads that share the work of whoever asks. The one who asks works too, and waits only for shares that
 * others have begun: a thread that the machine does not let run holds up nobody. Waiting threads soon sleep.
 */
#ifndef TUFF_BASE_POOL_H
#define TUFF_BASE_POOL_H

#include <stdint.h>

typedef struct tuff_pool tuff_pool;
enum { TUFF_MOST_THREADS = 1024 };

/* `threads` with the one that asks, 1 to TUFF_MOST_THREADS; the others start with the first work, fewer of
 * them where the system has no more to give. NULL: out of memory. Does not survive fork: a child must not use
 * it. */
tuff_pool *tuff_pool_create(unsigned threads);
/* Nobody may be in tuff_pool_run. */
void tuff_pool_destroy(tuff_pool **pool);
unsigned tuff_pool_threads(const tuff_pool *pool);

/* Cuts 0..n into contiguous ranges of at least `grain` items and runs each once; all are done on return. From
 * any thread, several at a time; from within a range it runs on that thread alone. */
typedef void (*tuff_pool_fn)(int64_t begin, int64_t end, void *context);
void tuff_pool_run(tuff_pool *pool, int64_t n, int64_t grain, tuff_pool_fn fn, void *context);

#endif
