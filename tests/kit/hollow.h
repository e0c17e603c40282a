/* Models of the shapes of real ones, whose weights are a hole in a file, and a device that takes the plans of
 * what is done with them and runs nothing. */
#ifndef TUFF_TESTS_HOLLOW_H
#define TUFF_TESTS_HOLLOW_H

#include <tuff/model.h>

#include "backend/backend.h"
#include "kit/kit.h"
#include "runtime/device.h"

typedef struct kit_shape {
    int64_t heads, kv_heads, head_dim, hidden, wide;
    int layers, words, context;
} kit_shape;

/* Each makes a directory of its own in the test's and returns its path. */
const char *kit_hollow_llama(const kit_shape *shape);
const char *kit_hollow_gpt2(const kit_shape *shape);
const char *kit_hollow_bert(const kit_shape *shape);

/* What RADV reports of all its cards; those since Vega have arithmetic in half floats, too, which no kernel
 * uses yet. */
extern const tuff_caps kit_radv;

/* Opens *out_device with these capabilities. It shows every plan to `take` before the first run. One at a
 * time; end it with kit_taker_close. */
tuff_status kit_taker_open(const tuff_caps *caps, void (*take)(const tuff_plan *plan),
                           tuff_device *out_device);
void kit_taker_close(tuff_device *device);

/* Batches of what is trained, and their tokens; ids for two of them, below 4096. */
enum { KIT_TAKEN_BATCH = 4, KIT_TAKEN_LENGTH = 256 };
const int32_t *kit_taken_ids(void);
/* One step of training of so many batches: of LoRA on all linear layers, with rank 0 of all parameters. */
void kit_take_training(const tuff_model *model, tuff_device *device, int64_t rank, int64_t accumulate);

#endif
