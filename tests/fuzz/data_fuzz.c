/* libFuzzer entry: a text to train on: whether it is one, whether it is records, its line ends. The functions
 * that judge a file's bytes are private to it, so it is compiled here. See README.md. */
#include "train/text_file.c"

#include "train/line_ends.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_buf text = {0};
    tuff_buf_bytes(&text, (const char *)data, size);
    if (!text.failed && text.size) {
        const tuff_view all = {text.data, text.size};
        const bool valid = tuff_text_is_valid(all);
        if (!valid && say_invalid("fuzz.txt", 0, all) == TUFF_OK) __builtin_trap();
        (void)check_records("fuzz.txt", all);
        const size_t turned = tuff_turn_line_ends(text.data, &text.size);
        if (turned + text.size != size || tuff_turn_line_ends(text.data, &text.size) > turned)
            __builtin_trap();
    }
    tuff_buf_free(&text);
    return 0;
}
