/* Kernel rows on trial. The verdicts of a driver lie in "<cache folder>/self-test/<identity>.txt";
 * runtime/verdicts.h says how. */
#include "runtime/row_trust.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/watch.h"
#include "ir/op.h"
#include "runtime/verdicts.h"

enum { FILE_LIMIT = 1 << 20 };

struct tuff_row_trust {
    tuff_backend_device *device;
    const tuff_log_receiver *log;
    tuff_mutex *lock; /* all below, and device->caps.quarantined */
    tuff_map seen;    /* of tuff_row_key: what this process has a verdict on */
    tuff_map
        verdicts;  /* "matmul tile 1f0c...:77ab..." to held (1) or wrong (0): the file and what was added */
    tuff_buf path; /* of the file; empty: none */
    tuff_buf text; /* its contents to be */
    bool unsaved;
    tuff_row_tests *tests; /* NULL until a row needs one */
    bool recalls_only;     /* nothing can be run: a row that the file says nothing of is trusted */
};

/* ---- the file ---- */

static bool file_path(const char *identity, tuff_buf *out)
{
    if (!*identity || !tuff_cache_directory(out)) return false;
    tuff_buf_printf(out, "/self-test/%s.txt", identity);
    return !out->failed;
}

/* Its text; empty where there is none. */
static void read_file(const char *path, tuff_buf *out)
{
    if (!tuff_is_file(path) || tuff_read_file(path, FILE_LIMIT, out) != TUFF_OK) tuff_buf_clear(out);
}

/* What does not fit in memory is tested again; what was damaged is not written back. */
static void remember(bool held, const char *row, size_t size, void *context)
{
    tuff_row_trust *trust = context;
    if (tuff_map_put(&trust->verdicts, row, size, held)) tuff_verdicts_add(&trust->text, held, row, size);
}

/* A cache that cannot be written costs time only. */
static void save(tuff_row_trust *trust)
{
    if (!trust->unsaved || !trust->path.size || trust->text.failed) return;
    trust->unsaved = false;
    if (tuff_write_cache_file(trust->path.data, trust->text.data, trust->text.size) != TUFF_OK)
        tuff_log_to(trust->log, TUFF_LOG_DEBUG, "the verdicts on kernels were not saved: %s",
                    tuff_error_message());
}

void tuff_row_trust_recall(const char *identity, tuff_device_info *info)
{
    tuff_buf path = {0}, text = {0};
    if (file_path(identity, &path)) read_file(path.data, &text);
    tuff_verdicts_count(text.data, text.size, info);
    tuff_buf_free(&text);
    tuff_buf_free(&path);
}

/* ---- verdicts ---- */

tuff_status tuff_row_trust_create(tuff_device *device, const char *identity, tuff_row_trust **out)
{
    *out = NULL;
    tuff_row_trust *trust = tuff_alloc(sizeof *trust);
    if (!trust) return tuff_fail_memory("a device");
    trust->device = device->handle;
    trust->log = &device->log;
    trust->recalls_only = device->compiles_only;
    trust->lock = tuff_mutex_create();
    if (!trust->lock) {
        tuff_row_trust_destroy(&trust);
        return tuff_fail_memory("a device");
    }
    tuff_verdicts_begin(&trust->text);
    tuff_buf text = {0};
    if (file_path(identity, &trust->path))
        read_file(trust->path.data, &text);
    else
        tuff_buf_clear(&trust->path);
    if (text.size && !tuff_verdicts_are_ours(text.data, text.size))
        tuff_log_to(trust->log, TUFF_LOG_INFO,
                    "%s is not of this version of Tuff and not used: kernels are tested again",
                    trust->path.data);
    tuff_verdicts_read(text.data, text.size, remember, trust);
    tuff_buf_free(&text);
    *out = trust;
    return TUFF_OK;
}

