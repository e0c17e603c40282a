#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
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

/* Where `target` exists, the stage lies inside it: it may be a mount point, or in a directory that is not
 * ours. Where it does not, the stage lies beside it and one rename makes it appear. */
struct tuff_stage {
    tuff_buf target;
    tuff_buf parent;
    tuff_buf path;
    size_t created_at; /* first directory of `parent` that was made for us, see tuff_make_directories_from */
    int lock;          /* of the stage's folder; -1: not ours (yet) */
    bool inside;
    bool keep; /* a commit is recorded and not complete */
    const char *const *replaced;
    size_t replaced_count;
};

static void destroy(tuff_stage **stage)
{
    tuff_stage *s = *stage;
    if (!s) return;
    if (s->lock >= 0 && !s->keep) tuff_remove_tree(s->path.data);
    if (s->lock >= 0) close(s->lock);
    if (s->parent.size > 0) tuff_unmake_directories(s->parent.data, s->created_at);
    tuff_buf_free(&s->target);
    tuff_buf_free(&s->parent);
    tuff_buf_free(&s->path);
    tuff_free(s);
    *stage = NULL;
}

static tuff_status fail_busy(const char *target)
{
    return tuff_fail(TUFF_IO,
                     "another process is writing to %s; wait until it has ended, or choose another directory",
                     target);
}

