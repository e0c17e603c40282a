#include "train/pack.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

tuff_status tuff_pack_begin(tuff_pack *pack, const tuff_config *config, const tuff_task_shape *shape,
                            int64_t own)
{
    int64_t picked = shape->tokens > shape->rows ? shape->tokens : shape->rows;
    size_t inputs = (size_t)(3 * shape->tokens + 4 * shape->sequences + own),
           index = tuff_embedding_index_size((size_t)picked);
    if (pack->capacity < inputs + index) {
        int32_t *words = tuff_realloc_array(pack->words, inputs + index, sizeof *words);
        if (!words) return tuff_fail_memory("a batch");
        pack->words = words;
        pack->capacity = inputs + index;
    }
    memset(pack->words, 0, inputs * sizeof *pack->words);
    pack->config = config;
    pack->shape = *shape;
    pack->tokens = pack->sequences = 0;
    pack->ids = pack->words;
    pack->positions = pack->ids + shape->tokens;
    pack->types = pack->positions + shape->tokens;
    pack->segments = pack->types + shape->tokens;
    pack->own = pack->segments + 4 * shape->sequences;
    pack->index = pack->own + own;
    return TUFF_OK;
}

int64_t tuff_pack_add(tuff_pack *pack, const int32_t *ids, const int8_t *types, int64_t n)
{
    int64_t at = pack->tokens;
    const int32_t segment[] = {(int32_t)at, (int32_t)n, (int32_t)at, (int32_t)n};
    memcpy(pack->ids + at, ids, (size_t)n * sizeof *ids);
    tuff_config_positions(pack->config, ids, (size_t)n, pack->positions + at);
    for (int64_t i = 0; types && i < n; i++)
        pack->types[at + i] = types[i];
    memcpy(pack->segments + 4 * pack->sequences, segment, sizeof segment);
    pack->tokens += n;
    pack->sequences++;
    return at;
}

tuff_status tuff_pack_set_picked(tuff_pack *pack, tuff_program *program, const char *name,
                                 const int32_t *picked, int64_t n)
{
    char index[32];
    snprintf(index, sizeof index, "%s_index", name);
    TUFF_TRY(tuff_program_input(program, name, picked, (size_t)n * sizeof *picked));
    TUFF_TRY(tuff_embedding_index(picked, (size_t)n, pack->index));
    return tuff_program_input(program, index, pack->index,
                              tuff_embedding_index_size((size_t)n) * sizeof *pack->index);
}

tuff_status tuff_pack_set(tuff_pack *pack, tuff_program *program)
{
    int64_t n = pack->shape.tokens;
    TUFF_TRY(tuff_pack_set_picked(pack, program, "ids", pack->ids, n));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "positions", pack->positions, n));
    if (pack->config->token_types) TUFF_TRY(tuff_pack_set_picked(pack, program, "types", pack->types, n));
    return tuff_program_input(program, "segments", pack->segments,
                              (size_t)pack->shape.sequences * 4 * sizeof *pack->segments);
}

void tuff_pack_free(tuff_pack *pack)
{
    tuff_free(pack->words);
    *pack = (tuff_pack){0};
}
