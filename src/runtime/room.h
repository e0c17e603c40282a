/* Whether there is room, asked before any of it is taken. */
#ifndef TUFF_RUNTIME_ROOM_H
#define TUFF_RUNTIME_ROOM_H

#include <tuff/device.h>

/* TUFF_OUT_OF_MEMORY when a device that computes in the host's memory is to hold more than the host has free:
 * systems that promise more memory than they have end the process that uses it. Other devices refuse by
 * themselves. `what` begins the sentence: "training"; `remedy` ends it, what needs less: "shorter blocks
 * need". */
TUFF_MUST_USE tuff_status tuff_room_check(const tuff_device *device, uint64_t bytes, const char *what,
                                          const char *remedy);

#endif
