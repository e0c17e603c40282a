/* The command on files of fewer bits: written, looked at, run, measured. */
#include <math.h>
#include <tuff/model.h>

#include "kit/command.h"

static double loss_of(const char *model, const char *text)
{
    kit_result r = KIT_TUFF("eval", "--model", model, "--file", text, "--block-size", "64", "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const double loss = kit_number(json, "loss");
    cJSON_Delete(json);
    kit_result_free(&r);
    return loss;
}

/* The types of a file's tensors, "F32 9, Q5_0 20", as `tuff inspect` counts them. */
static void types_of(const char *path, char text[128])
{
    kit_result r = KIT_TUFF("inspect", path, "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *types = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "tensors"), "types"), *type;
    assert_non_null(types);
    *text = 0;
    cJSON_ArrayForEach(type, types) snprintf(text + strlen(text), 128 - strlen(text), "%s%s %.0f",
                                             *text ? ", " : "", type->string, kit_number(type, "tensors"));
    cJSON_Delete(json);
    kit_result_free(&r);
}

static const char story[] =
    "Once upon a time, a little bear named Coco lived in a dark cave. Coco liked to explore. \"Do not go too far,\" "
    "said her mother.\nOne day, Coco saw a shiny bug and ran after it. She ran over the hill and across the field. "
    "When she stopped, she did not know where she was. \"Mother!\" she called. Nobody answered.\nCoco met a goat. "
    "\"Have you seen my mother?\" she asked. \"No,\" said the big animal. \"Maybe the old squirrel can help you.\" So "
    "Coco went on and met a squirrel named Pip. \"Have you seen my mother?\" she asked. \"What does she look like?\" "
    "asked Pip. \"She is big and kind, and she is the best mother in the world,\" said Coco.\nThey went under the "
    "trees, and there she was! \"Mother!\" cried Coco, and she ran to her.\n";

/* Widths of 128 and 352 are no multiples of 256: types of such blocks become others. */
static void test_bundled(void **state)
{
    (void)state;
    static const struct {
        const char *type, *types;
        double off; /* at most so much the loss is, as a share: fewer bits may also suit a short text */
    } cases[] = {{"q8_0", "F32 9, Q8_0 29", 0.002},
                 {"q6_k", "F32 9, Q8_0 29", 0.002},
                 {"q5_k_m", "F32 9, Q5_1 24, Q8_0 5", 0.01},
                 {"q4_k_m", "F32 9, Q5_0 24, Q8_0 5", 0.03},
                 {"q4_k_s", "F32 9, Q5_0 24, Q5_1 4, Q8_0 1", 0.03},
                 {"q4_0", "F32 9, Q4_0 28, Q8_0 1", 0.05},
                 {"iq4_nl", "F32 9, Q8_0 1, IQ4_NL 28", 0.05},
                 {"mxfp4", "F32 9, Q8_0 29", 0.002}};
    char model[512];
    const char *path = kit_path("bundled.gguf"), *text = kit_path("story.txt");
    snprintf(model, sizeof model, "%s", kit_asset("model"));
    kit_write_file(text, story, sizeof story - 1);
    const double whole = loss_of(model, text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char types[128];
        KIT_DO("convert", model, "--to", "gguf", "--dtype", cases[i].type, "--output", path, "--overwrite");
        types_of(path, types);
        const double loss = loss_of(path, text);
        assert_string_equal(types, cases[i].types);
        if (!(fabs(loss / whole - 1) < cases[i].off) || loss == whole)
            fail_msg("%s: loss %.6f, of the whole model %.6f", cases[i].type, loss, whole);
        KIT_DO("generate", "--model", path, "--prompt", "Once", "--max-new-tokens", "3");
        KIT_DO("generate", "--model", path, "--prompt", "Once", "--max-new-tokens", "3", "--exact");
    }
}

/* What weights take on a device is said before and after, and is what they take in the file. */
static void test_bytes(void **state)
{
    (void)state;
    const char *path = kit_path("sized.gguf");
    KIT_DO("convert", kit_asset("model"), "--to", "gguf", "--dtype", "Q4_K_M", "--output",
           path); /* as others spell it */
    kit_result r = KIT_TUFF("inspect", path, "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const double file = kit_number(cJSON_GetObjectItem(json, "tensors"), "bytes");
    assert_true(file > 690000 && file < 692000);
    assert_true(kit_number(cJSON_GetObjectItem(json, "model"), "bytes_on_device") == file);
    cJSON_Delete(json);
    kit_result_free(&r);
    for (int i = 0; i < 2; i++) {
        r = KIT_TUFF("generate", "--model", path, "--prompt", "Once", "--max-new-tokens", "2", "--verbose",
                     "--temperature", "1", "--num-return-sequences", i ? "2" : "1");
        assert_non_null(strstr(r.err.data, "tuff: memory: weights 6"));
        kit_result_free(&r);
    }
}

/* All types are in the help, in the library's order. */
static void test_types(void **state)
{
    (void)state;
    char words[256] = "stored";
    for (size_t i = 0; tuff_save_type(i); i++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "|%s", tuff_save_type(i));
    KIT_REFUSES(2, words, "convert", "x", "--to", "gguf", "--output", "y", "--dtype", "q4_k");
}

static void test_refusals(void **state)
{
    (void)state;
    const char *model = kit_asset("model"), *q8 = kit_path("q8.gguf"), *out = kit_path("out.gguf");
    KIT_REFUSES(2, "--dtype q4_k_m is for --to gguf", "convert", model, "--to", "hf", "--dtype", "q4_k_m",
                "--output", kit_path("out"));
    KIT_DO("convert", model, "--to", "gguf", "--dtype", "q8_0", "--output", q8, "--threads", "1");
    KIT_REFUSES(1, "is quantized already, as Q8_0", "convert", q8, "--to", "gguf", "--dtype", "q4_0",
                "--output", out);
    KIT_DO("convert", q8, "--to", "gguf", "--dtype", "q4_0", "--output", out, "--allow-requantize");
    KIT_DO("convert", q8, "--to", "hf", "--output", kit_path("whole"));
}

/* --overwrite is for results, not for what is read. */
static void test_inputs_stay(void **state)
{
    (void)state;
    char model[512];
    const char *text = kit_path("read.txt");
    tuff_buf after = {0};
    snprintf(model, sizeof model, "%s", kit_copy_model(kit_asset("model"), "stays"));
    kit_write_file(text, story, sizeof story - 1);
    KIT_REFUSES(1, "would replace", "convert", model, "--to", "gguf", "--dtype", "q4_0", "--importance-text",
                text, "--output", text, "--overwrite");
    kit_read_file(text, &after);
    assert_int_equal(after.size, sizeof story - 1);
    tuff_buf_free(&after);
    KIT_REFUSES(1, "would replace a file of", "convert", model, "--to", "gguf", "--output",
                kit_join(model, "tokenizer.json"), "--overwrite");
    KIT_REFUSES(1, "would replace a file of", "convert", model, "--to", "gguf", "--output",
                kit_join(model, "model.safetensors"), "--overwrite");
    for (int i = 0; i < 2; i++)
        KIT_DO("convert", model, "--to", "gguf", "--output", kit_join(model, "model.gguf"), "--overwrite");
}

/* A text tells which weights matter: other blocks of the same types. */
static void test_importance(void **state)
{
    (void)state;
    char model[512];
    const char *text = kit_path("story.txt"), *plain = kit_path("plain.gguf"),
               *weighed = kit_path("weighed.gguf");
    tuff_buf a = {0}, b = {0};
    snprintf(model, sizeof model, "%s", kit_asset("model"));
    kit_write_file(text, story, sizeof story - 1);
    KIT_REFUSES(2, "--importance-text is for what is quantized", "convert", model, "--to", "gguf", "--dtype",
                "f16", "--importance-text", text, "--output", plain);
    kit_write_file(kit_path("cut.txt"), "a story\0and more", 16);
    KIT_REFUSES(1, "cut.txt is not text: it has a NUL byte at offset 7; expected UTF-8 text", "convert",
                model, "--to", "gguf", "--dtype", "iq4_nl", "--importance-text", kit_path("cut.txt"),
                "--output", kit_path("cut.gguf"));
    KIT_REFUSES(1, "none.txt", "convert", model, "--to", "gguf", "--dtype", "iq4_nl", "--importance-text",
                kit_path("none.txt"), "--output", plain);
    KIT_DO("convert", model, "--to", "gguf", "--dtype", "iq4_nl", "--output", plain);
    KIT_DO("convert", model, "--to", "gguf", "--dtype", "iq4_nl", "--importance-text", text, "--output",
           weighed);
    kit_read_file(plain, &a);
    kit_read_file(weighed, &b);
    assert_true(a.size > 1000 && b.size > 1000);
    assert_true(a.size != b.size || memcmp(a.data, b.data, a.size) != 0);
    KIT_DO("generate", "--model", weighed, "--prompt", "Once", "--max-new-tokens", "3");
    tuff_buf_free(&a);
    tuff_buf_free(&b);
}

/* What differs from what was asked for is said. */
static void test_warnings(void **state)
{
    (void)state;
    static const struct {
        const char *type, *part;
    } cases[] = {{"q4_k_m", "rows of 29 of 29 matrices are no multiple of the 256"},
                 {"mxfp4", "only experts are written as MXFP4"}};
    for (size_t i = 0; i < 2; i++) {
        kit_result r = KIT_TUFF("convert", kit_asset("model"), "--to", "gguf", "--dtype", cases[i].type,
                                "--output", kit_path("w.gguf"), "--overwrite");
        assert_non_null(strstr(r.err.data, cases[i].part));
        kit_result_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundled),  cmocka_unit_test(test_types),
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_inputs_stay),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_importance),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
