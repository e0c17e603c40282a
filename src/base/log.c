#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"

static tuff_log_receiver everyones;
/* A receiver that calls back into the library must not wait for itself. */
static _Thread_local bool inside;

tuff_log_receiver tuff_log_receiver_of(tuff_log_fn fn, tuff_log_level level, void *user)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *wanted = tuff_environment("TUFF_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) level = (tuff_log_level)i;
    return (tuff_log_receiver){fn, level, user};
}

void tuff_set_log(tuff_log_fn fn, tuff_log_level level, void *user)
{
    everyones = tuff_log_receiver_of(fn, level, user);
}

static void deliver(const tuff_log_receiver *to, tuff_log_level level, const char *format, va_list args)
{
    if (!to->fn || level > to->level || inside) return;
    char line[1024];
    if (vsnprintf(line, sizeof line, format, args) < 0) return;
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    inside = true;
    tuff_lock_global(TUFF_LOCK_LOG);
    to->fn(level, line, to->user);
    tuff_unlock_global(TUFF_LOCK_LOG);
    inside = false;
}

void tuff_log(tuff_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    deliver(&everyones, level, format, args);
    va_end(args);
}

void tuff_log_to(const tuff_log_receiver *to, tuff_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    deliver(to && to->fn ? to : &everyones, level, format, args);
    va_end(args);
}
