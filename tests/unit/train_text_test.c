#define _DEFAULT_SOURCE /* setenv */
/* Long texts as blocks: from memory, from the cache of token ids, on any number of threads; directories;
 * parts that are held out; blocks that overlap. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuff/cache.h>
#include <unistd.h>

#include "base/disk.h"
#include "model_fixture.h"
#include "train/dataset.h"
#include "train/task.h"

static tuff_model *model;

enum { BLOCK = 32, SENTENCES = 40000 };

static tuff_data_params params(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.block_size = BLOCK;
    return p;
}

static tuff_dataset *load(const char *path, const tuff_data_params *p)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load(model, path, p, &data));
    return data;
}

static void expect_same(const tuff_dataset *a, const tuff_dataset *b)
{
    assert_int_equal(a->tokens, b->tokens);
    assert_int_equal(tuff_dataset_largest(a), tuff_dataset_largest(b));
    assert_memory_equal(a->ids, b->ids, (size_t)a->tokens * sizeof *a->ids);
}

/* A fresh cache, and a text of more than a megabyte. */
static const char *fresh(const char *name)
{
    char cache[64];
    snprintf(cache, sizeof cache, "cache-%s", name);
    setenv("TUFF_CACHE_DIR", kit_temp_path(cache), 1);
    const char *path = kit_path("long.txt");
    if (access(path, F_OK) != 0) kit_write_sentences(path, SENTENCES);
    return path;
}

typedef struct seen {
    int count;
    uint64_t tokens;
    char path[512], text[512];
} seen;

static void look(const tuff_cached_text *text, void *user)
{
    seen *s = user;
    s->count++;
    s->tokens = text->tokens;
    snprintf(s->path, sizeof s->path, "%s", text->path);
    snprintf(s->text, sizeof s->text, "%s", text->text);
}

static seen cached(void)
{
    seen s = {0};
    KIT_OK(tuff_cache_list_texts(look, &s));
    return s;
}

/* ---- where ids are */

static void ids_are_the_same_wherever_they_are(void **state)
{
    (void)state;
    const char *path = fresh("same");
    tuff_data_params p = params();
    tuff_buf text;
    int32_t *ids;
    size_t n;
    const tuff_tokenizer *tokenizer;
    kit_read_file(path, &text);
    assert_true(text.size > 1 << 20);
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_tokenizer_encode(tokenizer, text.data, text.size, 0, &ids, &n));
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        p.threads = threads;
        p.no_cache = true;
        tuff_dataset *memory = load(path, &p);
        assert_non_null(memory->text.memory);
        assert_int_equal(memory->tokens, n);
        assert_memory_equal(memory->ids, ids, n * sizeof *ids);
        assert_int_equal(cached().count, 0);
        p.no_cache = false;
        tuff_dataset *made = load(path, &p), *again = load(path, &p);
        assert_null(made->text.memory);
        expect_same(memory, made);
        expect_same(memory, again);
        const seen s = cached();
        assert_int_equal(s.count, 1);
        assert_int_equal(s.tokens, n);
        assert_string_equal(s.text, path);
        /* what is removed stays for those who look at it */
        KIT_OK(tuff_cache_remove_texts());
        assert_int_equal(cached().count, 0);
        expect_same(memory, again);
        tuff_dataset_destroy(&memory);
        tuff_dataset_destroy(&made);
        tuff_dataset_destroy(&again);
    }
    tuff_free(ids);
    tuff_buf_free(&text);
}

static int writes;
static int count_writes(tuff_disk_step step, const char *path)
{
    writes += step == TUFF_DISK_WRITE && strstr(path, "tokens") != NULL;
    return 0;
}

static bool made_anew(const char *path)
{
    const tuff_data_params p = params();
    writes = 0;
    tuff_disk_hook = count_writes;
    tuff_dataset *data = load(path, &p);
    tuff_disk_hook = NULL;
    tuff_dataset_destroy(&data);
    return writes > 0;
}

static void ids_are_found_by_content(void **state)
{
    (void)state;
    const char *path = fresh("content"), *other = kit_path("other.txt");
    assert_true(made_anew(path));
    assert_false(made_anew(path));
    kit_copy_file(path, other);
    assert_false(made_anew(other));
    kit_poke_file(other, 1000, "Z", 1);
    assert_true(made_anew(other));
    assert_int_equal(cached().count, 2);
    /* another tokenizer */
    const tuff_data_params p = params();
    tuff_model *gpt2 = model_open("gpt2");
    tuff_dataset *data;
    KIT_OK(tuff_dataset_load(gpt2, path, &p, &data));
    assert_int_equal(cached().count, 3);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&gpt2);
}

