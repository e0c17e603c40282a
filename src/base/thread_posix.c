#define _GNU_SOURCE
#include "base/thread.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"

struct tuff_thread {
    pthread_t handle;
    void (*fn)(void *user);
    void *user;
};

/* A thread begins with the floating-point environment of the one that starts it. */
static void *run(void *context)
{
    tuff_thread *thread = context;
    fesetenv(FE_DFL_ENV);
    thread->fn(thread->user);
    return NULL;
}

/* The program's handlers run on the program's threads. Faults belong to the thread that makes them. */
static void signals_for_others(sigset_t *out)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(out);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(out, own[i]);
}

/* A thread's stack is by default as large as the user's limit of the first thread's, which may be small; in
 * some C libraries it always is. Kernels keep blocks of a matrix there. */
static int start(tuff_thread *thread)
{
    enum { ENOUGH = 2 << 20 };
    size_t size = 0;
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed) return failed;
    if (pthread_attr_getstacksize(&attributes, &size) == 0 && size < ENOUGH)
        failed = pthread_attr_setstacksize(&attributes, ENOUGH);
    if (!failed) failed = pthread_create(&thread->handle, &attributes, run, thread);
    pthread_attr_destroy(&attributes);
    return failed;
}

tuff_thread *tuff_thread_start(void (*fn)(void *user), void *user)
{
    tuff_thread *thread = tuff_alloc(sizeof *thread);
    if (!thread) return NULL;
    thread->fn = fn;
    thread->user = user;
    sigset_t blocked, before;
    signals_for_others(&blocked);
    if (pthread_sigmask(SIG_SETMASK, &blocked, &before) != 0) {
        tuff_free(thread);
        return NULL;
    }
    int failed = start(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return thread;
    tuff_free(thread);
    return NULL;
}

void tuff_thread_join(tuff_thread **thread)
{
    if (!*thread) return;
    TUFF_ASSERT(pthread_join((*thread)->handle, NULL) == 0);
    tuff_free(*thread);
    *thread = NULL;
}

struct tuff_bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
};

tuff_bell *tuff_bell_create(void)
{
    tuff_bell *bell = tuff_alloc(sizeof *bell);
    if (!bell) return NULL;
    if (pthread_mutex_init(&bell->lock, NULL) != 0) {
        tuff_free(bell);
        return NULL;
    }
    if (pthread_cond_init(&bell->rung, NULL) != 0) {
        pthread_mutex_destroy(&bell->lock);
        tuff_free(bell);
        return NULL;
    }
    return bell;
}

void tuff_bell_destroy(tuff_bell **bell)
{
    if (!*bell) return;
    pthread_cond_destroy(&(*bell)->rung);
    pthread_mutex_destroy(&(*bell)->lock);
    tuff_free(*bell);
    *bell = NULL;
}

void tuff_bell_wait(tuff_bell *bell, const uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&bell->lock);
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
        pthread_cond_wait(&bell->rung, &bell->lock);
    pthread_mutex_unlock(&bell->lock);
}

void tuff_bell_ring(tuff_bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    pthread_cond_broadcast(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

static unsigned by_affinity(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned tuff_processors(void)
{
    unsigned count = by_affinity(), granted = tuff_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
    if (granted && granted < count) count = granted;
    return count ? count : 1;
}
