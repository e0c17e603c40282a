#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/status.h"

tuff_status tuff_fail_errno(const char *verb, const char *path)
{
    int reason = errno;
    char text[128] = "unknown reason";
    if (strerror_r(reason, text, sizeof text) != 0) strcpy(text, "unknown reason");
    bool missing = reason == ENOENT || reason == ENOTDIR;
    tuff_status status = missing ? TUFF_NOT_FOUND : reason == ENOMEM ? TUFF_OUT_OF_MEMORY : TUFF_IO;
    return tuff_fail(status, "cannot %s %s: %s", verb, path, text);
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/* What git leaves in place of a file whose bytes it has elsewhere: some lines, no model and no text. */
static tuff_status refuse_pointer(int fd, const char *path, const struct stat *info)
{
    static const char mark[] = "version https://git-lfs.github.com/spec/";
    enum { LONGEST = 1024, MARK = sizeof mark - 1 };
    char head[MARK];
    if (!S_ISREG(info->st_mode) || info->st_size >= LONGEST || pread(fd, head, MARK, 0) != MARK ||
        memcmp(head, mark, MARK) != 0)
        return TUFF_OK;
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "%s is a pointer of Git LFS, not the file it stands for: get that one with `git lfs pull` in "
        "its directory, or download it anew",
        path);
}

/* Opens without waiting, whatever it is, and looks what it is: a pipe without a writer, or some devices,
 * would keep us forever. With `streams`, pipes and terminals are taken too. */
static tuff_status open_input(const char *path, bool streams, int *out_fd, struct stat *info)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    *out_fd = fd;
    if (fd < 0) return tuff_fail_errno("open", path);
    tuff_status status = TUFF_OK;
    if (fstat(fd, info) != 0)
        status = tuff_fail_errno("read", path);
    else if (!S_ISREG(info->st_mode) && !(streams && (S_ISFIFO(info->st_mode) || isatty(fd))))
        status = tuff_fail(TUFF_IO, "cannot read %s: it is %s, not a file", path, kind_of(info->st_mode));
    if (status == TUFF_OK) status = refuse_pointer(fd, path, info);
    if (status != TUFF_OK) close(fd);
    return status;
}

/* Nanoseconds; only compared. */
static uint64_t changed_at(const struct stat *info)
{
    return (uint64_t)info->st_mtim.tv_sec * 1000000000u + (uint64_t)info->st_mtim.tv_nsec;
}

tuff_status tuff_file_open(const char *path, tuff_file *out)
{
    *out = (tuff_file){0};
    int fd;
    struct stat info;
    TUFF_TRY(open_input(path, false, &fd, &info));
    char *copy = tuff_strdup(path);
    if (!copy) {
        close(fd);
        return tuff_fail_memory("a path");
    }
    *out = (tuff_file){.path = copy,
                       .size = (uint64_t)info.st_size,
                       .device = (uint64_t)info.st_dev,
                       .inode = (uint64_t)info.st_ino,
                       .changed = changed_at(&info),
                       .handle = fd + 1}; /* so that 0 is none */
    return TUFF_OK;
}

void tuff_file_close(tuff_file *file)
{
    if (file->handle) close(file->handle - 1);
    tuff_free(file->path);
    *file = (tuff_file){0};
}

tuff_status tuff_read_at(int handle, const char *path, uint64_t offset, void *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = pread(handle - 1, (char *)out + at, size - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tuff_fail_errno("read", path);
        if (got == 0)
            return tuff_fail(
                TUFF_IO,
                "%s was cut short after it was opened: bytes %ju to %ju of it are gone; load it again", path,
                (uintmax_t)(offset + at), (uintmax_t)(offset + size));
        at += (size_t)got;
    }
    return TUFF_OK;
}

tuff_status tuff_file_read(const tuff_file *file, uint64_t offset, void *out, size_t size)
{
    return tuff_read_at(file->handle, file->path, offset, out, size);
}

