#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/status.h"

struct tuff_append {
    int fd;
    char *path;
};

tuff_status tuff_append_open(const char *path, tuff_append **out)
{
    *out = NULL;
    tuff_append *a = tuff_alloc(sizeof *a);
    if (a) a->path = tuff_strdup(path);
    if (!a || !a->path) {
        tuff_free(a);
        return tuff_fail_memory("a file");
    }
    a->fd = tuff_disk_create(path, 0666);
    if (a->fd >= 0) {
        *out = a;
        return TUFF_OK;
    }
    tuff_status status = tuff_fail_errno("write", path);
    tuff_append_close(&a);
    return status;
}

tuff_status tuff_append_write(tuff_append *a, const void *data, size_t size)
{
    return tuff_disk_write(a->fd, a->path, data, size) ? TUFF_OK : tuff_fail_errno("write", a->path);
}

void tuff_append_close(tuff_append **append)
{
    tuff_append *a = *append;
    if (!a) return;
    if (a->fd >= 0) close(a->fd);
    tuff_free(a->path);
    tuff_free(a);
    *append = NULL;
}

void tuff_append_remove(tuff_append **append)
{
    if (*append && (*append)->fd >= 0) (void)tuff_disk_remove((*append)->path);
    tuff_append_close(append);
}
