/* A model as it is in its file, with an adapter perhaps, on a device to be measured. */
#ifndef TUFF_TRAIN_FROZEN_H
#define TUFF_TRAIN_FROZEN_H

#include "train/lm.h"

typedef struct tuff_frozen {
    tuff_lm lm;
    tuff_store *store;
    tuff_program *program;
} tuff_frozen;

typedef tuff_status (*tuff_lm_program_fn)(const tuff_lm *lm, tuff_device *device, tuff_program **out_program);

/* Checks the data, puts the weights on the device and readies a program over `batch` of the data's blocks.
 * `adapter` is a PEFT directory or NULL; `watch` may be NULL, else it must outlive *out_frozen. */
TUFF_MUST_USE tuff_status tuff_frozen_open(const tuff_model *model, tuff_device *device,
                                           const tuff_dataset *data, int64_t batch, const char *adapter,
                                           tuff_lm_program_fn make_program, const tuff_watch *watch,
                                           tuff_frozen *out_frozen);
void tuff_frozen_close(tuff_frozen *frozen);

#endif
