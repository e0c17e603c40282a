/* Threads of the library's own, and waiting: thin fronts of thread_posix.c. */
#ifndef TUFF_BASE_THREAD_H
#define TUFF_BASE_THREAD_H

#include <stdint.h>

/* A thread that runs fn(user) and takes no signals but those of its own faults. NULL: there is none to be
 * had. */
typedef struct tuff_thread tuff_thread;
tuff_thread *tuff_thread_start(void (*fn)(void *user), void *user);
void tuff_thread_join(tuff_thread **thread);

/* Where threads sleep until a word changes. */
typedef struct tuff_bell tuff_bell;
tuff_bell *tuff_bell_create(void); /* NULL: out of memory */
void tuff_bell_destroy(tuff_bell **bell);
/* Sleeps until the word, which is atomic, is not `value`. Who changes it rings afterwards. */
void tuff_bell_wait(tuff_bell *bell, const uint32_t *word, uint32_t value);
void tuff_bell_ring(tuff_bell *bell);

/* How many processors this process may use: by its affinity, and by the time that its control group grants.
 * At least 1. */
unsigned tuff_processors(void);

/* What a thread does between two looks at a word. */
static inline void tuff_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
