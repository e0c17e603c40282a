/* Small models for tests: the golden ones, and copies of them with a changed config or padded vocabulary. */
#ifndef TUFF_TESTS_MODEL_FIXTURE_H
#define TUFF_TESTS_MODEL_FIXTURE_H

#include <stdio.h>
#include <tuff/model.h>

#include "base/file.h"
#include "base/memory.h"
#include "kit/kit.h"

/* Of "golden/<name>", or of a path. */
static inline tuff_model *model_open(const char *name)
{
    char path[512];
    tuff_model *model = NULL;
    snprintf(path, sizeof path, "golden/%s", name);
    KIT_OK(tuff_model_load(strchr(name, '/') ? name : kit_asset(path), &model));
    return model;
}

static inline void model_read_file(const char *directory, const char *name, tuff_buf *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    KIT_OK(tuff_read_file(path, (size_t)1 << 30, out));
}

static inline void model_write_file(const char *directory, const char *name, const void *data, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    kit_write_file(path, data, size);
}

/* As kit_for_each_allocation_failure, but of growing steps: for calls that flush files to the disk. */
static inline void model_fail_some_allocations(tuff_status (*fn)(void *user), void *user)
{
    KIT_OK(fn(user));
    bool reached = true;
    for (unsigned n = 1; reached; n += 1 + n) {
        uint64_t live = tuff_get_host_stats().live;
        kit_fail_allocation(n);
        tuff_status status = fn(user);
        reached = kit_allocation_failed();
        kit_fail_allocation(0);
        if (status != TUFF_OK && status != TUFF_OUT_OF_MEMORY)
            fail_msg("failing allocation %u gave \"%s\"", n, tuff_error_message());
        assert_int_equal(tuff_get_host_stats().live, live);
    }
}

/* A copy of a golden model under this name, with the first `from` of config.json replaced by `to`. */
static inline const char *model_copy(const char *golden, const char *name, const char *from, const char *to)
{
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    char path[512];
    snprintf(path, sizeof path, "golden/%s", golden);
    const char *source = kit_asset(path), *directory = kit_temp_path(name);
    KIT_OK(tuff_make_directories(directory));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tuff_buf file = {0};
        model_read_file(source, files[i], &file);
        model_write_file(directory, files[i], file.data, file.size);
        tuff_buf_free(&file);
    }
    tuff_buf config = {0}, edited = {0};
    model_read_file(source, "config.json", &config);
    const char *at = strstr(config.data, from);
    if (!at) fail_msg("the config of %s has no %s", golden, from);
    tuff_buf_bytes(&edited, config.data, (size_t)(at - config.data));
    tuff_buf_text(&edited, to);
    tuff_buf_text(&edited, at + strlen(from));
    model_write_file(directory, "config.json", edited.data, edited.size);
    tuff_buf_free(&config);
    tuff_buf_free(&edited);
    return directory;
}

#endif
