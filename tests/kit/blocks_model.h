/* A Llama of one layer whose matrices are stored by the block, and training on it. */
#ifndef TUFF_TESTS_BLOCKS_MODEL_H
#define TUFF_TESTS_BLOCKS_MODEL_H

#include <tuff/model.h>

#include "kit/kit.h"

enum { KIT_BLOCKS_WORDS = 64, KIT_BLOCKS_IDS = 48, KIT_BLOCKS_STEPS = 4 };

/* The model, with a tied table, from a GGUF in the test's directory; `decoded`: its numbers as f32. */
tuff_model *kit_blocks_model(tuff_dtype dtype, bool decoded);
/* ids[KIT_BLOCKS_IDS] that it knows. */
const int32_t *kit_blocks_ids(void);
/* The losses of a few steps on these; rank 0: of all parameters, else of LoRA. */
void kit_blocks_losses(const tuff_model *model, tuff_device *device, int64_t lora_rank,
                       double losses[KIT_BLOCKS_STEPS]);

#endif
