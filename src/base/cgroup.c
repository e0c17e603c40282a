#include "base/cgroup.h"

#include <string.h>

/* The next line of text[*at..size), without its end; false: no more. */
static bool next_line(const char *text, size_t size, size_t *at, const char **out_line, size_t *out_size)
{
    if (*at >= size) return false;
    const char *line = text + *at, *end = memchr(line, '\n', size - *at);
    *out_line = line;
    *out_size = end ? (size_t)(end - line) : size - *at;
    *at += *out_size + 1;
    return true;
}

/* Whether a list such as "cpu,memory" has `name` in it. */
static bool names(const char *list, size_t size, const char *name)
{
    for (size_t at = 0; at < size;) {
        const char *comma = memchr(list + at, ',', size - at);
        size_t length = comma ? (size_t)(comma - list) - at : size - at;
        if (length == strlen(name) && memcmp(list + at, name, length) == 0) return true;
        at += length + 1;
    }
    return false;
}

bool tuff_cgroup_path(const char *text, size_t size, int version, char *out_path, size_t capacity)
{
    return tuff_cgroup_path_of(text, size, version == 2 ? NULL : "memory", out_path, capacity);
}

bool tuff_cgroup_path_of(const char *text, size_t size, const char *controller, char *out_path,
                         size_t capacity)
{
    const char *line;
    for (size_t at = 0, length; next_line(text, size, &at, &line, &length);) {
        const char *list = memchr(line, ':', length); /* "hierarchy:controllers:path" */
        if (!list) continue;
        list++;
        const char *path = memchr(list, ':', length - (size_t)(list - line));
        if (!path) continue;
        size_t list_size = (size_t)(path - list), path_size = length - (size_t)(++path - line);
        bool wanted = controller ? names(list, list_size, controller) : list_size == 0;
        if (!wanted || path_size == 0 || path_size >= capacity) continue;
        memcpy(out_path, path, path_size);
        out_path[path_size] = 0;
        return true;
    }
    return false;
}

static uint64_t number(const char *text, size_t size)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < size && text[n] >= '0' && text[n] <= '9'; n++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[n] - '0'), &value))
            return UINT64_MAX;
    return n ? value : UINT64_MAX;
}

uint64_t tuff_cgroup_number(const char *text, size_t size)
{
    const uint64_t no_limit = UINT64_C(1) << 62; /* version 1: the largest multiple of a page below 2^63 */
    uint64_t value = number(text, size);
    return value < no_limit ? value : UINT64_MAX;
}

uint64_t tuff_cgroup_stat(const char *text, size_t size, const char *key)
{
    const char *line;
    size_t key_size = strlen(key);
    for (size_t at = 0, length; next_line(text, size, &at, &line, &length);) {
        if (length <= key_size || memcmp(line, key, key_size) != 0 || line[key_size] != ' ') continue;
        uint64_t value = number(line + key_size + 1, length - key_size - 1);
        return value == UINT64_MAX ? 0 : value;
    }
    return 0;
}

unsigned tuff_cgroup_quota(const char *text, size_t size)
{
    const char *space = memchr(text, ' ', size);
    if (!space) return 0;
    uint64_t quota = number(text, size), period = number(space + 1, size - (size_t)(space + 1 - text));
    if (quota == UINT64_MAX || quota == 0 || period == UINT64_MAX || period == 0) return 0;
    uint64_t processors = (quota - 1) / period + 1;
    return processors < 1u << 16 ? (unsigned)processors : 0;
}
