/* The checkpoints of a training beside one another: which there are, and removing them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/stage_os.h"
#include "train/checkpoint.h"

/* "checkpoint-12": digits as they are printed, so that each number is one name. */
static int64_t step_of(const char *name, size_t size)
{
    const size_t prefix = strlen(TUFF_CHECKPOINT_PREFIX);
    int64_t step = 0;
    if (size <= prefix || size > prefix + 18 || memcmp(name, TUFF_CHECKPOINT_PREFIX, prefix) != 0) return -1;
    if (name[prefix] == '0' && size > prefix + 1) return -1;
    for (size_t i = prefix; i < size; i++) {
        if (name[i] < '0' || name[i] > '9') return -1;
        step = step * 10 + (name[i] - '0');
    }
    return step;
}

int64_t tuff_checkpoint_step(const char *directory)
{
    if (!directory) return -1;
    size_t size = strlen(directory), begin;
    while (size > 1 && directory[size - 1] == '/')
        size--;
    for (begin = size; begin > 0 && directory[begin - 1] != '/';)
        begin--;
    return step_of(directory + begin, size - begin);
}

typedef struct steps {
    int64_t *items;
    size_t count, capacity;
} steps;

static tuff_status add(const char *path, const char *name, void *user)
{
    steps *list = user;
    const int64_t step = step_of(name, strlen(name));
    if (step < 0 || !tuff_is_directory(path)) return TUFF_OK;
    if (!tuff_grow((void **)&list->items, list->count, &list->capacity, sizeof *list->items))
        return tuff_fail_memory("a list of checkpoints");
    list->items[list->count++] = step;
    return TUFF_OK;
}

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x > y ? -1 : x < y;
}

tuff_status tuff_checkpoint_find(const char *output_directory, size_t index, char **out_directory)
{
    TUFF_NEED_OUT(out_directory);
    TUFF_NEED(output_directory);
    steps list = {0};
    tuff_buf path = {0};
    tuff_status status = tuff_for_each_entry(output_directory, add, &list);
    if (status == TUFF_OK && list.count <= index)
        status =
            tuff_fail(TUFF_NOT_FOUND, "%s has %s checkpoint", output_directory, index ? "no further" : "no");
    if (status == TUFF_OK) {
        qsort(list.items, list.count, sizeof *list.items, newest_first);
        tuff_buf_printf(&path, "%s%s" TUFF_CHECKPOINT_PREFIX "%lld", output_directory,
                        tuff_ends_with(output_directory, "/") ? "" : "/", (long long)list.items[index]);
        if (path.failed) status = tuff_fail_memory("a path");
    }
    tuff_free(list.items);
    if (status == TUFF_OK)
        *out_directory = path.data;
    else
        tuff_buf_free(&path);
    return status;
}

tuff_status tuff_checkpoint_remove(const char *directory)
{
    TUFF_NEED(directory);
    if (tuff_checkpoint_step(directory) < 0 || !tuff_is_directory(directory))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s is not removed: a checkpoint is a directory called " TUFF_CHECKPOINT_PREFIX
                         "<step>",
                         directory);
    return tuff_stage_remove(directory);
}

void tuff_checkpoint_clean(const char *output_directory)
{
    if (output_directory) tuff_stage_clean(output_directory, TUFF_CHECKPOINT_PREFIX);
}
