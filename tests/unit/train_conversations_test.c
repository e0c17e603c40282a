/* Files of conversations to train on: what is left out, cut, packed and said of them. */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "cpu_fixture.h"
#include "formats/records.h"
#include "model_fixture.h"
#include "train/tasks/sft.h"
#include "train/trainer.h"

static tuff_model *model;
static tuff_chat_template *chatml;
static char heard[2048];

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    const size_t size = strlen(heard);
    if (level <= TUFF_LOG_INFO) snprintf(heard + size, sizeof heard - size, "%s\n", message);
}

static const char *file_of(const char *name, const char *text)
{
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    return path;
}

static tuff_data_params params_of(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "sft";
    p.training = true;
    return p;
}

static tuff_dataset *read_text(const char *name, const char *text, tuff_data_params p)
{
    tuff_dataset *data = NULL;
    *heard = 0;
    KIT_OK(tuff_dataset_load(model, file_of(name, text), &p, &data));
    return data;
}

static tuff_data_report report_of(const tuff_dataset *data)
{
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    KIT_OK(tuff_dataset_get_report(data, &r));
    return r;
}

static const char mixed[] = "{\"prompt\": \"a\", \"completion\": \" b\"}\n"
                            "{\"prompt\": \"a\"}\n"
                            "not JSON\n"
                            "{\"prompt\": \"a\", \"completion\": \"\"}\n"
                            "{\"prompt\": \"a\", \"completion\": \" b\"}\n"
                            "{\"prompt\": \"a\", \"completion\": 3}\n"
                            "{\"prompt\": \"a\", \"prompt\": \"a\", \"completion\": \"x\"}\n"
                            "\n"
                            "{\"prompt\": \"b\", \"completion\": \" c\"}\n";

static void what_is_no_conversation_is_left_out(void **state)
{
    (void)state;
    tuff_dataset *data = read_text("mixed.jsonl", mixed, params_of());
    const tuff_data_report r = report_of(data);
    assert_int_equal(r.examples, 3);
    assert_int_equal(r.malformed, 4);
    assert_int_equal(r.empty, 1);
    assert_int_equal(r.duplicates, 1);
    assert_string_equal(r.format, "completion");
    assert_string_equal(r.chat_template, "");
    /* <|begin|> a " b" <|endoftext|> */
    assert_int_equal(r.tokens - r.labels, 3 * 2);
    assert_non_null(
        strstr(heard, "mixed.jsonl, line 2: its \"prompt\" is a text and its \"completion\" missing"));
    assert_non_null(strstr(heard, "mixed.jsonl: line 3 is not valid JSON"));
    assert_non_null(strstr(heard, "line 6: its \"prompt\" is a text and its \"completion\" a number"));
    assert_non_null(strstr(heard, "(further ones are only counted)"));
    assert_null(strstr(heard, "line 7:"));
    assert_non_null(strstr(heard, "left out are 4 malformed records, 1 with an empty answer and 0"));
    tuff_dataset_destroy(&data);
}

static void strictly_the_first_one_ends_it(void **state)
{
    (void)state;
    tuff_data_params p = params_of();
    tuff_dataset *data = NULL;
    p.strict = true;
    KIT_FAILS(tuff_dataset_load(model, file_of("mixed.jsonl", mixed), &p, &data), TUFF_BAD_FORMAT,
              "mixed.jsonl, line 2: its \"prompt\" is a text and its \"completion\" missing");
    assert_null(data);
}

