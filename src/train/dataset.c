#include "train/task.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structs.h"
#include "base/users.h"
#include "train/line_ends.h"
#include "train/mixture.h"

static const size_t file_limit = (size_t)1 << 32;

tuff_status tuff_dataset_from_ids(const int32_t *ids, size_t n, int64_t block_size,
                                  tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED_MANY(ids, n);
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
    data->task = &tuff_task_causal_lm;
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

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_blanks(const char *text, size_t size, size_t at)
{
    while (at < size && is_blank(text[at]))
        at++;
    return at;
}

/* Size of the braces that open at text[0], up to the one that closes them; 0: none does within a megabyte. */
static size_t braces(const char *text, size_t size)
{
    enum { MOST = 1 << 20 };
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size && i < MOST; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == '{')
            depth++;
        else if (!quoted && text[i] == '}' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Whether a text begins with a JSON object, alone or as the first of an array. */
static bool begins_with_record(const tuff_buf *text)
{
    static const char mark[] = "\xef\xbb\xbf"; /* byte order */
    size_t at = text->size >= 3 && memcmp(text->data, mark, 3) == 0 ? 3 : 0;
    at = skip_blanks(text->data, text->size, at);
    if (at < text->size && text->data[at] == '[') at = skip_blanks(text->data, text->size, at + 1);
    if (at == text->size || text->data[at] != '{') return false;
    cJSON *json = NULL;
    size_t size = braces(text->data + at, text->size - at);
    if (!size || tuff_json_parse(text->data + at, size, "a text", &json) != TUFF_OK) return false;
    bool record = cJSON_IsObject(json) && json->child;
    cJSON_Delete(json);
    return record;
}

static tuff_status check_records(const char *path, const tuff_buf *text)
{
    static const struct {
        const char *end, *what;
    } names[] = {{".json", "is JSON by its name"},
                 {".jsonl", "is JSON by its name"},
                 {".ndjson", "is JSON by its name"},
                 {".csv", "is a table by its name"},
                 {".tsv", "is a table by its name"}};
    const char *what = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !what; i++)
        if (tuff_ends_with(path, names[i].end)) what = names[i].what;
    if (!what && begins_with_record(text)) what = "begins with a JSON record";
    if (!what) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s %s, and records are no text to go on with: expected plain text, or conversations (messages, "
        "conversations, prompt and completion, instruction and output); write the texts of the records into a "
        "file of their own",
        path, what);
}

/* A model that is trained on \r would learn to write it. */
static size_t turn_lines(const char *path, tuff_buf *text)
{
    const size_t lines = tuff_turn_line_ends(text->data, &text->size);
    if (lines)
        tuff_log(TUFF_LOG_WARN, "%s: %zu line%s as on Windows (\\r\\n), and %s read as ending with \\n", path,
                 lines, lines == 1 ? " ends" : "s end", lines == 1 ? "is" : "are");
    return lines;
}

tuff_status tuff_dataset_load_text(const tuff_model *model, const char *path, int64_t block_size,
                                   const tuff_text_params *params, tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(model);
    TUFF_NEED(path);
    tuff_text_params p = TUFF_TEXT_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_TEXT_PARAMS_INIT, watch));
    const tuff_tokenizer *tokenizer;
    TUFF_TRY(tuff_model_get_tokenizer(model, &tokenizer));
    tuff_buf text = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    tuff_status status = tuff_read_stream(path, file_limit, &text);
    if (status == TUFF_OK) status = check_text(path, &text);
    if (status == TUFF_OK && !p.allow_json) status = check_records(path, &text);
    const size_t windows_lines = status == TUFF_OK ? turn_lines(path, &text) : 0;
    if (status == TUFF_OK)
        status = tuff_tokenizer_encode_watched(tokenizer, text.data, text.size, 0, p.watch, &ids, &n);
    tuff_buf_free(&text);
    if (status == TUFF_OK)
        status = tuff_note(tuff_dataset_from_ids(ids, n, block_size, out_dataset), "%s", path);
    if (status == TUFF_OK) (*out_dataset)->windows_lines = (int64_t)windows_lines;
    tuff_free(ids);
    return status;
}

static tuff_status load_examples(const tuff_model *model, const char *path, const tuff_data_params *p,
                                 const tuff_task *task, tuff_dataset **out_dataset)
{
    tuff_dataset *data = tuff_alloc(sizeof *data);
    if (!data) return tuff_fail_memory("a data set");
    data->task = task;
    tuff_status status = task->load(model, path, p, data);
    if (status != TUFF_OK)
        tuff_dataset_destroy(&data);
    else
        *out_dataset = data;
    return status;
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
    const tuff_task *task = tuff_task_find(p.task);
    if (!task)
        return tuff_fail(TUFF_UNSUPPORTED, "there is no task \"%.40s\"; Tuff has %s", p.task,
                         tuff_task_names());
    if (p.like && p.like->task != task)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the data set that this is to be like is of %s, not of %s",
                         p.like->task->title, task->title);
    if (task->load) return load_examples(model, path, &p, task, out_dataset);
    tuff_text_params text = TUFF_TEXT_PARAMS_INIT;
    text.allow_json = p.allow_json;
    text.watch = p.watch;
    return tuff_dataset_load_text(model, path, p.block_size, &text, out_dataset);
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
    tuff_free(d->ids);
    tuff_free(d->types);
    tuff_free(d->starts);
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

int32_t tuff_dataset_largest(const tuff_dataset *dataset)
{
    int32_t largest = 0;
    for (int64_t i = 0; i < dataset->tokens; i++)
        if (dataset->ids[i] > largest) largest = dataset->ids[i];
    return largest;
}
