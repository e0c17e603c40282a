/* Which kernel rows of a device are trusted: each is tested when a program first wants it, by driver. */
#ifndef TUFF_RUNTIME_ROW_TRUST_H
#define TUFF_RUNTIME_ROW_TRUST_H

#include "backend/backend.h"
#include "runtime/device.h"

/* What is known of one device's rows, in this process and in the cache folder. Thread-safe. `identity` is the
 * backend's; "": nothing is kept on disk. The device, whose backend's is open, must outlive it. */
typedef struct tuff_row_trust tuff_row_trust;
TUFF_MUST_USE tuff_status tuff_row_trust_create(tuff_device *device, const char *identity,
                                                tuff_row_trust **out);
void tuff_row_trust_destroy(tuff_row_trust **trust);

/* The device's capabilities, less the rows found wrong so far. */
void tuff_row_trust_caps(tuff_row_trust *trust, tuff_caps *out);

/* Tests the rows of the plan that were not tested yet, each of which is told to the watch (TUFF_PHASE_TEST),
 * which may be NULL. *out_changed: some are wrong and now quarantined, so the graph is to be planned again.
 * Fails only when a test cannot be run: memory, a lost device, a request to stop. */
TUFF_MUST_USE tuff_status tuff_row_trust_check(tuff_row_trust *trust, const tuff_plan *plan,
                                               const tuff_device_info *device, const tuff_watch *watch,
                                               bool *out_changed);

/* What the cache folder says of a device that is not open: fills rows_tested, rows_wrong, wrong_rows. */
void tuff_row_trust_recall(const char *identity, tuff_device_info *info);

/* ---- what src/conform/row_tests.c provides ---- */

/* The suite's cases as tests of rows. The shaders of a launch and their constants tell variants of one row
 * apart. */
typedef struct tuff_row_tests tuff_row_tests;
TUFF_MUST_USE tuff_status tuff_row_tests_create(tuff_backend_device *device, tuff_row_tests **out);
void tuff_row_tests_destroy(tuff_row_tests **tests);

/* A kernel: a row with the shaders that its launch runs and their specialization constants, whatever their
 * order and repetition. Without `constants`: with any. */
typedef struct tuff_row_key {
    uint64_t shaders, constants;
    uint32_t op, row;
} tuff_row_key;
tuff_row_key tuff_row_key_of(tuff_op op, int row, const tuff_launch *launch);

/* True when a case reaches the kernel with its very constants. */
bool tuff_row_tests_reach(const tuff_row_tests *tests, const tuff_row_key *key);
/* Runs the cases chosen for a kernel; all other operations of its graph run on the host. *out_held: right, or
 * no case reaches it. Else `why` receives the first fault. */
TUFF_MUST_USE tuff_status tuff_row_tests_run(tuff_row_tests *tests, const tuff_row_key *key, bool *out_held,
                                             tuff_buf *why);

#endif