/* One conversation of so many turns, and a template that marks no answer. */
static const char *long_talk(size_t turns)
{
    tuff_buf text = {0};
    tuff_buf_text(&text, "{\"messages\": [");
    for (size_t i = 0; i < turns; i++)
        tuff_buf_printf(&text, "%s{\"role\": \"%s\", \"content\": \"%zu\"}", i ? ", " : "",
                        i % 2 ? "assistant" : "user", i);
    tuff_buf_text(&text, "]}\n");
    const char *path = kit_path("talk.jsonl");
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static const char unmarked[] = "{% for m in messages %}{{ m['role'][0] + m['content'] + '\n' }}{% endfor %}"
                               "{% if add_generation_prompt %}{{ 'a' }}{% endif %}";

static tuff_dataset *read_talk(size_t turns, int64_t max_length, tuff_data_params p)
{
    tuff_dataset *data = NULL;
    p.max_length = max_length;
    KIT_OK(tuff_dataset_load(model, long_talk(turns), &p, &data));
    assert_int_equal(data->sequences, 1);
    return data;
}

/* Of what is cut off no answer is looked for: that would take each a rendering of its own. What is kept is
 * learned as where nothing is cut. */
static void long_ones_are_read_as_far_as_they_are_kept(void **state)
{
    (void)state;
    enum { KEPT = 33 };
    tuff_chat_template *template = NULL;
    tuff_data_params p = params_of();
    KIT_OK(tuff_chat_template_create(unmarked, sizeof unmarked - 1, NULL, &template));
    p.chat_template = template;
    tuff_dataset *whole = read_talk(26, 0, p);
    const char *learned = ((const tuff_sft *)whole->own)->learned.data;
    assert_int_equal(whole->cut, 0);
    for (int left = 0; left < 2; left++) {
        p.truncate_left = left != 0;
        const int64_t at = left ? whole->tokens - KEPT : 0;
        tuff_dataset *part = read_talk(26, KEPT, p), *much = read_talk(10000, KEPT, p);
        assert_int_equal(part->tokens, KEPT);
        assert_memory_equal(part->ids, whole->ids + at, KEPT * sizeof *part->ids);
        assert_memory_equal(((const tuff_sft *)part->own)->learned.data, learned + at, KEPT);
        assert_true(much->cut == 1 && much->tokens == KEPT && report_of(much).labels >= 6);
        tuff_dataset_destroy(&part);
        tuff_dataset_destroy(&much);
    }
    tuff_dataset_destroy(&whole);
    tuff_chat_template_destroy(&template);
}

static bool end_at_third(const tuff_progress *progress, void *user)
{
    int *calls = user;
    (void)progress;
    return ++*calls < 3;
}

/* Within one record, too. */
static void reading_ends_when_asked(void **state)
{
    (void)state;
    tuff_chat_template *template = NULL;
    tuff_data_params p = params_of();
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_dataset *data = NULL;
    int calls = 0;
    KIT_OK(tuff_chat_template_create(unmarked, sizeof unmarked - 1, NULL, &template));
    watch.on_progress = end_at_third;
    watch.user = &calls;
    p.chat_template = template;
    p.watch = &watch;
    KIT_FAILS(tuff_dataset_load(model, long_talk(30), &p, &data), TUFF_CANCELLED, "");
    assert_null(data);
    assert_int_equal(calls, 3);
    tuff_chat_template_destroy(&template);
}

/* A bad record is as bad in front of the others. */
static void the_first_good_one_tells_the_format(void **state)
{
    (void)state;
    static const char text[] = "{\"text\": \"a\"}\n"
                               "{\"prompt\": \"a\", \"completion\": \" b\"}\n"
                               "{\"instruction\": \"a\", \"output\": \"b\"}\n";
    const char *path = file_of("behind.jsonl", text), *task = NULL;
    tuff_dataset *data = NULL;
    tuff_data_params p = params_of();
    KIT_OK(tuff_data_recognize(path, &task));
    assert_string_equal(task, "sft");
    p.strict = true;
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT,
              "behind.jsonl, line 1: it is no conversation: its keys are text;");
    data = read_text("behind.jsonl", text, params_of());
    const tuff_data_report r = report_of(data);
    assert_string_equal(r.format, "completion");
    assert_int_equal(r.examples, 1);
    assert_int_equal(r.malformed, 2);
    assert_non_null(strstr(heard, "line 1: it is no conversation"));
    tuff_dataset_destroy(&data);
}

