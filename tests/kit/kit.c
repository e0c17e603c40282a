#define _XOPEN_SOURCE 700
#include "kit/kit.h"

#include <dirent.h>
#include <ftw.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuff/host.h>

#include "base/file.h"
#include "base/memory.h"

void kit_expect_status(tuff_status found, tuff_status expected, const char *what, const char *file, int line)
{
    if (found == expected) return;
    print_error("%s:\n  gave \"%s\" (%s), expected \"%s\"\n", what, tuff_status_name(found),
                found == TUFF_OK ? "" : tuff_error_message(), tuff_status_name(expected));
    _fail(file, line);
}

void kit_expect_message(const char *part, const char *what, const char *file, int line)
{
    if (strstr(tuff_error_message(), part)) return;
    print_error("%s:\n  said \"%s\", expected it to contain \"%s\"\n", what, tuff_error_message(), part);
    _fail(file, line);
}

double kit_farther(double most, double a, double b)
{
    const double apart = fabs(a - b);
    return isnan(most) || apart <= most ? most : apart;
}

static atomic_int_fast64_t countdown;
static atomic_bool failed;

static bool must_fail(void)
{
    if (atomic_fetch_sub(&countdown, 1) != 1) return false;
    atomic_store(&failed, true);
    return true;
}

static void *failing_malloc(size_t size, void *user)
{
    (void)user;
    return must_fail() ? NULL : malloc(size);
}

static void *failing_realloc(void *pointer, size_t size, void *user)
{
    (void)user;
    return must_fail() ? NULL : realloc(pointer, size);
}

static void plain_free(void *pointer, void *user)
{
    (void)user;
    free(pointer);
}

void kit_fail_allocation(uint64_t n)
{
    static const tuff_allocator failing = {.struct_size = sizeof failing,
                                           .malloc = failing_malloc,
                                           .realloc = failing_realloc,
                                           .free = plain_free};
    atomic_store(&failed, false);
    atomic_store(&countdown, (int_fast64_t)n);
    KIT_OK(tuff_set_allocator(n ? &failing : NULL));
}

static tuff_host_stats host_stats(void)
{
    tuff_host_stats stats = TUFF_HOST_STATS_INIT;
    KIT_OK(tuff_get_host_stats(&stats));
    return stats;
}

uint64_t kit_live(void)
{
    return host_stats().live;
}

uint64_t kit_allocations(void)
{
    return host_stats().allocations;
}

tuff_device_stats kit_device_stats(const tuff_device *device)
{
    tuff_device_stats stats = TUFF_DEVICE_STATS_INIT;
    KIT_OK(tuff_device_get_stats(device, &stats));
    return stats;
}

bool kit_allocation_failed(void)
{
    return atomic_load(&failed);
}

unsigned kit_for_each_allocation_failure(tuff_status (*fn)(void *user), void *user)
{
    KIT_OK(fn(user));
    for (unsigned n = 1;; n++) {
        uint64_t live = kit_live();
        kit_fail_allocation(n);
        tuff_status status = fn(user);
        bool reached = kit_allocation_failed();
        kit_fail_allocation(0);
        uint64_t left = kit_live();
        if (left != live)
            fail_msg("failing allocation %u left %ld allocations behind", n, (long)(left - live));
        if (!reached) {
            KIT_OK(status);
            return n - 1;
        }
        if (status != TUFF_OK && status != TUFF_OUT_OF_MEMORY)
            fail_msg("failing allocation %u gave \"%s\": %s", n, tuff_status_name(status),
                     tuff_error_message());
    }
}

static char temp_directory[256];
static pid_t temp_owner;

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void remove_temp_directory(void)
{
    if (getpid() == temp_owner) nftw(temp_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *kit_temp_directory(void)
{
    if (!temp_directory[0]) {
        const char *parent = getenv("TMPDIR");
        int size = snprintf(temp_directory, sizeof temp_directory, "%s/tuff-test-XXXXXX",
                            parent && *parent ? parent : P_tmpdir);
        if (size >= (int)sizeof temp_directory || !mkdtemp(temp_directory))
            fail_msg("cannot make a temporary directory");
        temp_owner = getpid();
        atexit(remove_temp_directory);
    }
    return temp_directory;
}

static const char *join(const char *directory, const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *kit_temp_path(const char *name)
{
    return join(kit_temp_directory(), name);
}

const char *kit_asset(const char *name)
{
    const char *assets = getenv("TUFF_TEST_ASSETS");
    if (!assets) {
        print_message("TUFF_TEST_ASSETS is not set\n");
        skip();
    }
    return join(assets, name);
}

int kit_count_entries(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) return -1;
    int count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2; /* "." and ".." */
}

tuff_device *kit_cpu(void)
{
    tuff_device *device = NULL;
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = "cpu";
    KIT_OK(tuff_device_open(&params, &device));
    return device;
}

void kit_write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) fail_msg("cannot write %s", path);
}
