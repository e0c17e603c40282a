#define _POSIX_C_SOURCE 200809L
#include "base/column.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

enum { STEP = 1 << 24 };
size_t tuff_column_limit = STEP;

/* A quarter more than is asked for, in whole steps; 0: too much. */
static size_t room_for(size_t bytes)
{
    size_t room, more = bytes / 4 < STEP ? STEP : bytes / 4;
    return tuff_add_size(bytes, more, &room) ? room / STEP * STEP : 0;
}

/* Looks at so much of the file. */
static void *look(int fd, size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return data == MAP_FAILED ? NULL : data;
}

/* A file of `room` bytes without a name, -1 on failure. */
static int make_file(size_t room, tuff_buf *directory)
{
    errno = ENOENT;
    if (!tuff_cache_directory(directory) || tuff_make_directories(directory->data) != TUFF_OK) return -1;
    const int fd = tuff_disk_nameless(directory->data);
    if (fd < 0) return -1;
    if (tuff_disk_reserve(fd, directory->data, 0, room)) return fd;
    const int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* Moves what is in memory into a file. */
static bool into_file(tuff_column *c, size_t room)
{
    tuff_buf directory = {0};
    const int fd = make_file(room, &directory);
    void *data = fd < 0 ? NULL : look(fd, room);
    const int reason = errno;
    if (data) {
        if (c->data) memcpy(data, c->data, c->room);
        tuff_free(c->data);
        *c = (tuff_column){.data = data, .room = room, .handle = fd + 1};
    } else {
        if (fd >= 0) close(fd);
        tuff_log(TUFF_LOG_WARN, "what is read of the data stays in memory, as %s cannot take it: %s",
                 directory.data ? directory.data : "no cache directory", strerror(reason));
    }
    tuff_buf_free(&directory);
    return data != NULL;
}

/* More of the file. */
static bool lengthen(tuff_column *c, size_t room)
{
    const int fd = c->handle - 1;
    if (!tuff_disk_reserve(fd, "a file of the cache directory", c->room, room - c->room)) return false;
    void *data = look(fd, room);
    if (!data) return false;
    munmap(c->data, c->room);
    c->data = data;
    c->room = room;
    return true;
}

/* Out of the file into memory, as the disk has no room for more. */
static bool into_memory(tuff_column *c, size_t room)
{
    void *data = tuff_realloc_array(NULL, room, 1);
    if (!data) return false;
    tuff_log(TUFF_LOG_WARN,
             "what is read of the data stays in memory, as the disk of the cache directory has no room: %s",
             strerror(errno));
    memcpy(data, c->data, c->room);
    tuff_column_free(c);
    *c = (tuff_column){.data = data, .room = room, .stays = true};
    return true;
}

static bool grow_in_memory(tuff_column *c, size_t bytes)
{
    size_t room = c->room > bytes / 2 ? 2 * c->room : bytes < 1024 ? 1024 : bytes;
    if (room < bytes) room = bytes;
    void *data = tuff_realloc_array(c->data, room, 1);
    if (!data) return false;
    c->data = data;
    c->room = room;
    return true;
}

bool tuff_column_reserve(tuff_column *c, size_t bytes)
{
    if (bytes <= c->room && c->data) return true;
    const size_t room = room_for(bytes);
    if (!room || c->borrowed) return false;
    if (c->handle) return lengthen(c, room) || into_memory(c, room);
    if (!c->stays && bytes > tuff_column_limit) {
        if (into_file(c, room)) return true;
        c->stays = true;
    }
    return grow_in_memory(c, bytes);
}

bool tuff_column_put(tuff_column *c, size_t used, const void *data, size_t size)
{
    size_t bytes;
    if (!tuff_add_size(used, size, &bytes) || !tuff_column_reserve(c, bytes)) return false;
    if (size) memcpy((char *)c->data + used, data, size);
    return true;
}

void tuff_column_free(tuff_column *c)
{
    if (c->handle) {
        munmap(c->data, c->room);
        close(c->handle - 1);
    } else if (!c->borrowed) {
        tuff_free(c->data);
    }
    *c = (tuff_column){0};
}
