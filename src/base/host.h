/* Where and when this runs, for reports. */
#ifndef TUFF_BASE_HOST_H
#define TUFF_BASE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/text.h"

/* The machine's name, "" when unknown. */
void tuff_host_name(char *out, size_t size);
/* "Linux 6.1.0 x86_64" */
void tuff_host_system(char *out, size_t size);
/* "2026-11-21T15:04:05Z": now. * */
enum { TUFF_UTC_SIZE = 32 };
void tuff_utc_now(char out[TUFF_UTC_SIZE]);
/* Now, in seconds since 1970, by UTC. */
double tuff_wall_seconds(void);
/* Of this process. */
int64_t tuff_process_id(void);
/* Now, on the clocks of the place that the machine is set to; a time in seconds since 1970, by UTC. False: no
 * date. */
bool tuff_local_time(struct tm *out);
bool tuff_utc_time(int64_t seconds, struct tm *out);
/* Appends a line "NAME=value" for each variable of the environment whose name begins with one of `prefixes`
 * (ended by NULL), in the order of their names. */
void tuff_environment_lines(const char *const *prefixes, tuff_buf *out);

#endif
