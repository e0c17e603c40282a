/* libFuzzer entry: the record of a commit, which may lie in a directory that somebody else made. What is read
 * is what printing it writes, and no name in it leads elsewhere. See README.md. */
#include <string.h>

#include "base/stage_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tuff_stage_record record = {0};
    tuff_buf text = {0};
    if (tuff_stage_record_parse((const char *)data, size, "fuzz", &record) == TUFF_OK) {
        tuff_stage_record_print(&record, &text);
        if (!text.failed && (text.size != size || memcmp(text.data, data, size) != 0)) __builtin_trap();
        for (size_t i = 0; i < record.count; i++) {
            const char *name = record.entries[i].name, *slash = strchr(name, '/');
            if (slash == name || (slash && strchr(slash + 1, '/'))) __builtin_trap();
            if (strncmp(name, "../", 3) == 0 || strncmp(name, "./", 2) == 0) __builtin_trap();
            name = slash ? slash + 1 : name;
            if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) __builtin_trap();
        }
    }
    tuff_buf_free(&text);
    tuff_stage_record_free(&record);
    return 0;
}
