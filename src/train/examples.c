#include "train/examples.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "packed/batch.h"
#include "train/record_cache.h"
#include "train/trainer.h"

int64_t tuff_dataset_length(const tuff_dataset *data, uint32_t sequence)
{
    return data->starts[sequence + 1] - data->starts[sequence];
}

/* Room for a sequence of n ids, and for their types where they have some. */
static tuff_status reserve(tuff_dataset *data, size_t n, bool types)
{
    const size_t tokens = (size_t)data->tokens + n, starts = (size_t)data->sequences + 2;
    const bool first = types && !data->types;
    if (!tuff_column_reserve(&data->room.ids, tokens * sizeof *data->ids) ||
        !tuff_column_reserve(&data->room.starts, starts * sizeof *data->starts) ||
        ((types || data->types) && !tuff_column_reserve(&data->room.types, tokens)))
        return tuff_fail_memory("a data set");
    data->ids = data->room.ids.data;
    data->starts = data->room.starts.data;
    data->types = data->room.types.data;
    if (first) memset(data->types, 0, (size_t)data->tokens);
    return TUFF_OK;
}

/* Behind what was reserved. */
static void add(tuff_dataset *data, const int32_t *ids, size_t n)
{
    memcpy(data->ids + data->tokens, ids, n * sizeof *ids);
    data->starts[data->sequences] = data->tokens;
    data->tokens += (int64_t)n;
    data->starts[++data->sequences] = data->tokens;
}

tuff_status tuff_dataset_add(tuff_dataset *data, const int32_t *ids, const int8_t *types, size_t n)
{
    TUFF_TRY(reserve(data, n, types != NULL));
    if (types)
        memcpy(data->types + data->tokens, types, n);
    else if (data->types)
        memset(data->types + data->tokens, 0, n);
    add(data, ids, n);
    return TUFF_OK;
}

tuff_status tuff_dataset_add_encoding(tuff_dataset *data, const tuff_encoding *encoding)
{
    bool types = data->types != NULL;
    for (size_t i = 0; i < encoding->count && !types; i++)
        types = encoding->type_ids[i] != 0;
    TUFF_TRY(reserve(data, encoding->count, types));
    for (size_t i = 0; i < encoding->count && types; i++)
        data->types[data->tokens + (int64_t)i] = (int8_t)encoding->type_ids[i];
    add(data, encoding->ids, encoding->count);
    return TUFF_OK;
}

void tuff_dataset_stay(tuff_dataset *data, bool in_memory)
{
    data->room.ids.stays = data->room.types.stays = data->room.starts.stays = in_memory;
}

tuff_status tuff_example_reader_open(tuff_example_reader *r, const tuff_model *model, const char *path,
                                     const tuff_data_params *params, const char *const *fields, size_t n,
                                     tuff_dataset *data)
{
    enum { USUAL = 512 };
    const tuff_config *c = &model->config;
    *r = (tuff_example_reader){.max_length = params->max_length, .n = n};
    r->file = (tuff_record_reader){.path = path,
                                   .threads = params->threads,
                                   .watch = params->watch,
                                   .strict = params->strict,
                                   .data = data};
    if (!r->max_length) r->max_length = c->max_positions < USUAL ? c->max_positions : USUAL;
    if (r->max_length > tuff_longest_sequence(model))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "max_length is %lld, but the model has only %lld positions",
                         (long long)r->max_length, (long long)tuff_longest_sequence(model));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->tokenizer));
    r->file.tokenizer = r->tokenizer;
    if (!params->no_cache && data->task->keep) tuff_record_settings(model, params, &r->file.settings);
    TUFF_TRY(tuff_records_open(path, TUFF_RECORDS_AUTO, fields, n, &r->file.records));
    return tuff_record_reader_take_part(&r->file, params->validation_split, params->split_seed,
                                        params->held_out);
}

void tuff_example_reader_close(tuff_example_reader *r)
{
    tuff_record_reader_close(&r->file);
}

/* ---- records */

typedef struct reading {
    tuff_example_reader *reader;
    const tuff_example_work *work;
    void *own;
} reading;

static void forget(tuff_example_item *item)
{
    for (size_t i = 0; i < item->made; i++)
        tuff_encoding_destroy(&item->encodings[i]);
    item->made = item->taken = 0;
    tuff_buf_clear(&item->text);
}

/* Copies the fields of a record, each with a NUL behind it. */
static tuff_status keep_values(tuff_example_item *item, const tuff_view *values, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        tuff_buf_bytes(&item->text, values[i].data, values[i].size);
        tuff_buf_char(&item->text, 0);
    }
    if (item->text.failed) return tuff_fail_memory("a record");
    for (size_t i = 0; i < n; i++) {
        item->values[i] = (tuff_view){item->text.data + at, values[i].size};
        at += values[i].size + 1;
    }
    return TUFF_OK;
}

