/* Which device: ranking, choice by name, opening with fallback. */
#include "runtime/device.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/os.h"
#include "base/pool.h"
#include "base/structs.h"
#include "base/text.h"
#include "base/users.h"
#include "runtime/compile.h"
#include "runtime/row_trust.h"

static const tuff_backend *const backends[] = {
#ifdef TUFF_HAVE_VULKAN
    &tuff_backend_vulkan,
#endif
    &tuff_backend_cpu,
};
enum {
    N_BACKENDS = sizeof backends / sizeof backends[0],
    MAX_DEVICES = 32,
    MOST_THREADS = TUFF_MOST_THREADS
};

typedef struct candidate {
    const tuff_backend *backend;
    size_t index; /* within its backend */
    tuff_device_info info;
    char identity[128]; /* see tuff_device_description */
    bool compiles;      /* the same */
} candidate;

typedef struct candidates {
    candidate at[MAX_DEVICES];
    size_t n;
    char reason[256]; /* why there is no Vulkan device */
} candidates;

static const tuff_device_type types[] = {
    [TUFF_KIND_DISCRETE] = TUFF_DEVICE_DISCRETE, [TUFF_KIND_INTEGRATED] = TUFF_DEVICE_INTEGRATED,
    [TUFF_KIND_VIRTUAL] = TUFF_DEVICE_VIRTUAL,   [TUFF_KIND_CPU] = TUFF_DEVICE_CPU,
    [TUFF_KIND_SOFTWARE] = TUFF_DEVICE_SOFTWARE,
};

static int rank(const tuff_device_info *info)
{
    static const int by_type[] = {
        [TUFF_DEVICE_DISCRETE] = 0, [TUFF_DEVICE_INTEGRATED] = 1, [TUFF_DEVICE_VIRTUAL] = 2,
        [TUFF_DEVICE_CPU] = 3,      [TUFF_DEVICE_SOFTWARE] = 4,
    };
    return by_type[info->type] + (info->usable ? 0 : 10);
}

static bool better(const tuff_device_info *a, const tuff_device_info *b)
{
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return a->memory_bytes > b->memory_bytes;
}

static void describe(candidate *c, const tuff_device_description *d)
{
    c->info.type = types[d->kind];
    c->info.usable = d->usable;
    c->compiles = d->compiles;
    c->info.memory_bytes = d->memory_bytes;
    snprintf(c->info.name, sizeof c->info.name, "%s", d->name);
    snprintf(c->info.driver, sizeof c->info.driver, "%s", d->driver);
    snprintf(c->info.backend, sizeof c->info.backend, "%s", c->backend->name);
    if (d->kind != TUFF_KIND_CPU)
        for (int i = 0; i < 16; i++)
            snprintf(c->info.uuid + 2 * i, 3, "%02x", d->uuid[i]);
    snprintf(c->info.reason, sizeof c->info.reason, "%s", d->reason);
    /* while kernels are worked on, verdicts on them are nobody else's */
    if (*d->identity)
        snprintf(c->identity, sizeof c->identity, "%.120s%s", d->identity,
                 tuff_environment("TUFF_SHADER_DIR") ? "-dev" : "");
}

/* All devices, best first. */
static tuff_status gather(candidates *all)
{
    all->n = 0;
    all->reason[0] = 0;
    for (int b = 0; b < N_BACKENDS; b++) {
        static const size_t most = MAX_DEVICES;
        tuff_device_description *found = tuff_alloc_array(most, sizeof *found);
        if (!found) return tuff_fail_memory("the list of devices");
        size_t count = 0;
        tuff_status status = backends[b]->list(found, most, &count, all->reason);
        for (size_t i = 0; i < count && i < most && all->n < MAX_DEVICES && status == TUFF_OK; i++) {
            candidate c = {.backend = backends[b], .index = i};
            describe(&c, &found[i]);
            size_t at = all->n++;
            for (; at > 0 && better(&c.info, &all->at[at - 1].info); at--)
                all->at[at] = all->at[at - 1];
            all->at[at] = c;
        }
        tuff_free(found);
        TUFF_TRY(status);
    }
    for (size_t i = 0; i < all->n; i++) {
        tuff_device_info *info = &all->at[i].info;
        if (!info->usable) continue;
        const char *why = i == 0 ? "the default" : "usable, ranked below the default";
        if (info->type == TUFF_DEVICE_SOFTWARE)
            why = "runs on the CPU: used only when asked for";
        else if (info->type == TUFF_DEVICE_CPU && i == 0)
            why = all->reason[0] ? all->reason : "the default: no GPU that Tuff can use";
        snprintf(info->reason, sizeof info->reason, "%s", why);
    }
    return TUFF_OK;
}

