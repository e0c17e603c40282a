/* A request to stop from another thread, after a while, and how soon it was heard. Define _POSIX_C_SOURCE
 * first. */
#ifndef TUFF_TESTS_REQUEST_LATER_H
#define TUFF_TESTS_REQUEST_LATER_H

#include <pthread.h>
#include <time.h>

#include "base/os.h"
#include "kit/kit.h"

typedef struct later {
    pthread_t thread;
    tuff_cancel *cancel;
    int milliseconds;
    uint64_t requested_ns;
    double requested_cpu; /* processor seconds of the process then */
} later;

static double request_cpu_seconds(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* in any thread, where nothing can be asserted */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *request_later(void *user)
{
    later *l = user;
    uint64_t until = tuff_now_ns() + (uint64_t)l->milliseconds * 1000000;
    while (tuff_now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    l->requested_cpu = request_cpu_seconds();
    l->requested_ns = tuff_now_ns();
    tuff_cancel_request(l->cancel);
    return NULL;
}

static void request_begin(later *l)
{
    tuff_cancel_reset(l->cancel);
    assert_int_equal(pthread_create(&l->thread, NULL, request_later, l), 0);
}

/* After the call: it ended by the request, and soon after it. On a machine whose processors others have, soon
 * is by the processor time that it took. */
static void request_was_heard(later *l, tuff_status status, const char *call)
{
    uint64_t now = tuff_now_ns();
    double cpu = request_cpu_seconds() - l->requested_cpu;
    pthread_join(l->thread, NULL);
    tuff_cancel_reset(l->cancel);
    kit_expect_status(status, TUFF_CANCELLED, call, __FILE__, __LINE__);
    double late = (double)(now - l->requested_ns) / 1e9;
    if (now < l->requested_ns || late > 30 || (late > 1.5 && cpu > 1.5))
        fail_msg("cancelled %g s after the request, %g s of processor time", late, cpu);
}

#endif
