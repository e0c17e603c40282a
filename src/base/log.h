/* Messages to the host program. The library never prints. */
#ifndef TUFF_BASE_LOG_H
#define TUFF_BASE_LOG_H

#include <tuff/host.h>

void tuff_log(tuff_log_level level, const char *format, ...) TUFF_PRINTF(2, 3);

#endif
