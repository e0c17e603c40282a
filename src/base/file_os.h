/* What the file code shares among itself: the operating system's side of paths. */
#ifndef TUFF_BASE_FILE_OS_H
#define TUFF_BASE_FILE_OS_H

#include <tuff/status.h>

#include "base/text.h"

/* "cannot <verb> <path>: <the system's reason>"; takes errno. */
tuff_status tuff_fail_errno(const char *verb, const char *path);

/* The directory part of a path, "." when there is none, into an empty buffer. */
TUFF_MUST_USE tuff_status tuff_path_parent(const char *path, tuff_buf *out);

/* The file that a path names, through symbolic links, which stay; the path itself where it names none. Freed
 * with tuff_free; NULL: out of memory. */
char *tuff_linked_path(const char *path);

/* As tuff_make_directories; *out_created_at is the length of the first part of `path` that had to be made, 0
 * if none. On failure nothing made remains. */
TUFF_MUST_USE tuff_status tuff_make_directories_from(const char *path, size_t *out_created_at);
/* Takes back the directories made, deepest first, as far as they are empty. */
void tuff_unmake_directories(const char *path, size_t created_at);

#define TUFF_TEMPORARY_PREFIX ".tuff-"
/* A fresh hidden name in `directory`, unique in this process, into an empty buffer. */
TUFF_MUST_USE tuff_status tuff_temporary_name(const char *directory, tuff_buf *out);

#endif
