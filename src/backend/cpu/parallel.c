/* Threads of the host kernels: the pool of the device that they work for. */
#include "backend/cpu/host.h"
#include "backend/cpu/kernels.h"

typedef struct share {
    tuff_host *host;
    tuff_range_fn fn;
    void *context;
} share;

/* What a kernel finds in its host is found by all who help it. */
static void run_share(int64_t begin, int64_t end, void *context)
{
    const share *s = context;
    tuff_host *before = tuff_host_swap(s->host);
    s->fn(begin, end, s->context);
    tuff_host_swap(before);
}

int tuff_thread_count(void)
{
    tuff_pool *pool = tuff_host_pool(tuff_host_current());
    return pool ? (int)tuff_pool_threads(pool) : 1;
}

void tuff_parallel(int64_t n, int64_t grain, tuff_range_fn fn, void *context)
{
    share s = {tuff_host_current(), fn, context};
    tuff_pool *pool = tuff_host_pool(s.host);
    if (pool)
        tuff_pool_run(pool, n, grain, run_share, &s);
    else if (n > 0)
        fn(0, n, context);
}
