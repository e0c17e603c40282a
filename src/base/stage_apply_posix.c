/* Putting the files of a stage in place, and completing what was cut short. */
#define _DEFAULT_SOURCE /* flock */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/file_os.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/stage.h"
#include "base/stage_os.h"
#include "base/status.h"

tuff_status tuff_for_each_entry(const char *path, tuff_entry_fn fn, void *user)
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

static tuff_status remove_entry(const char *path, const char *name, void *user)
{
    (void)name, (void)user;
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
        tuff_remove_tree(path);
    else
        tuff_disk_remove(path);
    return TUFF_OK;
}

void tuff_remove_entries(const char *path)
{
    tuff_status status = tuff_for_each_entry(path, remove_entry, NULL);
    (void)status;
}

void tuff_remove_tree(const char *path)
{
    tuff_remove_entries(path);
    tuff_disk_remove_directory(path);
}

/* ---- the lock */

static bool is_same_file(int fd, const char *path)
{
    struct stat open_one, named_one;
    return fstat(fd, &open_one) == 0 && lstat(path, &named_one) == 0 && open_one.st_dev == named_one.st_dev &&
           open_one.st_ino == named_one.st_ino;
}

static bool lock(int fd)
{
    int result;
    do {
        result = flock(fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    /* where the file system has no locks, nobody is kept out */
    return result == 0 || errno != EWOULDBLOCK;
}

tuff_status tuff_lock_folder(const char *path, const char *make_for, int *out_fd, bool *out_busy)
{
    enum { ATTEMPTS = 100 }; /* each time its last owner may remove it between our two steps */
    *out_fd = -1;
    *out_busy = false;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (make_for && !tuff_disk_make_directory(path) && errno != EEXIST)
            return tuff_fail_errno("write to", make_for);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
            if (!make_for) return TUFF_OK;
            continue;
        }
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
            return tuff_fail(TUFF_IO, "%s is in the way of what Tuff keeps there: it is no directory", path);
        if (fd < 0) return tuff_fail_errno("open", path);
        *out_busy = !lock(fd);
        if (!*out_busy && is_same_file(fd, path)) {
            *out_fd = fd;
            return TUFF_OK;
        }
        close(fd);
        if (*out_busy) return TUFF_OK;
    }
    *out_busy = true;
    return TUFF_OK;
}

/* ---- moving */

/* One entry of a record, and where its file is and goes. */
typedef struct move {
    const tuff_stage_entry *entry;
    char *from, *to;
    bool staged; /* the new file is still in the stage */
} move;

/* The folder of an entry that lies in one, within the directory `above`: it may not be there, and nothing
 * else may be in its place, for a link leads elsewhere. `make`: makes it where it is not there. */
static tuff_status check_folder(const char *above, const tuff_stage_entry *entry, bool make)
{
    const char *slash = strchr(entry->name, '/');
    struct stat info;
    tuff_buf path = {0};
    if (!slash) return TUFF_OK;
    tuff_buf_printf(&path, "%s/%.*s", above, (int)(slash - entry->name), entry->name);
    tuff_status status = path.failed ? tuff_fail_memory("a path") : TUFF_OK;
    bool there = status == TUFF_OK && lstat(path.data, &info) == 0;
    if (there && !S_ISDIR(info.st_mode))
        status = tuff_fail(TUFF_IO, "%s is in the way of a folder of that name", path.data);
    if (status == TUFF_OK && !there && make && !tuff_disk_make_directory(path.data))
        status = tuff_fail_errno("make the folder", path.data);
    tuff_buf_free(&path);
    return status;
}

static tuff_status begin_move(const char *target, const char *stage, const tuff_stage_entry *entry, move *out)
{
    *out = (move){.entry = entry,
                  .from = tuff_path_join(stage, entry->name),
                  .to = tuff_path_join(target, entry->name)};
    if (!out->from || !out->to) return tuff_fail_memory("a path");
    TUFF_TRY(check_folder(stage, entry, false));
    TUFF_TRY(check_folder(target, entry, false));
    if (entry->remove) return TUFF_OK;
    struct stat info;
    if (lstat(out->from, &info) == 0) {
        out->staged = true;
        if (S_ISREG(info.st_mode) && (uint64_t)info.st_size == entry->size) return TUFF_OK;
        return tuff_fail(TUFF_BAD_FORMAT, "%s is not the file that was to be moved", out->from);
    }
    if (errno != ENOENT) return tuff_fail_errno("look at", out->from);
    if (lstat(out->to, &info) == 0) return TUFF_OK; /* moved already */
    return tuff_fail(TUFF_BAD_FORMAT, "%s is missing", out->from);
}

