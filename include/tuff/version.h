/* The version. This file is its only home: the build reads the three numbers from here. */
#ifndef TUFF_VERSION_H
#define TUFF_VERSION_H

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUFF_VERSION_MAJOR 0
#define TUFF_VERSION_MINOR 2
#define TUFF_VERSION_PATCH 0

/* The three as a string, "1.2.3". */
#define TUFF_VERSION TUFF_VERSION_JOIN_(TUFF_VERSION_MAJOR, TUFF_VERSION_MINOR, TUFF_VERSION_PATCH)
#define TUFF_VERSION_JOIN_(a, b, c) \
    TUFF_VERSION_QUOTE_(a) "." TUFF_VERSION_QUOTE_(b) "." TUFF_VERSION_QUOTE_(c)
#define TUFF_VERSION_QUOTE_(x) #x

/* Whether the headers that a program is compiled with are of this version or a later one:
 *     #if TUFF_VERSION_AT_LEAST(0, 2, 0) */
#define TUFF_VERSION_AT_LEAST(major, minor, patch)                                                      \
    (TUFF_VERSION_MAJOR > (major) || (TUFF_VERSION_MAJOR == (major) && TUFF_VERSION_MINOR > (minor)) || \
     (TUFF_VERSION_MAJOR == (major) && TUFF_VERSION_MINOR == (minor) && TUFF_VERSION_PATCH >= (patch)))

/* The version of the library that the program runs with; TUFF_VERSION is that of the headers it was compiled
 * with. Thread-safe. */
TUFF_API const char *tuff_version(void);

#ifdef __cplusplus
}
#endif
#endif
