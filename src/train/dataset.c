#include "train/dataset.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

static const size_t file_limit = (size_t)1 << 32;

tuff_status tuff_dataset_from_ids(const int32_t *ids, size_t n, int64_t block_size,
                                  tuff_dataset **out_dataset)
{
    *out_dataset = NULL;
    if (block_size < 2 || block_size > 1 << 24)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the block size is %lld, expected 2 to %d",
                         (long long)block_size, 1 << 24);
    if (n < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the text has %zu token%s; at least 2 are needed to predict one from the "
                         "other",
                         n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "token %zu has the id %d, expected 0 or more", i, ids[i]);
    tuff_dataset *data = tuff_alloc(sizeof *data);
    if (data) data->ids = tuff_alloc_array(n, sizeof *ids);
    if (!data || !data->ids) {
        tuff_dataset_destroy(&data);
        return tuff_fail_memory("a data set");
    }
    memcpy(data->ids, ids, n * sizeof *ids);
    data->tokens = (int64_t)n;
    data->block_size = block_size;
    *out_dataset = data;
    return TUFF_OK;
}

static tuff_status check_text(const char *path, const tuff_buf *text)
{
    if (text->size == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is empty; expected text", path);
    const char *nul = memchr(text->data, 0, text->size);
    if (nul)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s is not text: it has a NUL byte at offset %lld; expected UTF-8 text", path,
                         (long long)(nul - text->data));
    if (tuff_utf8_valid(text->data, text->size)) return TUFF_OK;
    size_t at = 0, size = 0;
    for (uint32_t unused; (size = tuff_utf8_decode(text->data + at, text->size - at, &unused)) != 0;)
        at += size;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s is not UTF-8: the byte 0x%02x at offset %zu begins no character; convert the text first", path,
        (unsigned char)text->data[at], at);
}

tuff_status tuff_dataset_load_text(const tuff_model *model, const char *path, int64_t block_size,
                                   tuff_dataset **out_dataset)
{
    *out_dataset = NULL;
    const tuff_tokenizer *tokenizer;
    TUFF_TRY(tuff_model_get_tokenizer(model, &tokenizer));
    tuff_buf text = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    tuff_status status = tuff_read_file(path, file_limit, &text);
    if (status == TUFF_OK) status = check_text(path, &text);
    if (status == TUFF_OK) status = tuff_tokenizer_encode(tokenizer, text.data, text.size, 0, &ids, &n);
    tuff_buf_free(&text);
    if (status == TUFF_OK)
        status = tuff_note(tuff_dataset_from_ids(ids, n, block_size, out_dataset), "%s", path);
    tuff_tokenizer_free_ids(&ids);
    return status;
}

void tuff_dataset_destroy(tuff_dataset **dataset)
{
    if (!*dataset) return;
    tuff_free((*dataset)->ids);
    tuff_free(*dataset);
    *dataset = NULL;
}

int64_t tuff_dataset_tokens(const tuff_dataset *dataset)
{
    return dataset->tokens;
}
int64_t tuff_dataset_blocks(const tuff_dataset *dataset)
{
    return dataset->tokens / dataset->block_size;
}

int32_t tuff_dataset_largest(const tuff_dataset *dataset)
{
    int32_t largest = 0;
    for (int64_t i = 0; i < dataset->tokens; i++)
        if (dataset->ids[i] > largest) largest = dataset->ids[i];
    return largest;
}

void tuff_labels_of(const int32_t *ids, int64_t rows, int64_t length, int32_t *out_labels)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < length; t++)
            out_labels[r * length + t] = t + 1 < length ? ids[r * length + t + 1] : -100;
}
