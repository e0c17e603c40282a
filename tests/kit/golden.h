/* Models of assets/golden on a device, against the truth that PyTorch computed in double. */
#ifndef TUFF_TESTS_GOLDEN_H
#define TUFF_TESTS_GOLDEN_H

/* Runs all checks on the device of this name and returns the exit code; 77 when there is no such device. */
int golden_main(const char *device);

#endif
