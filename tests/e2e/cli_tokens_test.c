/* New tokens of a model: trained, saved, talked with, merged; a training that goes on. */
#include "kit/command.h"

#include <math.h>

#define NEW "<|im_start|>,<|im_end|>"

static const char *chats(void)
{
    static char path[4096];
    tuff_buf text = {0};
    snprintf(path, sizeof path, "%s", kit_path("chats.jsonl"));
    for (int i = 0; i < 24; i++)
        tuff_buf_printf(
            &text,
            "{\"messages\": [{\"role\": \"user\", \"content\": \"s %d\"}, {\"role\": \"assistant\", "
            "\"content\": \"arr %d\"}]}\n",
            i, i % 3);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static bool file_has(const char *directory, const char *name, const char *part)
{
    tuff_buf text = {0};
    kit_read_file(kit_join(directory, name), &text);
    const bool has = strstr(text.data, part) != NULL;
    tuff_buf_free(&text);
    return has;
}

static kit_result said(const char *model, const char *adapter)
{
#define SAY                                                                                              \
    "generate", "--model", model, "--prompt", "<|im_start|>user\nsay 1<|im_end|>\n", "--max-new-tokens", \
        "12", "--ignore-eos", "--exact"
    return adapter ? KIT_TUFF(SAY, "--adapter", adapter) : KIT_TUFF(SAY);
#undef SAY
}

/* Beside LoRA: the rows are trained and saved, with the tokenizer; the same bytes after a resume; merged. */
static void test_beside_lora(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama"};
    const char *file = chats();
    for (int i = 0; i < 2; i++) {
        const char *model = kit_golden(models[i]), *out = kit_path(models[i]), *merged = kit_path("merged"),
                   *gguf = kit_path("merged.gguf");
        tuff_buf first = {0}, second = {0};
#define TRAIN                                                                                               \
    "train", "--model", model, "--train-file", file, "--output-dir", out, "--lora-rank", "2",               \
        "--chat-template", "chatml", "--add-special-tokens", NEW, "--max-length", "40", "--max-steps", "4", \
        "--save-steps", "2", "--learning-rate", "0.05", "--per-device-train-batch-size", "2", "--device",   \
        "cpu"
        kit_result r = KIT_TUFF(TRAIN);
        assert_non_null(strstr(r.err.data, "2 new ones; the table of tokens has"));
        assert_non_null(strstr(r.err.data, "resize_token_embeddings"));
        assert_null(strstr(r.err.data, "warning"));
        kit_result_free(&r);
        assert_true(file_has(out, "adapter_config.json", "\"trainable_token_indices\""));
        assert_true(file_has(out, "tokenizer.json", "<|im_end|>"));
        assert_true(file_has(out, "tokenizer_config.json", "\"eos_token\":\t\"<|im_end|>\""));
        assert_true(file_has(out, "chat_template.jinja", "<|im_start|>"));
        kit_read_file(kit_join(out, "adapter_model.safetensors"), &first);
        KIT_DO(TRAIN, "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(out, "checkpoint-2"));
        kit_read_file(kit_join(out, "adapter_model.safetensors"), &second);
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        tuff_buf_free(&first);
        tuff_buf_free(&second);
        kit_result beside = said(model, out);
        KIT_DO("convert", model, "--adapter", out, "--to", "hf", "--output", merged, "--overwrite");
        assert_true(file_has(merged, "chat_template.jinja", "<|im_start|>"));
        assert_true(file_has(merged, "tokenizer.json", "<|im_end|>"));
        KIT_DO("convert", model, "--adapter", out, "--to", "gguf", "--output", gguf, "--overwrite");
        for (int k = 0; k < 2; k++) {
            kit_result alone = said(k ? gguf : merged, NULL);
            assert_string_equal(alone.out.data, beside.out.data);
            kit_result_free(&alone);
        }
        kit_result_free(&beside);
        KIT_DO("eval", "--model", model, "--adapter", out, "--file", file);
        KIT_DO("eval", "--model", gguf, "--file", file);
#undef TRAIN
    }
}

/* All of the model; and a template that asks for tokens which are none. */
static void test_whole(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2"), *out = kit_path("whole"), *file = chats();
#define TRAIN                                                                                           \
    "train", "--model", model, "--train-file", file, "--chat-template", "chatml", "--max-length", "64", \
        "--max-steps", "2", "--output-dir"
    KIT_DO(TRAIN, out, "--add-special-tokens", NEW);
    assert_true(file_has(out, "config.json", "\"vocab_size\":\t290"));
    kit_result r = KIT_TUFF(TRAIN, kit_path("warned"));
    assert_non_null(strstr(r.err.data, "--add-special-tokens '<|im_start|>,<|im_end|>' makes them tokens"));
    kit_result_free(&r);
    KIT_DO("eval", "--model", out, "--file", file);
    KIT_REFUSES(1, "but not beside IA3", TRAIN, kit_path("none"), "--method", "ia3", "--add-special-tokens",
                NEW);
    KIT_REFUSES(1, "to be added is empty", TRAIN, kit_path("none"), "--add-special-tokens", "<a>,");
#undef TRAIN
}

static const char *write_lines(const char *name, const char *even, const char *odd)
{
    const char *path = kit_path(name);
    tuff_buf text = {0};
    for (int i = 0; i < 24; i++)
        tuff_buf_printf(&text, i % 2 ? odd : even, i / 2);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

/* What training made, to be compared. */
static tuff_buf made(const char *out, bool whole)
{
    tuff_buf bytes = {0};
    kit_read_file(kit_join(out, whole ? "model.safetensors" : "adapter_model.safetensors"), &bytes);
    return bytes;
}

static void expect_same(tuff_buf first, tuff_buf second)
{
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    tuff_buf_free(&first);
    tuff_buf_free(&second);
}

/* What the model was before has the new tokens, too: at first nothing is preferred, which is a loss of ln 2;
 * and a training that goes on compares with the same. */
static void test_preferences(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    const char *file = write_lines(
        "pairs.jsonl",
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"s %d\"}], \"chosen\": [{\"role\": "
        "\"assistant\", \"content\": \"arr\"}], \"rejected\": [{\"role\": \"assistant\", \"content\": "
        "\"no\"}]}\n",
        "{\"prompt\": \"say<|im_start|>%d\", \"chosen\": \" <|im_end|>arr\", \"rejected\": \" no<|im_end|>\"}\n");
    for (int whole = 0; whole < 2; whole++) {
        const char *out = kit_path(whole ? "dpo-whole" : "dpo-lora");
#define TRAIN                                                                                                \
    "train", "--task", "preference", "--loss", "dpo", "--model", model, "--train-file", file,                \
        "--output-dir", out, "--chat-template", "chatml", "--add-special-tokens", NEW, "--max-length", "48", \
        "--max-steps", "4", "--save-steps", "2", "--logging-steps", "1", "--learning-rate", "0.05",          \
        "--per-device-train-batch-size", "2"
#define LORA whole ? NULL : "--lora-rank", "2"
        KIT_DO(TRAIN, LORA);
        assert_true(file_has(out, "train_log.jsonl",
                             "{\"step\": 1, \"epoch\": 0.08333333333333333, \"loss\": 0.693147"));
        const tuff_buf first = made(out, whole);
        KIT_DO(TRAIN, "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(out, "checkpoint-2"),
               LORA);
        expect_same(first, made(out, whole));
        if (!whole)
            KIT_DO("eval", "--task", "preference", "--loss", "dpo", "--model", model, "--adapter", out,
                   "--file", file);
#undef TRAIN
    }
}

static double loss_of(const char *model, const char *adapter, const char *file)
{
    kit_result r = KIT_TUFF("eval", "--task", "classification", "--json", "--model", model, "--file", file,
                            adapter ? "--adapter" : NULL, adapter);
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const double loss = kit_number(json, "loss");
    cJSON_Delete(json);
    kit_result_free(&r);
    return loss;
}

/* A model that got tokens learns to classify; in the texts of such a task they would be plain text. */
static void test_classes(void **state)
{
    (void)state;
    const char *model = kit_path("grown"), *merged = kit_path("classes-merged"), *chat = chats();
    const char *file = write_lines("classes.jsonl", "{\"text\": \"s %d\", \"label\": \"say\"}\n",
                                   "{\"text\": \"%d arr\", \"label\": \"arr\"}\n");
    KIT_DO("train", "--model", kit_golden("llama"), "--train-file", chat, "--chat-template", "chatml",
           "--max-length", "40", "--max-steps", "2", "--add-special-tokens", NEW, "--output-dir", model);
    for (int whole = 0; whole < 2; whole++) {
        const char *out = kit_path(whole ? "classes-whole" : "classes-lora");
#define TRAIN                                                                                         \
    "train", "--task", "classification", "--model", model, "--train-file", file, "--output-dir", out, \
        "--max-length", "24", "--save-steps", "12", "--max-steps", "24", "--learning-rate", "0.02"
        KIT_DO(TRAIN, LORA);
        const tuff_buf first = made(out, whole);
        KIT_DO(TRAIN, "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(out, "checkpoint-12"),
               LORA);
        expect_same(first, made(out, whole));
        assert_true(loss_of(whole ? out : model, whole ? NULL : out, file) < 0.4);
        KIT_REFUSES(2, "in the texts of other tasks special tokens are plain text", TRAIN,
                    "--add-special-tokens", "<|more|>", LORA);
#undef TRAIN
    }
    const char *lora = kit_path("classes-lora");
    KIT_DO("convert", model, "--adapter", lora, "--to", "hf", "--output", merged);
    assert_true(file_has(merged, "tokenizer.json", "<|im_end|>"));
    assert_true(fabs(loss_of(merged, NULL, file) - loss_of(model, lora, file)) < 1e-5);
#undef LORA
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_lora),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_preferences),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
