#define _POSIX_C_SOURCE 200809L /* setenv */
/* Texts that are larger than the memory that a process may have; what is said of those that cannot be. */
#include <stdio.h>
#include <stdlib.h>

#include "kit/limited.h"
#include "model_fixture.h"
#include "train/dataset.h"

static tuff_model *model;

enum { BLOCK = 32, ROOM = 8 << 20, ENDLESS = 260000 };
static const char usual[] = "out of memory";

static tuff_data_params params(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.block_size = BLOCK;
    return p;
}

/* With these texts' model; where there is too little memory the error is to have this reason. */
static int train_in(size_t room, const char *path, bool no_cache, const char *reason, const char *out)
{
    kit_limited how = {model, params(), kit_path("short.txt"), reason};
    how.params.no_cache = no_cache;
    return kit_train_in(&how, room, path, out);
}

/* More than the room: sentences in lines, or all in one line. */
static const char *write_endless(const char *name, bool lines)
{
    const char *path = kit_path(name);
    tuff_buf text;
    kit_write_sentences(path, ENDLESS);
    kit_read_file(path, &text);
    assert_true(text.size > ROOM);
    for (size_t i = 0; i < text.size && !lines; i++)
        if (text.data[i] == '\n') text.data[i] = ' ';
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static void a_text_may_be_larger_than_the_memory(void **state)
{
    (void)state;
    if (!kit_can_limit()) skip();
    for (int lines = 0; lines < 2; lines++) {
        const char *path = write_endless(lines ? "lines.txt" : "line.txt", lines);
        assert_int_equal(train_in(ROOM, path, true, usual, kit_path("none")), KIT_NO_MEMORY);
        assert_int_equal(train_in(ROOM, path, false, usual, kit_path("made")), KIT_TRAINED);
        assert_int_equal(train_in(ROOM, path, false, usual, kit_path("found")), KIT_TRAINED);
        assert_int_equal(train_in(0, path, true, usual, kit_path("unlimited")), KIT_TRAINED);
        kit_expect_same_weights(kit_path("unlimited"), kit_path("made"));
        kit_expect_same_weights(kit_path("unlimited"), kit_path("found"));
    }
}

/* ---- texts that cannot be cut */

static char said[1024];
static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_INFO) snprintf(said, sizeof said, "%s", message);
}

static void a_word_larger_than_the_memory_is_said(void **state)
{
    (void)state;
    if (!kit_can_limit()) skip();
    const char *path = kit_path("word.txt");
    tuff_buf text = {0};
    while (text.size < ROOM)
        tuff_buf_text(&text, "theriverandthebridge");
    assert_false(text.failed);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    static const char reason[] = "bytes of it at once, as they have no space or line end between words";
    assert_int_equal(train_in(ROOM, path, false, reason, kit_path("none")), KIT_NO_MEMORY);
}

/* A tokenizer whose words are whole texts. */
static void texts_that_are_encoded_whole_are_said_to_be(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("gpt2"), "whole"), *path = kit_path("long.txt");
    tuff_model *before = model;
    tuff_dataset *data;
    kit_edit_file(kit_join(directory, "tokenizer.json"), "\"use_regex\": true", "\"use_regex\": false");
    model = model_open(directory);
    kit_write_sentences(path, 40000);
    tuff_data_params p = params();
    p.no_cache = true;
    tuff_set_log(hear, TUFF_LOG_INFO, NULL);
    KIT_OK(tuff_dataset_load(model, path, &p, &data));
    tuff_set_log(NULL, TUFF_LOG_WARN, NULL);
    assert_non_null(strstr(
        said, "is encoded as a whole, in memory, as this tokenizer's texts cannot be cut: its words may "
              "go over spaces and line ends"));
    tuff_dataset_destroy(&data);
    static const char reason[] = "bytes at once, as this tokenizer's texts are not cut";
    if (kit_can_limit())
        assert_int_equal(train_in(ROOM, path, true, reason, kit_path("none")), KIT_NO_MEMORY);
    tuff_model_destroy(&model);
    model = before;
}

static int begin(void **state)
{
    (void)state;
    model = model_open("llama");
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache"), 1);
    kit_write_sentences(kit_path("short.txt"), 20);
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
        cmocka_unit_test(a_text_may_be_larger_than_the_memory),
        cmocka_unit_test(a_word_larger_than_the_memory_is_said),
        cmocka_unit_test(texts_that_are_encoded_whole_are_said_to_be),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
