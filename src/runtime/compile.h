/* A device that plans and compiles and runs nothing, over one of a backend: what its programs would run is
 * kept. */
#ifndef TUFF_RUNTIME_COMPILE_H
#define TUFF_RUNTIME_COMPILE_H

#include "backend/backend.h"

/* Puts such a device in the place of *device, which it takes over: it is closed with it, at once when this
 * fails. The new one's backend (*device)->backend is its own. */
TUFF_MUST_USE tuff_status tuff_compile_only(tuff_backend_device **device);

/* Its kernels so far, for each dispatch once, in no order: memory of the device, which grows as programs are
 * made. Call it while none is. */
size_t tuff_compile_count(const tuff_backend_device *device);
const tuff_kernel *tuff_compile_at(const tuff_backend_device *device, size_t index);

#endif
