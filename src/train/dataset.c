#include "train/task.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structs.h"
#include "base/users.h"
#include "train/examples.h"
#include "train/mixture.h"
#include "train/record_cache.h"

static tuff_status check_blocks(int64_t block_size, int64_t tokens)
{
    if (block_size < 2 || block_size > 1 << 24)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the block size is %lld, expected 2 to %d",
                         (long long)block_size, 1 << 24);
    if (tokens < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the text has %lld token%s; at least 2 are needed to predict one from the "
                         "other",
                         (long long)tokens, tokens == 1 ? "" : "s");
    return TUFF_OK;
}

/* Takes the text's ids, also on failure. */
static tuff_status make_blocks(tuff_text_tokens *text, int64_t block_size, int64_t stride,
                               tuff_dataset **out_dataset)
{
    tuff_dataset *data = tuff_alloc(sizeof *data);
    if (!data) {
        tuff_text_tokens_free(text);
        return tuff_fail_memory("a data set");
    }
    data->task = &tuff_task_causal_lm;
    data->text = *text;
    data->ids = (int32_t *)(uintptr_t)text->ids;
    data->tokens = text->count;
    data->block_size = block_size;
    data->block_stride = stride ? stride : block_size;
    data->windows_lines = (int64_t)text->windows_lines;
    *out_dataset = data;
    return TUFF_OK;
}

tuff_status tuff_dataset_from_ids(const int32_t *ids, size_t n, int64_t block_size,
                                  tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED_MANY(ids, n);
    TUFF_TRY(check_blocks(block_size, n > INT64_MAX ? INT64_MAX : (int64_t)n));
    tuff_text_tokens text = {.count = (int64_t)n};
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "token %zu has the id %d, expected 0 or more", i, ids[i]);
        if (ids[i] > text.largest) text.largest = ids[i];
    }
    text.ids = text.memory = tuff_alloc_array(n, sizeof *ids);
    if (!text.memory) return tuff_fail_memory("a data set");
    memcpy(text.memory, ids, n * sizeof *ids);
    return make_blocks(&text, block_size, 0, out_dataset);
}

/* ---- texts */

/* Keeps the blocks at the beginning, or those behind them, which are held out. */
static tuff_status keep_part(tuff_dataset *data, const tuff_data_params *p)
{
    if (p->validation_split <= 0) return TUFF_OK;
    const int64_t blocks = data->tokens / data->block_size;
    int64_t held = (int64_t)((double)blocks * p->validation_split + 0.5);
    if (held < 1) held = 1;
    if (blocks - held < 1)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "its %lld block%s of %lld tokens cannot be split into two parts; take smaller blocks",
            (long long)blocks, blocks == 1 ? "" : "s", (long long)data->block_size);
    const int64_t first = (blocks - held) * data->block_size;
    if (p->held_out) data->ids += first;
    data->tokens = p->held_out ? data->tokens - first : first;
    return TUFF_OK;
}

static tuff_status check_stride(const tuff_data_params *p)
{
    if (p->block_stride >= 0 && p->block_stride <= p->block_size) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "the block stride is %lld, expected 1 to the block size, %lld",
                     (long long)p->block_stride, (long long)p->block_size);
}

static tuff_status load_blocks(const tuff_model *model, const char *path, const tuff_data_params *p,
                               tuff_dataset **out_dataset)
{
    const tuff_tokenizer *tokenizer;
    TUFF_TRY(tuff_watch_check(p->watch));
    TUFF_TRY(tuff_model_get_tokenizer(model, &tokenizer));
    TUFF_TRY(check_stride(p));
    tuff_text_tokens text;
    if (p->validation_split > 0 && !tuff_is_regular_file(path) && !tuff_is_directory(path))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s is no file or directory that can be read twice, for what is held out and for the rest", path);
    TUFF_TRY(tuff_text_tokens_load(path,
                                   &(tuff_text_reading){.tokenizer = tokenizer,
                                                        .allow_json = p->allow_json,
                                                        .no_cache = p->no_cache,
                                                        .threads = p->threads,
                                                        .watch = p->watch},
                                   &text));
    tuff_status status = check_blocks(p->block_size, text.count);
    if (status != TUFF_OK) tuff_text_tokens_free(&text);
    if (status == TUFF_OK) status = make_blocks(&text, p->block_size, p->block_stride, out_dataset);
    if (status == TUFF_OK) status = keep_part(*out_dataset, p);
    if (status != TUFF_OK) tuff_dataset_destroy(out_dataset);
    return tuff_note(status, "%s", path);
}

