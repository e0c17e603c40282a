/* tuff train and tuff eval on conversations. */
#include <math.h>
#include <stdlib.h>

#include "kit/command.h"

static const char chat[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"The river and\"}, {\"role\": \"assistant\", \"content\": \"the bridge.\"}]}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"In the morning\"}, {\"role\": \"assistant\", \"content\": \"it rains\"}]}\n"
    "{\"messages\": 3}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"She said\"}, {\"role\": \"assistant\", \"content\": \"\"}]}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"the stone\"}, {\"role\": \"assistant\", \"content\": \"was warm\"}]}\n";

static const char *file_of(const char *name, const char *text)
{
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    return path;
}

static double of_data(const cJSON *json, const char *data, const char *key)
{
    return kit_number(cJSON_GetObjectItem(json, data), key);
}

/* Alpaca's layout goes with what was trained in it, an adapter or a model, and is what chats are in; a
 * template that is given comes before it, and one that another training is by takes its place. */
static void a_layout_is_kept(void **state)
{
    (void)state;
    static const char records[] = "{\"instruction\": \"Go.\", \"output\": \"I do\"}\n"
                                  "{\"instruction\": \"Stay.\", \"output\": \"No\"}\n";
    const char *file = file_of("alpaca.jsonl", records), *model = kit_golden("llama"),
               *out = kit_path("laid"),
               *asked = file_of("asked.json", "[{\"role\": \"user\", \"content\": \"Go.\"}]");
#define LAID(...)                                                                             \
    "train", "--model", model, "--train-file", file, "--output-dir", out, "--max-steps", "0", \
        "--overwrite-output-dir", "--truncation-side", "left", __VA_ARGS__
#define ASK(...) \
    "chat", "--messages", asked, "--max-new-tokens", "4", "--context-length", "1024", "--json", __VA_ARGS__
    kit_result want = KIT_TUFF(ASK("--model", model, "--chat-template", "alpaca"));
    cJSON *named = kit_parse(want.out.data, want.out.size);
    for (int lora = 0; lora < 2; lora++) {
        if (lora)
            KIT_DO(LAID("--lora-rank", "2"));
        else
            KIT_DO(LAID("--quiet"));
        kit_result r =
            lora ? KIT_TUFF(ASK("--model", model, "--adapter", out)) : KIT_TUFF(ASK("--model", out));
        assert_non_null(strstr(r.err.data, "layout   alpaca, as "));
        cJSON *found = kit_parse(r.out.data, r.out.size);
        assert_true(kit_number(found, "prompt_tokens") == kit_number(named, "prompt_tokens"));
        assert_string_equal(kit_string(found, "content"), kit_string(named, "content"));
        cJSON_Delete(found);
        kit_result_free(&r);
        r = KIT_TUFF(ASK("--model", lora ? model : out, "--chat-template", "zephyr"));
        assert_null(strstr(r.err.data, "layout "));
        kit_result_free(&r);
        assert_true(tuff_is_file(kit_join(out, "chat_layout.txt")));
        if (lora)
            KIT_DO(LAID("--lora-rank", "2", "--chat-template", "zephyr"));
        else
            KIT_DO(LAID("--chat-template", "zephyr"));
        assert_false(tuff_is_file(kit_join(out, "chat_layout.txt")));
        out = kit_path("laid-lora");
    }
    cJSON_Delete(named);
    kit_result_free(&want);
}

/* What is in the file is said, the loss falls, and what was measured while training is what eval finds. */
static void answers_are_learned(void **state)
{
    (void)state;
    const char *file = file_of("chat.jsonl", chat), *model = kit_golden("llama"), *out = kit_path("learned");
    kit_result r = KIT_TUFF("eval", "--model", model, "--file", file, "--chat-template", "zephyr", "--json");
    cJSON *before = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    r = KIT_TUFF("train", "--model", model, "--train-file", file, "--validation-file", file, "--output-dir",
                 out, "--chat-template", "zephyr", "--max-steps", "60", "--per-device-train-batch-size", "3",
                 "--learning-rate", "1e-2", "--predict-with-generate", "--json");
    assert_non_null(strstr(r.err.data, "3 conversations (messages), by the chat template given"));
    assert_non_null(strstr(r.err.data, "line 3: its \"messages\" is a number"));
    assert_non_null(strstr(r.err.data, "1 malformed, 1 with an empty answer"));
    assert_non_null(strstr(r.err.data, "3 of 3 validation examples are in the training data, too"));
    assert_non_null(strstr(r.err.data, "####"));
    cJSON *trained = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    assert_true(of_data(trained, "data", "malformed") == 1 && of_data(trained, "data", "empty") == 1);
    assert_true(of_data(trained, "data", "examples") == 3 &&
                of_data(trained, "validation_data", "in_training_data") == 3);
    assert_true(of_data(trained, "data", "learned_tokens") == kit_number(before, "tokens"));
    assert_true(of_data(trained, "data", "learned_tokens") < 0.5 * of_data(trained, "data", "tokens"));
    /* by the template that went with it */
    r = KIT_TUFF("eval", "--model", out, "--file", file, "--predict-with-generate", "--use-stemmer",
                 "--json");
    assert_non_null(strstr(r.err.data, "by the model's chat template"));
    cJSON *after = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    assert_true(fabs(kit_number(after, "loss") - kit_number(trained, "eval_loss")) < 1e-5);
    assert_true(kit_number(after, "loss") < 0.2 * kit_number(before, "loss"));
    assert_true(kit_number(after, "accuracy") > 0.9);
    assert_true(kit_number(after, "exact_match") == 1 && kit_number(trained, "eval_exact_match") == 1);
    assert_true(kit_number(after, "rougeL") == 1 && kit_number(trained, "eval_chrf") == 100);
    r = KIT_TUFF("eval", "--model", out, "--file", file, "--assistant-only-loss", "false", "--packing",
                 "--json");
    cJSON *all = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    assert_true(kit_number(all, "tokens") > 2 * kit_number(after, "tokens"));
    assert_true(kit_number(all, "loss") > 2 * kit_number(after, "loss")); /* questions were not learned */
    cJSON_Delete(before);
    cJSON_Delete(trained);
    cJSON_Delete(after);
    cJSON_Delete(all);
    /* and it says what it learned */
    if (!getenv("TUFF_TEST_TUFF")) return;
    kit_run((const char *const[]){"sh", "-c", "echo the stone | \"$@\"", "sh", getenv("TUFF_TEST_TUFF"),
                                  "chat", "--model", out, "--temperature", "0", "--max-new-tokens", "20",
                                  "--device", "cpu", NULL},
            &r);
    assert_non_null(strstr(r.out.data, "was warm"));
    kit_result_free(&r);
}

/* An adapter has the template that it was trained by beside it, and is used by it. */
static void adapters_have_their_template(void **state)
{
    (void)state;
    static const char pairs[] = "{\"prompt\": [{\"role\": \"user\", \"content\": \"the stone\"}], "
                                "\"chosen\": [{\"role\": \"assistant\", \"content\": \"was warm\"}], "
                                "\"rejected\": [{\"role\": \"assistant\", \"content\": \"was cold\"}]}\n";
    const char *file = file_of("chat.jsonl", chat), *model = kit_golden("llama"), *out = kit_path("adapter"),
               *messages = file_of("said.json", "[{\"role\": \"user\", \"content\": \"the stone\"}]");
    KIT_DO("train", "--model", model, "--train-file", file, "--output-dir", out, "--chat-template", "zephyr",
           "--max-steps", "2", "--learning-rate", "1e-2", "--lora-rank", "2", "--per-device-train-batch-size",
           "1");
    double losses[2];
    for (int i = 0; i < 2; i++) {
        kit_result r = KIT_TUFF("eval", "--model", model, "--adapter", out, "--file", file, "--json",
                                i ? "--chat-template" : "--task", i ? "zephyr" : "sft");
        assert_non_null(strstr(r.err.data, "by the chat template given"));
        cJSON *json = kit_parse(r.out.data, r.out.size);
        losses[i] = kit_number(json, "loss");
        cJSON_Delete(json);
        kit_result_free(&r);
    }
    assert_true(losses[0] == losses[1]);
    KIT_REFUSES(1, "has no chat template", "generate", "--model", model, "--messages", messages);
    KIT_DO("generate", "--model", model, "--adapter", out, "--messages", messages, "--max-new-tokens", "2");
    /* another one in its place, by the model's own way: it has none */
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--max-steps", "0",
           "--lora-rank", "2", "--block-size", "16", "--overwrite-output-dir");
    assert_false(tuff_is_file(kit_join(out, "chat_template.jinja")));
    KIT_DO("train", "--model", model, "--train-file", file_of("pairs.jsonl", pairs), "--task", "preference",
           "--output-dir", out, "--max-steps", "0", "--lora-rank", "2", "--overwrite-output-dir",
           "--chat-template", "chatml");
    assert_true(tuff_is_file(kit_join(out, "chat_template.jinja")));
}

