/* The error idiom: return tuff_fail(...) at the first cause, tuff_note(...) to add context on the way up. */
#ifndef TUFF_BASE_STATUS_H
#define TUFF_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <tuff/status.h>

/* Sets the thread's error text and returns `status`. The text is one sentence: what, where, found, expected,
 * what to do. */
tuff_status tuff_fail(tuff_status status, const char *format, ...) TUFF_PRINTF(2, 3);

/* Shows the compiler which status comes back, so that it does not think a failed call's outputs are used. */
#define tuff_fail(status, ...)                \
    __extension__({                           \
        tuff_status fail_status_ = (status);  \
        tuff_fail(fail_status_, __VA_ARGS__); \
        fail_status_;                         \
    })

/* Puts "<note>: " before the thread's error text and returns `status` unchanged; a no-op for TUFF_OK. */
tuff_status tuff_note(tuff_status status, const char *format, ...) TUFF_PRINTF(2, 3);

/* Out of host memory; `what` says what was being allocated. */
tuff_status tuff_fail_memory(const char *what);
#define tuff_fail_memory(what)        \
    __extension__({                   \
        (void)tuff_fail_memory(what); \
        TUFF_OUT_OF_MEMORY;           \
    })

/* The arguments of public functions. One that may not be NULL: */
#define TUFF_NEED(argument)                                                                              \
    do {                                                                                                 \
        if (!(argument))                                                                                 \
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the argument %s is NULL", __func__, #argument); \
    } while (0)
/* where a result goes, which is 0 or NULL until there is one: */
#define TUFF_NEED_OUT(argument) \
    do {                        \
        TUFF_NEED(argument);    \
        *(argument) = 0;        \
    } while (0)
/* `count` elements, NULL only when there are none: */
#define TUFF_NEED_MANY(argument, count)                                                                      \
    do {                                                                                                     \
        if (!(argument) && (count) > 0)                                                                      \
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the argument %s is NULL, and %s is %lld", __func__, \
                             #argument, #count, (long long)(count));                                         \
    } while (0)

/* Propagates a failure to the caller. */
#define TUFF_TRY(expression)                            \
    do {                                                \
        tuff_status try_status_ = (expression);         \
        if (try_status_ != TUFF_OK) return try_status_; \
    } while (0)

/* Propagates a failure through a `done:` label; needs a local `tuff_status status`. */
#define TUFF_GO(expression)               \
    do {                                  \
        status = (expression);            \
        if (status != TUFF_OK) goto done; \
    } while (0)

/* Broken invariants of our own only; never for a caller's mistake or a bad file. On in every build. */
#define TUFF_ASSERT(condition) ((condition) ? (void)0 : tuff_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void tuff_assert_failed(const char *condition, const char *file, int line);

#endif
