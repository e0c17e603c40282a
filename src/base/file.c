#include "base/file.h"

#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/stage.h"
#include "base/stage_os.h"
#include "base/status.h"

char *tuff_path_join(const char *directory, const char *name)
{
    tuff_buf path = {0};
    tuff_buf_text(&path, directory);
    if (path.size > 0 && !tuff_ends_with(directory, "/")) tuff_buf_char(&path, '/');
    tuff_buf_text(&path, name);
    if (path.failed) tuff_buf_free(&path);
    return path.data;
}

const char *tuff_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

tuff_status tuff_write_file(const char *path, const void *data, size_t size)
{
    tuff_writer *writer;
    TUFF_TRY(tuff_writer_open(path, &writer));
    tuff_status status = tuff_writer_write(writer, data, size);
    if (status == TUFF_OK) return tuff_writer_commit(&writer);
    tuff_writer_abort(&writer);
    return status;
}

bool tuff_cache_directory(tuff_buf *out)
{
    const char *own = tuff_environment("TUFF_CACHE_DIR");
    const char *xdg = tuff_environment("XDG_CACHE_HOME");
    const char *home = tuff_environment("HOME");
    tuff_buf_clear(out);
    if (own)
        tuff_buf_text(out, own);
    else if (xdg && xdg[0] == '/') /* a relative one is to be ignored, says the specification */
        tuff_buf_printf(out, "%s/tuff", xdg);
    else if (home && home[0] == '/')
        tuff_buf_printf(out, "%s/.cache/tuff", home);
    return out->size > 0 && !out->failed;
}

tuff_status tuff_write_cache_file(const char *path, const void *data, size_t size)
{
    tuff_buf directory = {0};
    const char *name = tuff_path_name(path);
    tuff_buf_bytes(&directory, path, name > path ? (size_t)(name - path) - 1 : 0);
    tuff_status status = directory.failed ? tuff_fail_memory("a path") : TUFF_OK;
    if (status == TUFF_OK && directory.size > 0) status = tuff_make_directories(directory.data);
    tuff_buf_free(&directory);
    if (status == TUFF_OK) tuff_remove_stream(path); /* the folder is ours: nobody reads a pipe there */
    return status == TUFF_OK ? tuff_write_file(path, data, size) : status;
}

/* Of ".tuff-stage" the stage's directory is the one around it: *out is empty. Of ".NAME.tuff-stage" it is
 * NAME beside it. False: `part` is no stage's folder. */
static bool staged_name(const char *part, size_t size, tuff_view *out)
{
    const size_t folder = sizeof TUFF_STAGE_FOLDER - 1;
    *out = (tuff_view){part, 0};
    if (size < folder || memcmp(part + size - folder, TUFF_STAGE_FOLDER, folder) != 0) return false;
    if (size == folder) return true;
    *out = (tuff_view){part + 1, size - folder - 1};
    return part[0] == '.' && out->size > 0;
}

tuff_status tuff_stage_final_path(const char *path, tuff_buf *out)
{
    const char *name = tuff_path_name(path), *end = name > path ? name - 1 : path, *part = end;
    while (part > path && part[-1] != '/')
        part--;
    tuff_view own;
    if (!staged_name(part, (size_t)(end - part), &own)) {
        tuff_buf_text(out, path);
    } else {
        if (strcmp(name, TUFF_STAGE_RECORD) == 0) name = ""; /* stands for all files */
        tuff_buf_bytes(out, path, (size_t)(part - path));
        tuff_buf_bytes(out, own.data, own.size);
        if (own.size > 0 && *name) tuff_buf_char(out, '/');
        tuff_buf_text(out, name);
    }
    return out->failed ? tuff_fail_memory("a path") : TUFF_OK;
}
