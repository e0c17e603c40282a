/* The texts of masks: settings, and named sets of them. */
#ifndef TUFF_CONFORM_MASKS_H
#define TUFF_CONFORM_MASKS_H

#include "base/status.h"
#include "ir/mask.h"

/* Reads "phone,shared=16384"; of sizes given twice the lesser counts, of subgroups the last. */
TUFF_MUST_USE tuff_status tuff_mask_parse(const char *text, tuff_mask *out);

#endif
