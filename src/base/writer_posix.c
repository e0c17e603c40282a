#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/status.h"

enum { BUFFER_SIZE = 64 * 1024, NAME_ATTEMPTS = 100 };

struct tuff_writer {
    int fd;
    tuff_status status; /* the first failure; its text is the thread's, and kept in `reason` */
    bool in_place;      /* a pipe or a device: written directly, since it cannot be renamed over */
    tuff_buf path;      /* the final name, symbolic links followed */
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
    if (w->temporary.size > 0) unlink(w->temporary.data);
    tuff_buf_free(&w->path);
    tuff_buf_free(&w->temporary);
    tuff_buf_free(&w->directory);
    tuff_free(w->buffer);
    tuff_free(w);
    *writer = NULL;
}

/* Creates the temporary file; another process with our number (in a container) may have taken a name. */
static tuff_status create_temporary(tuff_writer *w, mode_t mode)
{
    TUFF_TRY(tuff_path_parent(w->path.data, &w->directory));
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        tuff_buf name = {0};
        tuff_status status = tuff_temporary_name(w->directory.data, &name);
        if (status != TUFF_OK) {
            tuff_buf_free(&name);
            return status;
        }
        w->fd = open(name.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (w->fd >= 0) {
            w->temporary = name;
            return TUFF_OK;
        }
        int reason = errno;
        tuff_buf_free(&name);
        errno = reason;
        if (reason != EEXIST) break;
    }
    int reason = errno;
    if (!tuff_is_directory(w->directory.data))
        return tuff_fail(TUFF_IO, "cannot write %s: there is no directory %s", w->path.data,
                         w->directory.data);
    errno = reason;
    return tuff_fail_errno("write", w->path.data);
}

static tuff_status open_target(tuff_writer *w, const char *path)
{
    if (path[0] == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of the file to write is empty");
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return tuff_fail(TUFF_IO, "cannot write %s: it is a directory, and a file is to be written", path);
    char *resolved = exists ? realpath(path, NULL) : NULL;
    tuff_buf_text(&w->path, resolved ? resolved : path);
    free(resolved);
    w->buffer = tuff_alloc(BUFFER_SIZE);
    if (w->path.failed || !w->buffer) return tuff_note(tuff_fail_memory("a file's write buffer"), "%s", path);
    if (!exists || S_ISREG(info.st_mode)) {
        TUFF_TRY(create_temporary(w, 0666));
        if (exists)
            fchmod(w->fd, info.st_mode & 0777); /* a replaced file keeps its mode where we may set it */
        return TUFF_OK;
    }
    w->in_place = true;
    w->fd = open(path, O_WRONLY | O_CLOEXEC);
    return w->fd < 0 ? tuff_fail_errno("write", path) : TUFF_OK;
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
    while (size > 0) {
        ssize_t written = write(w->fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return remember(w, tuff_fail_errno("write", w->path.data));
        data += written;
        size -= (size_t)written;
    }
    return TUFF_OK;
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
    if (!w->in_place && fsync(w->fd) != 0) return tuff_fail_errno("write", w->path.data);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0) return tuff_fail_errno("write", w->path.data);
    if (w->in_place) return TUFF_OK;
    if (rename(w->temporary.data, w->path.data) != 0) return tuff_fail_errno("write", w->path.data);
    tuff_buf_free(&w->temporary);
    tuff_sync_directory(w->directory.data);
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
