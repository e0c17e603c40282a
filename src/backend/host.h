/* Host kernels on behalf of a device: what they share from call to call. */
#ifndef TUFF_BACKEND_HOST_H
#define TUFF_BACKEND_HOST_H

#include "base/status.h"
#include "ir/plan.h"

typedef struct tuff_host tuff_host;
/* `threads` 0: as many as there are processors to use. */
TUFF_MUST_USE tuff_status tuff_host_create(unsigned threads, tuff_host **out);
void tuff_host_destroy(tuff_host **host);

unsigned tuff_host_threads(const tuff_host *host);

/* Runs one step's host kernel. A device's user threads may call it at the same time. */
void tuff_host_run(tuff_host *host, const tuff_plan_step *step, const void *const *in, void *const *out,
                   void *scratch);

#endif
