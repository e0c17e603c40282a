/* Threads of the host kernels: OpenMP where built in, one thread otherwise. */
#include "backend/cpu/host.h"
#include "backend/cpu/kernels.h"

#ifdef _OPENMP
#include <omp.h>

int tuff_thread_count(void)
{
    return omp_get_max_threads();
}

void tuff_parallel(int64_t n, int64_t grain, tuff_range_fn fn, void *context)
{
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int64_t most = (n + grain - 1) / grain;
    int threads = omp_get_max_threads();
    if (threads > most) threads = (int)most;
    if (threads <= 1 || omp_in_parallel()) {
        fn(0, n, context);
        return;
    }
    tuff_host *host = tuff_host_swap(NULL);
#pragma omp parallel num_threads(threads)
    {
        tuff_host_swap(host);
        int64_t t = omp_get_thread_num(), count = omp_get_num_threads();
        int64_t begin = n * t / count, end = n * (t + 1) / count;
        if (begin < end) fn(begin, end, context);
        tuff_host_swap(NULL);
    }
    tuff_host_swap(host);
}

#else

int tuff_thread_count(void)
{
    return 1;
}

void tuff_parallel(int64_t n, int64_t grain, tuff_range_fn fn, void *context)
{
    (void)grain;
    if (n > 0) fn(0, n, context);
}

#endif
