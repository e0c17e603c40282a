#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* madvise */
#include "base/os.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/memory.h"
#include "base/status.h"

struct tuff_mutex {
    pthread_mutex_t handle;
};

tuff_mutex *tuff_mutex_create(void)
{
    tuff_mutex *mutex = tuff_alloc(sizeof *mutex);
    if (mutex && pthread_mutex_init(&mutex->handle, NULL) != 0) {
        tuff_free(mutex);
        return NULL;
    }
    return mutex;
}

void tuff_mutex_destroy(tuff_mutex **mutex)
{
    if (!*mutex) return;
    pthread_mutex_destroy(&(*mutex)->handle);
    tuff_free(*mutex);
    *mutex = NULL;
}

/* Locking a valid normal mutex cannot fail; if it does, memory is corrupted. */
void tuff_mutex_lock(tuff_mutex *mutex)
{
    TUFF_ASSERT(pthread_mutex_lock(&mutex->handle) == 0);
}
void tuff_mutex_unlock(tuff_mutex *mutex)
{
    TUFF_ASSERT(pthread_mutex_unlock(&mutex->handle) == 0);
}

enum { ONCE_NEW = 0, ONCE_RUNNING, ONCE_DONE };

void tuff_call_once(tuff_once *once, void (*fn)(void))
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
    if (__atomic_load_n(&once->state, __ATOMIC_ACQUIRE) == ONCE_DONE) return;
    pthread_mutex_lock(&lock);
    while (once->state == ONCE_RUNNING)
        pthread_cond_wait(&finished, &lock);
    if (once->state == ONCE_NEW) {
        __atomic_store_n(&once->state, ONCE_RUNNING, __ATOMIC_RELAXED);
        /* Not under the lock: fn may use another once. */
        pthread_mutex_unlock(&lock);
        fn();
        pthread_mutex_lock(&lock);
        __atomic_store_n(&once->state, ONCE_DONE, __ATOMIC_RELEASE);
        pthread_cond_broadcast(&finished);
    }
    pthread_mutex_unlock(&lock);
}

static pthread_mutex_t global_locks[TUFF_GLOBAL_LOCKS] = {
    [TUFF_LOCK_LOG] = PTHREAD_MUTEX_INITIALIZER,
    [TUFF_LOCK_INSTANCES] = PTHREAD_MUTEX_INITIALIZER,
};
void tuff_lock_global(tuff_global_lock which)
{
    pthread_mutex_lock(&global_locks[which]);
}
void tuff_unlock_global(tuff_global_lock which)
{
    pthread_mutex_unlock(&global_locks[which]);
}

const char *tuff_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

uint64_t tuff_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The value of a "Name:   123 kB" line of a /proc file in bytes, 0 when there is none. */
static uint64_t proc_kilobytes(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    char line[256];
    uint64_t bytes = 0;
    size_t length = strlen(name);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, length) != 0) continue;
        bytes = strtoull(line + length, NULL, 10) * 1024;
        break;
    }
    fclose(file);
    return bytes;
}

/* Bytes of a small file; 0 when it cannot be read. */
static size_t read_small(const char *path, char *out, size_t capacity)
{
    FILE *file = fopen(path, "rbe");
    if (!file) return 0;
    size_t size = fread(out, 1, capacity, file);
    fclose(file);
    return size;
}

enum { CGROUP_PATH = 1024, CGROUP_FILE = 16384 };

static size_t read_cgroup(const char *root, const char *group, const char *name, char *out)
{
    char path[2 * CGROUP_PATH];
    int size = snprintf(path, sizeof path, "%s%s/%s", root, group, name);
    return size > 0 && (size_t)size < sizeof path ? read_small(path, out, CGROUP_FILE) : 0;
}

/* The names that a version of control groups gives its files. */
typedef struct cgroup_names {
    int version;
    const char *folder, *limit, *usage;
    const char *cached[2]; /* of memory.stat: pages of files, which are given back when memory is short */
} cgroup_names;

static void apply_limit(const cgroup_names *names, const char *root, const char *group,
                        tuff_memory_limit *all)
{
    char text[CGROUP_FILE];
    uint64_t limit = tuff_cgroup_number(text, read_cgroup(root, group, names->limit, text));
    if (limit == UINT64_MAX) return;
    uint64_t used = tuff_cgroup_number(text, read_cgroup(root, group, names->usage, text));
    size_t size = read_cgroup(root, group, "memory.stat", text);
    uint64_t cached =
        tuff_cgroup_stat(text, size, names->cached[0]) + tuff_cgroup_stat(text, size, names->cached[1]);
    if (used == UINT64_MAX) used = 0;
    used = cached < used ? used - cached : 0;
    uint64_t available = used < limit ? limit - used : 1; /* 0 would be "not known" */
    if (limit < all->limit) all->limit = limit;
    if (available < all->available) all->available = available;
}

