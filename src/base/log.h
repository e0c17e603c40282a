/* Messages to the host program. The library never prints. */
#ifndef TUFF_BASE_LOG_H
#define TUFF_BASE_LOG_H

#include <tuff/host.h>

/* Who receives messages, and up to which level. */
typedef struct tuff_log_receiver {
    tuff_log_fn fn;
    tuff_log_level level;
    void *user;
} tuff_log_receiver;
/* The level is TUFF_LOG's where that is set. */
tuff_log_receiver tuff_log_receiver_of(tuff_log_fn fn, tuff_log_level level, void *user);

/* A message that concerns no device: to the receiver of tuff_set_log. */
void tuff_log(tuff_log_level level, const char *format, ...) TUFF_PRINTF(2, 3);
/* A message that concerns a device: to its receiver. NULL or without a function: as tuff_log. */
void tuff_log_to(const tuff_log_receiver *to, tuff_log_level level, const char *format, ...)
    TUFF_PRINTF(3, 4);

#endif
