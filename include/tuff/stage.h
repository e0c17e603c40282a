/* Output directories that change whole or not at all. */
#ifndef TUFF_STAGE_H
#define TUFF_STAGE_H

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A directory that is being written. Its files are collected in a folder of their own, the stage, and come
 * into place together when it is committed.
 *
 * Where the directory exists, the stage is its subfolder ".tuff-stage". A commit first lists all files in a
 * record on the disk and then moves them one by one. If the process is killed before the record is there, the
 * old files are untouched. If it is killed after it, the next call of Tuff that loads from the directory or
 * writes to it moves the rest first, so that it sees the new files only. Files of other names are never
 * touched.
 *
 * Where the directory does not exist, the stage lies beside it as ".NAME.tuff-stage" and is renamed.
 *
 * While a stage is open, others are refused, in this process and in others. What a killed process left is
 * removed by the next one that opens a stage for the same directory. File systems without flock have no such
 * protection. Belongs to one thread at a time. */
typedef struct tuff_stage tuff_stage;

/* Claims `directory`, making the directories above it. Errors: TUFF_IO when somebody else is writing to it,
 * when it is a file, or when it cannot be written to. */
TUFF_API TUFF_MUST_USE tuff_status tuff_stage_open(const char *directory, tuff_stage **out_stage);
/* The folder that the files lie in until then. You may write files of your own there, also in folders of
 * one level, under names that do not begin with ".tuff-"; they come into place with the others. Owned by the
 * stage; NULL for NULL.
 */
TUFF_API const char *tuff_stage_path(const tuff_stage *stage);
/* Puts all files in place. The stage is freed, also on failure. After a failure the directory is as it was,
 * unless the message says that files remain to be moved. */
TUFF_API TUFF_MUST_USE tuff_status tuff_stage_commit(tuff_stage **stage);
/* The same, but files that cannot be put in place are kept, if only they can be renamed: *out_kept is then
 * the folder that they are in, "DIRECTORY/unsaved" or "DIRECTORY.unsaved" (with a number where that is there
 * already), freed with tuff_free. NULL after success, when the message says that files remain to be moved,
 * and when they are lost. `out_kept` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_stage_commit_or_keep(tuff_stage **stage, char **out_kept);
/* Removes the stage with its files, and the directories that were made for it. */
TUFF_API void tuff_stage_abort(tuff_stage **stage);

#ifdef __cplusplus
}
#endif
#endif
