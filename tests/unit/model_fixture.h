/* Small models for tests: the golden ones, and copies of them with a changed config or padded vocabulary. */
#ifndef TUFF_TESTS_MODEL_FIXTURE_H
#define TUFF_TESTS_MODEL_FIXTURE_H

#include <stdio.h>
#include <tuff/model.h>

#include "base/memory.h"
#include "kit/files.h"

/* Of "golden/<name>", or of a path. */
static inline tuff_model *model_open(const char *name)
{
    char path[512];
    tuff_model *model = NULL;
    snprintf(path, sizeof path, "golden/%s", name);
    KIT_OK(tuff_model_load(strchr(name, '/') ? name : kit_asset(path), &model));
    return model;
}

/* As kit_for_each_allocation_failure, but of growing steps: for calls that flush files to the disk. */
static inline void model_fail_some_allocations(tuff_status (*fn)(void *user), void *user)
{
    KIT_OK(fn(user));
    bool reached = true;
    for (unsigned n = 1; reached; n += 1 + n) {
        uint64_t live = kit_live();
        kit_fail_allocation(n);
        tuff_status status = fn(user);
        reached = kit_allocation_failed();
        kit_fail_allocation(0);
        if (status != TUFF_OK && status != TUFF_OUT_OF_MEMORY)
            fail_msg("failing allocation %u gave \"%s\"", n, tuff_error_message());
        assert_int_equal(kit_live(), live);
    }
}

/* A copy of a golden model under this name, with the first `from` of config.json replaced by `to`. */
static inline const char *model_copy(const char *original, const char *name, const char *from, const char *to)
{
    const char *directory = kit_copy_model(kit_golden(original), name);
    kit_edit_file(kit_join(directory, "config.json"), from, to);
    return directory;
}

#endif
