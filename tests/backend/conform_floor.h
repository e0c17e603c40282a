/* What the conformance suite reached when this was written: tests fail below it. Raise it when cases are
 * added. */
#ifndef TUFF_TESTS_CONFORM_FLOOR_H
#define TUFF_TESTS_CONFORM_FLOOR_H

enum {
    FLOOR_CASES = 835,
    FLOOR_HOST_KERNELS = 74,
    FLOOR_ROWS = 94,       /* kernel rows on lavapipe */
    FLOOR_PIPELINES = 369, /* distinct shaders with specialization constants, there, at level quick */
    FLOOR_MASKED_ROWS = 77 /* forward on a device with nothing optional */
};

#endif
