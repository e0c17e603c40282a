/* libFuzzer entry: a text to train on, from its first bytes to blocks of tokens. The functions that judge a
 * file's bytes are private to it, so it is compiled here; it meets no model. See README.md. */
#include "train/dataset.c"

const tuff_task tuff_task_causal_lm = {.name = "none"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

tuff_status tuff_model_get_tokenizer(const tuff_model *model, const tuff_tokenizer **out_tokenizer)
{
    (void)model;
    *out_tokenizer = NULL;
    return TUFF_UNSUPPORTED;
}

const tuff_task *tuff_task_find(const char *name)
{
    (void)name;
    return NULL;
}

const char *tuff_task_names(void)
{
    return "none";
}

static void cut(const uint8_t *data, size_t size)
{
    static int32_t ids[1024];
    const size_t n = size < 1024 ? size : 1024;
    tuff_dataset *set;
    for (size_t i = 0; i < n; i++)
        ids[i] = data[i];
    if (tuff_dataset_from_ids(ids, n, n ? data[0] : 0, &set) != TUFF_OK) return;
    (void)tuff_dataset_largest(set);
    tuff_dataset_destroy(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_buf text = {0};
    tuff_buf_bytes(&text, (const char *)data, size);
    if (!text.failed && check_text("fuzz.txt", &text) == TUFF_OK &&
        check_records("fuzz.txt", &text) == TUFF_OK)
        say_windows_lines("fuzz.txt", &text);
    tuff_buf_free(&text);
    cut(data, size);
    return 0;
}