void tuff_row_trust_destroy(tuff_row_trust **trust)
{
    tuff_row_trust *t = *trust;
    if (!t) return;
    tuff_row_tests_destroy(&t->tests);
    tuff_map_free(&t->seen);
    tuff_map_free(&t->verdicts);
    tuff_buf_free(&t->path);
    tuff_buf_free(&t->text);
    tuff_mutex_destroy(&t->lock);
    tuff_free(t);
    *trust = NULL;
}

void tuff_row_trust_caps(tuff_row_trust *trust, tuff_caps *out)
{
    tuff_mutex_lock(trust->lock);
    *out = trust->device->caps;
    tuff_mutex_unlock(trust->lock);
}

/* A kernel in the file: the row and what its shaders are made from, then, after a colon, that with their
 * constants. The same text in another process means the same kernel. Without the colon: with any constants.
 */
static tuff_status kernel_text(const tuff_row_trust *trust, const tuff_plan_step *step, tuff_buf *out,
                               size_t *out_any)
{
    const tuff_launch *launch = step->whole;
    uint64_t shaders = 0, constants = 0;
    for (size_t i = 0; i < launch->n; i++) {
        const tuff_dispatch *d = launch->dispatches[i];
        if (!tuff_launch_is_first(launch, i)) continue;
        char hex[65];
        TUFF_TRY(trust->device->backend->shader_key(trust->device, d->shader, hex));
        const uint64_t both[2] = {tuff_fnv1a(hex, 64),
                                  tuff_fnv1a(d->spec, (size_t)d->n_spec * sizeof *d->spec)};
        if (tuff_launch_is_first_of_shader(launch, i)) shaders ^= both[0];
        constants ^= tuff_fnv1a(both, sizeof both);
    }
    tuff_buf_printf(out, "%s %s %016llx", step->op->name, step->op->rows[step->row].name,
                    (unsigned long long)shaders);
    *out_any = out->size;
    tuff_buf_printf(out, ":%016llx", (unsigned long long)constants);
    return out->failed ? tuff_fail_memory("the self-test") : TUFF_OK;
}

/* How far a check is: kernels of a plan that this process has no verdict on. */
typedef struct checking {
    const tuff_watch *watch;
    uint64_t done, total;
} checking;

/* The watch may ask the device something: it is told without the lock. */
static tuff_status tell(tuff_row_trust *trust, const checking *at)
{
    if (!at->watch) return TUFF_OK;
    tuff_mutex_unlock(trust->lock);
    const tuff_status status = tuff_watch_step(at->watch, TUFF_PHASE_TEST, at->done, at->total);
    tuff_mutex_lock(trust->lock);
    return status;
}

static tuff_status try_kernel(tuff_row_trust *trust, const tuff_row_key *key, const char *text, size_t size,
                              bool *out_held, tuff_buf *why)
{
    TUFF_TRY(tuff_row_tests_run(trust->tests, key, out_held, why));
    if (!tuff_map_put(&trust->verdicts, text, size, *out_held)) return tuff_fail_memory("the self-test");
    tuff_verdicts_add(&trust->text, *out_held, text, size);
    trust->unsaved = true;
    return TUFF_OK;
}

/* What the file says of the kernel, or its test. Constants that no case has are judged by the row's cases
 * with other ones. */
static tuff_status verdict_on(tuff_row_trust *trust, const tuff_plan_step *step, tuff_row_key key,
                              const checking *at, bool *out_held, tuff_buf *why)
{
    tuff_buf text = {0};
    size_t size = 0;
    uint32_t held = 1;
    tuff_status status = TUFF_OK;
    TUFF_GO(kernel_text(trust, step, &text, &size));
    bool known = tuff_map_get(&trust->verdicts, text.data, text.size, &held);
    if (!known && trust->recalls_only) {
        (void)tuff_map_get(&trust->verdicts, text.data, size, &held);
        known = true;
    }
    if (!known && !trust->tests) TUFF_GO(tuff_row_tests_create(trust->device, &trust->tests));
    if (!known && tuff_row_tests_reach(trust->tests, &key)) {
        size = text.size;
    } else if (!known) {
        key.constants = 0;
        known = tuff_map_get(&trust->verdicts, text.data, size, &held);
    }
    *out_held = held;
    if (!known) TUFF_GO(tell(trust, at));
    if (!known) TUFF_GO(try_kernel(trust, &key, text.data, size, out_held, why));
done:
    tuff_buf_free(&text);
    return status;
}

