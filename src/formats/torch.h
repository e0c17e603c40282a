/* pytorch_model.bin: a state_dict as torch.save writes it, a zip archive with a pickle and a file per
 * storage. */
#ifndef TUFF_FORMATS_TORCH_H
#define TUFF_FORMATS_TORCH_H

#include "formats/weights.h"

/* Adds the tensors of one file's bytes, which must outlive `weights`; `path` is for error texts. Tensors may
 * share bytes; those that do not lie row by row in their storage are refused. On failure some may have been
 * added: destroy the container. */
TUFF_MUST_USE tuff_status tuff_torch_parse(tuff_weights *weights, const uint8_t *data, size_t size,
                                           const char *path);
/* Maps one file and adds its tensors. */
TUFF_MUST_USE tuff_status tuff_torch_add(tuff_weights *weights, const char *path);

#endif
