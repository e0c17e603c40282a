/* Files: reading, whole or in pieces, and writing so that nothing half-written is ever left behind. */
#ifndef TUFF_BASE_FILE_H
#define TUFF_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"

/* A file that stays open and is read piece by piece, so that one which another process shortens meanwhile is
 * an error and no signal. {0} is none. Errors name the path and the operating system's reason. What is no
 * regular file is refused, without waiting for it. */
typedef struct tuff_file {
    char *path;
    uint64_t size, device, inode, changed; /* of the file when it was opened */
    int handle;                            /* for tuff_read_at, until it is closed; 0: none */
} tuff_file;
TUFF_MUST_USE tuff_status tuff_file_open(const char *path, tuff_file *out);
void tuff_file_close(tuff_file *file);
/* Copies its bytes; TUFF_IO where they are no longer there. Thread-safe. */
TUFF_MUST_USE tuff_status tuff_file_read(const tuff_file *file, uint64_t offset, void *out, size_t size);
/* The same, naming `path`, by an open file's `handle`. */
TUFF_MUST_USE tuff_status tuff_read_at(int handle, const char *path, uint64_t offset, void *out, size_t size);
/* TUFF_IO when the file was written to, shortened or lengthened since. One that was removed or replaced by
 * another file is still as it was. */
TUFF_MUST_USE tuff_status tuff_file_check(const tuff_file *file);

/* A whole file as memory, of which only a beginning has been read so far; what lies behind that must not be
 * looked at. {0} is empty. Addresses do not change as more is read. */
typedef struct tuff_mapping {
    const uint8_t *data;
    size_t size, filled;
    tuff_file file;
} tuff_mapping;
TUFF_MUST_USE tuff_status tuff_map_file(const char *path, tuff_mapping *out);
void tuff_unmap_file(tuff_mapping *mapping);
/* Reads on until the first `size` bytes are there, which the file must have had. */
TUFF_MUST_USE tuff_status tuff_mapping_fill(tuff_mapping *mapping, size_t size);

/* Reads a whole file; fails past `limit` bytes, and at once for pipes, devices and directories. */
TUFF_MUST_USE tuff_status tuff_read_file(const char *path, size_t limit, tuff_buf *out);

/* The same, also of a pipe or a terminal, for text that a user may pass from another program: "/dev/stdin", a
 * shell's <(...). A pipe that nobody writes into is given up after 10 seconds. */
TUFF_MUST_USE tuff_status tuff_read_stream(const char *path, size_t limit, tuff_buf *out);

bool tuff_is_file(const char *path);
bool tuff_is_directory(const char *path);
/* Whether both names lead to one file that is there. */
bool tuff_is_same_file(const char *a, const char *b);
/* The first name in a directory, in the order of bytes, that ends so: a fresh string (tuff_free), NULL when
 * there is none or memory or the right to read fails. For messages. */
char *tuff_first_name(const char *directory, const char *ending);
bool tuff_is_regular_file(const char *path); /* no pipe, no device */
/* Names, each with a NUL behind it. {0} is empty. */
typedef struct tuff_names {
    tuff_buf text;
    size_t count;
} tuff_names;
void tuff_names_free(tuff_names *names);
/* The files of a directory that are not hidden, in the order of bytes; directories in it are passed over. */
TUFF_MUST_USE tuff_status tuff_directory_files(const char *directory, tuff_names *out);
/* "dir/name" into a fresh string (tuff_free), NULL when out of memory. */
char *tuff_path_join(const char *directory, const char *name);
/* The part after the last separator. */
const char *tuff_path_name(const char *path);
TUFF_MUST_USE tuff_status tuff_make_directories(const char *path);

/* A file being written under a temporary name beside `path`; commit flushes to the disk and renames, abort
 * removes it. Errors are sticky: a failed write (a full disk) is reported by commit too. A symbolic link is
 * followed; a pipe or a device is written directly; a
 * pipe that nobody reads is given up after 10 seconds. What killed processes left of such files in the same
 * directory is removed. */
typedef struct tuff_writer tuff_writer;
TUFF_MUST_USE tuff_status tuff_writer_open(const char *path, tuff_writer **out);
TUFF_MUST_USE tuff_status tuff_writer_write(tuff_writer *writer, const void *data, size_t size);
TUFF_MUST_USE tuff_status tuff_writer_commit(tuff_writer **writer); /* frees it, also on failure */
void tuff_writer_abort(tuff_writer **writer);
TUFF_MUST_USE tuff_status tuff_write_file(const char *path, const void *data, size_t size);

/* A new file that grows, for others who follow it: each write is there for them at once. What is at `path`
 * already is an error. */
typedef struct tuff_append tuff_append;
TUFF_MUST_USE tuff_status tuff_append_open(const char *path, tuff_append **out);
TUFF_MUST_USE tuff_status tuff_append_write(tuff_append *file, const void *data, size_t size);
void tuff_append_close(tuff_append **file);
void tuff_append_remove(tuff_append **file); /* the same, and it is gone */

/* The user's cache folder for Tuff: TUFF_CACHE_DIR, else XDG_CACHE_HOME/tuff, else ~/.cache/tuff. False: none
 * usable. */
bool tuff_cache_directory(tuff_buf *out);
/* Removes a pipe or a device that lies where a file is expected. */
void tuff_remove_stream(const char *path);
/* tuff_write_file, making the directories above the file that are not there, and replacing whatever is in its
 * place but a directory. */
TUFF_MUST_USE tuff_status tuff_write_cache_file(const char *path, const void *data, size_t size);
/* Marks a file as used now; whether it could be does not matter. */
void tuff_touch_file(const char *path);

#endif
