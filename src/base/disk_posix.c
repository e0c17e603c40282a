#define _POSIX_C_SOURCE 200809L
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int (*tuff_disk_hook)(tuff_disk_step step, const char *path);

static bool may(tuff_disk_step step, const char *path)
{
    int error = tuff_disk_hook ? tuff_disk_hook(step, path) : 0;
    if (error) errno = error;
    return error == 0;
}

bool tuff_disk_make_directory(const char *path)
{
    return may(TUFF_DISK_MAKE_DIRECTORY, path) && mkdir(path, 0777) == 0;
}

int tuff_disk_create(const char *path, unsigned mode)
{
    if (!may(TUFF_DISK_CREATE, path)) return -1;
    int fd;
    do {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int tuff_disk_nameless(const char *directory)
{
    char path[4096];
    if (!may(TUFF_DISK_CREATE, directory)) return -1;
    if (snprintf(path, sizeof path, "%s/.tuff-XXXXXX", directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int fd = mkstemp(path);
    if (fd < 0) return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    unlink(path);
    return fd;
}

bool tuff_disk_reserve(int fd, const char *path, size_t from, size_t size)
{
    int error;
    if (!may(TUFF_DISK_WRITE, path)) return false;
    do {
        error = posix_fallocate(fd, (off_t)from, (off_t)size);
    } while (error == EINTR);
    errno = error;
    return error == 0;
}

bool tuff_disk_write(int fd, const char *path, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        if (!may(TUFF_DISK_WRITE, path)) return false;
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        at += written;
        size -= (size_t)written;
    }
    return true;
}

bool tuff_disk_sync(int fd, const char *path)
{
    int error = tuff_disk_hook ? tuff_disk_hook(TUFF_DISK_SYNC, path) : 0, result;
    if (error == TUFF_DISK_SKIP) return true;
    if (error) errno = error;
    if (error) return false;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

bool tuff_disk_sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* a directory that may be written to but not listed */
    if (fd < 0) return errno == EACCES;
    bool ok = tuff_disk_sync(fd, path);
    int reason = errno;
    close(fd);
    errno = reason;
    return ok || reason == EINVAL || reason == ENOTSUP || reason == EBADF || reason == EROFS;
}

bool tuff_disk_rename(const char *from, const char *to)
{
    return may(TUFF_DISK_RENAME, to) && rename(from, to) == 0;
}

bool tuff_disk_remove(const char *path)
{
    return may(TUFF_DISK_REMOVE, path) && unlink(path) == 0;
}

bool tuff_disk_remove_directory(const char *path)
{
    return may(TUFF_DISK_REMOVE, path) && rmdir(path) == 0;
}
