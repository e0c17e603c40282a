/* What a process leaves on the disk that is killed there. */
#ifndef TUFF_TESTS_KILLED_H
#define TUFF_TESTS_KILLED_H

#include <stdbool.h>
#include <tuff/status.h>

#include "base/disk.h"

/* For tuff_disk_hook: what the disk is asked to do, it does; waiting for it takes long, and changes nothing
 * in tests. */
int kit_never_sync(tuff_disk_step step, const char *path);

/* Runs fn(user) in a child that dies at its n-th step on the disk; false when it got to its end before. The
 * CPU's threads do not follow it there: its device computes on one. */
bool kit_killed_at(int n, tuff_status (*fn)(void *user), void *user);

#endif
