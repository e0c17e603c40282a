/* Event files, which TensorBoard shows: records of protobuf messages, with a masked CRC-32C around each. */
#ifndef TUFF_TRAIN_EVENTS_H
#define TUFF_TRAIN_EVENTS_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct tuff_events tuff_events;

/* Makes the directory, and in it a new file that comes after those that are there. What they have of the
 * steps after `done`, readers forget: a training that goes on, or another one in its place, is one curve.
 * *out_first (may be NULL): there were none of Tuff's. */
TUFF_MUST_USE tuff_status tuff_events_open(const char *directory, int64_t done, tuff_events **out_events,
                                           bool *out_first);
/* A file without a step is removed, with the directories that were made for it. */
void tuff_events_close(tuff_events **events);
void tuff_events_remove(tuff_events **events); /* the same of any file */

/* Figures of a step under their tags: begun, then each, then written at once. */
void tuff_events_begin(tuff_events *events);
void tuff_events_scalar(tuff_events *events, const char *tag, double value);
/* A text, as it is; bytes that are not UTF-8 become U+FFFD. */
void tuff_events_text(tuff_events *events, const char *tag, const char *text, size_t size);
/* Nothing is written of a step without any. After a failure nothing is written any more. */
TUFF_MUST_USE tuff_status tuff_events_write(tuff_events *events, int64_t step);

/* A record of a message. */
void tuff_events_record(tuff_buf *out, const void *message, size_t size);

#endif
