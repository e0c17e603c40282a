/* Running what is measured: warm, in rounds that are long enough for the clock, until the time is over. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/status.h"
#include "base/structs.h"
#include "base/watch.h"
#include "bench/case.h"

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 64 };
static const double round_seconds = 0.01; /* of a round, where a run is shorter */
static const double long_seconds = 1;     /* a row that may be left out takes no longer than this */

typedef struct timing {
    double seconds[MOST_ROUNDS]; /* of a run, by round */
    size_t rounds;
} timing;

const char *tuff_bench_name(size_t index)
{
    return index < tuff_bench_case_count ? tuff_bench_cases[index].name : NULL;
}

/* Runs the program `count` times and waits for the end; seconds of all. */
static tuff_status run(tuff_program *program, uint64_t count, double *out_seconds)
{
    float first;
    const uint64_t begin = tuff_now_ns();
    for (uint64_t i = 0; i < count; i++)
        TUFF_TRY(tuff_program_run(program));
    TUFF_TRY(tuff_program_output(program, "first", &first, sizeof first));
    *out_seconds = (double)(tuff_now_ns() - begin) * 1e-9;
    return TUFF_OK;
}

static tuff_status run_rounds(tuff_program *program, double least, const tuff_watch *watch, timing *t)
{
    double once = 0, all = 0;
    for (int warm = 0; warm < 2; warm++) /* the first run has its kernels compiled and its parts measured */
        TUFF_TRY(run(program, 1, &once));
    const double wanted = round_seconds / (once > 1e-9 ? once : 1e-9);
    const uint64_t count = wanted < 1 ? 1 : wanted > 1000 ? 1000 : (uint64_t)wanted;
    while (t->rounds < LEAST_ROUNDS || (all < least && t->rounds < MOST_ROUNDS)) {
        double seconds;
        if (watch && tuff_cancel_requested(watch->cancel)) return tuff_fail(TUFF_CANCELLED, "cancelled");
        TUFF_TRY(run(program, count, &seconds));
        t->seconds[t->rounds++] = seconds / (double)count;
        all += seconds;
    }
    return TUFF_OK;
}

/* Graph, program and buffers of a case, measured. *out_work: operations or bytes of a run. */
static tuff_status measure(tuff_device *device, const tuff_bench_case *c, const int64_t *p, double least,
                           const tuff_watch *watch, timing *t, double *out_work)
{
    tuff_bench_work w = {.device = device};
    tuff_program *program = NULL;
    TUFF_TRY(tuff_graph_create(&w.graph));
    tuff_tensor *y = tuff_reshape(w.graph, c->build(&w, p), 1, (const int64_t[]){-1});
    tuff_output(w.graph, "first", tuff_slice(w.graph, y, 0, 0, 1));
    tuff_status status = w.status;
    if (status == TUFF_OK) status = tuff_program_create(device, &w.graph, &program);
    for (size_t i = 0; i < w.n_leaves && status == TUFF_OK; i++)
        status = w.leaves[i].buffer ? tuff_program_bind(program, w.leaves[i].name, w.leaves[i].buffer)
                                    : tuff_program_input(program, w.leaves[i].name, w.leaves[i].segment,
                                                         sizeof w.leaves[i].segment);
    if (status == TUFF_OK) status = run_rounds(program, least, watch, t);
    *out_work = c->bound == TUFF_BENCH_F32 && program ? tuff_program_flops(program) : w.bytes;
    tuff_program_destroy(&program);
    tuff_graph_destroy(&w.graph);
    for (size_t i = 0; i < w.n_leaves; i++)
        tuff_buffer_destroy(&w.leaves[i].buffer);
    return status;
}

