/* A file of Tuff's own as memory that the system fetches as it is looked at, and takes back where others need
 * the room: it may be larger than the machine's memory. Only of files that nobody changes once they have
 * their name: one that is shortened while it is looked at ends the process. Removing or replacing it is
 * harmless. */
#ifndef TUFF_BASE_PAGES_H
#define TUFF_BASE_PAGES_H

#include "base/file.h"

/* {0} is none. */
typedef struct tuff_pages {
    const void *data;
    size_t size;
} tuff_pages;
/* All of a file that is open, which may be closed afterwards. */
TUFF_MUST_USE tuff_status tuff_pages_open(const tuff_file *file, tuff_pages *out);
void tuff_pages_close(tuff_pages *pages);

#endif
