#define _DEFAULT_SOURCE /* flock */
#define _XOPEN_SOURCE   700
#include "base/part.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/text.h"

struct tuff_part {
    int fd;
    char *path; /* the final one */
    char *name; /* of the part */
    uint64_t size;
};

void tuff_part_close(tuff_part **part)
{
    tuff_part *p = *part;
    if (!p) return;
    if (p->fd >= 0) close(p->fd);
    tuff_free(p->path);
    tuff_free(p->name);
    tuff_free(p);
    *part = NULL;
}

/* Only who has it open, and with it the lock, may remove it. */
void tuff_part_discard(tuff_part **part)
{
    if (*part) tuff_disk_remove((*part)->name);
    tuff_part_close(part);
}

/* A symbolic link stays: the file that it names is written. */
static tuff_status name_it(tuff_part *p, const char *path)
{
    tuff_buf name = {0};
    p->path = tuff_linked_path(path);
    tuff_buf_printf(&name, "%s.part", p->path ? p->path : "");
    p->name = name.data;
    return name.failed || !p->path ? tuff_fail_memory("a file's name") : TUFF_OK;
}

/* The file, locked. Another process may finish it between our opening and our locking: then it has lost its
 * name, and a new one is made. */
static tuff_status open_locked(tuff_part *p)
{
    for (;;) {
        struct stat ours, named;
        int result;
        do {
            p->fd = open(p->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
        } while (p->fd < 0 && errno == EINTR);
        if (p->fd < 0) return tuff_fail_errno("write", p->name);
        do {
            result = flock(p->fd, LOCK_EX | LOCK_NB);
        } while (result != 0 && errno == EINTR);
        if (result != 0 && errno == EWOULDBLOCK)
            return tuff_fail(
                TUFF_IO, "cannot write %s: another process is writing it; wait for it or name another file",
                p->path);
        if (fstat(p->fd, &ours) != 0) return tuff_fail_errno("write", p->name);
        if (!S_ISREG(ours.st_mode))
            return tuff_fail(TUFF_IO, "cannot write %s: %s is in the way and no regular file", p->path,
                             p->name);
        p->size = (uint64_t)ours.st_size;
        if (lstat(p->name, &named) == 0 && named.st_ino == ours.st_ino && named.st_dev == ours.st_dev)
            return TUFF_OK;
        close(p->fd);
        p->fd = -1;
    }
}

/* What is to be replaced must be a file: a device would be gone for all that use it. */
static tuff_status check_target(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode)) return TUFF_OK;
    return tuff_fail(TUFF_IO, "cannot write %s: it is %s, and a file is to be written", path,
                     S_ISDIR(info.st_mode) ? "a directory" : "a pipe or a device");
}

tuff_status tuff_part_open(const char *path, tuff_part **out_part)
{
    *out_part = NULL;
    TUFF_TRY(check_target(path));
    tuff_part *p = tuff_alloc(sizeof *p);
    if (!p) return tuff_fail_memory("a file's name");
    p->fd = -1;
    tuff_status status = name_it(p, path);
    if (status == TUFF_OK) status = open_locked(p);
    if (status == TUFF_NOT_FOUND) status = TUFF_IO; /* the missing thing is the directory to write to */
    if (status == TUFF_OK) status = tuff_part_cut(p, p->size);
    if (status != TUFF_OK)
        tuff_part_close(&p);
    else
        *out_part = p;
    return status;
}

uint64_t tuff_part_size(const tuff_part *part)
{
    return part->size;
}

tuff_status tuff_part_cut(tuff_part *p, uint64_t size)
{
    if (size < p->size && ftruncate(p->fd, (off_t)size) != 0) return tuff_fail_errno("write", p->path);
    if (size < p->size) p->size = size;
    if (lseek(p->fd, (off_t)p->size, SEEK_SET) < 0) return tuff_fail_errno("write", p->path);
    return TUFF_OK;
}

tuff_status tuff_part_write(tuff_part *p, const void *data, size_t size)
{
    if (tuff_disk_write(p->fd, p->path, data, size)) {
        p->size += size;
        return TUFF_OK;
    }
    return tuff_fail_errno("write", p->path);
}

tuff_status tuff_part_write_head(tuff_part *p, const void *data, size_t size)
{
    if (lseek(p->fd, 0, SEEK_SET) < 0 || !tuff_disk_write(p->fd, p->path, data, size) ||
        lseek(p->fd, (off_t)p->size, SEEK_SET) < 0)
        return tuff_fail_errno("write", p->path);
    return TUFF_OK;
}

tuff_status tuff_part_sync(tuff_part *p)
{
    return tuff_disk_sync(p->fd, p->path) ? TUFF_OK : tuff_fail_errno("write", p->path);
}

static tuff_status commit(tuff_part *p)
{
    tuff_buf directory = {0};
    TUFF_TRY(tuff_part_sync(p));
    if (!tuff_disk_rename(p->name, p->path)) return tuff_fail_errno("write", p->path);
    tuff_status status = tuff_path_parent(p->path, &directory);
    if (status == TUFF_OK && !tuff_disk_sync_directory(directory.data))
        status = tuff_fail_errno("write", p->path);
    tuff_buf_free(&directory);
    return status;
}

tuff_status tuff_part_commit(tuff_part **part)
{
    tuff_status status = commit(*part);
    tuff_part_close(part);
    return status;
}