tuff_status tuff_list_devices(tuff_device_info *out, size_t capacity, size_t *out_count)
{
    TUFF_NEED_OUT(out_count);
    if (capacity > 0) TUFF_TRY(TUFF_CHECK_ARRAY(out, tuff_device_info, TUFF_DEVICE_INFO_INIT, wrong_rows));
    size_t stride = capacity > 0 ? out->struct_size : 0;
    candidates *all = tuff_alloc(sizeof *all);
    if (!all) return tuff_fail_memory("the list of devices");
    tuff_status status = gather(all);
    if (status == TUFF_OK) {
        *out_count = all->n;
        for (size_t i = 0; i < all->n && i < capacity && status == TUFF_OK; i++) {
            tuff_device_info *entry = (tuff_device_info *)((char *)out + i * stride);
            entry->struct_size = stride;
            tuff_row_trust_recall(all->at[i].identity, &all->at[i].info);
            status = TUFF_GIVE(entry, &all->at[i].info, TUFF_DEVICE_INFO_INIT, wrong_rows);
        }
    }
    tuff_free(all);
    return status;
}

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n) return true;
    }
    return false;
}

static bool matches(const candidates *all, size_t i, const char *name)
{
    const tuff_device_info *info = &all->at[i].info;
    char *end;
    unsigned long index = strtoul(name, &end, 10);
    if (*name && !*end && strlen(name) <= 2) return index == i; /* longer ones are parts of names: "780" */
    if (contains("cpu", name) && strlen(name) == 3) return info->type == TUFF_DEVICE_CPU;
    if (contains("vulkan", name) && strlen(name) == 6) return strcmp(info->backend, "vulkan") == 0;
    return contains(info->name, name) || contains(info->driver, name) ||
           (strlen(name) == strlen(info->uuid) && contains(info->uuid, name));
}

/* `to_compile`: one that is named need not be usable. */
static tuff_status choose(const candidates *all, const char *name, bool to_compile, size_t *out)
{
    size_t unusable = all->n;
    bool whole = false; /* somebody's whole name, and perhaps a part of another's */
    for (size_t i = 0; name && i < all->n; i++)
        whole = whole || strcmp(all->at[i].info.name, name) == 0;
    for (size_t i = 0; i < all->n; i++) {
        bool meant = !name   ? all->at[i].info.usable
                     : whole ? strcmp(all->at[i].info.name, name) == 0
                             : matches(all, i, name);
        if (!meant) continue;
        if (all->at[i].info.usable || (to_compile && all->at[i].compiles)) {
            *out = i;
            return TUFF_OK;
        }
        unusable = i;
    }
    if (unusable < all->n)
        return tuff_fail(TUFF_UNSUPPORTED, "device \"%s\" is %s, which cannot be used: %s", name,
                         all->at[unusable].info.name, all->at[unusable].info.reason);
    tuff_buf found = {0};
    for (size_t i = 0; i < all->n; i++)
        tuff_buf_printf(&found, "%s%zu: %s", i ? ", " : "", i, all->at[i].info.name);
    tuff_status status = tuff_fail(
        TUFF_NOT_FOUND, "no device matches \"%s\"; found %s%s%s; \"tuff devices\" lists them",
        name ? name : "", found.data ? found.data : "none", all->reason[0] ? "; " : "", all->reason);
    tuff_buf_free(&found);
    return status;
}

static void free_device(tuff_device **device)
{
    tuff_row_trust_destroy(&(*device)->trust);
    if ((*device)->handle) (*device)->backend->close(&(*device)->handle);
    tuff_free(*device);
    *device = NULL;
}

static tuff_status open_candidate(const candidate *c, const tuff_open_params *params, bool test,
                                  tuff_device **out)
{
    tuff_device *device = tuff_alloc(sizeof *device);
    if (!device) return tuff_fail_memory("a device");
    device->backend = c->backend;
    device->info = c->info;
    device->log = params->log;
    tuff_row_trust_recall(c->identity, &device->info);
    tuff_status status = c->backend->open(c->index, params, &device->handle);
    if (status == TUFF_OK && c->backend->name_of) c->backend->name_of(device->handle, device->info.name);
    const tuff_mask *mask = &params->mask; /* other kernels than the device's own */
    bool masked = mask->features || mask->subgroup || mask->shared;
    if (status == TUFF_OK && params->compile_only) {
        status = tuff_compile_only(&device->handle);
        if (status == TUFF_OK) device->backend = device->handle->backend;
        device->compiles_only = true;
    }
    if (status == TUFF_OK && test && c->backend->shader_key)
        status = tuff_row_trust_create(device, masked ? "" : c->identity, &device->trust);
    if (status == TUFF_OK && test && !params->compile_only) status = tuff_device_self_test(device);
    if (status != TUFF_OK) {
        free_device(&device);
        return tuff_note(status, "device %s", c->info.name);
    }
    *out = device;
    return TUFF_OK;
}

