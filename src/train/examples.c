#include "train/examples.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "packed/batch.h"
#include "train/trainer.h"

int64_t tuff_dataset_length(const tuff_dataset *data, uint32_t sequence)
{
    return data->starts[sequence + 1] - data->starts[sequence];
}

static tuff_status reserve(tuff_dataset *data, size_t n)
{
    int64_t capacity = data->capacity ? data->capacity : 1024;
    while (capacity < data->tokens + (int64_t)n)
        capacity *= 2;
    if (capacity != data->capacity) {
        int32_t *ids = tuff_realloc_array(data->ids, (size_t)capacity, sizeof *ids);
        if (ids) data->ids = ids;
        int8_t *types = ids ? tuff_realloc_array(data->types, (size_t)capacity, sizeof *types) : NULL;
        if (!types) return tuff_fail_memory("a data set");
        data->types = types;
        data->capacity = capacity;
    }
    if (data->sequences + 2 <= data->starts_capacity) return TUFF_OK;
    int64_t *starts = tuff_realloc_array(data->starts, (size_t)(2 * data->sequences + 64), sizeof *starts);
    if (!starts) return tuff_fail_memory("a data set");
    data->starts = starts;
    data->starts_capacity = 2 * data->sequences + 64;
    return TUFF_OK;
}

tuff_status tuff_dataset_add(tuff_dataset *data, const int32_t *ids, const int8_t *types, size_t n)
{
    TUFF_TRY(reserve(data, n));
    memcpy(data->ids + data->tokens, ids, n * sizeof *ids);
    if (types)
        memcpy(data->types + data->tokens, types, n);
    else
        memset(data->types + data->tokens, 0, n);
    data->starts[data->sequences] = data->tokens;
    data->tokens += (int64_t)n;
    data->starts[++data->sequences] = data->tokens;
    return TUFF_OK;
}

tuff_status tuff_dataset_add_encoding(tuff_dataset *data, const tuff_encoding *encoding)
{
    TUFF_TRY(reserve(data, encoding->count));
    for (size_t i = 0; i < encoding->count; i++)
        data->types[data->tokens + (int64_t)i] = (int8_t)encoding->type_ids[i];
    return tuff_dataset_add(data, encoding->ids, data->types + data->tokens, encoding->count);
}

tuff_status tuff_example_reader_open(tuff_example_reader *r, const tuff_model *model, const char *path,
                                     const tuff_data_params *params, const char *const *fields, size_t n,
                                     tuff_dataset *data)
{
    enum { USUAL = 512 };
    const tuff_config *c = &model->config;
    *r = (tuff_example_reader){.max_length = params->max_length, .n = n};
    r->file =
        (tuff_record_reader){.path = path, .watch = params->watch, .strict = params->strict, .data = data};
    if (!r->max_length) r->max_length = c->max_positions < USUAL ? c->max_positions : USUAL;
    if (r->max_length > tuff_longest_sequence(model))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "max_length is %lld, but the model has only %lld positions",
                         (long long)r->max_length, (long long)tuff_longest_sequence(model));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->tokenizer));
    TUFF_TRY(tuff_records_open(path, TUFF_RECORDS_AUTO, fields, n, &r->file.records));
    return tuff_record_reader_take_part(&r->file, params);
}

void tuff_example_reader_close(tuff_example_reader *r)
{
    tuff_records_close(&r->file.records);
}

typedef struct taking {
    tuff_example_reader *reader;
    tuff_example_take *take;
    void *own;
} taking;

static tuff_status take_next(void *own, bool *out_there)
{
    const taking *t = own;
    TUFF_TRY(tuff_record_reader_next(&t->reader->file, t->reader->n, t->reader->values, out_there));
    return *out_there ? t->take(t->reader, t->own) : TUFF_OK;
}

tuff_status tuff_example_reader_run(tuff_example_reader *r, tuff_example_take *take, void *own)
{
    const tuff_dataset *data = r->file.data;
    taking t = {r, take, own};
    TUFF_TRY(tuff_record_reader_run(&r->file, take_next, &t));
    TUFF_TRY(tuff_record_reader_end(&r->file, data->sequences));
    if (data->cut)
        tuff_log(TUFF_LOG_WARN, "%s: %lld of %lld texts are longer than %lld tokens, and were cut",
                 r->file.path, (long long)data->cut, (long long)data->sequences, (long long)r->max_length);
    return TUFF_OK;
}

tuff_status tuff_example_reader_add(tuff_example_reader *r, tuff_view text, tuff_view pair)
{
    tuff_dataset *data = r->file.data;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.max_length = (uint32_t)r->max_length;
    params.flags |= TUFF_ENCODE_PLAIN_SPECIAL;
    tuff_encoding *encoding = NULL;
    TUFF_TRY(tuff_tokenizer_encode_pair(r->tokenizer, (tuff_piece){text.data, text.size},
                                        (tuff_piece){pair.data, pair.size}, &params, &encoding));
    data->cut += encoding->lost[0] + encoding->lost[1] > 0;
    tuff_status status = encoding->count ? tuff_dataset_add_encoding(data, encoding)
                                         : tuff_record_reader_fail(&r->file, "its text has no tokens");
    tuff_encoding_destroy(&encoding);
    return status;
}

int64_t tuff_examples_count(const tuff_dataset *data, bool training)
{
    (void)training;
    return data->sequences;
}

void tuff_examples_shape(const tuff_batch *batch, tuff_task_shape *out_shape)
{
    int64_t tokens = 0;
    for (int64_t i = 0; i < batch->count; i++)
        tokens += tuff_dataset_length(batch->data, batch->examples[i]);
    *out_shape = (tuff_task_shape){.tokens = tuff_packed_token_capacity(tokens), .sequences = batch->most};
}

void tuff_examples_pack(const tuff_batch *batch, tuff_pack *pack, int64_t i, int64_t *out_first,
                        int64_t *out_length)
{
    const tuff_dataset *data = batch->data;
    int64_t begin = data->starts[batch->examples[i]];
    *out_length = tuff_dataset_length(data, batch->examples[i]);
    *out_first = tuff_pack_add(pack, data->ids + begin, data->types + begin, *out_length);
}

tuff_status tuff_examples_check(const tuff_dataset *data, const tuff_model *model)
{
    const tuff_config *c = &model->config;
    int32_t largest = tuff_dataset_largest(data);
    if (largest >= c->vocab_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the data has token id %d, the model's vocabulary only %lld",
                         largest, (long long)c->vocab_size);
    int8_t type = 0;
    for (int64_t i = 0; i < data->tokens; i++)
        if (data->types[i] > type) type = data->types[i];
    TUFF_TRY(tuff_config_check_types(c, model->path, type));
    const int64_t most = tuff_longest_sequence(model);
    for (int64_t i = 0; i < data->sequences; i++)
        if (tuff_dataset_length(data, (uint32_t)i) > most)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT, "example %lld has %lld tokens, but the model has only %lld positions",
                (long long)i, (long long)tuff_dataset_length(data, (uint32_t)i), (long long)most);
    if (data->longest > most)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a prompt with another one's answer has %lld tokens, but the model has only %lld "
                         "positions; read the data with a smaller max_length",
                         (long long)data->longest, (long long)most);
    return TUFF_OK;
}
