#define _DEFAULT_SOURCE /* setenv */
/* What is said of records: of what form they may be, what their labels are, also where the cache has them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "model_fixture.h"
#include "train/dataset.h"
#include "train/record_cache.h"

static int warnings;
static char said[1024];
static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level != TUFF_LOG_WARN) return;
    warnings++;
    snprintf(said, sizeof said, "%s", message);
}

static const char *write(const char *name, const char *text)
{
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    return path;
}

static void records_without_a_text_are_told_the_forms(void **state)
{
    (void)state;
    static const char forms[] =
        "records have a \"text\", or what the text field is said to be, or are conversations: \"messages\", "
        "\"conversations\", \"prompt\" and \"completion\", or \"instruction\" and \"output\"";
    tuff_model *model = model_open("llama");
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    const char *path = write("none.jsonl", "{\"body\": \"once upon\"}\n{\"body\": \" a time\"}\n");
    p.block_size = 4;
    for (int strict = 0; strict < 2; strict++) {
        p.strict = strict;
        KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, forms);
        kit_expect_message("none.jsonl, line 1: its \"text\" is missing", "", __FILE__, __LINE__);
    }
    /* not where somebody said what the text is called, nor where there are texts */
    p.text_field = "title";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, "its \"title\" is missing");
    assert_null(strstr(tuff_error_message(), "conversations"));
    p.text_field = NULL;
    path = write("some.jsonl", "{\"text\": \"once upon\"}\n{\"body\": \" a time\"}\n");
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, "line 2: its \"text\" is missing");
    assert_null(strstr(tuff_error_message(), "conversations"));
    tuff_model_destroy(&model);
}

/* The cache has labels, and no word of how they were found. */
static void mixed_labels_are_said_each_time(void **state)
{
    (void)state;
    static const struct {
        const char *problem, *labels[3];
        bool mixed;
    } cases[] = {{NULL, {"1", "\"good\"", "0.5"}, true},
                 {NULL, {"1", "2", "3"}, false},
                 {NULL, {"\"good\"", "\"bad\"", "\"ugly\""}, false},
                 {"single_label_classification", {"1", "\"good\"", "2"}, false},
                 {NULL, {"[1]", "[\"good\"]", "[2, \"bad\"]"}, false}};
    tuff_model *model = model_open("llama");
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "classification";
    p.training = true;
    p.max_length = 16;
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_buf text = {0};
        for (int k = 0; k < 300; k++)
            tuff_buf_printf(&text, "{\"text\": \"number %d\", \"label\": %s}\n", k, cases[i].labels[k % 3]);
        assert_false(text.failed);
        const char *path = write("labels.jsonl", text.data);
        p.problem_type = cases[i].problem;
        for (int again = 0; again < 2; again++) {
            tuff_dataset *data = NULL;
            warnings = 0;
            KIT_OK(tuff_dataset_load(model, path, &p, &data));
            if (warnings != cases[i].mixed)
                fail_msg("case %zu, %s: %d warnings, the last is \"%s\"", i, again ? "again" : "at first",
                         warnings, said);
            if (cases[i].mixed)
                assert_non_null(
                    strstr(said, "200 of 300 labels are numbers and the others texts; each is a class"));
            tuff_dataset_destroy(&data);
        }
        tuff_buf_free(&text);
    }
    tuff_set_log(NULL, TUFF_LOG_WARN, NULL);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_without_a_text_are_told_the_forms),
        cmocka_unit_test(mixed_labels_are_said_each_time),
    };
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache"), 1);
    tuff_records_many = 1 << 12;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