static void damaged_ids_are_made_anew(void **state)
{
    (void)state;
    const char *path = fresh("damaged");
    assert_true(made_anew(path));
    char file[512];
    snprintf(file, sizeof file, "%s", cached().path);
    kit_poke_file(file, 4000, "\1", 1);
    assert_true(made_anew(path));
    kit_cut_file(file, 5000);
    assert_string_equal(cached().text, "");
    assert_true(made_anew(path));
    kit_write_file(file, "", 0);
    assert_true(made_anew(path));
    kit_poke_file(file, -1, "\xff", 1);
    assert_true(made_anew(path));
    assert_false(made_anew(path));
}

static int no_room(tuff_disk_step step, const char *path)
{
    return step == TUFF_DISK_WRITE && strstr(path, "tokens") ? ENOSPC : 0;
}
static int no_directory(tuff_disk_step step, const char *path)
{
    (void)path;
    return step == TUFF_DISK_MAKE_DIRECTORY ? EROFS : 0;
}

static char said[1024];
static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_WARN) snprintf(said, sizeof said, "%s", message);
}

static void a_full_disk_is_said_and_gone_on_without(void **state)
{
    (void)state;
    static int (*const hooks[])(tuff_disk_step, const char *) = {no_room, no_directory};
    const tuff_data_params p = params();
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    for (int i = 0; i < 2; i++) {
        const char *path = fresh(i ? "no directory" : "full");
        said[0] = 0;
        tuff_disk_hook = hooks[i];
        tuff_dataset *data = load(path, &p);
        tuff_disk_hook = NULL;
        assert_non_null(data->text.memory);
        assert_non_null(strstr(said, "stay in memory, as they cannot be kept on the disk: cannot "));
        assert_int_equal(cached().count, 0);
        tuff_dataset_destroy(&data);
    }
    tuff_set_log(NULL, TUFF_LOG_WARN, NULL);
}

static bool stop(const tuff_progress *progress, void *user)
{
    (void)user;
    return progress->phase != TUFF_PHASE_TOKENIZE || progress->done == 0;
}

static void what_is_wrong_with_a_long_text_is_said(void **state)
{
    (void)state;
    const char *path = fresh("wrong"), *other = kit_path("wrong.txt");
    tuff_data_params p = params();
    tuff_dataset *data;
    kit_copy_file(path, other);
    kit_poke_file(other, 700001, "\xff", 1);
    KIT_FAILS(tuff_dataset_load(model, other, &p, &data), TUFF_INVALID_ARGUMENT,
              "the byte 0xff at offset 700001 begins no character");
    kit_poke_file(other, 600001, "\0", 1);
    KIT_FAILS(tuff_dataset_load(model, other, &p, &data), TUFF_INVALID_ARGUMENT,
              "a NUL byte at offset 600001");
    assert_int_equal(cached().count, 0);
    p.watch = &(tuff_watch){sizeof(tuff_watch), NULL, stop, NULL};
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_CANCELLED, "cancelled while tokenizing");
    assert_int_equal(cached().count, 0);
}

static tuff_status load_and_leave(void *user)
{
    const tuff_data_params p = params();
    tuff_dataset *data = NULL;
    tuff_status status = tuff_dataset_load(model, user, &p, &data);
    tuff_dataset_destroy(&data);
    KIT_OK(tuff_cache_remove_texts());
    return status;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", fresh("memory"));
    model_fail_some_allocations(load_and_leave, path);
}

/* ---- directories */

static void a_directory_is_its_files_in_order(void **state)
{
    (void)state;
    fresh("directory");
    const char *directory = kit_path("texts");
    KIT_OK(tuff_make_directories(kit_join(directory, "deeper")));
    kit_write_sentences(kit_join(directory, "b.txt"), 30);
    kit_write_file(kit_join(directory, "a.txt"), "the river and the bridge", 24);
    kit_write_file(kit_join(directory, "c.txt"), "", 0);
    kit_write_file(kit_join(directory, ".hidden"), "\0", 1);
    const tuff_data_params p = params();
    tuff_dataset *all = load(directory, &p), *b = load(kit_join(directory, "b.txt"), &p);
    const tuff_tokenizer *tokenizer;
    int32_t *ids;
    size_t n;
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_tokenizer_encode(tokenizer, "the river and the bridge", 24, 0, &ids, &n));
    assert_int_equal(all->tokens, (int64_t)n + b->tokens);
    assert_memory_equal(all->ids, ids, n * sizeof *ids);
    assert_memory_equal(all->ids + n, b->ids, (size_t)b->tokens * sizeof *ids);
    tuff_free(ids);
    tuff_dataset_destroy(&all);
    tuff_dataset_destroy(&b);
    tuff_dataset *data;
    kit_write_file(kit_join(directory, "d.csv"), "a,b\n", 4); /* beside texts */
    KIT_FAILS(tuff_dataset_load(model, directory, &p, &data), TUFF_UNSUPPORTED,
              "d.csv is a table by its name");
    KIT_FAILS(tuff_dataset_load(model, kit_join(directory, "deeper"), &p, &data), TUFF_INVALID_ARGUMENT,
              "deeper has no files; expected text");
}

