/* The parts of stages: the folder with its lock, and moving files into place. */
#ifndef TUFF_BASE_STAGE_OS_H
#define TUFF_BASE_STAGE_OS_H

#include <stdbool.h>

#include "base/stage_record.h"

#define TUFF_STAGE_FOLDER ".tuff-stage"  /* within the directory; ".NAME.tuff-stage" beside it */
#define TUFF_STAGE_RECORD ".tuff-commit" /* within the stage: what is to be moved */

typedef tuff_status (*tuff_entry_fn)(const char *path, const char *name, void *user);
/* Calls fn for each entry of a directory except "." and "..", until one fails. */
TUFF_MUST_USE tuff_status tuff_for_each_entry(const char *path, tuff_entry_fn fn, void *user);
/* Removes what is in a directory, following no link. Best effort: what cannot be removed stays. */
void tuff_remove_entries(const char *path);
/* The same, and the directory itself. */
void tuff_remove_tree(const char *path);

/* Opens a folder and locks it: *out_fd, or -1 where it is not there. `make_for`: makes it if need be, for
 * this directory, which is named in errors; NULL: does not. *out_busy: somebody else has the lock. The lock
 * ends when the descriptor is closed. */
TUFF_MUST_USE tuff_status tuff_lock_folder(const char *path, const char *make_for, int *out_fd,
                                           bool *out_busy);

/* Moves the files of a record from the stage into `target`, those that are not yet there, and removes the
 * ones to be removed. *out_moved: whether anything was changed. */
TUFF_MUST_USE tuff_status tuff_stage_apply(const char *target, const char *stage,
                                           const tuff_stage_record *record, bool *out_moved);
/* Of a locked stage in `target`: if it has a record, does the moves that are left, then removes the record.
 */
TUFF_MUST_USE tuff_status tuff_stage_complete(const char *target, const char *stage);

#endif
