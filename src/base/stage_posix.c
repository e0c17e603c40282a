#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/status.h"

enum { NAME_ATTEMPTS = 100 };

/* Where `path` exists, the stage lies inside it: it may be a mount point, or in a directory that is not ours.
 * Where it does not, the stage lies beside it and one rename makes it appear. */
struct tuff_stage {
    tuff_buf target;
    tuff_buf parent;
    tuff_buf temporary;
    size_t created_at; /* first directory of `parent` that was made for us, see tuff_make_directories_from */
    bool exists;
};

typedef tuff_status (*entry_fn)(const char *path, const char *name, void *user);

/* Calls fn for each entry of a directory except "." and "..", until one fails. */
static tuff_status for_each_entry(const char *path, entry_fn fn, void *user)
{
    DIR *directory = opendir(path);
    if (!directory) return tuff_fail_errno("read the directory", path);
    tuff_status status = TUFF_OK;
    const struct dirent *entry;
    while (status == TUFF_OK && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *child = tuff_path_join(path, entry->d_name);
        status = child ? fn(child, entry->d_name, user) : tuff_fail_memory("a path");
        tuff_free(child);
    }
    closedir(directory);
    return status;
}

static bool is_real_directory(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Best effort: what cannot be removed stays. */
static tuff_status remove_tree(const char *path, const char *name, void *user)
{
    (void)name;
    if (!is_real_directory(path)) {
        unlink(path);
        return TUFF_OK;
    }
    tuff_status status = for_each_entry(path, remove_tree, user);
    rmdir(path);
    return status;
}

/* Moves one entry of the stage into the directory `user`; directories that exist on both sides are merged. */
static tuff_status move_into(const char *path, const char *name, void *user)
{
    char *target = tuff_path_join(user, name);
    if (!target) return tuff_fail_memory("a path");
    tuff_status status = TUFF_OK;
    if (is_real_directory(path) && tuff_is_directory(target))
        status = for_each_entry(path, move_into, target);
    else if (rename(path, target) != 0)
        status = tuff_fail_errno("write", target);
    tuff_free(target);
    return status;
}

static void destroy(tuff_stage **stage)
{
    tuff_stage *s = *stage;
    if (!s) return;
    if (s->temporary.size > 0 && remove_tree(s->temporary.data, "", NULL) != TUFF_OK)
        rmdir(s->temporary.data);
    if (s->parent.size > 0) tuff_unmake_directories(s->parent.data, s->created_at);
    tuff_buf_free(&s->target);
    tuff_buf_free(&s->parent);
    tuff_buf_free(&s->temporary);
    tuff_free(s);
    *stage = NULL;
}

static tuff_status make_temporary(tuff_stage *s)
{
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        tuff_buf name = {0};
        tuff_status status = tuff_temporary_name(s->exists ? s->target.data : s->parent.data, &name);
        if (status == TUFF_OK && mkdir(name.data, 0777) == 0) {
            s->temporary = name;
            return TUFF_OK;
        }
        int reason = errno;
        tuff_buf_free(&name);
        if (status != TUFF_OK) return status;
        errno = reason;
        if (reason != EEXIST) break;
    }
    return tuff_fail_errno("write to", s->target.data);
}

static tuff_status prepare(tuff_stage *s, const char *path)
{
    size_t size = strlen(path);
    if (size == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of the output directory is empty");
    while (size > 1 && path[size - 1] == '/')
        size--;
    tuff_buf_bytes(&s->target, path, size);
    if (s->target.failed) return tuff_fail_memory("a path");
    if (tuff_is_file(path))
        return tuff_fail(TUFF_IO, "cannot write to %s: it is a file, not a directory", path);
    s->exists = tuff_is_directory(path);
    if (!s->exists) {
        TUFF_TRY(tuff_path_parent(s->target.data, &s->parent));
        TUFF_TRY(tuff_make_directories_from(s->parent.data, &s->created_at));
    }
    return make_temporary(s);
}

tuff_status tuff_stage_open(const char *path, tuff_stage **out)
{
    *out = NULL;
    tuff_stage *s = tuff_alloc(sizeof *s);
    if (!s) return tuff_fail_memory("an output directory");
    tuff_status status = prepare(s, path);
    if (status == TUFF_NOT_FOUND) status = TUFF_IO;
    if (status == TUFF_OK)
        *out = s;
    else
        destroy(&s);
    return status;
}

const char *tuff_stage_path(const tuff_stage *stage)
{
    return stage->temporary.data;
}

static tuff_status finish(tuff_stage *s)
{
    tuff_sync_directory(s->temporary.data);
    if (s->exists) {
        TUFF_TRY(for_each_entry(s->temporary.data, move_into, s->target.data));
        tuff_sync_directory(s->target.data);
        return TUFF_OK; /* the empty stage goes with the rest */
    }
    if (rename(s->temporary.data, s->target.data) != 0) {
        /* Someone made the directory in the meantime: move into it. */
        if (!tuff_is_directory(s->target.data)) return tuff_fail_errno("write", s->target.data);
        return for_each_entry(s->temporary.data, move_into, s->target.data);
    }
    tuff_buf_free(&s->temporary);
    tuff_sync_directory(s->parent.data);
    return TUFF_OK;
}

tuff_status tuff_stage_commit(tuff_stage **stage)
{
    tuff_status status = finish(*stage);
    destroy(stage);
    return status;
}

void tuff_stage_abort(tuff_stage **stage)
{
    destroy(stage);
}
