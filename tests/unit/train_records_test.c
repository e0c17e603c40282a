#define _DEFAULT_SOURCE /* setenv */
/* Many records: read on any number of threads, from memory, from files of the cache directory, from what is
 * kept in the cache. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <tuff/cache.h>
#include <tuff/records.h>

#include "base/column.h"
#include "base/disk.h"
#include "base/memory.h"
#include "chat/template.h"
#include "formats/records.h"
#include "kit/files.h"
#include "model_fixture.h"
#include "text/pieces.h"
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
    /* of a template its tokens count, too */
    static const char template[] = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
    tuff_chat_template *t = NULL;
    KIT_OK(tuff_chat_template_create(template, strlen(template), NULL, &t));
    p = params_of(k);
    p.chat_template = t;
    assert_false(found_with(model, path, p));
    assert_true(found_with(model, path, p));
    t->tokens[0] = tuff_strdup("w5");
    assert_false(found_with(model, path, p));
    tuff_chat_template_destroy(&t);
    tuff_model_destroy(&model);
}

/* What is said of records names the file as it is called now. */
static void a_file_that_was_renamed_is_found(void **state)
{
    (void)state;
    fresh_cache("renamed");
    tuff_model *model = model_of("bert");
    const char *path = write_records(&kinds[1], MANY), *other = kit_path("other.jsonl");
    assert_false(found_with(model, path, params_of(&kinds[1])));
    kit_copy_file(path, other);
    const tuff_data_params p = params_of(&kinds[1]);
    tuff_dataset *data = load(model, other, &p);
    assert_int_equal(cached(), 1);
    char expected[1100];
    snprintf(expected, sizeof expected, "%s, line 2", other);
    assert_non_null(strstr(data->said[0], expected));
    assert_null(strstr(data->said[0], kinds[1].name));
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* Numbers that are kept are looked at before anything is read by them. */
static void what_is_damaged_is_refused(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {UINT64_MAX, 9, (uint64_t)1 << 61};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *at = (const char *)&wrong[i];
        bool flag = false;
        size_t count = 0;
        tuff_kept k = {.at = at, .end = at + sizeof(uint64_t)};
        tuff_kept_flag(&k, &flag);
        assert_int_equal(k.status, TUFF_BAD_FORMAT);
        assert_false(flag);
        k = (tuff_kept){.at = at, .end = at + sizeof(uint64_t)};
        tuff_kept_count(&k, &count);
        assert_int_equal(k.status, TUFF_BAD_FORMAT);
        assert_int_equal(count, 0);
    }
    assert_true(tuff_kept_in_order((const int64_t[]){0, 2, 2, 5}, 3, 5));
    assert_false(tuff_kept_in_order((const int64_t[]){0, 7, 2, 5}, 3, 5));
    assert_false(tuff_kept_in_order((const int64_t[]){0, 2, 2, 6}, 3, 5));
}

static char kept_at[1000];
static void note_text(const tuff_cached_text *text, void *user)
{
    (void)user;
    snprintf(kept_at, sizeof kept_at, "%s", text->path);
}

/* A file of the cache that is whole, and has something else in it, is no reason to stop. */
static void what_is_damaged_is_read_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        const uint64_t wrong[40] = {3, 1, UINT64_MAX};
        tuff_token_writer w;
        fresh_cache("damaged");
        tuff_model *model = model_of(kinds[i].model);
        const tuff_data_params p = params_of(&kinds[i]);
        const char *path = write_records(&kinds[i], MANY);
        tuff_dataset *first = load(model, path, &p);
        if (cached()) {
            KIT_OK(tuff_cache_list_texts(note_text, NULL));
            KIT_OK(tuff_token_writer_open(kept_at, &w));
            KIT_OK(tuff_token_writer_take(&w, (const int32_t[]){1, 2}, 2));
            KIT_OK(tuff_token_writer_beside(&w, wrong, sizeof wrong));
            KIT_OK(tuff_token_writer_commit(&w, path, 1, 0));
        }
        tuff_dataset *second = load(model, path, &p);
        expect_same(first, second);
        tuff_dataset_destroy(&first);
        tuff_dataset_destroy(&second);
        tuff_model_destroy(&model);
    }
}

/* ---- directories, texts, tables that are none */

static const char *write_text(const char *path, const char *text)
{
    kit_write_file(path, text, strlen(text));
    return path;
}