tuff_status tuff_file_check(const tuff_file *file)
{
    struct stat info;
    /* a file that was removed, or replaced by another, stays as it was for those who have it open */
    if (!file->path || stat(file->path, &info) != 0) return TUFF_OK;
    if ((uint64_t)info.st_dev != file->device || (uint64_t)info.st_ino != file->inode) return TUFF_OK;
    if ((uint64_t)info.st_size == file->size && changed_at(&info) == file->changed) return TUFF_OK;
    return tuff_fail(TUFF_IO,
                     "%s was changed after it was loaded (it had %ju bytes, it has %ju now); load it again",
                     file->path, (uintmax_t)file->size, (uintmax_t)info.st_size);
}

/* Addresses alone: a mapping of the file would end the process where it is shortened (SIGBUS). */
static tuff_status reserve(tuff_mapping *mapping)
{
    const tuff_file *file = &mapping->file;
    if (file->size > SIZE_MAX)
        return tuff_fail(TUFF_UNSUPPORTED, "cannot read %s: it is larger than this machine's address space",
                         file->path);
    mapping->data = (const uint8_t *)"";
    if (file->size == 0) return TUFF_OK;
    void *data =
        mmap(NULL, (size_t)file->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return tuff_fail_errno("find addresses for", file->path);
    mapping->data = data;
    mapping->size = (size_t)file->size;
    return TUFF_OK;
}

tuff_status tuff_map_file(const char *path, tuff_mapping *out)
{
    *out = (tuff_mapping){0};
    TUFF_TRY(tuff_file_open(path, &out->file));
    tuff_status status = reserve(out);
    if (status != TUFF_OK) tuff_unmap_file(out);
    return status;
}

tuff_status tuff_mapping_fill(tuff_mapping *mapping, size_t size)
{
    enum { STEP = 1 << 16 }; /* a multiple of every page size */
    if (size <= mapping->filled) return TUFF_OK;
    size_t from = mapping->filled, rounded = (size + STEP - 1) / STEP * STEP;
    size_t to = rounded < mapping->size ? rounded : mapping->size;
    uint8_t *at = (uint8_t *)(uintptr_t)mapping->data + from;
    if (mprotect(at, to - from, PROT_READ | PROT_WRITE) != 0)
        return tuff_fail_errno("find memory for", mapping->file.path);
    TUFF_TRY(tuff_file_read(&mapping->file, from, at, to - from));
    mapping->filled = to;
    return TUFF_OK;
}

void tuff_unmap_file(tuff_mapping *mapping)
{
    if (mapping->size > 0) munmap((void *)(uintptr_t)mapping->data, mapping->size);
    tuff_file_close(&mapping->file);
    *mapping = (tuff_mapping){0};
}

static tuff_status read_all(int fd, const char *path, size_t limit, tuff_buf *out)
{
    char chunk[16384];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got == 0) return TUFF_OK;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tuff_fail_errno("read", path);
        if ((size_t)got > limit - out->size)
            return tuff_fail(TUFF_BAD_FORMAT, "%s is larger than the %zu bytes expected of such a file", path,
                             limit);
        tuff_buf_bytes(out, chunk, (size_t)got);
        if (out->failed) return tuff_note(tuff_fail_memory("the file's contents"), "%s", path);
    }
}

/* Of a pipe that was opened without waiting: until somebody writes into it, or has done so and left. Reading
 * tells them apart: nothing at all without a writer, EAGAIN with one. */
static tuff_status wait_for_writer(int fd, const char *path, tuff_buf *out)
{
    enum { PATIENCE = 1000 }; /* times 10 ms */
    struct pollfd pipe = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < PATIENCE; i++) {
        char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got == 1) tuff_buf_bytes(out, &byte, 1);
        if (got == 1 || (got < 0 && errno == EAGAIN)) return TUFF_OK;
        if (got < 0 && errno != EINTR) return tuff_fail_errno("read", path);
        if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLHUP)) return TUFF_OK;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return tuff_fail(TUFF_IO, "cannot read %s: it is a pipe, and nobody writes into it", path);
}

