#define _POSIX_C_SOURCE 200809L
#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

extern char **environ;

void tuff_host_name(char *out, size_t size)
{
    struct utsname name;
    snprintf(out, size, "%s", uname(&name) >= 0 ? name.nodename : "");
}

void tuff_host_system(char *out, size_t size)
{
    struct utsname name;
    if (uname(&name) >= 0)
        snprintf(out, size, "%s %s %s", name.sysname, name.release, name.machine);
    else
        snprintf(out, size, "unknown");
}

void tuff_utc_now(char out[TUFF_UTC_SIZE])
{
    time_t now = time(NULL);
    struct tm utc;
    out[0] = '\0';
    if (gmtime_r(&now, &utc) != NULL) strftime(out, TUFF_UTC_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

double tuff_wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int64_t tuff_process_id(void)
{
    return (int64_t)getpid();
}

bool tuff_local_time(struct tm *out)
{
    const time_t now = time(NULL);
    return localtime_r(&now, out) != NULL;
}

bool tuff_utc_time(int64_t seconds, struct tm *out)
{
    const time_t at = (time_t)seconds;
    return gmtime_r(&at, out) != NULL;
}

static bool has_prefix(const char *line, const char *const *prefixes)
{
    if (tuff_starts_with(line, "TUFF_TEST_")) return false; /* of our own tests' */
    for (; *prefixes != NULL; prefixes++)
        if (tuff_starts_with(line, *prefixes)) return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void tuff_environment_lines(const char *const *prefixes, tuff_buf *out)
{
    size_t n = 0, total = 0;
    while (environ != NULL && environ[total] != NULL)
        total++;
    const char **lines = tuff_alloc_array(total + 1, sizeof(const char *));
    if (lines == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < total; i++)
        if (has_prefix(environ[i], prefixes)) lines[n++] = environ[i];
    qsort(lines, n, sizeof(const char *), by_name);
    for (size_t i = 0; i < n; i++)
        tuff_buf_printf(out, "%s%s", i > 0 ? "\n" : "", lines[i]);
    tuff_free(lines);
}
