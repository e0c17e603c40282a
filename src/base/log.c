#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"

static tuff_log_fn receiver;
static void *receiver_user;
static tuff_log_level threshold;
/* A receiver that calls back into the library must not wait for itself. */
static _Thread_local bool inside;

void tuff_set_log(tuff_log_fn fn, tuff_log_level level, void *user)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *wanted = tuff_environment("TUFF_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) level = (tuff_log_level)i;
    receiver = fn;
    receiver_user = user;
    threshold = level;
}

void tuff_log(tuff_log_level level, const char *format, ...)
{
    if (!receiver || level > threshold || inside) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0) return;
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    inside = true;
    tuff_lock_global(TUFF_LOCK_LOG);
    receiver(level, line, receiver_user);
    tuff_unlock_global(TUFF_LOCK_LOG);
    inside = false;
}
