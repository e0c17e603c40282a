/* Stages, as the library uses them: see <tuff/stage.h>. */
#ifndef TUFF_BASE_STAGE_H
#define TUFF_BASE_STAGE_H

#include <stddef.h>
#include <tuff/stage.h>

#include "base/text.h"

/* The commit also removes those of these names that the stage has no new file of: loaders would take them for
 * parts of the new model. The names must outlive the stage. */
void tuff_stage_replaces(tuff_stage *stage, const char *const *names, size_t count);

/* Before anything in `directory` is read: completes a commit that was cut short. TUFF_IO when this process
 * has no right to, when another one is at it for more than some seconds, or when its record is damaged; the
 * text says what to do. */
TUFF_MUST_USE tuff_status tuff_stage_settle(const char *directory);

/* Reads several files that belong together: settles the directory, calls `read`, and calls it again when a
 * commit replaced some of the files meanwhile, so that what it has read at last is all old or all new. What
 * `read` returns is what counts; before another call `undo` frees what it made. TUFF_IO when the files change
 * again and again. */
TUFF_MUST_USE tuff_status tuff_stage_read(const char *directory, tuff_status (*read)(void *user),
                                          void (*undo)(void *user), void *user);

/* What a path within a stage is called once it is in place, for messages: "out/x" for "out/.tuff-stage/x" and
 * for ".out.tuff-stage/x"; other paths as they are. */
TUFF_MUST_USE tuff_status tuff_stage_final_path(const char *path, tuff_buf *out);

/* Takes a directory away whole: it is renamed first, so that one that is half removed never has its name.
 * What of it cannot be removed stays under the other name, for tuff_stage_clean. Errors: TUFF_IO where it
 * cannot be renamed. */
TUFF_MUST_USE tuff_status tuff_stage_remove(const char *directory);
/* Removes what processes that were killed left in `parent`: stages of directories whose names begin with
 * `prefix`, and what tuff_stage_remove had renamed. Stages that are in use stay. Best effort. */
void tuff_stage_clean(const char *parent, const char *prefix);

#endif
