/* The calls that change what is on the disk. All writing goes through these, so that a test can make any one
 * of them fail, or be the last one of a process. Interrupted calls are repeated; on failure errno says why.
 */
#ifndef TUFF_BASE_DISK_H
#define TUFF_BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>

typedef enum tuff_disk_step {
    TUFF_DISK_MAKE_DIRECTORY,
    TUFF_DISK_CREATE,
    TUFF_DISK_WRITE,
    TUFF_DISK_SYNC,
    TUFF_DISK_RENAME,
    TUFF_DISK_REMOVE
} tuff_disk_step;

/* For tests: called before each step. 0 lets it happen, TUFF_DISK_SKIP counts a TUFF_DISK_SYNC as
 * done, any other value is the errno that it fails with. NULL: every step happens. */
enum { TUFF_DISK_SKIP = -1 };
extern int (*tuff_disk_hook)(tuff_disk_step step, const char *path);

bool tuff_disk_make_directory(const char *path);
/* A new file, open for writing, -1 on failure; what lies at `path` already is never opened. */
int tuff_disk_create(const char *path, unsigned mode);
/* A new file without a name in a directory, open for reading and writing; it is gone once it is closed. -1 on
 * failure. */
int tuff_disk_nameless(const char *directory);
/* Makes sure that so many bytes behind `from` can be written without the disk being full. */
bool tuff_disk_reserve(int fd, const char *path, size_t from, size_t size);
/* All of it. */
bool tuff_disk_write(int fd, const char *path, const void *data, size_t size);
bool tuff_disk_sync(int fd, const char *path);
/* Makes the entries of a directory durable. True also where the file system cannot do that. */
bool tuff_disk_sync_directory(const char *path);
bool tuff_disk_rename(const char *from, const char *to);
bool tuff_disk_remove(const char *path);           /* no directory */
bool tuff_disk_remove_directory(const char *path); /* an empty one */

#endif