tuff_status tuff_dataset_load_text(const tuff_model *model, const char *path, int64_t block_size,
                                   const tuff_text_params *params, tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(model);
    TUFF_NEED(path);
    tuff_text_params p = TUFF_TEXT_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_TEXT_PARAMS_INIT, watch));
    tuff_data_params data = TUFF_DATA_PARAMS_INIT;
    data.block_size = block_size;
    data.allow_json = p.allow_json;
    data.no_cache = p.no_cache;
    data.watch = p.watch;
    return load_blocks(model, path, &data, out_dataset);
}

/* ---- texts of records */

static tuff_status prepare_text(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                                tuff_example_item *item)
{
    const tuff_view none = {0};
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    (void)own;
    params.watch = watch;
    return tuff_example_item_encode(r, item, item->values[0], none, &params);
}

static tuff_status take_text(tuff_example_reader *r, void *own)
{
    const tuff_encoding *e = NULL;
    (void)own;
    TUFF_TRY(tuff_example_reader_next(r, &e));
    return e->count ? tuff_dataset_add(r->file.data, e->ids, NULL, e->count) : TUFF_OK;
}

static tuff_status read_texts(const tuff_model *model, const char *path, const tuff_data_params *p,
                              tuff_dataset *data)
{
    const char *fields[] = {p->text_field ? p->text_field : "text"};
    tuff_data_params params = *p;
    tuff_example_reader r;
    params.max_length = 0; /* of examples; blocks are cut out of all texts */
    tuff_status status = tuff_example_reader_open(&r, model, path, &params, fields, 1, data);
    if (status == TUFF_OK)
        status = tuff_example_reader_run(&r, &(tuff_example_work){prepare_text, take_text}, NULL);
    tuff_example_reader_close(&r);
    if (status == TUFF_OK)
        tuff_log(TUFF_LOG_INFO, "%s: the text is what its %lld records have as \"%s\"", path,
                 (long long)data->sequences, fields[0]);
    return status;
}

/* Records that have no text may be of another kind, unless somebody said what the text is called. */
static tuff_status name_forms(tuff_status status, const tuff_data_params *p, const tuff_dataset *data)
{
    if (status != TUFF_BAD_FORMAT || p->text_field || data->sequences) return status;
    return tuff_fail(
        status,
        "%s; records have a \"text\", or what the text field is said to be, or are conversations: "
        "\"messages\", \"conversations\", \"prompt\" and \"completion\", or \"instruction\" and "
        "\"output\"",
        tuff_error_message());
}

/* The sequences of records, one behind the other, as a text. */
static tuff_status cut_into_blocks(tuff_dataset *data, const tuff_data_params *p)
{
    TUFF_TRY(check_blocks(p->block_size, data->tokens));
    TUFF_TRY(check_stride(p));
    tuff_column_free(&data->room.starts);
    data->starts = NULL;
    data->sequences = 0;
    data->block_size = p->block_size;
    data->block_stride = p->block_stride ? p->block_stride : p->block_size;
    return TUFF_OK;
}

/* As transformers' run_clm has it: each record's text with the tokens that the tokenizer puts around one. */
static tuff_status load_record_texts(const tuff_model *model, const char *path, const tuff_data_params *p,
                                     tuff_dataset **out_dataset)
{
    tuff_status status = TUFF_OK;
    for (bool again = true; again;) {
        tuff_dataset *data = tuff_alloc(sizeof *data);
        if (!data) return tuff_fail_memory("a data set");
        data->task = &tuff_task_causal_lm;
        tuff_dataset_stay(data, p->no_cache);
        status = read_texts(model, path, p, data);
        if (!tuff_record_cache_damaged(data->cache)) status = name_forms(status, p, data);
        status = tuff_dataset_finish(data, status, &again, out_dataset);
    }
    if (status == TUFF_OK) status = tuff_note(cut_into_blocks(*out_dataset, p), "%s", path);
    if (status != TUFF_OK) tuff_dataset_destroy(out_dataset);
    return status;
}