/* The same of as much as there is memory for. */
static tuff_status measure_fitting(tuff_device *device, const tuff_bench_case *c, double least,
                                   const tuff_watch *watch, timing *t, double *out_work)
{
    enum { LEAST_ROWS = 1024 };
    int64_t p[sizeof c->p / sizeof *c->p];
    memcpy(p, c->p, sizeof p);
    for (;;) {
        t->rounds = 0;
        tuff_status status = measure(device, c, p, least, watch, t, out_work);
        if (status != TUFF_OUT_OF_MEMORY || c->bound == TUFF_BENCH_F32 || p[0] < 2 * LEAST_ROWS)
            return status;
        p[0] /= 2;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double tuff_bench_median(double *seconds, size_t count, double *out_spread)
{
    if (out_spread) *out_spread = 0;
    if (!seconds || count == 0) return 0;
    qsort(seconds, count, sizeof *seconds, by_value);
    const double middle = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2;
    if (out_spread) *out_spread = (seconds[count - 1 - count / 4] - seconds[count / 4]) / middle;
    return middle;
}

typedef struct bench {
    tuff_device *device;
    tuff_bench_params params;
    tuff_bench_peak peak;
    double best_gflops; /* of all products that were measured */
} bench;

static double *peak_of(bench *b, tuff_bench_bound bound)
{
    return bound == TUFF_BENCH_COPY   ? &b->peak.copy_gbps
           : bound == TUFF_BENCH_READ ? &b->peak.read_gbps
                                      : &b->peak.f32_gflops;
}

static tuff_status run_case(bench *b, size_t index)
{
    const tuff_bench_case *c = &tuff_bench_cases[index];
    timing t = {.rounds = 0};
    double work = 0, *peak = peak_of(b, c->bound);
    tuff_bench_row row = {.name = c->name,
                          .what = c->what,
                          .unit = c->bound == TUFF_BENCH_F32 ? "GFLOP/s" : "GB/s",
                          .bound = c->bound,
                          .is_peak = c->is_peak};
    const double fastest = b->best_gflops > 0 ? b->best_gflops : b->peak.f32_gflops;
    if (c->flops > fastest * 1e9 * long_seconds) return TUFF_OK;
    tuff_status status = measure_fitting(b->device, c, b->params.seconds, b->params.watch, &t, &work);
    if (status == TUFF_OUT_OF_MEMORY && !c->is_peak) return TUFF_OK;
    TUFF_TRY(status);
    row.seconds = tuff_bench_median(t.seconds, t.rounds, &row.spread);
    row.rate = work / row.seconds * 1e-9;
    row.rounds = t.rounds;
    if (c->is_peak)
        *peak = row.rate;
    else if (c->bound == TUFF_BENCH_F32 && row.rate > b->best_gflops)
        b->best_gflops = row.rate;
    row.share = row.rate / *peak;
    if (b->params.on_row) b->params.on_row(&row, b->params.user);
    return TUFF_OK;
}

static bool is_wanted(const bench *b, size_t index)
{
    const tuff_bench_case *c = &tuff_bench_cases[index];
    return c->is_peak || !b->params.only || strstr(c->name, b->params.only);
}

static tuff_status check(bench *b, const tuff_bench_params *params)
{
    TUFF_TRY(TUFF_TAKE(&b->params, params, TUFF_BENCH_PARAMS_INIT, user));
    TUFF_TRY(tuff_watch_check(b->params.watch));
    if (b->params.seconds == 0) b->params.seconds = 0.3;
    if (!(b->params.seconds > 0 && b->params.seconds <= 60))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a measurement takes more than 0 and at most 60 seconds, not %g", b->params.seconds);
    for (size_t i = 0; i < tuff_bench_case_count && b->params.only; i++)
        if (strstr(tuff_bench_cases[i].name, b->params.only)) return TUFF_OK;
    if (b->params.only)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "no measurement has \"%.40s\" in its name", b->params.only);
    return TUFF_OK;
}

tuff_status tuff_bench_run(tuff_device *device, const tuff_bench_params *params, tuff_bench_peak *out_peak)
{
    bench b = {.device = device, .params = TUFF_BENCH_PARAMS_INIT, .peak = TUFF_BENCH_PEAK_INIT};
    TUFF_NEED(device);
    TUFF_TRY(TUFF_CHECK_OUT(out_peak, TUFF_BENCH_PEAK_INIT, f32_gflops));
    TUFF_TRY(check(&b, params));
    uint64_t total = 0, done = 0;
    for (size_t i = 0; i < tuff_bench_case_count; i++)
        total += is_wanted(&b, i);
    for (size_t i = 0; i < tuff_bench_case_count; i++) {
        if (!is_wanted(&b, i)) continue;
        TUFF_TRY(tuff_watch_step(b.params.watch, TUFF_PHASE_MEASURE, done++, total));
        TUFF_TRY(tuff_note(run_case(&b, i), "%s", tuff_bench_cases[i].name));
    }
    TUFF_TRY(tuff_watch_step(b.params.watch, TUFF_PHASE_MEASURE, total, total));
    return TUFF_GIVE(out_peak, &b.peak, TUFF_BENCH_PEAK_INIT, f32_gflops);
}