static const struct {
    const char *name, *text;
    tuff_status status;
    const char *part;
} mistakes[] = {
    {"a.jsonl", "", TUFF_INVALID_ARGUMENT, "a.jsonl has no records"},
    {"a.txt", "Once upon a time", TUFF_INVALID_ARGUMENT, "a.txt is text, expected records"},
    {"a.jsonl", "{\"text\": \"a\"}\n", TUFF_BAD_FORMAT,
     "a.jsonl, line 1: it is no conversation: its keys are text;"},
    {"a.csv", "question,reply\na,b\n", TUFF_BAD_FORMAT, "a.csv, line 2: it is no conversation"},
    {"a.jsonl",
     "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}",
     TUFF_NOT_FOUND, "a.jsonl, line 1: the model has no chat template, which conversations need; choose one"},
    {"a.jsonl", "{\"prompt\": \"a\", \"completion\": \" \"}\n", TUFF_INVALID_ARGUMENT,
     "there is nothing to learn from its records: 0 are malformed, 1 have an empty answer"},
    {"a.json", "[{\"prompt\": \"a\", \"completion\": 1}, {\"prompt\": 1, \"completion\": \"a\"}]",
     TUFF_BAD_FORMAT, "all 2 records of the file are malformed"},
    {"a.jsonl", "{\"messages\": [], \"conversations\": []}", TUFF_BAD_FORMAT, "in more than one way"},
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const tuff_data_params p = params_of();
        tuff_dataset *data = NULL;
        KIT_FAILS(tuff_dataset_load(model, file_of(mistakes[i].name, mistakes[i].text), &p, &data),
                  mistakes[i].status, mistakes[i].part);
        assert_null(data);
    }
    tuff_data_params p = params_of();
    tuff_dataset *data = NULL;
    const char *path = file_of("a.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}");
    p.max_length = 1000;
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_INVALID_ARGUMENT,
              "max_length is 1000, expected 2 to the 128 positions of the model");
    p.max_length = 0;
    p.conversation_format = "openai";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_INVALID_ARGUMENT,
              "there are no conversations of the format \"openai\"");
    p.conversation_format = "messages";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, "the file has no other record");
    p.conversation_format = NULL;
    p.chat_template_kwargs = "[]";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_INVALID_ARGUMENT,
              "chat_template_kwargs is no JSON object");
    p.chat_template_kwargs = "{";
    KIT_FAILS(tuff_dataset_load(model, path, &p, &data), TUFF_BAD_FORMAT, "chat_template_kwargs");
}

static void long_ones_are_cut(void **state)
{
    (void)state;
    static const char text[] = "{\"prompt\": \"1\", \"completion\": \"23456\"}\n"
                               "{\"prompt\": \"123456\", \"completion\": \"7\"}\n";
    tuff_data_params p = params_of();
    p.max_length = 4; /* three digits are a token of the pattern, of the vocabulary one is */
    tuff_dataset *data = read_text("long.jsonl", text, p);
    tuff_data_report r = report_of(data);
    assert_int_equal(r.examples, 1);
    assert_int_equal(r.cut, 1);
    assert_int_equal(r.unanswered, 1);
    assert_int_equal(data->ids[0], 1); /* it begins as it began */
    assert_int_equal(r.longest, 4);
    assert_non_null(strstr(heard, "1 of 1 conversations are longer than 4 tokens, and lost their end"));
    tuff_dataset_destroy(&data);
    p.truncate_left = true;
    data = read_text("long.jsonl", text, p);
    r = report_of(data);
    assert_int_equal(r.examples, 2);
    assert_int_equal(r.cut, 2);
    for (int i = 1; i <= 2; i++)
        assert_int_equal(data->ids[data->starts[i] - 1], 0); /* and ends as it ended */
    assert_non_null(strstr(heard, "and lost their beginning"));
    tuff_dataset_destroy(&data);
}

