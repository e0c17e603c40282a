/* Where the time of a program went: a table by operation, and a Chrome trace of its last run. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "runtime/program.h"

typedef struct line {
    const char *name;
    uint64_t steps, total_ns;
    double flops, bytes; /* over all runs */
} line;

static int by_time(const void *a, const void *b)
{
    const line *x = a, *y = b;
    if (x->total_ns != y->total_ns) return x->total_ns > y->total_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Of all runs that are done, the last one included. */
static const tuff_step_time *times_of(tuff_program *p)
{
    const void *results;
    if (!p->handle) return NULL;
    if (p->ran && p->device->backend->program_wait(p->device->handle, p->handle, &results) != TUFF_OK)
        return NULL;
    return p->device->backend->program_times(p->handle);
}

static char *finish(tuff_buf *text)
{
    if (!text->failed) return text->data;
    tuff_buf_free(text);
    return NULL;
}

char *tuff_program_profile_text(tuff_program *p)
{
    if (!p) return NULL;
    const tuff_step_time *times = times_of(p);
    if (!times) return NULL;
    line lines[TUFF_OP_COUNT] = {{0}};
    uint64_t total = 0;
    for (size_t s = 0; s < p->plan->n_steps; s++) {
        const tuff_plan_step *step = &p->plan->steps[s];
        line *l = &lines[step->node->op];
        l->name = step->op->name;
        l->steps += step->phase == 0;
        l->total_ns += times[s].total_ns;
        l->flops += step->cost.flops * (double)times[s].runs;
        l->bytes += step->cost.bytes * (double)times[s].runs;
        total += times[s].total_ns;
    }
    size_t n = 0;
    for (size_t i = 0; i < TUFF_OP_COUNT; i++)
        if (lines[i].steps) lines[n++] = lines[i];
    qsort(lines, n, sizeof *lines, by_time);
    tuff_buf text = {0};
    tuff_buf_printf(&text, "%-28s %6s %12s %7s %10s %9s\n", "operation", "steps", "time", "share", "GFLOP/s",
                    "GB/s");
    for (size_t i = 0; i < n; i++) {
        double ns = lines[i].total_ns ? (double)lines[i].total_ns : 1.0;
        tuff_buf_printf(&text, "%-28s %6llu %9.3f ms %6.1f%% %10.1f %9.1f\n", lines[i].name,
                        (unsigned long long)lines[i].steps, (double)lines[i].total_ns / 1e6,
                        100.0 * (double)lines[i].total_ns / (total ? (double)total : 1.0),
                        lines[i].flops / ns, lines[i].bytes / ns);
    }
    tuff_buf_printf(&text, "%-28s %6zu %9.3f ms\n", "total", p->plan->n_steps, (double)total / 1e6);
    uint64_t runs = p->plan->n_steps ? times[0].runs : 0;
    tuff_buf_printf(&text, "time of %llu run%s; the first of all, in which kernels may be compiled, is %s\n",
                    (unsigned long long)runs, runs == 1 ? "" : "s",
                    runs < p->runs ? "left out" : "one of them");
    return finish(&text);
}

char *tuff_program_profile_trace(tuff_program *p)
{
    if (!p) return NULL;
    const tuff_step_time *times = times_of(p);
    if (!times) return NULL;
    tuff_buf text = {0};
    tuff_buf_text(&text, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    uint64_t origin = p->plan->n_steps ? times[0].last_begin_ns : 0;
    for (size_t s = 0; s < p->plan->n_steps; s++) {
        const tuff_plan_step *step = &p->plan->steps[s];
        tuff_buf_printf(&text, "%s\n{\"ph\":\"X\",\"pid\":0,\"tid\":0,\"ts\":%.3f,\"dur\":%.3f,\"name\":",
                        s ? "," : "", ((double)times[s].last_begin_ns - (double)origin) / 1e3,
                        (double)(times[s].last_end_ns - times[s].last_begin_ns) / 1e3);
        tuff_json_quote(&text, step->op->name, strlen(step->op->name));
        const tuff_tensor *out = step->node->out[0];
        tuff_buf_printf(&text, ",\"args\":{\"step\":%zu,\"kernel\":\"%s\",\"shape\":\"%s\",\"tensor\":", s,
                        step->row < 0 ? "host" : step->op->rows[step->row].name,
                        tuff_shape_text(&out->shape));
        tuff_json_quote(&text, out->name, strlen(out->name));
        tuff_buf_text(&text, "}}");
    }
    tuff_buf_text(&text, "\n]}\n");
    return finish(&text);
}
