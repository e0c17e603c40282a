#define _DEFAULT_SOURCE /* flock */
#define _XOPEN_SOURCE   700
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/status.h"

enum { BUFFER_SIZE = 64 * 1024, NAME_ATTEMPTS = 100 };

struct tuff_writer {
    int fd;
    tuff_status status; /* the first failure; its text is the thread's, and kept in `reason` */
    bool in_place;      /* a pipe or a device: written directly, since it cannot be renamed over */
    tuff_buf path;      /* the final name, symbolic links followed */
    tuff_buf shown;     /* the same for messages: where it is once a stage is in place */
    tuff_buf temporary;
    tuff_buf directory;
    char *buffer;
    size_t filled;
    char reason[512];
};

static void destroy(tuff_writer **writer)
{
    tuff_writer *w = *writer;
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temporary.size > 0) tuff_disk_remove(w->temporary.data);
    tuff_buf_free(&w->path);
    tuff_buf_free(&w->shown);
    tuff_buf_free(&w->temporary);
    tuff_buf_free(&w->directory);
    tuff_free(w->buffer);
    tuff_free(w);
    *writer = NULL;
}

/* A temporary file is locked while it is written, so that one without a lock is known to be left over. The
 * file may be taken for one between its creation and its lock; then it is gone. */
static bool lock_temporary(int fd)
{
    struct stat info;
    int result;
    do {
        result = flock(fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    return fstat(fd, &info) == 0 && info.st_nlink > 0;
}

static bool is_temporary_name(const char *name)
{
    static const char digits[] = "0123456789";
    if (!tuff_starts_with(name, TUFF_TEMPORARY_PREFIX)) return false;
    name += sizeof TUFF_TEMPORARY_PREFIX - 1;
    size_t process = strspn(name, digits);
    size_t number = name[process] == '-' ? strspn(name + process + 1, digits) : 0;
    return process > 0 && number > 0 && name[process + 1 + number] == 0;
}

static void remove_if_left_over(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        tuff_disk_remove(path);
    close(fd);
}

/* What killed processes left beside the file that is about to be written. */
static void remove_left_over(const char *directory)
{
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    while (entries && (entry = readdir(entries)) != NULL) {
        if (!is_temporary_name(entry->d_name)) continue;
        char *path = tuff_path_join(directory, entry->d_name);
        if (path) remove_if_left_over(path);
        tuff_free(path);
    }
    if (entries) closedir(entries);
}

/* Creates the temporary file; another process with our number (in a container) may have taken a name. */
static tuff_status create_temporary(tuff_writer *w, mode_t mode)
{
    TUFF_TRY(tuff_path_parent(w->path.data, &w->directory));
    remove_left_over(w->directory.data);
    int reason = EEXIST;
    for (int attempt = 0; attempt < NAME_ATTEMPTS && reason == EEXIST; attempt++) {
        tuff_buf name = {0};
        tuff_status status = tuff_temporary_name(w->directory.data, &name);
        if (status != TUFF_OK) {
            tuff_buf_free(&name);
            return status;
        }
        w->fd = tuff_disk_create(name.data, mode);
        reason = errno;
        if (w->fd >= 0 && lock_temporary(w->fd)) {
            w->temporary = name;
            return TUFF_OK;
        }
        if (w->fd >= 0) {
            close(w->fd);
            w->fd = -1;
            reason = EEXIST;
        }
        tuff_buf_free(&name);
    }
    if (!tuff_is_directory(w->directory.data)) {
        tuff_buf_clear(&w->directory);
        TUFF_TRY(tuff_path_parent(w->shown.data, &w->directory));
        return tuff_fail(TUFF_IO, "cannot write %s: there is no directory %s", w->shown.data,
                         w->directory.data);
    }
    errno = reason;
    return tuff_fail_errno("write", w->shown.data);
}

/* A pipe is given time to get a reader, as it is to get a writer where it is read. */
static tuff_status open_in_place(tuff_writer *w, const char *path)
{
    enum { PATIENCE = 1000 }; /* times 10 ms */
    for (int i = 0; i < PATIENCE; i++) {
        w->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (w->fd >= 0 || (errno != EINTR && errno != ENXIO)) break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (w->fd < 0 && errno == ENXIO)
        return tuff_fail(TUFF_IO, "cannot write %s: it is a pipe, and nobody reads it", path);
    if (w->fd < 0 || fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) & ~O_NONBLOCK) != 0)
        return tuff_fail_errno("write", path);
    return TUFF_OK;
}

char *tuff_linked_path(const char *path)
{
    char *resolved = realpath(path, NULL), *copy = tuff_strdup(resolved ? resolved : path);
    free(resolved);
    return copy;
}

static tuff_status open_target(tuff_writer *w, const char *path)
{
    if (path[0] == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of the file to write is empty");
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return tuff_fail(TUFF_IO, "cannot write %s: it is a directory, and a file is to be written", path);
    if (!exists && errno == ELOOP) return tuff_fail_errno("write", path);
    char *resolved = tuff_linked_path(path);
    if (resolved) tuff_buf_text(&w->path, resolved);
    w->path.failed |= !resolved;
    tuff_free(resolved);
    w->buffer = tuff_alloc(BUFFER_SIZE);
    if (!w->path.failed) TUFF_TRY(tuff_stage_final_path(w->path.data, &w->shown));
    if (w->path.failed || !w->buffer) return tuff_note(tuff_fail_memory("a file's write buffer"), "%s", path);
    if (!exists || S_ISREG(info.st_mode)) {
        TUFF_TRY(create_temporary(w, 0666));
        if (exists)
            fchmod(w->fd, info.st_mode & 0777); /* a replaced file keeps its mode where we may set it */
        return TUFF_OK;
    }
    w->in_place = true;
    return open_in_place(w, path);
}

tuff_status tuff_writer_open(const char *path, tuff_writer **out)
{
    *out = NULL;
    tuff_writer *w = tuff_alloc(sizeof *w);
    if (!w) return tuff_fail_memory("a file writer");
    w->fd = -1;
    tuff_status status = open_target(w, path);
    if (status == TUFF_NOT_FOUND) status = TUFF_IO; /* the missing thing is the directory to write to */
    if (status == TUFF_OK)
        *out = w;
    else
        destroy(&w);
    return status;
}

static tuff_status remember(tuff_writer *w, tuff_status status)
{
    w->status = status;
    size_t size = strlen(tuff_error_message());
    if (size >= sizeof w->reason) size = tuff_utf8_complete(tuff_error_message(), sizeof w->reason - 1);
    memcpy(w->reason, tuff_error_message(), size);
    w->reason[size] = 0;
    return status;
}

static tuff_status write_all(tuff_writer *w, const char *data, size_t size)
{
    if (tuff_disk_write(w->fd, w->path.data, data, size)) return TUFF_OK;
    return remember(w, tuff_fail_errno("write", w->shown.data));
}

static tuff_status flush(tuff_writer *w)
{
    size_t filled = w->filled;
    w->filled = 0;
    return write_all(w, w->buffer, filled);
}

tuff_status tuff_writer_write(tuff_writer *w, const void *data, size_t size)
{
    if (w->status != TUFF_OK) return tuff_fail(w->status, "%s", w->reason);
    if (size > BUFFER_SIZE - w->filled) TUFF_TRY(flush(w));
    if (size >= BUFFER_SIZE) return write_all(w, data, size);
    if (size > 0) memcpy(w->buffer + w->filled, data, size);
    w->filled += size;
    return TUFF_OK;
}

static tuff_status finish(tuff_writer *w)
{
    if (w->status != TUFF_OK) return tuff_fail(w->status, "%s", w->reason);
    TUFF_TRY(flush(w));
    if (!w->in_place && !tuff_disk_sync(w->fd, w->path.data)) return tuff_fail_errno("write", w->shown.data);
    if (w->in_place) {
        int fd = w->fd;
        w->fd = -1;
        return close(fd) == 0 || errno == EINTR ? TUFF_OK : tuff_fail_errno("write", w->shown.data);
    }
    /* the file is closed, and its lock let go, only once it has its name */
    if (!tuff_disk_rename(w->temporary.data, w->path.data)) return tuff_fail_errno("write", w->shown.data);
    tuff_buf_free(&w->temporary);
    if (!tuff_disk_sync_directory(w->directory.data)) return tuff_fail_errno("write", w->shown.data);
    return TUFF_OK;
}

tuff_status tuff_writer_commit(tuff_writer **writer)
{
    tuff_status status = finish(*writer);
    destroy(writer);
    return status;
}

void tuff_writer_abort(tuff_writer **writer)
{
    destroy(writer);
}