static tuff_status open_best(const candidates *all, const char *name, const tuff_open_params *params,
                             bool test, tuff_device **out)
{
    size_t chosen = 0;
    TUFF_TRY(choose(all, name, params->compile_only, &chosen));
    tuff_status status = open_candidate(&all->at[chosen], params, test, out);
    if (status == TUFF_OK) {
        if (!name && all->at[chosen].backend == &tuff_backend_cpu)
            tuff_log_to(&params->log, TUFF_LOG_INFO, "running on the CPU: %s", all->at[chosen].info.reason);
        return TUFF_OK;
    }
    if (name || params->must_validate) return status;
    for (size_t i = chosen + 1; i < all->n && status != TUFF_OK; i++) { /* they are in the order of rank */
        const tuff_device_info *info = &all->at[i].info;
        if (!info->usable || info->type == TUFF_DEVICE_SOFTWARE) continue;
        tuff_log_to(&params->log, TUFF_LOG_WARN, "%s; running on %s instead", tuff_error_message(),
                    info->name);
        status = open_candidate(&all->at[i], params, test, out);
    }
    return status;
}

static tuff_status open_device(const tuff_device_params *params, const tuff_device_test_params *test,
                               bool to_compile, tuff_device **out_device)
{
    *out_device = NULL;
    tuff_device_params p = TUFF_DEVICE_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_DEVICE_PARAMS_INIT, submit_ms));
    if (p.threads > MOST_THREADS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a device cannot have %u threads; at most %d", p.threads,
                         MOST_THREADS);
    bool given = p.name && *p.name;
    const char *name = given ? p.name : tuff_environment("TUFF_DEVICE");
    tuff_open_params open = {.validate = p.validate,
                             .profile = p.profile,
                             .submit_ns = (uint64_t)p.submit_ms * 1000000,
                             .threads = p.threads,
                             .compile_only = to_compile,
                             .log = tuff_log_receiver_of(p.log, p.log_level, p.log_user)};
    if (test) {
        open.permute = test->permute;
        open.must_validate = test->must_validate;
        open.mask = test->mask;
    }
    candidates *all = tuff_alloc(sizeof *all);
    if (!all) return tuff_fail_memory("the list of devices");
    tuff_status status = gather(all);
    if (status == TUFF_OK) status = open_best(all, name, &open, !test || !test->no_self_test, out_device);
    if (status == TUFF_OK && test) {
        (*out_device)->order = test->order;
        (*out_device)->without_passes = test->without_passes;
        (*out_device)->wide_bytes = test->wide_bytes;
    }
    tuff_free(all);
    if (name && !given) status = tuff_note(status, "TUFF_DEVICE");
    return status;
}

tuff_status tuff_device_open_for_test(const tuff_device_params *params, const tuff_device_test_params *test,
                                      tuff_device **out_device)
{
    return open_device(params, test, false, out_device);
}

tuff_status tuff_device_open(const tuff_device_params *params, tuff_device **out_device)
{
    TUFF_NEED_OUT(out_device);
    return open_device(params, NULL, false, out_device);
}

tuff_status tuff_device_open_to_compile(const tuff_device_params *params, tuff_device **out_device)
{
    TUFF_NEED_OUT(out_device);
    return open_device(params, NULL, true, out_device);
}

void tuff_device_keep(tuff_device *device)
{
    tuff_user_comes(&device->users);
}

void tuff_device_let_go(tuff_device *device)
{
    if (tuff_user_goes(&device->users)) free_device(&device);
}

void tuff_device_destroy(tuff_device **device)
{
    if (!device || !*device) return;
    tuff_device_let_go(*device);
    *device = NULL;
}

const tuff_device_info *tuff_device_get_info(const tuff_device *device)
{
    if (!device) return NULL;
    return &device->info;
}

tuff_status tuff_device_get_stats(const tuff_device *device, tuff_device_stats *out_stats)
{
    TUFF_NEED(device);
    tuff_backend_stats s = {0};
    device->backend->stats(device->handle, &s);
    const tuff_device_stats stats = {.struct_size = sizeof stats,
                                     .allocations = s.allocations,
                                     .bytes = s.bytes,
                                     .recorded = s.recorded,
                                     .submits = s.submits,
                                     .dispatches = s.dispatches,
                                     .barriers = s.barriers};
    return TUFF_GIVE(out_stats, &stats, TUFF_DEVICE_STATS_INIT, barriers);
}
