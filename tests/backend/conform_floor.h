/* What the conformance suite reached when this was written: tests fail below it. Raise it when cases are
 * added. */
#ifndef TUFF_TESTS_CONFORM_FLOOR_H
#define TUFF_TESTS_CONFORM_FLOOR_H

enum {
    FLOOR_CASES = 716,
    FLOOR_HOST_KERNELS = 71,
    FLOOR_ROWS = 88,       /* kernel rows on lavapipe */
    FLOOR_PIPELINES = 368, /* distinct shaders with specialization constants, there, at level quick */
    FLOOR_MASKED_ROWS = 74 /* forward on a device with nothing optional */
};

#endif
