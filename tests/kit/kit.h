/* What the tests share: cmocka with the headers it wants, failing allocations, temporary directories, child
 * processes. */
#ifndef TUFF_TESTS_KIT_H
#define TUFF_TESTS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tuff/device.h>
#include <tuff/host.h>
#include <tuff/status.h>

#include "base/text.h"

/* Fails the test, printing the library's error text, when a call does not return TUFF_OK. */
#define KIT_OK(expression) kit_expect_status((expression), TUFF_OK, #expression, __FILE__, __LINE__)
/* Fails the test unless the call returns `expected` and the error text contains `part`. */
#define KIT_FAILS(expression, expected, part)                                         \
    do {                                                                              \
        kit_expect_status((expression), (expected), #expression, __FILE__, __LINE__); \
        kit_expect_message((part), #expression, __FILE__, __LINE__);                  \
    } while (0)
void kit_expect_status(tuff_status found, tuff_status expected, const char *what, const char *file, int line);
void kit_expect_message(const char *part, const char *what, const char *file, int line);

/* Opens the CPU; fails the test where that fails. */
tuff_device *kit_cpu(void);

/* Makes the n-th allocation from now (1 is the next) fail, once; 0 never. */
void kit_fail_allocation(uint64_t n);
bool kit_allocation_failed(void); /* since kit_fail_allocation */
/* Runs fn(user) again and again, failing its first, second, ... allocation, until a run needs no more. Each
 * run must return TUFF_OUT_OF_MEMORY, or TUFF_OK if it can do without, and free all it allocated. The last
 * run must succeed. The first run, without failures, may keep what is made only once per process. Returns the
 * number of allocations failed. */
unsigned kit_for_each_allocation_failure(tuff_status (*fn)(void *user), void *user);

/* The counters of tuff_get_host_stats, and those of a device. */
uint64_t kit_live(void);
uint64_t kit_allocations(void);
tuff_device_stats kit_device_stats(const tuff_device *device);

/* A fresh directory, removed with all its contents when the process exits. Valid until then. */
const char *kit_temp_directory(void);
/* "<kit_temp_directory of this process>/<name>", in one of 16 rotating buffers. */
const char *kit_temp_path(const char *name);
/* Number of entries of a directory, hidden ones too; -1 when it cannot be read. */
int kit_count_entries(const char *path);
/* Creates or replaces a file, failing the test if it cannot. */
void kit_write_file(const char *path, const void *data, size_t size);
/* TUFF_TEST_ASSETS/<name>, or a skipped test when the environment variable is missing. Rotating buffers, as
 * above. */
const char *kit_asset(const char *name);

/* The larger of a distance so far and that of a and b. NaN, once there is one, stays: it is below no bound.
 */
double kit_farther(double most, double a, double b);

/* A finished child process. */
typedef struct kit_result {
    int exit_code; /* 128 + signal when killed by one */
    tuff_buf out, err;
} kit_result;
/* Runs argv[0] (looked up in PATH) and waits; argv ends in NULL. */
void kit_run(const char *const argv[], kit_result *out_result);
/* Runs the `tuff` command with these arguments, the last one NULL. */
void kit_tuff(kit_result *out_result, ...);
void kit_result_free(kit_result *result);

#endif
