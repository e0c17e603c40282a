#include "packed/pack.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/program.h"

tuff_status tuff_pack_begin(tuff_pack *pack, const tuff_config *config, const tuff_pack_shape *shape,
                            int64_t own)
{
    int64_t picked = shape->tokens > shape->rows ? shape->tokens : shape->rows;
    int64_t embedded = pack->virtual_tokens ? shape->tokens : 0;
    size_t inputs = (size_t)(3 * shape->tokens + embedded + 4 * shape->sequences + own),
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
    pack->embedding_rows = pack->segments + 4 * shape->sequences;
    pack->own = pack->embedding_rows + embedded;
    for (int64_t i = 0; i < embedded; i++)
        pack->embedding_rows[i] = (int32_t)i;
    pack->index = pack->own + own;
    return TUFF_OK;
}

int64_t tuff_pack_add(tuff_pack *pack, const int32_t *ids, const int8_t *types, int64_t n)
{
    const int64_t before = pack->virtual_tokens, begin = pack->tokens, at = begin + before;
    const int32_t all = (int32_t)(before + n), segment[] = {(int32_t)begin, all, (int32_t)begin, all};
    const int32_t first = (int32_t)pack->config->position_offset;
    memcpy(pack->ids + at, ids, (size_t)n * sizeof *ids);
    tuff_config_positions(pack->config, ids, (size_t)n, pack->positions + at);
    for (int64_t v = 0; v < before; v++)
        pack->embedding_rows[begin + v] = (int32_t)(pack->shape.tokens + v);
    /* behind rows that no token has, positions are counted whatever the tokens are, as transformers has it */
    for (int32_t i = 0; before && i < all; i++)
        pack->positions[begin + i] = first + i;
    for (int64_t i = 0; types && tuff_config_types(pack->config) && i < n; i++)
        pack->types[at + i] = types[i];
    memcpy(pack->segments + 4 * pack->sequences, segment, sizeof segment);
    pack->tokens += all;
    pack->sequences++;
    return at;
}

tuff_status tuff_pack_set_picked(tuff_pack *pack, tuff_program *program, const char *name,
                                 const int32_t *picked, int64_t n)
{
    char index[32];
    snprintf(index, sizeof index, "%s_index", name);
    TUFF_TRY(tuff_program_input(program, name, picked, (size_t)n * sizeof *picked));
    if (!tuff_program_has_input(program, index)) return TUFF_OK;
    TUFF_TRY(tuff_embedding_index(picked, (size_t)n, pack->index));
    return tuff_program_input(program, index, pack->index,
                              tuff_embedding_index_size((size_t)n) * sizeof *pack->index);
}

tuff_status tuff_pack_set_noise(tuff_pack *pack, tuff_program *program, const char *name,
                                const int32_t *segments, int64_t before, int64_t n)
{
    float *most = (float *)pack->index; /* which is as long */
    if (!tuff_program_has_input(program, name)) return TUFF_OK;
    memset(most, 0, (size_t)n * sizeof *most);
    for (int64_t s = 0; s < pack->shape.sequences; s++) {
        const int64_t begin = segments[4 * s] + before, end = segments[4 * s] + segments[4 * s + 1];
        const double numbers = (double)(end - begin) * (double)pack->config->hidden_size;
        for (int64_t i = begin; i < end; i++)
            most[i] = (float)(pack->noise / sqrt(numbers));
    }
    return tuff_program_input(program, name, most, (size_t)n * sizeof *most);
}

/* The tokens by which routers keep experts in balance: all that there are, virtual ones, too, unless these
 * are keys and values alone. */
static tuff_status set_balanced(tuff_pack *pack, tuff_program *program)
{
    float *shares = (float *)pack->index; /* which is as long, and of no use now */
    const int64_t left_out = pack->silent ? pack->sequences * pack->virtual_tokens : 0;
    for (int64_t i = 0; i < pack->shape.tokens; i++) {
        const bool counts = i < pack->tokens && !(left_out && pack->embedding_rows[i] >= pack->shape.tokens);
        shares[i] = counts ? 1.0f / (float)(pack->tokens - left_out) : 0;
    }
    return tuff_program_input(program, "balance.tokens", shares, (size_t)pack->shape.tokens * sizeof *shares);
}

tuff_status tuff_pack_set(tuff_pack *pack, tuff_program *program)
{
    int64_t n = pack->shape.tokens;
    TUFF_TRY(tuff_pack_set_picked(pack, program, "ids", pack->ids, n));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "positions", pack->positions, n));
    if (pack->config->token_types) TUFF_TRY(tuff_pack_set_picked(pack, program, "types", pack->types, n));
    if (tuff_program_has_input(program, "balance.tokens")) TUFF_TRY(set_balanced(pack, program));
    TUFF_TRY(tuff_pack_set_noise(pack, program, "noise", pack->segments, pack->virtual_tokens, n));
    if (pack->virtual_tokens)
        TUFF_TRY(tuff_program_input(program, "embedding_rows", pack->embedding_rows,
                                    (size_t)n * sizeof *pack->embedding_rows));
    return tuff_program_input(program, "segments", pack->segments,
                              (size_t)pack->shape.sequences * 4 * sizeof *pack->segments);
}

void tuff_pack_free(tuff_pack *pack)
{
    tuff_free(pack->words);
    *pack = (tuff_pack){0};
}
