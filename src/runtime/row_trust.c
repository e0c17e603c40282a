/* Kernel rows on trial. The verdicts of a driver lie in "<cache folder>/self-test/<identity>.txt", a line
 * each: "held matmul tile 1f0c..." with the key of the shaders that ran; the first line names Tuff's version.
 */
#include "runtime/row_trust.h"

#include <stdio.h>
#include <string.h>
#include <tuff/version.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "ir/op.h"

enum { FILE_LIMIT = 1 << 20 };
static const char header[] = "tuff " TUFF_VERSION "\n";

struct tuff_row_trust {
    tuff_backend_device *device;
    tuff_mutex *lock;  /* all below, and device->caps.quarantined */
    tuff_map seen;     /* of tuff_row_key: what this process has a verdict on */
    tuff_map verdicts; /* "matmul tile 1f0c..." to held (1) or wrong (0): the file and what was added */
    tuff_buf path;     /* of the file; empty: none */
    tuff_buf text;     /* its contents to be */
    bool unsaved;
    tuff_row_tests *tests; /* NULL until a row needs one */
};

/* ---- the file ---- */

static bool file_path(const char *identity, tuff_buf *out)
{
    if (!*identity || !tuff_cache_directory(out)) return false;
    tuff_buf_printf(out, "/self-test/%s.txt", identity);
    return !out->failed;
}

/* Reads the file and calls fn for each of its whole lines; a file of another version is no file. */
static void read_lines(const char *path, void (*fn)(bool held, const char *row, size_t size, void *context),
                       void *context)
{
    tuff_buf text = {0};
    bool found = tuff_is_file(path) && tuff_read_file(path, FILE_LIMIT, &text) == TUFF_OK;
    found = found && text.size >= sizeof header - 1 && memcmp(text.data, header, sizeof header - 1) == 0;
    const char *line = found ? text.data + sizeof header - 1 : "";
    for (size_t size; line[size = strcspn(line, "\n")] == '\n'; line += size + 1) {
        if (size > 5 && memcmp(line, "held ", 5) == 0) fn(true, line + 5, size - 5, context);
        if (size > 6 && memcmp(line, "wrong ", 6) == 0) fn(false, line + 6, size - 6, context);
    }
    tuff_buf_free(&text);
}

static void write_line(tuff_row_trust *trust, bool held, const char *row, size_t size)
{
    tuff_buf_text(&trust->text, held ? "held " : "wrong ");
    tuff_buf_bytes(&trust->text, row, size);
    tuff_buf_char(&trust->text, '\n');
}

/* What does not fit in memory is tested again; what was damaged is not written back. */
static void remember(bool held, const char *row, size_t size, void *context)
{
    tuff_row_trust *trust = context;
    if (tuff_map_put(&trust->verdicts, row, size, held)) write_line(trust, held, row, size);
}

/* A cache that cannot be written costs time only. */
static void save(tuff_row_trust *trust)
{
    if (!trust->unsaved || !trust->path.size || trust->text.failed) return;
    trust->unsaved = false;
    if (tuff_write_cache_file(trust->path.data, trust->text.data, trust->text.size) != TUFF_OK)
        tuff_log(TUFF_LOG_DEBUG, "the verdicts on kernels were not saved: %s", tuff_error_message());
}

typedef struct recall {
    tuff_device_info *info;
    size_t used; /* of info->wrong_rows */
} recall;

static void count_line(bool held, const char *row, size_t size, void *context)
{
    recall *r = context;
    tuff_device_info *info = r->info;
    info->rows_tested++;
    if (held) return;
    info->rows_wrong++;
    for (size_t i = size; i-- > 0;)
        if (row[i] == ' ') { /* without the key */
            size = i;
            break;
        }
    const size_t room = sizeof info->wrong_rows - r->used;
    int n = snprintf(info->wrong_rows + r->used, room, "%s%.*s", r->used ? ", " : "", (int)size, row);
    if (n > 0 && (size_t)n < room)
        r->used += (size_t)n;
    else
        info->wrong_rows[r->used] = 0; /* whole names only */
}

void tuff_row_trust_recall(const char *identity, tuff_device_info *info)
{
    tuff_buf path = {0};
    recall r = {.info = info};
    if (file_path(identity, &path)) read_lines(path.data, count_line, &r);
    tuff_buf_free(&path);
}

/* ---- verdicts ---- */

