/* A file that is made over a long time, piece by piece, and gone on with after an interruption: "<path>.part"
 * until it is whole. One process writes it at a time. */
#ifndef TUFF_BASE_PART_H
#define TUFF_BASE_PART_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/status.h"

typedef struct tuff_part tuff_part;

/* Opens what an earlier process left, or makes a new one. TUFF_IO when another process has it open. */
TUFF_MUST_USE tuff_status tuff_part_open(const char *path, tuff_part **out_part);
/* Lets go of it: what was written stays. */
void tuff_part_close(tuff_part **part);
/* Removes and closes it; NULL is fine. */
void tuff_part_discard(tuff_part **part);

uint64_t tuff_part_size(const tuff_part *part);
/* Makes it at most so many bytes long; the next bytes follow there. */
TUFF_MUST_USE tuff_status tuff_part_cut(tuff_part *part, uint64_t size);
/* Appends. Errors name the final path. */
TUFF_MUST_USE tuff_status tuff_part_write(tuff_part *part, const void *data, size_t size);
/* Writes over its first bytes, which are there. */
TUFF_MUST_USE tuff_status tuff_part_write_head(tuff_part *part, const void *data, size_t size);
/* What was written is on the disk. */
TUFF_MUST_USE tuff_status tuff_part_sync(tuff_part *part);
/* Syncs, renames to the final path, over what is there, and closes; after a failure the part is still there.
 */
TUFF_MUST_USE tuff_status tuff_part_commit(tuff_part **part);

#endif
