/* What changed from one report to another. */
#include <tuff/conform.h>

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "conform/report.h"
#include "conform/select.h"

/* Less is noise: a case of a few milliseconds easily takes twice as long. */
static const double slower_times = 2, slower_by_ms = 10;

/* On another device or a busy machine nearly all are: a screen of them says it. */
enum { MOST_SLOWER = 20 };

static tuff_status index_cases(const tuff_conform_report *r, tuff_map *map)
{
    for (size_t i = 0; i < r->n_cases; i++)
        if (!tuff_map_put(map, r->cases[i]->name, strlen(r->cases[i]->name), (uint32_t)i))
            return tuff_fail_memory("a comparison");
    return TUFF_OK;
}

static const tuff_conform_case *find(const tuff_conform_report *r, const tuff_map *map, const char *name)
{
    uint32_t at;
    return tuff_map_get(map, name, strlen(name), &at) ? r->cases[at] : NULL;
}

typedef struct tallies {
    size_t failures, mended, added, missing, unasked, slower;
} tallies;

static void compare_case(const tuff_conform_case *old, const tuff_conform_case *c, tallies *n, tuff_buf *out)
{
    if (old == NULL) {
        n->added++;
        n->failures += c->failed;
        tuff_buf_printf(out, "  new           %s%s\n", c->name, c->failed ? ", FAILED" : "");
    } else if (c->failed && !old->failed) {
        n->failures++;
        tuff_buf_printf(out, "  NEW FAILURE   %s: %s: %s\n", c->name, c->verdict, c->message);
    } else if (!c->failed && old->failed) {
        n->mended++;
        tuff_buf_printf(out, "  mended        %s\n", c->name);
    }
    if (old != NULL && c->milliseconds > slower_times * old->milliseconds &&
        c->milliseconds > old->milliseconds + slower_by_ms) {
        if (++n->slower > MOST_SLOWER) return;
        tuff_buf_printf(out, "  slower        %s: %.1f ms, was %.1f ms\n", c->name, c->milliseconds,
                        old->milliseconds);
    }
}

static void other(const char *what, const char *was, const char *is, tuff_buf *out)
{
    if (strcmp(was, is) != 0)
        tuff_buf_printf(out, "  another %-6s is %s, was %s\n", what, *is != '\0' ? is : "none",
                        *was != '\0' ? was : "none");
}

/* Times of another device say nothing, and its kernels are others. */
static void unlike(const tuff_conform_report *before, const tuff_conform_report *now, tuff_buf *out)
{
    other("device", before->device->name, now->device->name, out);
    other("driver", before->device->driver, now->device->driver, out);
    other("mask", before->mask, now->mask, out);
    other("level", tuff_report_level(before->level), tuff_report_level(now->level), out);
}

bool tuff_report_asked(const tuff_conform_report *now, const tuff_conform_case *old)
{
    const tuff_asked *asked = &((const tuff_ledger *)now)->asked;
    if (asked->backward_only && old->worst_backward == 0) return false;
    return tuff_was_asked_for(asked, now->level, old->name);
}

bool tuff_report_lost(const tuff_conform_report *now, const tuff_conform_case *old)
{
    if (!old->held || !tuff_report_asked(now, old)) return false;
    for (size_t i = 0; i < now->n_cases; i++)
        if (strcmp(now->cases[i]->name, old->name) == 0) return false;
    return true;
}

tuff_status tuff_conform_compare(const tuff_conform_report *before, const tuff_conform_report *now,
                                 char **out_text, size_t *out_worse)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED(before);
    TUFF_NEED(now);
    tuff_map old = {0}, new = {0};
    tuff_buf lines = {0}, out = {0};
    tallies n = {0};
    size_t lost = 0;
    double time = 0, old_time = 0;
    tuff_status status;
    unlike(before, now, &lines);
    TUFF_GO(index_cases(before, &old));
    TUFF_GO(index_cases(now, &new));
    for (size_t i = 0; i < now->n_cases; i++) {
        const tuff_conform_case *was = find(before, &old, now->cases[i]->name);
        compare_case(was, now->cases[i], &n, &lines);
        if (was == NULL) continue;
        time += now->cases[i]->milliseconds;
        old_time += was->milliseconds;
    }
    for (size_t i = 0; i < before->n_cases; i++) {
        if (find(now, &new, before->cases[i]->name) != NULL) continue;
        if (!tuff_report_asked(now, before->cases[i])) {
            n.unasked++;
            continue;
        }
        n.missing++;
        lost += before->cases[i]->held;
        tuff_buf_printf(&lines, "  missing       %s\n", before->cases[i]->name);
    }
    if (n.slower > MOST_SLOWER)
        tuff_buf_printf(&lines, "  slower        and %zu more\n", n.slower - MOST_SLOWER);
    if (n.unasked > 0)
        tuff_buf_printf(&lines, "  not asked for %zu case%s of that run\n", n.unasked,
                        n.unasked == 1 ? "" : "s");
    tuff_buf_printf(
        &out, "compared with %s of %s: %zu new failure%s, %zu mended, %zu new, %zu missing, %zu slower; ",
        before->device->name, *before->date != '\0' ? before->date : "an unknown date", n.failures,
        n.failures == 1 ? "" : "s", n.mended, n.added, n.missing, n.slower);
    tuff_buf_printf(&out, "%.1f s for the cases of both, was %.1f s\n%s", time / 1e3, old_time / 1e3,
                    lines.data != NULL ? lines.data : "");
    if (out.failed || lines.failed) TUFF_GO(tuff_fail_memory("a comparison"));
    *out_text = out.data;
    out = (tuff_buf){0};
    if (out_worse != NULL) *out_worse = n.failures + lost;
done:
    tuff_buf_free(&lines);
    tuff_buf_free(&out);
    tuff_map_free(&old);
    tuff_map_free(&new);
    return status;
}