static bool has_own_name(const char *target)
{
    const char *name = tuff_path_name(target);
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* ".NAME.tuff-stage" beside the target. */
static tuff_status path_beside(const tuff_stage *s, tuff_buf *out)
{
    const char *name = tuff_path_name(s->target.data);
    tuff_buf_bytes(out, s->target.data, (size_t)(name - s->target.data));
    tuff_buf_printf(out, ".%s" TUFF_STAGE_FOLDER, name);
    return out->failed ? tuff_fail_memory("a path") : TUFF_OK;
}

static tuff_status path_inside(const tuff_stage *s, tuff_buf *out)
{
    tuff_buf_printf(out, "%s%s" TUFF_STAGE_FOLDER, s->target.data,
                    tuff_ends_with(s->target.data, "/") ? "" : "/");
    return out->failed ? tuff_fail_memory("a path") : TUFF_OK;
}

/* Locks the stage's folder and empties it of what a process that was killed left there. */
static tuff_status claim(tuff_stage *s)
{
    bool busy;
    TUFF_TRY(tuff_lock_folder(s->path.data, s->target.data, &s->lock, &busy));
    if (busy) return fail_busy(s->target.data);
    if (s->inside) {
        struct stat info;
        s->keep = true; /* until what it may have committed is in place */
        TUFF_TRY(tuff_stage_complete(s->target.data, s->path.data));
        s->keep = false;
        /* whoever may look into the directory may see whether a commit is under way */
        if (stat(s->target.data, &info) == 0) fchmod(s->lock, (info.st_mode & 0777) | 0700);
    }
    tuff_remove_entries(s->path.data);
    if (!tuff_disk_sync_directory(s->inside ? s->target.data : s->parent.data))
        return tuff_fail_errno("write to", s->target.data);
    return TUFF_OK;
}

/* The directory exists: somebody may have begun to write before it did, beside it. */
static tuff_status check_beside(const tuff_stage *s)
{
    int fd;
    bool busy;
    tuff_buf path = {0};
    if (!has_own_name(s->target.data)) return TUFF_OK;
    tuff_status status = path_beside(s, &path);
    if (status == TUFF_OK && tuff_lock_folder(path.data, NULL, &fd, &busy) == TUFF_OK) {
        if (busy) status = fail_busy(s->target.data);
        if (fd >= 0) tuff_remove_tree(path.data);
        if (fd >= 0) close(fd);
    }
    tuff_buf_free(&path);
    return status;
}

static tuff_status prepare(tuff_stage *s, const char *directory)
{
    size_t size = strlen(directory);
    struct stat info;
    if (size == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of the output directory is empty");
    while (size > 1 && directory[size - 1] == '/')
        size--;
    tuff_buf_bytes(&s->target, directory, size);
    if (s->target.failed) return tuff_fail_memory("a path");
    TUFF_TRY(tuff_path_parent(s->target.data, &s->parent));
    if (stat(s->target.data, &info) != 0)
        TUFF_TRY(tuff_make_directories_from(s->parent.data, &s->created_at));
    s->inside = stat(s->target.data, &info) == 0;
    if (s->inside && !S_ISDIR(info.st_mode))
        return tuff_fail(TUFF_IO, "cannot write to %s: it is a file, not a directory", directory);
    if (!s->inside && lstat(s->target.data, &info) == 0)
        return tuff_fail(TUFF_IO, "cannot write to %s: it is a link that leads nowhere", directory);
    if (s->inside) TUFF_TRY(check_beside(s));
    TUFF_TRY(s->inside ? path_inside(s, &s->path) : path_beside(s, &s->path));
    return claim(s);
}

tuff_status tuff_stage_open(const char *directory, tuff_stage **out)
{
    TUFF_NEED_OUT(out);
    TUFF_NEED(directory);
    tuff_stage *s = tuff_alloc(sizeof *s);
    if (!s) return tuff_fail_memory("an output directory");
    s->lock = -1;
    tuff_status status = prepare(s, directory);
    if (status == TUFF_NOT_FOUND) status = TUFF_IO;
    if (status == TUFF_OK)
        *out = s;
    else
        destroy(&s);
    return status;
}

const char *tuff_stage_path(const tuff_stage *stage)
{
    return stage ? stage->path.data : NULL;
}

void tuff_stage_replaces(tuff_stage *stage, const char *const *names, size_t count)
{
    stage->replaced = names;
    stage->replaced_count = count;
}

/* ---- commit */

typedef struct listing {
    const tuff_stage *stage;
    const char *folder; /* whose files are listed; NULL: the stage's own */
    tuff_stage_record record;
} listing;

/* Puts a file of the stage on the disk before the record says that it is there. `path` is a folder's:
 * *out_folder. */
static tuff_status sync_file(const listing *list, const char *path, const char *name, bool *out_folder,
                             uint64_t *out_size)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat info = {0};
    bool known = fd >= 0 && fstat(fd, &info) == 0;
    *out_folder = known && S_ISDIR(info.st_mode);
    *out_size = (uint64_t)info.st_size;
    if (known && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
        close(fd);
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s cannot be put in place: an output directory takes files and folders of files only", path);
    }
    tuff_status status = TUFF_OK;
    if (fd < 0 || !tuff_disk_sync(fd, path)) {
        int reason = errno;
        char *final = tuff_path_join(list->stage->target.data, name);
        errno = reason;
        status = final ? tuff_fail_errno("write", final) : tuff_fail_memory("a path");
        tuff_free(final);
    }
    if (fd >= 0) close(fd);
    return status;
}

static tuff_status list_file(const char *path, const char *name, void *user)
{
    listing *list = user;
    bool is_folder = false;
    uint64_t size;
    if (!tuff_stage_name_valid(name, strlen(name))) return TUFF_OK; /* what a writer left */
    tuff_buf full = {0};
    tuff_buf_printf(&full, "%s%s%s", list->folder ? list->folder : "", list->folder ? "/" : "", name);
    tuff_status status =
        full.failed ? tuff_fail_memory("a path") : sync_file(list, path, full.data, &is_folder, &size);
    if (status == TUFF_OK && is_folder && list->folder)
        status = tuff_fail(TUFF_INVALID_ARGUMENT,
                           "%s cannot be put in place: folders of an output directory take files only", path);
    if (status == TUFF_OK && is_folder) {
        list->folder = name;
        status = tuff_for_each_entry(path, list_file, list);
        list->folder = NULL;
    } else if (status == TUFF_OK) {
        status = tuff_stage_record_add(&list->record, full.data, size, false);
    }
    tuff_buf_free(&full);
    return status;
}

static tuff_status list_removals(listing *list)
{
    const tuff_stage *s = list->stage;
    for (size_t i = 0; i < s->replaced_count; i++) {
        struct stat info;
        char *path = tuff_path_join(s->target.data, s->replaced[i]);
        if (!path) return tuff_fail_memory("a path");
        bool there = lstat(path, &info) == 0 && !S_ISDIR(info.st_mode);
        tuff_free(path);
        if (there && !tuff_stage_record_has(&list->record, s->replaced[i]))
            TUFF_TRY(tuff_stage_record_add(&list->record, s->replaced[i], 0, true));
    }
    return TUFF_OK;
}

/* The commit point is the rename inside tuff_write_file: the record is whole, or not there. */
static tuff_status write_record(const tuff_stage *s, const tuff_stage_record *record, const char *path)
{
    tuff_buf text = {0};
    tuff_stage_record_print(record, &text);
    tuff_status status = text.failed ? tuff_fail_memory("the record of a commit") : TUFF_OK;
    if (status == TUFF_OK && !tuff_disk_sync_directory(s->path.data))
        status = tuff_fail_errno("write", s->target.data);
    if (status == TUFF_OK) status = tuff_write_file(path, text.data, text.size);
    if (status == TUFF_OK && !tuff_disk_sync_directory(s->path.data)) {
        status = tuff_fail_errno("write", s->target.data);
        tuff_disk_remove(path);
    }
    tuff_buf_free(&text);
    return status;
}

static tuff_status put_in_place(tuff_stage *s, const tuff_stage_record *record, const char *path)
{
    TUFF_TRY(write_record(s, record, path));
    bool moved;
    s->keep = true;
    tuff_status status = tuff_stage_apply(s->target.data, s->path.data, record, &moved);
    if (status == TUFF_OK || !moved) {
        /* done, or nothing has happened yet: the commit is taken back */
        s->keep = !tuff_disk_remove(path);
        if (status != TUFF_OK || !s->keep) return status;
        status = tuff_fail_errno("remove", path);
    }
    return tuff_fail(status,
                     "%s; the new files are whole, and the next tuff command that reads %s or writes there "
                     "puts them in place",
                     tuff_error_message(), s->target.data);
}

static tuff_status commit_inside(tuff_stage *s, listing *list)
{
    TUFF_TRY(list_removals(list));
    for (size_t i = 0; i < list->record.count; i++) {
        char *path = tuff_path_join(s->target.data, list->record.entries[i].name);
        if (!path) return tuff_fail_memory("a path");
        tuff_status status = TUFF_OK;
        if (tuff_is_directory(path)) {
            errno = EISDIR;
            status = tuff_fail_errno("write", path);
        }
        tuff_free(path);
        TUFF_TRY(status);
    }
    char *path = tuff_path_join(s->path.data, TUFF_STAGE_RECORD);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = put_in_place(s, &list->record, path);
    tuff_free(path);
    return status;
}

/* Somebody made the directory while we wrote: the stage moves into it. */
static tuff_status move_inside(tuff_stage *s)
{
    tuff_stage inner = {.target = s->target, .lock = -1, .inside = true};
    tuff_status status = path_inside(s, &inner.path);
    if (status == TUFF_OK) status = claim(&inner);
    if (status == TUFF_OK && !tuff_disk_rename(s->path.data, inner.path.data))
        status = tuff_fail_errno("write", s->target.data);
    if (status == TUFF_OK) { /* our lock lies on the folder, whatever its name */
        tuff_buf before = s->path;
        s->path = inner.path;
        inner.path = before;
        s->inside = true;
    } else if (inner.lock >= 0) {
        tuff_disk_remove_directory(inner.path.data);
    }
    if (inner.lock >= 0) close(inner.lock);
    tuff_buf_free(&inner.path);
    return status;
}

static tuff_status finish(tuff_stage *s, listing *list)
{
    TUFF_TRY(tuff_for_each_entry(s->path.data, list_file, list));
    if (!s->inside) {
        if (!tuff_disk_sync_directory(s->path.data)) return tuff_fail_errno("write", s->target.data);
        if (tuff_disk_rename(s->path.data, s->target.data)) {
            s->keep = true; /* it is the target now */
            s->created_at = 0;
            tuff_disk_sync_directory(s->parent.data);
            return TUFF_OK;
        }
        if (errno != ENOTEMPTY && errno != EEXIST) return tuff_fail_errno("write", s->target.data);
        TUFF_TRY(move_inside(s));
    }
    return commit_inside(s, list);
}

/* Gives the stage's folder a name of its own, where nobody takes it for something left over: "unsaved" in the
 * target, "TARGET.unsaved" beside it. NULL: it has none, and goes with the stage. */
static char *keep_folder(tuff_stage *s)
{
    enum { NAMES = 100 };
    tuff_buf path = {0};
    bool kept = false;
    for (int i = 1; i <= NAMES && !kept && !path.failed; i++) {
        struct stat info;
        tuff_buf_clear(&path);
        tuff_buf_printf(&path, "%s%s", s->target.data, s->inside ? "/unsaved" : ".unsaved");
        if (i > 1) tuff_buf_printf(&path, "-%d", i);
        if (path.failed || lstat(path.data, &info) == 0) continue;
        kept = tuff_disk_rename(s->path.data, path.data);
        if (!kept) break;
    }
    char *name = kept ? tuff_strdup(path.data) : NULL;
    s->keep = s->keep || kept;
    tuff_buf_free(&path);
    return name;
}

tuff_status tuff_stage_commit_or_keep(tuff_stage **stage, char **out_kept)
{
    if (out_kept) *out_kept = NULL;
    if (!stage || !*stage)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "tuff_stage_commit: there is no stage to commit");
    listing list = {.stage = *stage};
    tuff_status status = finish(*stage, &list);
    tuff_stage_record_free(&list.record);
    if (status != TUFF_OK && out_kept && !(*stage)->keep) *out_kept = keep_folder(*stage);
    destroy(stage);
    return status;
}

tuff_status tuff_stage_commit(tuff_stage **stage)
{
    return tuff_stage_commit_or_keep(stage, NULL);
}

void tuff_stage_abort(tuff_stage **stage)
{
    if (stage) destroy(stage);
}
