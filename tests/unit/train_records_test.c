#define _DEFAULT_SOURCE /* setenv */
/* Many records: read on any number of threads, from memory, from files of the cache directory, from what is
 * kept in the cache. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuff/cache.h>

#include "base/column.h"
#include "base/disk.h"
#include "formats/records.h"
#include "kit/files.h"
#include "model_fixture.h"
#include "train/dataset.h"
#include "train/record_cache.h"
#include "train/task.h"

/* A model of the goldens; encoders get the tokenizer of records. */
static tuff_model *model_of(const char *name)
{
    tuff_model *model = NULL;
    if (strcmp(name, "bert") != 0) return model_open(strchr(name, '/') ? kit_golden(name) : name);
    const char *path = kit_copy_model(kit_golden(name), name), *from = kit_golden("tasks");
    kit_copy_file(kit_join(from, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(kit_join(from, "tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

/* ---- files of records */

typedef struct kind {
    const char *task, *model, *name;
    const char *record; /* with two numbers and a word in it */
    const char *loss;
} kind;

static const kind kinds[] = {
    {"sft", "llama", "sft.jsonl",
     "{\"prompt\": \"what is %d and %d\", \"completion\": \" it is a %s thing, they say\"}\n", NULL},
    {"classification", "bert", "classes.jsonl",
     "{\"text\": \"number %d of %d, they say\", \"label\": \"%s\"}\n", NULL},
    {"classification", "bert", "lists.jsonl",
     "{\"text\": \"number %d of %d, they say\", \"label\": [\"%s\", \"all\"]}\n", NULL},
    {"token-classification", "bert", "tokens.jsonl",
     "{\"tokens\": [\"number\", \"%d\", \"of\", \"%d\"], \"labels\": [\"O\", \"%s\", \"O\", \"B\"]}\n", NULL},
    {"mlm", "bert", "texts.jsonl", "{\"text\": \"number %d of %d is a %s one\"}\n", NULL},
    {"seq2seq", "t5", "pairs.jsonl", "{\"source\": \"number %d of %d\", \"target\": \"a %s one\"}\n", NULL},
    {"qa", "bert", "questions.jsonl",
     "{\"question\": \"which number\", \"context\": \"number %d of %d is %s\", \"answers\": {\"text\": [\"number\"], "
     "\"answer_start\": [0]}}\n",
     NULL},
    {"embedding", "embedding/bert", "vectors.jsonl",
     "{\"anchor\": \"number %d\", \"positive\": \"it is %d, a %s one\"}\n", NULL},
    {"preference", "llama", "preferences.jsonl",
     "{\"prompt\": \"number %d of %d is\", \"chosen\": \" a %s one\", \"rejected\": \" none of these\"}\n",
     "dpo"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Some are malformed, one of them early. */
static const char *write_records(const kind *k, int count)
{
    static const char *const words[] = {"good", "bad", "ugly"};
    const char *path = kit_path(k->name);
    tuff_buf text = {0};
    for (int i = 0; i < count; i++) {
        if (i == 1 || i % 1000 == 999) tuff_buf_text(&text, "{\"no\": \"record\"}\n");
        char record[400];
        snprintf(record, sizeof record, k->record, i, (i * 7919) % 1000, words[i % 3]);
        tuff_buf_text(&text, record);
    }
    assert_false(text.failed);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static tuff_data_params params_of(const kind *k)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = k->task;
    p.training = true;
    p.loss = k->loss;
    p.max_length = 16;
    p.stride = 4;
    return p;
}

static tuff_dataset *load(const tuff_model *model, const char *path, const tuff_data_params *p)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load(model, path, p, &data));
    return data;
}

static void hash_of(const tuff_dataset *data, char out[65])
{
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    if (data->task->hash) data->task->hash(data, &hash);
    tuff_sha256_hex(&hash, out);
}

static void expect_same(const tuff_dataset *a, const tuff_dataset *b)
{
    char x[65], y[65];
    const char *m = NULL, *n = NULL;
    int64_t of_m, of_n;
    assert_int_equal(a->tokens, b->tokens);
    assert_int_equal(a->sequences, b->sequences);
    assert_memory_equal(a->ids, b->ids, (size_t)a->tokens * sizeof *a->ids);
    assert_memory_equal(a->starts, b->starts, (size_t)(a->sequences + 1) * sizeof *a->starts);
    assert_int_equal(a->types != NULL, b->types != NULL);
    if (a->types) assert_memory_equal(a->types, b->types, (size_t)a->tokens);
    assert_int_equal(a->malformed, b->malformed);
    assert_int_equal(a->cut, b->cut);
    assert_int_equal(a->empty, b->empty);
    assert_int_equal(a->unanswered, b->unanswered);
    assert_int_equal(a->longest, b->longest);
    for (int i = 0; i < TUFF_RECORDS_SAID; i++)
        assert_string_equal(a->said[i], b->said[i]);
    for (size_t i = 0; tuff_dataset_label(a, i, &m, &of_m); i++) {
        assert_true(tuff_dataset_label(b, i, &n, &of_n));
        assert_string_equal(m, n);
        assert_int_equal(of_m, of_n);
    }
    hash_of(a, x);
    hash_of(b, y);
    assert_string_equal(x, y);
}

static void fresh_cache(const char *name)
{
    setenv("TUFF_CACHE_DIR", kit_temp_path(name), 1);
    KIT_OK(tuff_cache_remove_texts());
}

static int count_of_texts;
static void count_text(const tuff_cached_text *text, void *user)
{
    (void)user;
    count_of_texts += text->tokens > 0;
}

static int cached(void)
{
    count_of_texts = 0;
    KIT_OK(tuff_cache_list_texts(count_text, NULL));
    return count_of_texts;
}

/* ---- what is read is the same however it is read */

enum { MANY = 2500 };

static void records_are_the_same_however_they_are_read(void **state)
{
    (void)state;
    fresh_cache("cache-same");
    for (int i = 0; i < KINDS; i++) {
        const kind *k = &kinds[i];
        tuff_model *model = model_of(k->model);
        const char *path = write_records(k, MANY);
        tuff_data_params p = params_of(k);
        p.no_cache = true;
        p.threads = 1;
        tuff_dataset *alone = load(model, path, &p);
        assert_int_equal(alone->malformed, 3);
        p.threads = 3;
        tuff_dataset *together = load(model, path, &p);
        expect_same(alone, together);
        assert_int_equal(cached(), 0);
        p.no_cache = false;
        tuff_column_limit = 1 << 12;
        tuff_dataset *made = load(model, path, &p), *found = load(model, path, &p);
        tuff_column_limit = 1 << 24;
        assert_int_equal(cached(), k->task[0] != 'q');
        assert_int_equal(found->room.ids.borrowed, k->task[0] != 'q');
        expect_same(alone, made);
        expect_same(alone, found);
        KIT_OK(tuff_cache_remove_texts());
        expect_same(alone, found);
        tuff_dataset_destroy(&alone);
        tuff_dataset_destroy(&together);
        tuff_dataset_destroy(&made);
        tuff_dataset_destroy(&found);
        tuff_model_destroy(&model);
        remove(path);
    }
}

static tuff_disk_step failing;
static const char *failing_part;
static int fail_step(tuff_disk_step step, const char *path)
{
    return step == failing && (!failing_part || strstr(path, failing_part)) ? ENOSPC : 0;
}

static void a_full_disk_leaves_records_in_memory(void **state)
{
    (void)state;
    static const struct {
        tuff_disk_step step;
        const char *part;
    } steps[] = {{TUFF_DISK_CREATE, NULL},
                 {TUFF_DISK_WRITE, NULL},
                 {TUFF_DISK_WRITE, "tokens"},
                 {TUFF_DISK_RENAME, "tokens"},
                 {TUFF_DISK_SYNC, "tokens"}};
    tuff_model *model = model_of("llama");
    const char *path = write_records(&kinds[0], MANY);
    tuff_data_params p = params_of(&kinds[0]);
    p.no_cache = true;
    tuff_dataset *memory = load(model, path, &p);
    p.no_cache = false;
    tuff_column_limit = 1 << 12;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        fresh_cache("cache-full");
        failing = steps[i].step;
        failing_part = steps[i].part;
        tuff_disk_hook = fail_step;
        tuff_dataset *data = load(model, path, &p);
        tuff_disk_hook = NULL;
        assert_int_equal(cached(), 0);
        expect_same(memory, data);
        tuff_dataset_destroy(&data);
    }
    tuff_column_limit = 1 << 24;
    tuff_dataset_destroy(&memory);
    tuff_model_destroy(&model);
}

/* ---- what is found */

static bool found_with(const tuff_model *model, const char *path, tuff_data_params p)
{
    const int before = cached();
    tuff_dataset *data = load(model, path, &p);
    const bool found = cached() == before;
    tuff_dataset_destroy(&data);
    return found;
}

static void other_settings_are_other_data(void **state)
{
    (void)state;
    fresh_cache("cache-settings");
    tuff_model *model = model_of("llama");
    const kind *k = &kinds[0];
    const char *path = write_records(k, MANY);
    tuff_data_params p = params_of(k);
    assert_false(found_with(model, path, p));
    assert_true(found_with(model, path, p));
    p.packing = true; /* is made of what is kept */
    assert_true(found_with(model, path, p));
    p.max_length = 14;
    assert_false(found_with(model, path, p));
    p.loss_on_prompts = true;
    assert_false(found_with(model, path, p));
    p.truncate_left = true;
    assert_false(found_with(model, path, p));
    p.validation_split = 0.25;
    assert_false(found_with(model, path, p));
    p.held_out = true;
    assert_false(found_with(model, path, p));
    p.split_seed = 7;
    assert_false(found_with(model, path, p));
    assert_true(found_with(model, path, p));
    /* what is not whole is read anew, and so is a file that is another one */
    p = params_of(k);
    assert_true(found_with(model, path, p));
    write_records(k, MANY + 1);
    assert_false(found_with(model, path, p));
    p.strict = true;
    tuff_dataset *data = NULL;
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, "line 2");
    tuff_model_destroy(&model);
}

/* ---- arrays that grow into files */

static void columns_hold_what_is_put(void **state)
{
    (void)state;
    fresh_cache("cache-columns");
    tuff_column_limit = 1 << 16;
    for (int stays = 0; stays < 2; stays++) {
        tuff_column c = {.stays = stays};
        const size_t count = (size_t)5 << 20; /* more than a file is made with */
        for (uint32_t i = 0; i < count; i++)
            assert_true(tuff_column_put(&c, i * sizeof i, &i, sizeof i));
        assert_int_equal(c.handle != 0, !stays);
        for (uint32_t i = 0; i < count; i++)
            if (((const uint32_t *)c.data)[i] != i) fail_msg("number %u is another one", i);
        tuff_column_free(&c);
        assert_null(c.data);
    }
    tuff_column_limit = 1 << 24;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_the_same_however_they_are_read),
        cmocka_unit_test(a_full_disk_leaves_records_in_memory),
        cmocka_unit_test(other_settings_are_other_data),
        cmocka_unit_test(columns_hold_what_is_put),
    };
    tuff_records_many = 1 << 14;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
