#include "formats/parquet.h"

#include <string.h>

#include "base/file.h"
#include "base/status.h"

static bool is_parquet(const char *path)
{
    static const char mark[] = {'P', 'A', 'R', '1'};
    char head[sizeof mark];
    tuff_file file = {0};
    if (tuff_ends_with(path, ".parquet")) return true;
    if (!tuff_is_regular_file(path) || tuff_file_open(path, &file) != TUFF_OK) return false;
    const bool found = file.size >= sizeof mark && tuff_file_read(&file, 0, head, sizeof head) == TUFF_OK &&
                       memcmp(head, mark, sizeof mark) == 0;
    tuff_file_close(&file);
    return found;
}

tuff_status tuff_refuse_parquet(const char *path)
{
    if (!is_parquet(path)) return TUFF_OK;
    const size_t name = strlen(path) - (tuff_ends_with(path, ".parquet") ? strlen(".parquet") : 0);
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s is Parquet, which Tuff does not read; make JSON lines of it by two lines of Python:\n"
        "import pandas  # and pyarrow\n"
        "pandas.read_parquet(\"%s\").to_json(\"%.*s.jsonl\", orient=\"records\", lines=True)",
        path, path, (int)name, path);
}
