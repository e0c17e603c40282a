/* Status codes, error text, and what holds for every function of the library.
 *
 * Errors. Every function that can fail returns a tuff_status. On failure, one sentence for people is kept for
 * the calling thread: what went wrong, where, what was found, what was expected and what to do.
 *
 * Arguments. A pointer may be NULL only where its function says so, or where there are none of what it points
 * to: else the call fails with TUFF_INVALID_ARGUMENT, and pointers to results receive NULL. Functions that
 * return no status do nothing for NULL, or return 0, NULL, false, "" or, where they return an id, -1;
 * builders of graphs return NULL and fail their graph. Destroy functions accept NULL and a pointer to NULL.
 *
 * Structs. A struct that the caller makes begins with struct_size. Start from the struct's macro, which sets
 * the size and the defaults, and then set what you need:
 *
 *     tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
 *     params.name = "cpu";
 *
 * The size tells the library which fields the program was compiled with: later versions add fields at the
 * end, programs made with older headers keep working, and fields that they do not have take their defaults. A
 * program made with newer headers works too, as long as what it sets is known to the library. A struct_size
 * that is 0 or too small is TUFF_INVALID_ARGUMENT. Where a pointer to parameters may be NULL, NULL means all
 * defaults. Structs that the library owns and only points to may also get fields at their end, so do not copy
 * them, and do not step through them as an array. tuff_piece never changes.
 *
 * Enums may get further values in later versions: expect values that you do not know.
 *
 * Threads. A thread that calls the library has at least 256 kB of stack. Kernels, the choice of tokens, and
 * the library's own threads compute with a floating-point environment of their own: rounding to nearest, no
 * traps, denormals kept; the thread's is as it was behind each call and in callbacks. What else a call
 * computes, above all while files are read and objects are made, follows the thread's: it should be the usual
 * one there. The library installs no signal handlers; those of the program may run during any call, and may
 * call what is said to be safe there.
 *
 * Memory that the library gives away as text or as an array is freed with tuff_free, objects with the
 * destroy function of their kind. */
#ifndef TUFF_STATUS_H
#define TUFF_STATUS_H

#include <stddef.h>

/* TUFF_BUILD is defined while the library itself is compiled, TUFF_STATIC in programs that link it
 * statically. */
#if defined(_WIN32) && defined(TUFF_BUILD)
#define TUFF_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(TUFF_STATIC)
#define TUFF_API __declspec(dllimport)
#elif defined(__GNUC__)
#define TUFF_API __attribute__((visibility("default")))
#else
#define TUFF_API
#endif

#if defined(__GNUC__)
#define TUFF_MUST_USE           __attribute__((warn_unused_result))
#define TUFF_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define TUFF_MUST_USE
#define TUFF_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tuff_status {
    TUFF_OK = 0,
    TUFF_INVALID_ARGUMENT, /* the caller's mistake: a bad parameter, shape or name */
    TUFF_NOT_FOUND,        /* no such file, tensor, device or option value */
    TUFF_IO,               /* the operating system refused a read or a write (full disk, no permission) */
    TUFF_BAD_FORMAT,       /* a file is truncated, corrupted or not of the expected kind */
    TUFF_UNSUPPORTED,      /* well-formed, but this build or device cannot do it */
    TUFF_OUT_OF_MEMORY,    /* host or device memory is exhausted */
    TUFF_DEVICE_LOST,      /* the device reset or vanished; reopen it */
    TUFF_NOT_FINITE,       /* NaN or Inf where a finite number is required */
    TUFF_CANCELLED,        /* a callback asked to stop */
    TUFF_INTERNAL          /* a fault of Tuff's own; please report it */
} tuff_status;

/* The calling thread's most recent error: one or more lines, first cause first; "" when none.
 * Owned by the library, valid until the next failing call on the same thread. Thread-safe. */
TUFF_API const char *tuff_error_message(void);

/* A constant lower-case name of a status, such as "bad format". Thread-safe. */
TUFF_API const char *tuff_status_name(tuff_status status);

/* Frees what the library gave away as text or as an array. NULL is ignored. Thread-safe. */
TUFF_API void tuff_free(void *pointer);

#ifdef __cplusplus
}
#endif
#endif
