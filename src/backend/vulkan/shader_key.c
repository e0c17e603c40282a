/* Content keys of shader sources. cmake/embed_spirv.cmake computes the same at build time. */
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/shader_source.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"

enum { MAX_FILES = 64, MAX_NAME = 256, SOURCE_LIMIT = 4 << 20 };

typedef struct walk {
    const char *directory;
    char (*seen)[MAX_NAME];
    size_t n_seen;
    tuff_buf recipe;
} walk;

/* "shaders/x" is DIRECTORY/x, wherever the directory lies. */
tuff_status tuff_shader_read(const char *directory, const char *name, tuff_buf *out)
{
    static const char prefix[] = "shaders/";
    if (!tuff_starts_with(name, prefix) || strstr(name, ".."))
        return tuff_fail(TUFF_NOT_FOUND, "shader source %s: includes are written \"shaders/...\"", name);
    char *path = tuff_path_join(directory, name + sizeof prefix - 1);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = tuff_read_file(path, SOURCE_LIMIT, out);
    tuff_free(path);
    return status;
}

static tuff_status add_source(walk *w, const char *name, int depth);

/* The name in quotes of an #include line, or an empty view. */
static tuff_view included(const char *line, const char *end)
{
    const tuff_view none = {line, 0};
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (line == end || *line++ != '#') return none;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (end - line < 7 || memcmp(line, "include", 7) != 0) return none;
    line += 7;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (line == end || *line++ != '"') return none;
    const char *quote = memchr(line, '"', (size_t)(end - line));
    return quote ? (tuff_view){line, (size_t)(quote - line)} : none;
}

static tuff_status add_includes(walk *w, const tuff_buf *text, int depth)
{
    const char *at = text->data, *end = text->data + text->size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        tuff_view name = included(at, stop);
        if (name.size >= MAX_NAME) return tuff_fail(TUFF_BAD_FORMAT, "an #include of a shader is too long");
        if (name.size) {
            char copy[MAX_NAME];
            memcpy(copy, name.data, name.size);
            copy[name.size] = 0;
            TUFF_TRY(add_source(w, copy, depth + 1));
        }
        at = newline ? newline + 1 : end;
    }
    return TUFF_OK;
}

static tuff_status add_source(walk *w, const char *name, int depth)
{
    for (size_t i = 0; i < w->n_seen; i++)
        if (strcmp(w->seen[i], name) == 0) return TUFF_OK;
    if (w->n_seen == MAX_FILES || depth > MAX_FILES)
        return tuff_fail(TUFF_BAD_FORMAT, "a shader includes more than %d files", MAX_FILES);
    snprintf(w->seen[w->n_seen++], MAX_NAME, "%s", name);
    tuff_buf text = {0};
    tuff_status status = tuff_shader_read(w->directory, name, &text);
    if (status == TUFF_OK) {
        tuff_sha256 hash;
        char hex[65];
        tuff_sha256_init(&hash);
        tuff_sha256_update(&hash, text.data, text.size);
        tuff_sha256_hex(&hash, hex);
        tuff_buf_printf(&w->recipe, "file %s %s\n", name, hex);
        status = text.size ? add_includes(w, &text, depth) : TUFF_OK;
    }
    tuff_buf_free(&text);
    return status;
}

tuff_status tuff_shader_key(const char *directory, const char *file, const char *defines,
                            const char *compiler, char out_key[65])
{
    walk w = {.directory = directory, .seen = tuff_alloc_array(MAX_FILES, MAX_NAME)};
    if (!w.seen) return tuff_fail_memory("the key of a shader");
    char name[MAX_NAME];
    tuff_status status = TUFF_OK;
    tuff_buf_text(&w.recipe, "tuff-spirv 1\n");
    int length = snprintf(name, sizeof name, "shaders/%s", file);
    if (length < 0 || (size_t)length >= sizeof name)
        TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: too long a name", file));
    TUFF_GO(add_source(&w, name, 0));
    tuff_buf_printf(&w.recipe, "defines %s\ntarget vulkan1.2\nflags -O\ncompiler %s\n", defines, compiler);
    if (w.recipe.failed) TUFF_GO(tuff_fail_memory("the key of a shader"));
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    tuff_sha256_update(&hash, w.recipe.data, w.recipe.size);
    tuff_sha256_hex(&hash, out_key);
done:
    tuff_buf_free(&w.recipe);
    tuff_free(w.seen);
    return status;
}
