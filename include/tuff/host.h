/* What the library needs of its host program: memory and a place for messages. Both may be replaced once,
 * before any other call into the library. */
#ifndef TUFF_HOST_H
#define TUFF_HOST_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `realloc` must accept NULL, `free` must accept NULL. */
typedef struct tuff_allocator {
    size_t struct_size; /* set by TUFF_ALLOCATOR_INIT */
    void *(*malloc)(size_t size, void *user);
    void *(*realloc)(void *pointer, size_t size, void *user);
    void (*free)(void *pointer, void *user);
    void *user;
} tuff_allocator;
#define TUFF_ALLOCATOR_INIT                            \
    {                                                  \
        sizeof(tuff_allocator), NULL, NULL, NULL, NULL \
    }
/* Replaces malloc, realloc and free for all host memory of the library; NULL restores the C library's. All
 * three functions are needed. Not thread-safe: call it before anything else. */
TUFF_API TUFF_MUST_USE tuff_status tuff_set_allocator(const tuff_allocator *allocator);

/* Counters of the host allocations made through the allocator since the process started. */
typedef struct tuff_host_stats {
    size_t struct_size;   /* set by TUFF_HOST_STATS_INIT */
    uint64_t allocations; /* calls that returned memory */
    uint64_t live;        /* allocations not yet freed */
} tuff_host_stats;
#define TUFF_HOST_STATS_INIT          \
    {                                 \
        sizeof(tuff_host_stats), 0, 0 \
    }
/* Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_get_host_stats(tuff_host_stats *out_stats);

typedef enum tuff_log_level { TUFF_LOG_ERROR, TUFF_LOG_WARN, TUFF_LOG_INFO, TUFF_LOG_DEBUG } tuff_log_level;

/* Receives each message as one line without a newline. May be called from any thread, one call at a time. */
typedef void (*tuff_log_fn)(tuff_log_level level, const char *message, void *user);

/* Sets the receiver of messages up to `level`; NULL (the default) drops all. A device may have a receiver of
 * its own: tuff_device_params. Environment
 * TUFF_LOG=error|warn|info|debug overrides the level. The library itself never prints. Not thread-safe: call
 * it before anything else. */
TUFF_API void tuff_set_log(tuff_log_fn fn, tuff_log_level level, void *user);

#ifdef __cplusplus
}
#endif
#endif