/* ---- examples */

tuff_status tuff_dataset_finish(tuff_dataset *data, tuff_status status, bool *out_again,
                                tuff_dataset **out_dataset)
{
    if (status == TUFF_OK && data->cache && !tuff_record_cache_found(data->cache))
        status = tuff_record_cache_keep(data->cache, data);
    *out_again = status == TUFF_BAD_FORMAT && tuff_record_cache_damaged(data->cache);
    tuff_record_cache_free(&data->cache);
    if (status != TUFF_OK)
        tuff_dataset_destroy(&data);
    else
        *out_dataset = data;
    return status;
}

static tuff_status load_examples(const tuff_model *model, const char *path, const tuff_data_params *p,
                                 const tuff_task *task, tuff_dataset **out_dataset)
{
    tuff_status status = TUFF_OK;
    for (bool again = true; again;) {
        tuff_dataset *data = tuff_alloc(sizeof *data);
        if (!data) return tuff_fail_memory("a data set");
        data->task = task;
        tuff_dataset_stay(data, p->no_cache);
        status = tuff_dataset_finish(data, task->load(model, path, p, data), &again, out_dataset);
    }
    return status;
}

tuff_status tuff_dataset_check_split(double share)
{
    if (share >= 0 && share <= 0.5) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "validation_split is %g, expected 0 to 0.5", share);
}

tuff_status tuff_dataset_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                              tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(model);
    TUFF_NEED(path);
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_DATA_PARAMS_INIT, watch));
    TUFF_NEED(p.task);
    TUFF_TRY(tuff_watch_check(p.watch));
    TUFF_TRY(tuff_dataset_check_split(p.validation_split));
    const tuff_task *task = tuff_task_find(p.task);
    if (!task)
        return tuff_fail(TUFF_UNSUPPORTED, "there is no task \"%.40s\"; Tuff has %s", p.task,
                         tuff_task_names());
    if (p.like && p.like->task != task)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the data set that this is to be like is of %s, not of %s",
                         p.like->task->title, task->title);
    if (task->load) return load_examples(model, path, &p, task, out_dataset);
    if (!p.allow_json && tuff_records_are(path)) return load_record_texts(model, path, &p, out_dataset);
    return load_blocks(model, path, &p, out_dataset);
}

/* All of a data set but this count is the same for as long as it lives. */
static tuff_dataset *counted(const tuff_dataset *data)
{
    return (tuff_dataset *)(uintptr_t)data;
}

void tuff_dataset_keep(const tuff_dataset *data)
{
    if (data) tuff_user_comes(&counted(data)->users);
}

void tuff_dataset_let_go(const tuff_dataset *data)
{
    tuff_dataset *d = counted(data);
    if (!d || !tuff_user_goes(&d->users)) return;
    if (d->task && d->task->release) d->task->release(d);
    tuff_free(d->chat_template);
    tuff_record_cache_free(&d->cache);
    tuff_column_free(&d->room.ids);
    tuff_column_free(&d->room.types);
    tuff_column_free(&d->room.starts);
    tuff_text_tokens_free(&d->text);
    for (int i = 0; i < TUFF_RECORDS_SAID; i++)
        tuff_free(d->said[i]);
    tuff_mixture_free(d->mixture);
    tuff_free(d);
}

void tuff_dataset_destroy(tuff_dataset **dataset)
{
    if (!dataset) return;
    tuff_dataset_let_go(*dataset);
    *dataset = NULL;
}

int64_t tuff_dataset_tokens(const tuff_dataset *dataset)
{
    if (!dataset) return 0;
    return dataset->tokens;
}
int64_t tuff_dataset_blocks(const tuff_dataset *dataset)
{
    if (!dataset) return 0;
    return dataset->mixture ? dataset->mixture->epoch : dataset->task->count(dataset, true);
}

int64_t tuff_dataset_block_begin(const tuff_dataset *data, uint32_t block)
{
    return (int64_t)block * data->block_stride;
}

int32_t tuff_dataset_largest(const tuff_dataset *dataset)
{
    if (dataset->text.ids) return dataset->text.largest;
    int32_t largest = 0;
    for (int64_t i = 0; i < dataset->tokens; i++)
        if (dataset->ids[i] > largest) largest = dataset->ids[i];
    return largest;
}
