/* A Llama of one layer with rows of whole blocks; one whose matrices are stored by the block, and training on
 * it. */
#ifndef TUFF_TESTS_BLOCKS_MODEL_H
#define TUFF_TESTS_BLOCKS_MODEL_H

#include <tuff/model.h>

#include "formats/save.h"
#include "kit/kit.h"

/* A Llama of one layer whose rows are whole blocks of every type: its tensors in a GGUF, f32, of so many
 * key/value heads of 4, and with an output of its own; returns how many. */
enum { KIT_WIDE_TENSORS = 12, KIT_WIDE_WIDTH = 256, KIT_WIDE_FFN = 512 };
size_t kit_wide_items(int64_t kv_heads, bool output, tuff_save_item items[KIT_WIDE_TENSORS]);
/* Writes it; `give` is asked for the tensors. */
void kit_wide_save(const char *path, const tuff_save_item *items, size_t count, tuff_save_fn give,
                   void *user);

enum { KIT_BLOCKS_WORDS = 64, KIT_BLOCKS_IDS = 48, KIT_BLOCKS_STEPS = 4 };

/* The model, with a tied table, from a GGUF in the test's directory; `decoded`: its numbers as f32. */
tuff_model *kit_blocks_model(tuff_dtype dtype, bool decoded);
/* ids[KIT_BLOCKS_IDS] that it knows. */
const int32_t *kit_blocks_ids(void);
/* The losses of a few steps on these; rank 0: of all parameters, else of LoRA. */
void kit_blocks_losses(const tuff_model *model, tuff_device *device, int64_t lora_rank,
                       double losses[KIT_BLOCKS_STEPS]);

#endif