static void end_move(move *m)
{
    tuff_free(m->from);
    tuff_free(m->to);
}

/* What is wrong with a record shows before anything is moved. */
static tuff_status check(const char *target, const char *stage, const tuff_stage_record *record)
{
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < record->count && status == TUFF_OK; i++) {
        move m;
        status = begin_move(target, stage, &record->entries[i], &m);
        if (status == TUFF_OK && tuff_is_directory(m.to)) {
            errno = EISDIR;
            status = tuff_fail_errno("write", m.to);
        }
        end_move(&m);
    }
    return status;
}

static tuff_status put(const char *target, const move *m)
{
    TUFF_TRY(check_folder(target, m->entry, true));
    return tuff_disk_rename(m->from, m->to) ? TUFF_OK : tuff_fail_errno("write", m->to);
}

static tuff_status do_move(const char *target, const char *stage, const tuff_stage_entry *entry,
                           bool *out_moved)
{
    move m;
    tuff_status status = begin_move(target, stage, entry, &m);
    if (status == TUFF_OK && entry->remove) {
        if (tuff_disk_remove(m.to))
            *out_moved = true;
        else if (errno != ENOENT)
            status = tuff_fail_errno("remove", m.to);
    } else if (status == TUFF_OK && m.staged) {
        status = put(target, &m);
        *out_moved |= status == TUFF_OK;
    }
    end_move(&m);
    return status;
}

/* The folder of an entry that lies in one. */
static tuff_status sync_folder(const char *target, const tuff_stage_entry *entry)
{
    const char *slash = strchr(entry->name, '/');
    tuff_buf path = {0};
    if (!slash || entry->remove) return TUFF_OK;
    tuff_buf_printf(&path, "%s/%.*s", target, (int)(slash - entry->name), entry->name);
    tuff_status status = path.failed                           ? tuff_fail_memory("a path")
                         : tuff_disk_sync_directory(path.data) ? TUFF_OK
                                                               : tuff_fail_errno("write", path.data);
    tuff_buf_free(&path);
    return status;
}

tuff_status tuff_stage_apply(const char *target, const char *stage, const tuff_stage_record *record,
                             bool *out_moved)
{
    *out_moved = false;
    TUFF_TRY(check(target, stage, record));
    for (size_t i = 0; i < record->count; i++)
        TUFF_TRY(do_move(target, stage, &record->entries[i], out_moved));
    for (size_t i = 0; i < record->count; i++)
        TUFF_TRY(sync_folder(target, &record->entries[i]));
    return tuff_disk_sync_directory(target) ? TUFF_OK : tuff_fail_errno("write", target);
}

static tuff_status complete(const char *target, const char *stage, const char *path)
{
    tuff_buf text = {0};
    tuff_stage_record record = {0};
    bool moved;
    tuff_status status = tuff_read_file(path, TUFF_STAGE_RECORD_LIMIT, &text);
    if (status == TUFF_OK) status = tuff_stage_record_parse(text.data, text.size, path, &record);
    if (status == TUFF_OK) status = tuff_stage_apply(target, stage, &record, &moved);
    tuff_stage_record_free(&record);
    tuff_buf_free(&text);
    if (status == TUFF_OK && !tuff_disk_remove(path)) status = tuff_fail_errno("remove", path);
    return status;
}