static void a_refused_list_of_labels_leaves_none(void **state)
{
    (void)state;
    static const char good[] = "{\"text\": \"number\", \"label\": [\"b\"]}\n",
                      bad[] = "{\"text\": \"of\", \"label\": [\"a\", \"{}\"]}\n",
                      last[] = "{\"text\": \"one\", \"label\": [\"a\", \"b\"]}\n";
    tuff_data_params p = params_of(&kinds[2]);
    tuff_model *model = model_of("bert");
    char text[400];
    snprintf(text, sizeof text, "%s%s%s", good, bad, last);
    tuff_dataset *with = load(model, write_text(kit_path("with.jsonl"), text), &p);
    snprintf(text, sizeof text, "%s%s", good, last);
    tuff_dataset *without = load(model, write_text(kit_path("without.jsonl"), text), &p);
    char a[65], b[65];
    hash_of(with, a);
    hash_of(without, b);
    assert_string_equal(a, b);
    tuff_dataset_destroy(&with);
    tuff_dataset_destroy(&without);
    tuff_model_destroy(&model);
}

static void a_directory_is_its_records_in_order(void **state)
{
    (void)state;
    tuff_model *model = model_of("bert");
    tuff_data_params p = params_of(&kinds[1]);
    const char *directory = kit_path("directory");
    assert_int_equal(mkdir(directory, 0777), 0);
    const char *rows =
        write_text(kit_join(directory, "b.csv"), "label,text\ngood,one two\n,three\nbad,four\n");
    const char *lines =
        write_text(kit_join(directory, "a.jsonl"), "{\"text\": \"five six\", \"label\": \"bad\"}\n"
                                                   "{\"text\": \"seven\", \"label\": \"good\"}\n");
    write_text(kit_join(directory, ".hidden.csv"), "nothing\n");
    tuff_dataset *all = load(model, directory, &p), *a = load(model, lines, &p), *b = load(model, rows, &p);
    assert_int_equal(all->sequences, 4);
    assert_int_equal(all->malformed, 1);
    assert_non_null(strstr(all->said[0], "b.csv, line 3: its label is empty"));
    assert_int_equal(all->tokens, a->tokens + b->tokens);
    assert_memory_equal(all->ids, a->ids, (size_t)a->tokens * sizeof *all->ids);
    assert_memory_equal(all->ids + a->tokens, b->ids, (size_t)b->tokens * sizeof *all->ids);
    tuff_dataset_destroy(&all);
    tuff_dataset_destroy(&a);
    tuff_dataset_destroy(&b);
    /* what is wrong with a file is seen before the first one is read */
    write_text(kit_join(directory, "c.tsv"), "texts\tlabel\nx\ty\n");
    KIT_FAILS(tuff_dataset_load(model, directory, &p, &all), TUFF_INVALID_ARGUMENT,
              "c.tsv has no column \"text\"");
    write_text(kit_join(directory, "c.tsv"), "");
    KIT_FAILS(tuff_dataset_load(model, directory, &p, &all), TUFF_BAD_FORMAT, "c.tsv is empty");
    write_text(kit_join(directory, "d.parquet"), "PAR1");
    remove(kit_join(directory, "c.tsv"));
    KIT_FAILS(tuff_dataset_load(model, directory, &p, &all), TUFF_UNSUPPORTED, "d.parquet is Parquet");
    tuff_model_destroy(&model);
}

static void a_directory_of_conversations_is_recognized(void **state)
{
    (void)state;
    const char *directory = kit_path("talks"), *task;
    assert_int_equal(mkdir(directory, 0777), 0);
    write_text(kit_join(directory, "a.jsonl"), "{\"prompt\": \"one\", \"completion\": \" two\"}\n");
    write_text(kit_join(directory, "b.csv"), "prompt,completion\nthree, four\n");
    KIT_OK(tuff_data_recognize(directory, &task));
    assert_string_equal(task, "sft");
    tuff_model *model = model_of("llama");
    const tuff_data_params p = params_of(&kinds[0]);
    tuff_dataset *data = load(model, directory, &p);
    assert_int_equal(data->sequences, 2);
    tuff_dataset_destroy(&data);
    write_text(kit_join(directory, "c.txt"), "once upon a time");
    KIT_OK(tuff_data_recognize(directory, &task));
    assert_string_equal(task, "causal-lm");
    tuff_model_destroy(&model);
}