static void quarantine(tuff_row_trust *trust, const tuff_plan_step *step, const tuff_device_info *device,
                       const char *why)
{
    trust->device->caps.quarantined[step->node->op] |= (uint16_t)(1u << step->row);
    tuff_log_to(
        trust->log, TUFF_LOG_WARN,
        "kernel %s of %s gives wrong results on %s (%s) and is not used: %s; please report the device and "
        "its driver",
        step->op->rows[step->row].name, step->op->name, device->name, device->driver, why);
}

static tuff_status judge(tuff_row_trust *trust, const tuff_plan_step *step, const tuff_device_info *device,
                         checking *at, bool *out_changed)
{
    if (trust->device->caps.quarantined[step->node->op] >> step->row & 1) { /* by an earlier step */
        *out_changed = true;
        return TUFF_OK;
    }
    const tuff_row_key key = tuff_row_key_of(step->node->op, step->row, step->whole);
    uint32_t seen;
    if (tuff_map_get(&trust->seen, &key, sizeof key, &seen)) return TUFF_OK;
    tuff_buf why = {0};
    bool held = true;
    tuff_status status = verdict_on(trust, step, key, at, &held, &why);
    at->done++;
    /* a kernel that hangs the device is known by this */
    if (status != TUFF_CANCELLED)
        status = tuff_note(status, "testing kernel %s of %s", step->op->rows[step->row].name, step->op->name);
    if (status == TUFF_OK && !held) {
        quarantine(trust, step, device, why.data ? why.data : "its self-test failed in an earlier run");
        *out_changed = true;
    }
    if (status == TUFF_OK && !tuff_map_put(&trust->seen, &key, sizeof key, 1))
        status = tuff_fail_memory("the self-test");
    tuff_buf_free(&why);
    return status;
}

/* Layers run the same kernels: each counts once. */
static tuff_status count_unseen(const tuff_row_trust *trust, const tuff_plan *plan, uint64_t *out)
{
    tuff_map counted = {0};
    uint32_t unused;
    bool ok = true;
    *out = 0;
    for (size_t i = 0; i < plan->n_steps && ok; i++) {
        const tuff_plan_step *step = &plan->steps[i];
        if (step->row < 0 || step->phase > 0) continue;
        const tuff_row_key key = tuff_row_key_of(step->node->op, step->row, step->whole);
        if (tuff_map_get(&trust->seen, &key, sizeof key, &unused) ||
            tuff_map_get(&counted, &key, sizeof key, &unused))
            continue;
        ok = tuff_map_put(&counted, &key, sizeof key, 1);
        ++*out;
    }
    tuff_map_free(&counted);
    return ok ? TUFF_OK : tuff_fail_memory("the self-test");
}

tuff_status tuff_row_trust_check(tuff_row_trust *trust, const tuff_plan *plan, const tuff_device_info *device,
                                 const tuff_watch *watch, bool *out_changed)
{
    checking at = {.watch = watch};
    *out_changed = false;
    tuff_mutex_lock(trust->lock);
    tuff_status status = watch ? count_unseen(trust, plan, &at.total) : TUFF_OK;
    for (size_t i = 0; i < plan->n_steps && status == TUFF_OK; i++)
        if (plan->steps[i].row >= 0 && plan->steps[i].phase == 0)
            status = judge(trust, &plan->steps[i], device, &at, out_changed);
    save(trust);
    tuff_mutex_unlock(trust->lock);
    return status;
}
