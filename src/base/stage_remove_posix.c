/* Directories that go: whole, and what killed processes left of them. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/stage_os.h"
#include "base/status.h"

#define REMOVED ".tuff-removed" /* ".NAME.tuff-removed" beside the directory's place */

tuff_status tuff_stage_remove(const char *directory)
{
    tuff_buf target = {0}, parent = {0}, away = {0};
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        size--;
    tuff_buf_bytes(&target, directory, size);
    tuff_status status = target.failed ? tuff_fail_memory("a path") : tuff_path_parent(target.data, &parent);
    if (status == TUFF_OK) {
        const char *name = tuff_path_name(target.data);
        tuff_buf_printf(&away, "%.*s.%s" REMOVED, (int)(name - target.data), target.data, name);
        if (away.failed) status = tuff_fail_memory("a path");
    }
    if (status == TUFF_OK) {
        tuff_remove_tree(away.data); /* of one that was killed at it */
        if (!tuff_disk_rename(target.data, away.data)) status = tuff_fail_errno("remove", directory);
    }
    if (status == TUFF_OK) {
        /* on the disk before any of its files goes: best effort, for after a loss of power */
        tuff_disk_sync_directory(parent.data);
        tuff_remove_tree(away.data);
    }
    tuff_buf_free(&target);
    tuff_buf_free(&parent);
    tuff_buf_free(&away);
    return status;
}

static tuff_status clean(const char *path, const char *name, void *user)
{
    const char *prefix = user;
    if (name[0] != '.' || !tuff_starts_with(name + 1, prefix)) return TUFF_OK;
    if (tuff_ends_with(name, REMOVED)) tuff_remove_tree(path);
    if (!tuff_ends_with(name, TUFF_STAGE_FOLDER)) return TUFF_OK;
    int fd;
    bool busy;
    if (tuff_lock_folder(path, NULL, &fd, &busy) != TUFF_OK || fd < 0) return TUFF_OK;
    tuff_remove_tree(path);
    close(fd);
    return TUFF_OK;
}

void tuff_stage_clean(const char *parent, const char *prefix)
{
    tuff_status status = tuff_for_each_entry(parent, clean, (void *)(size_t)prefix);
    (void)status;
}