static tuff_status read_item(void *own, tuff_record_item *record, bool *out_there)
{
    const reading *g = own;
    tuff_example_item *item = (tuff_example_item *)(void *)record;
    tuff_view values[TUFF_RECORD_FIELDS];
    forget(item);
    TUFF_TRY(tuff_record_reader_next(&g->reader->file, g->reader->n, values, out_there));
    return *out_there ? keep_values(item, values, g->reader->n) : TUFF_OK;
}

static tuff_status prepare_item(void *own, const tuff_watch *watch, tuff_record_item *record)
{
    const reading *g = own;
    return g->work->prepare(g->reader, g->own, watch, (tuff_example_item *)(void *)record);
}

static tuff_status take_item(void *own, tuff_record_item *record)
{
    const reading *g = own;
    g->reader->item = (tuff_example_item *)(void *)record;
    g->reader->values = g->reader->item->values;
    return g->work->take(g->reader, g->own);
}

static void free_item(tuff_record_item *record)
{
    tuff_example_item *item = (tuff_example_item *)(void *)record;
    forget(item);
    tuff_buf_free(&item->text);
}

tuff_status tuff_example_reader_read(tuff_example_reader *r, const tuff_example_work *work, void *own)
{
    reading g = {r, work, own};
    return tuff_record_reader_run(&r->file, &(tuff_record_work){.own = &g,
                                                                .item_size = sizeof(tuff_example_item),
                                                                .read = read_item,
                                                                .prepare = prepare_item,
                                                                .take = take_item,
                                                                .free = free_item});
}

tuff_status tuff_example_reader_run(tuff_example_reader *r, const tuff_example_work *work, void *own)
{
    const tuff_dataset *data = r->file.data;
    TUFF_TRY(tuff_example_reader_read(r, work, own));
    TUFF_TRY(tuff_record_reader_end(&r->file, data->sequences));
    if (data->cut)
        tuff_log(TUFF_LOG_WARN, "%s: %lld of %lld texts are longer than %lld tokens, and were cut",
                 r->file.path, (long long)data->cut, (long long)data->sequences, (long long)r->max_length);
    return TUFF_OK;
}

tuff_status tuff_example_item_encode(const tuff_example_reader *r, tuff_example_item *item, tuff_view text,
                                     tuff_view pair, const tuff_encode_params *params)
{
    TUFF_TRY(tuff_tokenizer_encode_pair(r->tokenizer, (tuff_piece){text.data, text.size},
                                        (tuff_piece){pair.data, pair.size}, params,
                                        &item->encodings[item->made]));
    item->made++;
    return TUFF_OK;
}

tuff_status tuff_example_item_text(const tuff_example_reader *r, tuff_example_item *item, tuff_view text,
                                   tuff_view pair)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.max_length = (uint32_t)r->max_length;
    params.flags |= TUFF_ENCODE_PLAIN_SPECIAL;
    return tuff_example_item_encode(r, item, text, pair, &params);
}

tuff_status tuff_example_reader_next(tuff_example_reader *r, const tuff_encoding **out)
{
    tuff_example_item *item = r->item;
    if (item->taken == item->made) return tuff_record_item_fail(&item->record);
    *out = item->encodings[item->taken++];
    return TUFF_OK;
}

tuff_status tuff_example_reader_add(tuff_example_reader *r)
{
    tuff_dataset *data = r->file.data;
    const tuff_encoding *encoding = NULL;
    TUFF_TRY(tuff_example_reader_next(r, &encoding));
    data->cut += encoding->lost[0] + encoding->lost[1] > 0;
    return encoding->count ? tuff_dataset_add_encoding(data, encoding)
                           : tuff_record_reader_fail(&r->file, "its text has no tokens");
}

void tuff_examples_keep(tuff_kept *kept, tuff_dataset *data)
{
    (void)kept;
    (void)data;
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
    *out_first =
        tuff_pack_add(pack, data->ids + begin, data->types ? data->types + begin : NULL, *out_length);
}

tuff_status tuff_examples_check(const tuff_dataset *data, const tuff_model *model)
{
    const tuff_config *c = &model->config;
    int32_t largest = tuff_dataset_largest(data);
    if (largest >= c->vocab_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the data has token id %d, the model's vocabulary only %lld",
                         largest, (long long)c->vocab_size);
    int8_t type = 0;
    for (int64_t i = 0; i < data->tokens && data->types; i++)
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