static void texts_of_records_are_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *field;
    } files[] = {{"texts.jsonl", "{\"text\": \"once upon\"}\n{\"text\": \" a time\"}\n", NULL},
                 {"texts.csv", "id,said\n1,once upon\n3, a time\n", "said"},
                 {"texts.tsv", "text\nonce upon\n a time\n", "text"},
                 {"texts.json", "[{\"text\": \"once upon\"}, {\"text\": \" a time\"}]", NULL}};
    static const char *const parts[] = {"once upon", " a time"};
    fresh_cache("cache-texts");
    tuff_model *model = model_of("llama");
    const tuff_tokenizer *tokenizer;
    tuff_ids truth = {0};
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    for (int i = 0; i < 2; i++) {
        int32_t *ids;
        size_t n;
        KIT_OK(
            tuff_tokenizer_encode(tokenizer, parts[i], strlen(parts[i]), TUFF_ENCODE_ADD_SPECIAL, &ids, &n));
        assert_true(tuff_ids_append(&truth, ids, n));
        tuff_free(ids);
    }
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.block_size = 4;
    tuff_dataset *data;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = write_text(kit_path(files[i].name), files[i].text);
        p.text_field = files[i].field;
        data = load(model, path, &p);
        assert_int_equal(data->tokens, truth.size);
        assert_memory_equal(data->ids, truth.data, truth.size * sizeof *truth.data);
        assert_int_equal(tuff_dataset_blocks(data), truth.size / 4);
        tuff_dataset_destroy(&data);
    }
    p.text_field = "texts";
    KIT_FAILS(tuff_dataset_load(model, kit_path("texts.tsv"), &p, &data), TUFF_INVALID_ARGUMENT,
              "no column \"texts\"");
    KIT_FAILS(tuff_dataset_load(model, kit_path("texts.jsonl"), &p, &data), TUFF_BAD_FORMAT,
              "its \"texts\" is missing");
    /* as they are written */
    p.allow_json = true;
    data = load(model, kit_path("texts.jsonl"), &p);
    assert_true(data->tokens > (int64_t)truth.size);
    tuff_dataset_destroy(&data);
    /* many are kept */
    p = (tuff_data_params)TUFF_DATA_PARAMS_INIT;
    p.block_size = 8;
    const char *many = write_records(&kinds[4], MANY);
    for (int i = 0; i < 2; i++) {
        data = load(model, many, &p);
        assert_int_equal(data->room.ids.borrowed, true);
        assert_int_equal(data->malformed, 3);
        assert_int_equal(cached(), 1);
        tuff_dataset_destroy(&data);
    }
    tuff_ids_free(&truth);
    tuff_model_destroy(&model);
}

static void parquet_is_refused(void **state)
{
    (void)state;
    tuff_model *model = model_of("bert"), *vectors = model_of("embedding/bert");
    const char *path = write_text(kit_path("table.csv"), "PAR1 and more");
    const tuff_data_params p = params_of(&kinds[1]);
    tuff_dataset *data;
    tuff_reader *reader;
    const char *field = "text";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_UNSUPPORTED, "pandas.read_parquet");
    KIT_FAILS(tuff_dataset_load_pairs(vectors, path, NULL, &data), TUFF_UNSUPPORTED, "pandas.read_parquet");
    KIT_FAILS(tuff_reader_open(path, &field, 1, &reader), TUFF_UNSUPPORTED, "pandas.read_parquet");
    tuff_model_destroy(&model);
    tuff_model_destroy(&vectors);
}

/* ---- mixtures, and what is held out of pairs */

/* Each part's sequences and what belongs to them stand one behind the other. */
static void all_tasks_are_mixed(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        tuff_model *model = model_of(kinds[i].model);
        tuff_data_params p = params_of(&kinds[i]);
        const char *path = write_records(&kinds[i], 9);
        tuff_dataset *parts[2] = {load(model, path, &p)}, *mixed;
        p.like = strstr(kinds[i].task, "classification") ? parts[0] : NULL;
        parts[1] = load(model, write_records(&kinds[i], 5), &p);
        KIT_OK(tuff_dataset_mix((const tuff_dataset *const *)parts, (double[]){2, 1}, 2,
                                TUFF_MIXTURE_ALL_EXHAUSTED, &mixed));
        const int64_t a = parts[0]->tokens, b = parts[1]->tokens;
        assert_int_equal(mixed->tokens, a + b);
        assert_int_equal(mixed->sequences, parts[0]->sequences + parts[1]->sequences);
        assert_memory_equal(mixed->ids, parts[0]->ids, (size_t)a * sizeof *mixed->ids);
        assert_memory_equal(mixed->ids + a, parts[1]->ids, (size_t)b * sizeof *mixed->ids);
        tuff_dataset_destroy(&parts[0]);
        tuff_dataset_destroy(&parts[1]);
        tuff_data_report report = TUFF_DATA_REPORT_INIT;
        KIT_OK(tuff_dataset_get_report(mixed, &report));
        assert_int_equal(report.malformed, 2);
        char hash[65];
        hash_of(mixed, hash);
        tuff_dataset_destroy(&mixed);
        tuff_model_destroy(&model);
    }
}

