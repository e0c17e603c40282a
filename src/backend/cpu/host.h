/* The host inside: what a kernel finds there. */
#ifndef TUFF_BACKEND_CPU_HOST_H
#define TUFF_BACKEND_CPU_HOST_H

#include "backend/cpu/products.h"
#include "backend/host.h"
#include "base/pool.h"

/* Of the device that the calling thread works for; NULL outside tuff_host_run. */
tuff_host *tuff_host_current(void);
/* NULL for the host NULL. */
tuff_pool *tuff_host_pool(tuff_host *host);
tuff_products *tuff_host_products(tuff_host *host);
/* Memory for a thread's share of a kernel, TUFF_HOST_PIECE bytes aligned to 64, to be given back. NULL: there
 * is none. */
enum { TUFF_HOST_PIECE = 1536 << 10 };
void *tuff_host_take(tuff_host *host);
void tuff_host_give(tuff_host *host, void *memory);
/* Makes the calling thread work for `host`; gives the one that it worked for before. */
tuff_host *tuff_host_swap(tuff_host *host);

#endif