/* Interrupted between two rows of conversations and gone on with: the same bytes. */
static void a_training_goes_on(void **state)
{
    (void)state;
    const char *file = file_of("chat.jsonl", chat), *model = kit_golden("gpt2");
    kit_result r = KIT_TUFF("train", "--model", model, "--train-file", file, "--output-dir",
                            kit_path("whole"), "--chat-template", "zephyr", "--max-length", "60", "--packing",
                            "--max-steps", "5", "--per-device-train-batch-size", "1",
                            "--gradient-accumulation-steps", "2", "--save-steps", "2");
    kit_result_free(&r);
    r = KIT_TUFF("train", "--model", model, "--train-file", file, "--output-dir", kit_path("on"),
                 "--chat-template", "zephyr", "--max-length", "60", "--packing", "--max-steps", "5",
                 "--per-device-train-batch-size", "1", "--gradient-accumulation-steps", "2",
                 "--resume-from-checkpoint", kit_join(kit_path("whole"), "checkpoint-2"));
    assert_null(strstr(r.err.data, "not the same"));
    kit_result_free(&r);
    tuff_buf whole = {0}, on = {0};
    kit_read_file(kit_join(kit_path("whole"), "model.safetensors"), &whole);
    kit_read_file(kit_join(kit_path("on"), "model.safetensors"), &on);
    assert_int_equal(whole.size, on.size);
    assert_memory_equal(whole.data, on.data, on.size);
    tuff_buf_free(&whole);
    tuff_buf_free(&on);
    /* other labels are other data */
    r = KIT_TUFF("train", "--model", model, "--train-file", file, "--output-dir", kit_path("other"),
                 "--chat-template", "zephyr", "--max-length", "60", "--packing", "--max-steps", "5",
                 "--per-device-train-batch-size", "1", "--gradient-accumulation-steps", "2",
                 "--assistant-only-loss", "false", "--resume-from-checkpoint",
                 kit_join(kit_path("whole"), "checkpoint-2"));
    assert_non_null(strstr(r.err.data, "the training data is not the same"));
    kit_result_free(&r);
}