tuff_memory_limit tuff_cgroup_limit(const char *group_file, const char *root)
{
    static const cgroup_names versions[] = {
        {2, "", "memory.max", "memory.current", {"inactive_file", "active_file"}},
        {1,
         "/memory",
         "memory.limit_in_bytes",
         "memory.usage_in_bytes",
         {"total_inactive_file", "total_active_file"}}};
    tuff_memory_limit all = {UINT64_MAX, UINT64_MAX};
    char text[CGROUP_FILE], group[CGROUP_PATH], tree[CGROUP_PATH];
    size_t size = read_small(group_file, text, sizeof text);
    for (int i = 0; i < 2; i++) {
        if (!tuff_cgroup_path(text, size, versions[i].version, group, sizeof group)) continue;
        snprintf(tree, sizeof tree, "%s%s", root, versions[i].folder);
        /* a group is bound by those above it; in a container the path may be the host's, and only the root be
         * there */
        for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
            *end = 0;
            apply_limit(&versions[i], tree, group, &all);
        }
    }
    return all;
}

static unsigned quota_of(int version, const char *tree, const char *group)
{
    char text[CGROUP_FILE], period[64];
    if (version == 2) return tuff_cgroup_quota(text, read_cgroup(tree, group, "cpu.max", text));
    size_t size = read_cgroup(tree, group, "cpu.cfs_quota_us", text);
    char all[CGROUP_FILE];
    uint64_t whole = tuff_cgroup_number(all, read_cgroup(tree, group, "cpu.cfs_period_us", all));
    int more = snprintf(period, sizeof period, " %llu", (unsigned long long)whole);
    while (size > 0 && text[size - 1] == '\n')
        size--;
    if (size + (size_t)more > sizeof text) return 0;
    memcpy(text + size, period, (size_t)more);
    return tuff_cgroup_quota(text, size + (size_t)more);
}

unsigned tuff_cgroup_processors(const char *group_file, const char *root)
{
    unsigned fewest = 0;
    char text[CGROUP_FILE], group[CGROUP_PATH], tree[CGROUP_PATH];
    size_t size = read_small(group_file, text, sizeof text);
    for (int version = 1; version <= 2; version++) {
        if (!tuff_cgroup_path_of(text, size, version == 1 ? "cpu" : NULL, group, sizeof group)) continue;
        snprintf(tree, sizeof tree, "%s%s", root, version == 1 ? "/cpu" : "");
        for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
            *end = 0;
            unsigned granted = quota_of(version, tree, group);
            if (granted && (!fewest || granted < fewest)) fewest = granted;
        }
    }
    return fewest;
}

static uint64_t least(uint64_t known, uint64_t limit)
{
    return known == 0 || limit < known ? (limit == UINT64_MAX ? 0 : limit) : known;
}

static tuff_memory_limit own_limit(void)
{
    return tuff_cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup");
}

void tuff_give_back(void *memory, size_t bytes)
{
#ifdef MADV_DONTNEED
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)memory,
                    begin = (at + page - 1) / page * page, end = (at + bytes) / page * page;
    if (end > begin) (void)madvise((char *)memory + (begin - at), end - begin, MADV_DONTNEED);
#else
    (void)memory;
    (void)bytes;
#endif
}

bool tuff_allow_tiles(void)
{
#if defined(__linux__) && defined(__x86_64__) && defined(SYS_arch_prctl)
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, which old headers lack */
    return syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
#else
    return false;
#endif
}

void tuff_prefer_large_pages(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = TUFF_LARGE_PAGE, begin = ((uintptr_t)memory + page - 1) / page * page,
                    end = ((uintptr_t)memory + bytes) / page * page;
    if (end <= begin) return;
    char *first = (char *)memory + (begin - (uintptr_t)memory);
    /* small pages that an earlier owner of the memory has touched would stay */
    if (madvise(first, end - begin, MADV_HUGEPAGE) == 0) tuff_give_back(first, end - begin);
#else
    (void)memory;
    (void)bytes;
#endif
}

bool tuff_room_for(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED && munmap(memory, bytes) == 0;
}

uint64_t tuff_total_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return least(pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0, own_limit().limit);
}

uint64_t tuff_available_memory(void)
{
    return least(proc_kilobytes("/proc/meminfo", "MemAvailable:"), own_limit().available);
}

uint64_t tuff_peak_memory(void)
{
    /* Before getrusage, whose figure survives exec and so may belong to the program that started this one. */
    uint64_t peak = proc_kilobytes("/proc/self/status", "VmHWM:");
    struct rusage usage;
    if (peak == 0 && getrusage(RUSAGE_SELF, &usage) == 0) peak = (uint64_t)usage.ru_maxrss * 1024;
    return peak;
}

void *tuff_library_open(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}
void *tuff_library_symbol(void *library, const char *name)
{
    return dlsym(library, name);
}
void tuff_library_close(void *library)
{
    if (library) dlclose(library);
}
