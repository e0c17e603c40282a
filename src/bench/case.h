/* What is measured: small graphs with data of their own, each bound by memory or by arithmetic. */
#ifndef TUFF_BENCH_CASE_H
#define TUFF_BENCH_CASE_H

#include <tuff/bench.h>
#include <tuff/graph.h>
#include <tuff/program.h>

enum { TUFF_BENCH_LEAVES = 8 };

/* A graph that is being made for a device, and the buffers of its leaves. */
typedef struct tuff_bench_work {
    tuff_device *device;
    tuff_graph *graph;
    struct {
        char name[16];
        tuff_buffer *buffer; /* NULL: an input, whose data is this */
        int32_t segment[4];
    } leaves[TUFF_BENCH_LEAVES];
    size_t n_leaves;
    tuff_status status; /* of the buffers */
    double bytes;       /* that a run reads and writes, where memory bounds it */
} tuff_bench_work;

typedef struct tuff_bench_case {
    const char *name, *what;
    tuff_bench_bound bound;
    /* Makes the graph; its result, NULL after a failure. */
    tuff_tensor *(*build)(tuff_bench_work *work, const int64_t *p);
    int64_t p[5];
    double flops; /* of a run, where slow devices leave the row out for it; else 0 */
    bool is_peak; /* its rate is what others with its bound are a share of */
} tuff_bench_case;

/* Those that measure the peaks come first, one for each tuff_bench_bound. */
extern const tuff_bench_case tuff_bench_cases[];
extern const size_t tuff_bench_case_count;

#endif