static const struct {
    const char *name, *text, *option, *value;
    int code;
    const char *part;
} mistakes[] = {
    {"a.jsonl", chat, NULL, NULL, 1,
     "the model has no chat template, which conversations need; choose one by --chat-template"},
    {"a.jsonl", chat, "--chat-template", "nonsense", 1, "no chat template called \"nonsense\""},
    {"a.jsonl", "{\"other\": \"a\"}", NULL, NULL, 1, "line 1: its \"text\" is missing, expected a text"},
    {"a.jsonl", "{\"text\": \"a\"}", "--task", "sft", 1,
     "a.jsonl, line 1: it is no conversation: its keys are text;"},
    {"a.jsonl", "{\"messages\": 1, \"instruction\": 1, \"output\": 1}", NULL, NULL, 2,
     "in more than one way"},
    {"a.txt", "Once upon a time", "--packing", NULL, 2, "options of conversations are of --task sft"},
    {"a.jsonl", "{\"prompt\": \"a\", \"completion\": 1}\n{\"prompt\": \"a\", \"completion\": \"b\"}",
     "--strict", NULL, 1,
     "line 1: its \"prompt\" is a text and its \"completion\" a number; expected two texts"},
    {"a.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}", "--max-length", "4096", 1,
     "positions of the model"},
    {"a.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}", "--chat-template-kwargs", "[1]", 1,
     "no JSON object"},
    {"a.csv", "prompt,completion\na,b,c\n", "--task", "sft", 1,
     "line 2: it has 3 columns, the first row names 2; the file has no other record"},
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        kit_result r;
        kit_run_tuff(&r,
                     (const char *const[]){"train", "--model", kit_golden("llama"), "--train-file",
                                           file_of(mistakes[i].name, mistakes[i].text), "--output-dir",
                                           kit_path("none"), mistakes[i].option, mistakes[i].value, NULL});
        if (r.exit_code != mistakes[i].code || !strstr(r.err.data, mistakes[i].part))
            fail_msg("mistake %zu gave %d: %s", i, r.exit_code, r.err.data);
        kit_result_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_learned), cmocka_unit_test(a_layout_is_kept),
        cmocka_unit_test(adapters_have_their_template), cmocka_unit_test(a_training_goes_on),
        cmocka_unit_test(mistakes_are_named)};
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