/* Rows are no longer than allowed, and have every conversation once, in the order of the file. */
static void rows_hold_all_of_them(void **state)
{
    (void)state;
    tuff_buf text = {0};
    for (int i = 0; i < 200; i++)
        tuff_buf_printf(&text, "{\"prompt\": \"%.*s\", \"completion\": \"%d\"}\n", i * 7 % 50,
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", i);
    tuff_data_params p = params_of();
    p.max_length = 64;
    p.packing = true;
    tuff_dataset *data = read_text("rows.jsonl", text.data, p);
    const tuff_sft *own = data->own;
    const tuff_data_report r = report_of(data);
    bool seen[200] = {false};
    assert_int_equal(r.examples, 200);
    assert_int_equal(r.rows, tuff_dataset_blocks(data));
    assert_true((double)r.tokens > 0.9 * 64 * (double)r.rows); /* they are nearly full */
    for (int64_t row = 0; row < own->row_count; row++) {
        int64_t tokens = 0, n;
        const uint32_t at = (uint32_t)row, *members = tuff_sft_members(data, &at, &n);
        assert_true(n >= 1 && n <= own->row_most);
        for (int64_t i = 0; i < n; i++) {
            assert_false(seen[members[i]]);
            assert_true(!i || members[i] > members[i - 1]);
            seen[members[i]] = true;
            tokens += tuff_dataset_length(data, members[i]);
        }
        assert_true(tokens <= 64);
    }
    for (int i = 0; i < 200; i++)
        assert_true(seen[i]);
    tuff_dataset_destroy(&data);
    tuff_buf_free(&text);
}

static void lengths_are_told(void **state)
{
    (void)state;
    tuff_buf text = {0};
    for (int i = 1; i <= 100; i++) {
        tuff_buf_text(&text, "{\"prompt\": \"");
        for (int k = 0; k < i; k++)
            tuff_buf_text(&text, "~");
        tuff_buf_text(&text, "\", \"completion\": \"!\"}\n");
    }
    tuff_dataset *data = read_text("lengths.jsonl", text.data, params_of());
    const tuff_data_report r = report_of(data);
    int64_t all = 0;
    assert_true(r.shortest < 6 && r.longest > 60);
    assert_true(r.median > r.shortest && r.p95 > r.median && r.longest > r.p95);
    assert_true(r.bar == 8 || r.bar == 16);
    for (int i = 0; i < TUFF_DATA_BARS; i++)
        all += r.bars[i];
    assert_int_equal(all, 100);
    assert_int_equal(r.duplicates, 0);
    tuff_dataset_destroy(&data);
    tuff_buf_free(&text);
}

static void what_is_in_both_is_counted(void **state)
{
    (void)state;
    tuff_dataset *train = read_text("t.csv", "prompt,completion\na,b\nc,d\n", params_of());
    tuff_dataset *other = read_text("v.csv", "prompt,completion\nc,d\ne,f\nc,d\n", params_of());
    int64_t known = -1;
    KIT_OK(tuff_dataset_count_known(other, train, &known));
    assert_int_equal(known, 2);
    KIT_OK(tuff_dataset_count_known(train, other, &known));
    assert_int_equal(known, 1);
    tuff_dataset_destroy(&train);
    tuff_dataset_destroy(&other);
}

static void expect_task(const char *name, const char *text, const char *expected)
{
    const char *task;
    KIT_OK(tuff_data_recognize(file_of(name, text), &task));
    if (!expected)
        assert_null(task);
    else
        assert_string_equal(task, expected);
}

static void files_are_recognized(void **state)
{
    (void)state;
    const char *task;
    expect_task("r.jsonl", "{\"messages\": []}", "sft");
    expect_task("r.json", "[\n{\"conversations\": 1}]", "sft");
    expect_task("r.jsonl", "oops\n{\"prompt\": \"\", \"completion\": \"\"}", "sft");
    expect_task("r.csv", "instruction,input,output\na,b,c\n", "sft");
    expect_task("r", "{\"instruction\": \"\", \"output\": \"\"}", "sft");
    expect_task("r.txt", "Once", "causal-lm");
    expect_task("r.txt", "[Verse 1]\nOnce", "causal-lm");
    expect_task("r.jsonl", "{\"text\": \"a\"}", NULL);
    expect_task("r.tsv", "a\tb\n", NULL);
    expect_task("r.jsonl", "", NULL);
    KIT_FAILS(
        tuff_data_recognize(file_of("r.jsonl", "{\"messages\": 1, \"prompt\": 1, \"completion\": 1}"), &task),
        TUFF_BAD_FORMAT, "r.jsonl, line 1: it is a conversation in more than one way");
}

static const char chat[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
    "\"content\": \"b\"}]}\n";

/* A model that is saved is talked with by the template that it was trained by. */
static void a_template_goes_with_the_model(void **state)
{
    (void)state;
    tuff_data_params p = params_of();
    tuff_train_params t = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_model *saved = NULL;
    tuff_chat_template *own = NULL;
    p.chat_template = chatml;
    tuff_dataset *data = read_text("chat.jsonl", chat, p);
    assert_string_equal(report_of(data).chat_template, "given");
    t.max_steps = 1;
    KIT_OK(tuff_trainer_create(model, device, data, &t, &trainer));
    KIT_OK(tuff_trainer_step(trainer, &step));
    assert_false(step.skipped);
    KIT_OK(tuff_trainer_save(trainer, kit_path("with")));
    KIT_OK(tuff_model_load(kit_path("with"), &saved));
    KIT_OK(tuff_chat_template_of_model(saved, NULL, &own));
    assert_true(tuff_chat_template_marks(own));
    tuff_chat_template_destroy(&own);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    /* and is that model's own from then on */
    p.chat_template = NULL;
    KIT_OK(tuff_dataset_load(saved, kit_path("chat.jsonl"), &p, &data));
    assert_string_equal(report_of(data).chat_template, "model");
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&saved);
}

/* Batches whose answers differ in length, and one that has none, add up as one batch does. */
static void the_loss_is_of_all_answers(void **state)
{
    (void)state;
    static const char text[] =
        "{\"prompt\": \"The river and\", \"completion\": \" the bridge, the longest road.\"}\n"
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n"
        "{\"prompt\": \"In the morning\", \"completion\": \" it\"}\n";
    double losses[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        tuff_data_params p = params_of();
        tuff_train_params t = TUFF_TRAIN_PARAMS_INIT;
        tuff_trainer *trainer = NULL;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        p.packing = i == 2;
        tuff_dataset *data = read_text("uneven.jsonl", text, p);
        t.max_steps = 1;
        t.per_device_train_batch_size = i == 1 ? 1 : 3;
        t.gradient_accumulation_steps = i == 1 ? 3 : 1;
        KIT_OK(tuff_trainer_create(model, device, data, &t, &trainer));
        KIT_OK(tuff_trainer_step(trainer, &step));
        losses[i] = step.loss;
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
    }
    for (int i = 1; i < 3; i++)
        if (!(fabs(losses[i] - losses[0]) < 1e-6 * losses[0]))
            fail_msg("the loss is %.9g in one batch, %.9g otherwise", losses[0], losses[i]);
}

static tuff_status load_some(void *user)
{
    tuff_data_params p = params_of();
    tuff_dataset *data = NULL;
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    int64_t known;
    p.packing = true;
    p.chat_template = chatml;
    p.chat_template_kwargs = "{\"a\": 1}";
    tuff_status status = tuff_dataset_load(model, user, &p, &data);
    if (status == TUFF_OK) status = tuff_dataset_get_report(data, &r);
    if (status == TUFF_OK) status = tuff_dataset_count_known(data, data, &known);
    tuff_dataset_destroy(&data);
    return status;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    model_fail_some_allocations(load_some, (void *)(uintptr_t)file_of("memory.jsonl", chat));
}

static int begin_all(void **state)
{
    const tuff_tokenizer *tokenizer;
    open_device(state);
    model = model_open("llama");
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_chat_template_named("chatml", tokenizer, &chatml));
    tuff_set_log(hear, TUFF_LOG_INFO, NULL);
    return 0;
}

static int end_all(void **state)
{
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    tuff_chat_template_destroy(&chatml);
    tuff_model_destroy(&model);
    return close_device(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_conversation_is_left_out),
        cmocka_unit_test(strictly_the_first_one_ends_it),
        cmocka_unit_test(long_ones_are_read_as_far_as_they_are_kept),
        cmocka_unit_test(reading_ends_when_asked),
        cmocka_unit_test(the_first_good_one_tells_the_format),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(long_ones_are_cut),
        cmocka_unit_test(rows_hold_all_of_them),
        cmocka_unit_test(lengths_are_told),
        cmocka_unit_test(what_is_in_both_is_counted),
        cmocka_unit_test(files_are_recognized),
        cmocka_unit_test(a_template_goes_with_the_model),
        cmocka_unit_test(the_loss_is_of_all_answers),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
