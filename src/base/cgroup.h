/* What the kernel's control group files say, as functions of their bytes. */
#ifndef TUFF_BASE_CGROUP_H
#define TUFF_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The process's group, "/a/b", from /proc/self/cgroup: version 2's line "0::/a/b", or version 1's line that
 * has the controller "memory". False when there is no such line, or the path does not fit. */
bool tuff_cgroup_path(const char *text, size_t size, int version, char *out_path, size_t capacity);

/* The same for any controller of version 1; NULL: version 2's line. */
bool tuff_cgroup_path_of(const char *text, size_t size, const char *controller, char *out_path,
                         size_t capacity);

/* cpu.max: "quota period", both in microseconds: how many processors' time that is, rounded up. 0: no limit.
 */
unsigned tuff_cgroup_quota(const char *text, size_t size);

/* A file of one number: memory.max, memory.current, memory.limit_in_bytes. UINT64_MAX for "max", for version
 * 1's "no limit", which is near 2^63, and for what is no number. */
uint64_t tuff_cgroup_number(const char *text, size_t size);

/* The number of "key 123" in memory.stat; 0 when it is not there. */
uint64_t tuff_cgroup_stat(const char *text, size_t size, const char *key);

#endif