static tuff_status read_input(const char *path, bool streams, size_t limit, tuff_buf *out)
{
    *out = (tuff_buf){0};
    int fd;
    struct stat info;
    TUFF_TRY(open_input(path, streams, &fd, &info));
    tuff_status status = TUFF_OK;
    if (S_ISFIFO(info.st_mode) && limit > 0) status = wait_for_writer(fd, path, out);
    if (status == TUFF_OK && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0)
        status = tuff_fail_errno("read", path);
    if (status == TUFF_OK) status = read_all(fd, path, limit, out);
    close(fd);
    if (status != TUFF_OK) tuff_buf_free(out);
    return status;
}

tuff_status tuff_read_file(const char *path, size_t limit, tuff_buf *out)
{
    return read_input(path, false, limit, out);
}

tuff_status tuff_read_stream(const char *path, size_t limit, tuff_buf *out)
{
    return read_input(path, true, limit, out);
}

bool tuff_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

bool tuff_is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void tuff_remove_stream(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) tuff_disk_remove(path);
}

bool tuff_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *tuff_first_name(const char *directory, const char *ending)
{
    DIR *open = opendir(directory);
    char first[NAME_MAX + 1] = "";
    for (const struct dirent *entry; open && (entry = readdir(open));)
        if (tuff_ends_with(entry->d_name, ending) && (!*first || strcmp(entry->d_name, first) < 0))
            snprintf(first, sizeof first, "%s", entry->d_name);
    if (open) closedir(open);
    return *first ? tuff_strdup(first) : NULL;
}

tuff_status tuff_path_parent(const char *path, tuff_buf *out)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--; /* "a/b/" is b in a */
    while (end > 0 && path[end - 1] != '/')
        end--;
    while (end > 1 && path[end - 1] == '/')
        end--;
    tuff_buf_bytes(out, end ? path : ".", end ? end : 1);
    return out->failed ? tuff_fail_memory("a path") : TUFF_OK;
}

tuff_status tuff_make_directories_from(const char *path, size_t *out_created_at)
{
    *out_created_at = 0;
    char *part = tuff_strdup(path);
    if (!part) return tuff_fail_memory("a path");
    tuff_status status = TUFF_OK;
    size_t size = strlen(path);
    for (size_t i = 1; i <= size && status == TUFF_OK; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        part[i] = 0;
        int reason = tuff_disk_make_directory(part) ? 0 : errno;
        if (reason == 0) {
            if (*out_created_at == 0) *out_created_at = i;
        } else if (!tuff_is_directory(part)) {
            errno = reason == EEXIST ? ENOTDIR : reason;
            status = tuff_fail_errno("create the directory", part);
            if (status == TUFF_NOT_FOUND) status = TUFF_IO;
        }
        part[i] = path[i];
    }
    tuff_free(part);
    if (status != TUFF_OK) tuff_unmake_directories(path, *out_created_at);
    return status;
}

void tuff_unmake_directories(const char *path, size_t created_at)
{
    if (created_at == 0) return;
    char *part = tuff_strdup(path);
    if (!part) return;
    for (size_t i = strlen(part); i >= created_at; i--) {
        if (path[i] != '/' && path[i] != 0) continue;
        part[i] = 0;
        tuff_disk_remove_directory(part);
    }
    tuff_free(part);
}

tuff_status tuff_make_directories(const char *path)
{
    size_t created_at;
    if (path[0] == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of a directory is empty");
    return tuff_make_directories_from(path, &created_at);
}

tuff_status tuff_temporary_name(const char *directory, tuff_buf *out)
{
    static atomic_uint counter;
    tuff_buf_printf(out, "%s%s" TUFF_TEMPORARY_PREFIX "%ld-%u", directory,
                    tuff_ends_with(directory, "/") ? "" : "/", (long)getpid(), atomic_fetch_add(&counter, 1));
    return out->failed ? tuff_fail_memory("a path") : TUFF_OK;
}