tuff_status tuff_stage_complete(const char *target, const char *stage)
{
    char *path = tuff_path_join(stage, TUFF_STAGE_RECORD);
    if (!path) return tuff_fail_memory("a path");
    struct stat info;
    tuff_status status = TUFF_OK;
    if (lstat(path, &info) == 0)
        status = complete(target, stage, path);
    else if (errno != ENOENT)
        status = tuff_fail_errno("look at", path);
    tuff_free(path);
    if (status == TUFF_OUT_OF_MEMORY || status == TUFF_OK) return status;
    return tuff_fail(TUFF_IO,
                     "%s: a save to it was cut short and cannot be completed: %s; run a tuff command that "
                     "reads it as a user who may write there, or delete %s to go on with its files as they "
                     "are",
                     target, tuff_error_message(), stage);
}

/* ---- readers */

static tuff_status try_settle(const char *directory, const char *stage, const char *record, bool *out_busy)
{
    struct stat info;
    *out_busy = false;
    if (lstat(record, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? TUFF_OK : tuff_fail_errno("look at", record);
    int fd;
    TUFF_TRY(tuff_lock_folder(stage, NULL, &fd, out_busy));
    if (fd < 0) return TUFF_OK;
    tuff_status status = tuff_stage_complete(directory, stage);
    if (status == TUFF_OK) tuff_remove_tree(stage);
    close(fd);
    return status;
}

tuff_status tuff_stage_settle(const char *directory)
{
    const uint64_t patience = UINT64_C(10000000000), begin = tuff_now_ns(); /* ns */
    tuff_status status = TUFF_OK;
    bool busy = false;
    char *stage = tuff_path_join(directory, TUFF_STAGE_FOLDER);
    char *record = stage ? tuff_path_join(stage, TUFF_STAGE_RECORD) : NULL;
    if (!record) status = tuff_fail_memory("a path");
    while (status == TUFF_OK) {
        status = try_settle(directory, stage, record, &busy);
        if (!busy) break;
        if (tuff_now_ns() - begin > patience)
            status = tuff_fail(TUFF_IO, "%s is being written by another process; try again later", directory);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    tuff_free(stage);
    tuff_free(record);
    return status;
}

/* The files that may belong to a model, by how their names end; a log that grows is none. */
static bool is_of_a_model(const char *name)
{
    static const char *const ends[] = {".json",  ".safetensors", ".bin",     ".txt",
                                       ".jinja", ".model",       ".tiktoken"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (tuff_ends_with(name, ends[i])) return true;
    return false;
}

/* Which files they are: a file that is replaced is another one, also at the same moment and of the same size.
 */
static tuff_status add_to_stamp(const char *path, const char *name, void *user)
{
    struct stat info;
    if (!is_of_a_model(name) || stat(path, &info) != 0) return TUFF_OK;
    const uint64_t parts[] = {tuff_fnv1a(name, strlen(name)), (uint64_t)info.st_dev,
                              (uint64_t)info.st_ino,          (uint64_t)info.st_size,
                              (uint64_t)info.st_mtim.tv_sec,  (uint64_t)info.st_mtim.tv_nsec};
    *(uint64_t *)user += tuff_fnv1a(parts, sizeof parts); /* in whatever order they are listed */
    return TUFF_OK;
}

/* 0 where the directory cannot be listed: then nothing is known of changes. */
static uint64_t stamp_of(const char *directory)
{
    uint64_t stamp = 1;
    return tuff_for_each_entry(directory, add_to_stamp, &stamp) == TUFF_OK ? stamp : 0;
}

tuff_status tuff_stage_read(const char *directory, tuff_status (*read)(void *user), void (*undo)(void *user),
                            void *user)
{
    enum { ATTEMPTS = 5 };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        TUFF_TRY(tuff_stage_settle(directory));
        uint64_t before = stamp_of(directory);
        tuff_status status = read(user);
        if (status == TUFF_CANCELLED || status == TUFF_OUT_OF_MEMORY) return status;
        tuff_buf reason = {0}; /* looking may fail, and change the text of what did */
        if (status != TUFF_OK) tuff_buf_text(&reason, tuff_error_message());
        bool same = before == stamp_of(directory);
        if (same && reason.data) status = tuff_fail(status, "%s", reason.data);
        tuff_buf_free(&reason);
        if (same) return status;
        undo(user);
    }
    return tuff_fail(TUFF_IO, "%s is being written while it is read; try again later", directory);
}
