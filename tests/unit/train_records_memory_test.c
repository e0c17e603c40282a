#define _POSIX_C_SOURCE 200809L /* setenv */
/* Records that are more than the memory that a process may have; memory that runs out. */
#include <stdio.h>
#include <stdlib.h>
#include <tuff/cache.h>

#include "base/column.h"
#include "kit/limited.h"
#include "model_fixture.h"
#include "train/record_cache.h"

static tuff_model *model;

static const char *write_records(const char *name, int count)
{
    const char *path = kit_path(name);
    tuff_buf text = {0};
    for (int i = 0; i < count; i++)
        tuff_buf_printf(
            &text,
            "{\"prompt\": \"what is to be said of %d and of %d\", \"completion\": \" they are numbers, "
            "of which %d is the one that comes last\"}\n",
            i, i * 7919 % 1000, i);
    assert_false(text.failed);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static tuff_data_params params(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "sft";
    p.training = true;
    p.max_length = 64;
    return p;
}

enum { ROOM = 8 << 20, MANY = 60000 };

static int train_in(size_t room, const char *path, bool no_cache, const char *out)
{
    kit_limited how = {model, params(), kit_path("few.jsonl"), ""};
    how.params.no_cache = no_cache;
    return kit_train_in(&how, room, path, out);
}

static void records_may_be_larger_than_the_memory(void **state)
{
    (void)state;
    if (!kit_can_limit()) skip();
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache-larger"), 1);
    write_records("few.jsonl", 40);
    char path[512];
    snprintf(path, sizeof path, "%s", write_records("many.jsonl", MANY));
    tuff_column_limit = 1 << 18;
    assert_int_equal(train_in(ROOM, path, true, kit_path("none")), KIT_NO_MEMORY);
    assert_int_equal(train_in(ROOM, path, false, kit_path("made")), KIT_TRAINED);
    assert_int_equal(train_in(ROOM, path, false, kit_path("found")), KIT_TRAINED);
    assert_int_equal(train_in(0, path, true, kit_path("unlimited")), KIT_TRAINED);
    tuff_column_limit = 1 << 24;
    kit_expect_same_weights(kit_path("unlimited"), kit_path("made"));
    kit_expect_same_weights(kit_path("unlimited"), kit_path("found"));
}

static tuff_status load_and_leave(void *user)
{
    tuff_data_params p = params();
    tuff_dataset *data = NULL;
    p.threads = 3;
    tuff_status status = tuff_dataset_load(model, user, &p, &data);
    if (status == TUFF_OK) {
        tuff_dataset_destroy(&data);
        status = tuff_dataset_load(model, user, &p, &data); /* what is kept */
    }
    tuff_dataset_destroy(&data);
    KIT_OK(tuff_cache_remove_texts());
    return status;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache-failing"), 1);
    tuff_records_many = 1 << 12;
    tuff_column_limit = 1 << 12;
    model_fail_some_allocations(load_and_leave, (void *)(uintptr_t)write_records("some.jsonl", 60));
    tuff_records_many = 1 << 20;
    tuff_column_limit = 1 << 24;
}

static int begin(void **state)
{
    (void)state;
    model = model_open("llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_may_be_larger_than_the_memory),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
