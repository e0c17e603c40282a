/* libFuzzer entry: a file of verdicts on kernel rows, as it lies in the cache folder. What was read and
 * written again reads the same. See README.md. */
#include <string.h>

#include "runtime/verdicts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(bool held, const char *row, size_t size, void *user)
{
    tuff_verdicts_add(user, held, row, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_device_info info = {0}, again = {0};
    tuff_buf text = {0};
    tuff_verdicts_count((const char *)data, size, &info);
    if (!memchr(info.wrong_rows, 0, sizeof info.wrong_rows)) __builtin_trap();
    tuff_verdicts_begin(&text);
    tuff_verdicts_read((const char *)data, size, write_again, &text);
    tuff_verdicts_count(text.data, text.size, &again);
    if (memcmp(&info, &again, sizeof info) != 0) __builtin_trap();
    tuff_buf_free(&text);
    return 0;
}
