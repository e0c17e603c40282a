/* Safetensors: an 8-byte length, a JSON header, the tensors' bytes
 * (https://github.com/huggingface/safetensors). */
#ifndef TUFF_FORMATS_SAFETENSORS_H
#define TUFF_FORMATS_SAFETENSORS_H

#include "formats/save.h"
#include "formats/weights.h"

/* Adds the tensors of one file's bytes, which must outlive `weights`; `file` is its path, for error texts.
 * The rules are those of the reference implementation: a header of at most 100 MB, every data byte in exactly
 * one tensor. On failure some tensors may have been added: destroy the container. */
TUFF_MUST_USE tuff_status tuff_safetensors_parse(tuff_weights *weights, const uint8_t *data, size_t size,
                                                 const char *file);

/* Maps one file and adds its tensors. */
TUFF_MUST_USE tuff_status tuff_safetensors_add(tuff_weights *weights, const char *path);
/* Maps and parses one file. */
TUFF_MUST_USE tuff_status tuff_safetensors_open(const char *path, tuff_weights **out_weights);

/* What reads a file of tensors: tuff_safetensors_add, tuff_torch_add. */
typedef tuff_status (*tuff_add_fn)(tuff_weights *weights, const char *path);
/* Opens one file, or the shards that an index names (model.safetensors.index.json), all beside it. */
TUFF_MUST_USE tuff_status tuff_weights_open(const char *path, tuff_add_fn add, tuff_weights **out_weights);
TUFF_MUST_USE tuff_status tuff_weights_open_index(const char *path, tuff_add_fn add,
                                                  tuff_weights **out_weights);

/* The weight_map of an index: which file holds which tensor. */
typedef struct tuff_shard_map {
    char **shards; /* distinct file names, in order of first appearance; plain names without a directory */
    size_t shard_count, shard_capacity;
    char **tensors;
    uint32_t *tensor_shard;
    size_t tensor_count, tensor_capacity;
} tuff_shard_map;
TUFF_MUST_USE tuff_status tuff_shard_map_parse(const char *data, size_t size, const char *file,
                                               tuff_shard_map **out_map);
void tuff_shard_map_destroy(tuff_shard_map **map);

/* Writes one file, tensors in Hugging Face's order (widest type first, then by name), through a temporary
 * name. Byte for byte what safetensors.torch.save_file(..., metadata={"format": "pt"}) writes. Types of
 * safetensors. */
TUFF_MUST_USE tuff_status tuff_safetensors_save(const char *path, const tuff_save_item *items, size_t count,
                                                tuff_save_fn fn, void *user);

/* Writes <directory>/<stem>.safetensors, or, when the tensors take more than `max_shard_size` bytes (0: 5 GB
 * as in Hugging Face), <stem>-00001-of-0000N.safetensors and <stem>.safetensors.index.json, filled in the
 * order of `items`. */
TUFF_MUST_USE tuff_status tuff_safetensors_save_sharded(const char *directory, const char *stem,
                                                        const tuff_save_item *items, size_t count,
                                                        uint64_t max_shard_size, tuff_save_fn fn, void *user);

#endif