static void parts_for_other_losses_are_refused(void **state)
{
    (void)state;
    tuff_model *model = model_of("llama");
    tuff_data_params p = params_of(&kinds[8]);
    const char *path = write_records(&kinds[8], 9);
    tuff_dataset *parts[2] = {load(model, path, &p)}, *mixed;
    p.loss = "ipo";
    parts[1] = load(model, path, &p);
    KIT_FAILS(tuff_dataset_mix((const tuff_dataset *const *)parts, (double[]){1, 1}, 2,
                               TUFF_MIXTURE_ALL_EXHAUSTED, &mixed),
              TUFF_INVALID_ARGUMENT, "part 2 of the mixture: it was read for another loss");
    tuff_dataset_destroy(&parts[0]);
    tuff_dataset_destroy(&parts[1]);
    tuff_model_destroy(&model);
    model = model_of("embedding/bert");
    tuff_pair_params pairs = TUFF_PAIR_PARAMS_INIT;
    path = write_records(&kinds[7], 9);
    KIT_OK(tuff_dataset_load_pairs(model, path, &pairs, &parts[0]));
    write_text(path, "{\"anchor\": \"a\", \"positive\": \"b\", \"negative\": \"c\"}\n");
    KIT_OK(tuff_dataset_load_pairs(model, path, &pairs, &parts[1]));
    KIT_FAILS(tuff_dataset_mix((const tuff_dataset *const *)parts, (double[]){1, 1}, 2,
                               TUFF_MIXTURE_ALL_EXHAUSTED, &mixed),
              TUFF_INVALID_ARGUMENT, "its rows have 3 texts, those of parts before it 2");
    tuff_dataset_destroy(&parts[0]);
    tuff_dataset_destroy(&parts[1]);
    tuff_model_destroy(&model);
}

static void pairs_are_held_out(void **state)
{
    (void)state;
    tuff_model *model = model_of("embedding/bert");
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    const char *path = write_records(&kinds[7], 20);
    tuff_dataset *rest, *held;
    p.validation_split = 0.25;
    KIT_OK(tuff_dataset_load_pairs(model, path, &p, &rest));
    p.held_out = true;
    KIT_OK(tuff_dataset_load_pairs(model, path, &p, &held));
    assert_int_equal(tuff_dataset_blocks(held) + tuff_dataset_blocks(rest), 20);
    assert_in_range(tuff_dataset_blocks(held), 4, 6);
    int64_t known = -1;
    KIT_OK(tuff_dataset_count_known(held, held, &known));
    assert_int_equal(known, tuff_dataset_blocks(held));
    tuff_dataset_destroy(&rest);
    tuff_dataset_destroy(&held);
    p.validation_split = 0.6;
    KIT_FAILS(tuff_dataset_load_pairs(model, path, &p, &rest), TUFF_INVALID_ARGUMENT,
              "validation_split is 0.6, expected 0 to 0.5");
    /* of a few records none may be held out: that is not to say that there are none */
    path = write_records(&kinds[7], 2);
    p.validation_split = 0.01;
    KIT_FAILS(tuff_dataset_load_pairs(model, path, &p, &held), TUFF_INVALID_ARGUMENT,
              "a share of 0.01 holds out none of its records");
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
        cmocka_unit_test(a_file_that_was_renamed_is_found),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(what_is_damaged_is_read_anew),
        cmocka_unit_test(a_refused_list_of_labels_leaves_none),
        cmocka_unit_test(a_directory_is_its_records_in_order),
        cmocka_unit_test(a_directory_of_conversations_is_recognized),
        cmocka_unit_test(texts_of_records_are_one_text),
        cmocka_unit_test(parquet_is_refused),
        cmocka_unit_test(all_tasks_are_mixed),
        cmocka_unit_test(parts_for_other_losses_are_refused),
        cmocka_unit_test(pairs_are_held_out),
        cmocka_unit_test(columns_hold_what_is_put),
    };
    tuff_records_many = 1 << 14;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
