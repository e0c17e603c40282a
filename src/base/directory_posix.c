#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/file_os.h"
#include "base/memory.h"
#include "base/status.h"

bool tuff_is_regular_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

void tuff_touch_file(const char *path)
{
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

void tuff_names_free(tuff_names *names)
{
    tuff_buf_free(&names->text);
    *names = (tuff_names){0};
}

static bool is_wanted(const char *directory, const char *name)
{
    if (name[0] == '.') return false;
    char *path = tuff_path_join(directory, name);
    const bool wanted = path && tuff_is_regular_file(path);
    tuff_free(path);
    return wanted;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tuff_status sort(tuff_names *names)
{
    const char **order = tuff_alloc_array(names->count, sizeof *order);
    tuff_buf sorted = {0};
    if (!order) return tuff_fail_memory("the names in a directory");
    const char *at = names->text.data;
    for (size_t i = 0; i < names->count; i++, at += strlen(at) + 1)
        order[i] = at;
    if (names->count) qsort(order, names->count, sizeof *order, by_bytes);
    for (size_t i = 0; i < names->count; i++)
        tuff_buf_bytes(&sorted, order[i], strlen(order[i]) + 1);
    tuff_free(order);
    tuff_buf_free(&names->text);
    names->text = sorted;
    return sorted.failed ? tuff_fail_memory("the names in a directory") : TUFF_OK;
}

tuff_status tuff_directory_files(const char *directory, tuff_names *out)
{
    *out = (tuff_names){0};
    DIR *open = opendir(directory);
    if (!open) return tuff_fail_errno("read", directory);
    for (const struct dirent *entry; (entry = readdir(open));) {
        if (!is_wanted(directory, entry->d_name)) continue;
        tuff_buf_bytes(&out->text, entry->d_name, strlen(entry->d_name) + 1);
        out->count++;
    }
    closedir(open);
    tuff_status status = out->text.failed ? tuff_fail_memory("the names in a directory") : TUFF_OK;
    if (status == TUFF_OK && out->count) status = sort(out);
    if (status != TUFF_OK) tuff_names_free(out);
    return status;
}
