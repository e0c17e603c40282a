/* For kill.sh, by LD_PRELOAD: ends the process, as kill -9 does, just before its n-th call that changes the
 * disk under a path that contains TUFF_KILL_UNDER; n is TUFF_KILL_AT. With TUFF_KILL_FULL the disk is full
 * from that call on. Such calls are counted into the file TUFF_KILL_COUNT, a byte each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t (*next_write)(int fd, const void *data, size_t size);
static int counted_in = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *count = getenv("TUFF_KILL_COUNT");
    *(void **)&next_write = dlsym(RTLD_NEXT, "write");
    if (count) counted_in = open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/* Whether the disk is full. */
static int count(const char *path)
{
    static int calls;
    const char *under = getenv("TUFF_KILL_UNDER"), *at = getenv("TUFF_KILL_AT"),
               *full = getenv("TUFF_KILL_FULL");
    if (!under || !path || !strstr(path, under)) return 0;
    calls++;
    if (counted_in >= 0 && next_write(counted_in, ".", 1) != 1) abort();
    if (!at || calls < atoi(at)) return 0;
    if (!full || !*full) raise(SIGKILL);
    errno = ENOSPC;
    return 1;
}

static int count_descriptor(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return count(path);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (fd > 2 && count_descriptor(fd)) return -1;
    return next_write(fd, data, size);
}

#define NEXT(name) *(void **)&next = dlsym(RTLD_NEXT, #name)

int fsync(int fd)
{
    int (*next)(int);
    NEXT(fsync);
    count_descriptor(fd);
    return next(fd);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    NEXT(rename);
    count(to);
    return next(from, to);
}

int unlink(const char *path)
{
    int (*next)(const char *);
    NEXT(unlink);
    count(path);
    return next(path);
}

int rmdir(const char *path)
{
    int (*next)(const char *);
    NEXT(rmdir);
    count(path);
    return next(path);
}

int mkdir(const char *path, mode_t mode)
{
    int (*next)(const char *, mode_t);
    NEXT(mkdir);
    return count(path) ? -1 : next(path, mode);
}
