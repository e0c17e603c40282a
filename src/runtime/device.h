/* A device inside: a backend's device, what it is, and how many objects live on it. */
#ifndef TUFF_RUNTIME_DEVICE_H
#define TUFF_RUNTIME_DEVICE_H

#include <tuff/device.h>
#include <tuff/program.h>

#include "backend/backend.h"
#include "base/os.h"

struct tuff_row_trust;

struct tuff_device {
    const tuff_backend *backend;
    tuff_backend_device *handle;
    tuff_device_info info;
    tuff_log_receiver log;           /* of messages that concern it and what is made on it */
    struct tuff_row_trust *trust;    /* NULL: all kernel rows are trusted */
    bool compiles_only;              /* see runtime/compile.h */
    int users;                       /* atomic: what lives on it, see base/users.h; of these: */
    int live_buffers, live_programs; /* atomic */
    int said_fallback;               /* atomic: that some steps run on the host */
    tuff_plan_order_by order;        /* of its programs' steps; other than automatic in tests */
    uint32_t without_passes;         /* see tuff_plan_options; other than 0 in tests */
    int64_t wide_bytes;              /* see tuff_graph; 0 but in tests: as graphs have it */
};

/* One more that lives on it, one less. */
void tuff_device_keep(tuff_device *device);
void tuff_device_let_go(tuff_device *device);

/* How to open for tests: what the public parameters do not offer. */
typedef struct tuff_device_test_params {
    uint64_t permute; /* see tuff_open_params */
    tuff_mask mask;
    bool must_validate; /* a device without the validation layer is not opened */
    tuff_plan_order_by order;
    uint32_t without_passes; /* see tuff_plan_options */
    int64_t wide_bytes;      /* see tuff_graph; 0: as graphs have it */
    bool no_self_test; /* the conformance suite runs on devices that fail it too: all rows are trusted */
} tuff_device_test_params;
TUFF_MUST_USE tuff_status tuff_device_open_for_test(const tuff_device_params *params,
                                                    const tuff_device_test_params *test,
                                                    tuff_device **out_device);

/* Runs a small graph on the device and compares it with known results; fails with TUFF_NOT_FINITE or
 * TUFF_INTERNAL and a text that says what was wrong. */
TUFF_MUST_USE tuff_status tuff_device_self_test(tuff_device *device);

struct tuff_buffer {
    tuff_device *device;
    tuff_backend_buffer *handle;
    tuff_dtype dtype;
    tuff_shape shape;
    char *name;
};

#endif