tuff_status tuff_row_trust_create(tuff_backend_device *device, const char *identity, tuff_row_trust **out)
{
    *out = NULL;
    tuff_row_trust *trust = tuff_alloc(sizeof *trust);
    if (!trust) return tuff_fail_memory("a device");
    trust->device = device;
    trust->lock = tuff_mutex_create();
    if (!trust->lock) {
        tuff_row_trust_destroy(&trust);
        return tuff_fail_memory("a device");
    }
    tuff_buf_text(&trust->text, header);
    if (file_path(identity, &trust->path))
        read_lines(trust->path.data, remember, trust);
    else
        tuff_buf_clear(&trust->path);
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

/* The row and what its shaders are made from: the same text in another process means the same kernel. */
static tuff_status row_text(const tuff_row_trust *trust, const tuff_plan_step *step, tuff_buf *out)
{
    uint64_t key = 0;
    for (size_t i = 0; i < step->launch->n; i++) {
        if (!tuff_launch_is_first(step->launch, i)) continue;
        char hex[65];
        TUFF_TRY(trust->device->backend->shader_key(trust->device, step->launch->dispatches[i]->shader, hex));
        key ^= tuff_fnv1a(hex, 64);
    }
    tuff_buf_printf(out, "%s %s %016llx", step->op->name, step->op->rows[step->row].name,
                    (unsigned long long)key);
    return out->failed ? tuff_fail_memory("the self-test") : TUFF_OK;
}

static tuff_status try_row(tuff_row_trust *trust, const tuff_row_key *key, const char *row, bool *out_held,
                           tuff_buf *why)
{
    if (!trust->tests) TUFF_TRY(tuff_row_tests_create(trust->device, &trust->tests));
    TUFF_TRY(tuff_row_tests_run(trust->tests, key, out_held, why));
    if (!tuff_map_put(&trust->verdicts, row, strlen(row), *out_held))
        return tuff_fail_memory("the self-test");
    write_line(trust, *out_held, row, strlen(row));
    trust->unsaved = true;
    return TUFF_OK;
}

static void quarantine(tuff_row_trust *trust, const tuff_plan_step *step, const tuff_device_info *device,
                       const char *why)
{
    trust->device->caps.quarantined[step->node->op] |= (uint16_t)(1u << step->row);
    tuff_log(
        TUFF_LOG_WARN,
        "kernel %s of %s gives wrong results on %s (%s) and is not used: %s; please report the device and "
        "its driver",
        step->op->rows[step->row].name, step->op->name, device->name, device->driver, why);
}

static tuff_status judge(tuff_row_trust *trust, const tuff_plan_step *step, const tuff_device_info *device,
                         bool *out_changed)
{
    if (trust->device->caps.quarantined[step->node->op] >> step->row & 1) { /* by an earlier step */
        *out_changed = true;
        return TUFF_OK;
    }
    const tuff_row_key key = tuff_row_key_of(step->node->op, step->row, step->launch);
    uint32_t held = 1;
    if (tuff_map_get(&trust->seen, &key, sizeof key, &held)) return TUFF_OK;
    tuff_buf row = {0}, why = {0};
    tuff_status status = row_text(trust, step, &row);
    if (status == TUFF_OK && !tuff_map_get(&trust->verdicts, row.data, row.size, &held)) {
        bool right = false;
        status = try_row(trust, &key, row.data, &right, &why);
        held = right;
        /* a kernel that hangs the device is known by this */
        status = tuff_note(status, "testing kernel %s of %s", step->op->rows[step->row].name, step->op->name);
    }
    if (status == TUFF_OK && !held) {
        quarantine(trust, step, device, why.data ? why.data : "its self-test failed in an earlier run");
        *out_changed = true;
    }
    if (status == TUFF_OK && !tuff_map_put(&trust->seen, &key, sizeof key, 1))
        status = tuff_fail_memory("the self-test");
    tuff_buf_free(&row);
    tuff_buf_free(&why);
    return status;
}

tuff_status tuff_row_trust_check(tuff_row_trust *trust, const tuff_plan *plan, const tuff_device_info *device,
                                 bool *out_changed)
{
    *out_changed = false;
    tuff_status status = TUFF_OK;
    tuff_mutex_lock(trust->lock);
    for (size_t i = 0; i < plan->n_steps && status == TUFF_OK; i++)
        if (plan->steps[i].row >= 0) status = judge(trust, &plan->steps[i], device, out_changed);
    save(trust);
    tuff_mutex_unlock(trust->lock);
    return status;
}