static void parquet_is_refused_with_its_remedy(void **state)
{
    (void)state;
    const tuff_data_params p = params();
    tuff_dataset *data;
    const char *path = kit_path("train.parquet"), *nameless = kit_path("data");
    kit_write_file(path, "x", 1);
    kit_write_file(nameless, "PAR1 and so on", 14);
    KIT_FAILS(tuff_dataset_load(model, nameless, &p, &data), TUFF_UNSUPPORTED, "data is Parquet");
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_UNSUPPORTED, "\nimport pandas");
    kit_expect_message("train.jsonl\", orient=\"records\", lines=True)", "", __FILE__, __LINE__);
}

/* ---- blocks */

static void blocks_may_overlap(void **state)
{
    (void)state;
    const char *path = kit_path("short.txt");
    tuff_data_params p = params();
    kit_write_sentences(path, 20);
    tuff_dataset *apart = load(path, &p);
    p.block_stride = 5;
    tuff_dataset *sliding = load(path, &p);
    const int64_t n = sliding->tokens, blocks = tuff_dataset_blocks(sliding);
    assert_int_equal(tuff_dataset_blocks(apart), n / BLOCK);
    assert_int_equal(blocks, (n - BLOCK) / 5 + 1);
    assert_int_equal(tuff_dataset_block_begin(sliding, 7), 35);
    /* measured is also what is behind the last full one */
    assert_int_equal(apart->task->count(apart, false), (n + BLOCK - 1) / BLOCK);
    assert_true((blocks - 1) * 5 + BLOCK <= n && blocks * 5 + BLOCK > n);
    tuff_dataset_destroy(&apart);
    tuff_dataset_destroy(&sliding);
    tuff_dataset *data;
    p.block_stride = BLOCK + 1;
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_INVALID_ARGUMENT,
              "the block stride is 33, expected 1 to the block size, 32");
}

static void the_end_of_a_text_is_held_out(void **state)
{
    (void)state;
    static const char *const names[] = {"short.txt", "long.txt"};
    fresh("split");
    for (int i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s", kit_path(names[i]));
        if (i == 0) kit_write_sentences(path, 20);
        tuff_data_params p = params();
        tuff_dataset *all = load(path, &p);
        p.validation_split = 0.2;
        tuff_dataset *train = load(path, &p);
        p.held_out = true;
        tuff_dataset *held = load(path, &p);
        const int64_t blocks = tuff_dataset_blocks(all);
        assert_int_equal(train->tokens % BLOCK, 0);
        assert_int_equal(train->tokens + held->tokens, all->tokens);
        assert_int_equal(tuff_dataset_blocks(held), (int64_t)(0.2 * (double)blocks + 0.5));
        assert_memory_equal(held->ids, all->ids + train->tokens, (size_t)held->tokens * sizeof *held->ids);
        assert_memory_equal(train->ids, all->ids, (size_t)train->tokens * sizeof *held->ids);
        tuff_dataset_destroy(&all);
        tuff_dataset_destroy(&train);
        tuff_dataset_destroy(&held);
    }
    tuff_data_params p = params();
    tuff_dataset *data;
    p.validation_split = 0.6;
    KIT_FAILS(tuff_dataset_load(model, kit_path("short.txt"), &p, &data), TUFF_INVALID_ARGUMENT,
              "validation_split is 0.6, expected 0 to 0.5");
    p.validation_split = 0.5;
    p.block_size = 1000;
    KIT_FAILS(tuff_dataset_load(model, kit_path("short.txt"), &p, &data), TUFF_INVALID_ARGUMENT,
              "cannot be split into two parts");
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
        cmocka_unit_test(ids_are_the_same_wherever_they_are),
        cmocka_unit_test(ids_are_found_by_content),
        cmocka_unit_test(damaged_ids_are_made_anew),
        cmocka_unit_test(a_full_disk_is_said_and_gone_on_without),
        cmocka_unit_test(what_is_wrong_with_a_long_text_is_said),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_directory_is_its_files_in_order),
        cmocka_unit_test(parquet_is_refused_with_its_remedy),
        cmocka_unit_test(blocks_may_overlap),
        cmocka_unit_test(the_end_of_a_text_is_held_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
