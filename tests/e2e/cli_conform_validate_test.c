/* tuff conform --validate: what the validation layer says fails the run, and without the layer nothing is
 * run. On lavapipe. Where VK_INSTANCE_LAYERS asks for the layer, these tests must not be skipped for want of
 * it. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

#include <stdlib.h>

/* It looks at what shaders do, too, and does not let them read outside of all buffers. */
#define ASSISTED "VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT"

static bool demanded; /* the layer, by who runs the tests */

static bool says(const tuff_buf *text, const char *part)
{
    return text->data != NULL && strstr(text->data, part) != NULL;
}

static void expect_says(const tuff_buf *text, const char *part)
{
    if (!says(text, part)) fail_msg("no \"%s\" in: %s", part, text->data ? text->data : "");
}

static void expect_in_file(const char *path, const char *part)
{
    tuff_buf text = {0};
    kit_read_file(path, &text);
    expect_says(&text, part);
    tuff_buf_free(&text);
}

/* One case, its reports in v.json and v.xml. */
static kit_result validate(const char *name, const char *option, const char *value)
{
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"conform", "--device", "lavapipe", "--case", name, "--validate",
                                           "--json", kit_path("v.json"), "--junit", kit_path("v.xml"), option,
                                           value, NULL});
    return r;
}

static void no_lavapipe_is_a_skip(void)
{
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"conform", "--device", "lavapipe", "--case", "fill.assign.1",
                                           "--quiet", NULL});
    int code = r.exit_code;
    kit_result_free(&r);
    if (code == 3) skip();
    assert_int_equal(code, 0);
}

static void without_the_layer(void **state)
{
    (void)state;
    no_lavapipe_is_a_skip();
    setenv("VK_LAYER_PATH", kit_temp_directory(), 1); /* where none is */
    kit_result r = validate("fill.assign.1", NULL, NULL);
    unsetenv("VK_LAYER_PATH");
    assert_int_equal(r.exit_code, 3);
    expect_says(&r.err, "the validation layer is not installed, so that nothing would be validated");
    expect_says(&r.err, "install the package vulkan-validationlayers");
    const char *said = strstr(r.err.data, "not installed");
    assert_null(strstr(said + 1, "not installed")); /* once */
    kit_result_free(&r);
    expect_in_file(kit_path("v.json"), "\"code\": 3");
    expect_in_file(kit_path("v.xml"), "errors=\"1\"");
}

/* The layer is there and at work, and has nothing to say about Tuff's own shaders. */
static void expect_silence(void)
{
    no_lavapipe_is_a_skip();
    setenv("VK_LAYER_ENABLES", ASSISTED, 1);
    kit_result r = validate("elementwise.add.1", "--forward-only", NULL);
    if (r.exit_code == 3 && !demanded) {
        print_message("%s", r.err.data ? r.err.data : "");
        kit_result_free(&r);
        skip();
    }
    if (r.exit_code != 0) fail_msg("exit %d: %s%s", r.exit_code, r.out.data, r.err.data);
    kit_result_free(&r);
}

/* A shader whose results are right and that reads outside of all buffers on the way: only the layer objects.
 */
static void break_shader(const char *shaders)
{
    const char *source = getenv("TUFF_TEST_SOURCE");
    if (source == NULL) skip();
    kit_result r;
    kit_run((const char *const[]){"cp", "-R", kit_join(source, "shaders"), shaders, NULL}, &r);
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    kit_edit_file(kit_join(shaders, "elementwise.comp"), "float x = a.a.v[i];",
                  "float x = a.a.v[i + 0x10000000u];\nif (x != 12345) x = a.a.v[i];");
}

/* In this process, in a process of its own, and where the case is expected to fail: the run fails, and all
 * reports say so. */
static void its_messages_fail_the_run(void **state)
{
    (void)state;
    static const char name[] = "elementwise.add.1";
    const char *list = kit_path("list");
    kit_write_file(list, name, strlen(name));
    const char *const how[][2] = {{"--forward-only"}, {"--isolate"}, {"--expect-fail", list}};
    expect_silence();
    break_shader(kit_path("shaders"));
    for (size_t i = 0; i < 3; i++) {
        setenv("TUFF_SHADER_DIR", kit_path("shaders"), 1);
        kit_result r = validate(name, how[i][0], how[i][1]);
        unsetenv("TUFF_SHADER_DIR");
        assert_int_equal(r.exit_code, 1);
        expect_says(&r.err, "access out of bounds");
        expect_says(&r.out, "of the validation layer, the last one: ");
        expect_says(&r.out, "\nFAILED: ");
        kit_result_free(&r);
        expect_in_file(kit_path("v.json"), "\"verdict\": \"validation\"");
        expect_in_file(kit_path("v.json"), "{\"record\": \"exit\", \"code\": 1, \"verdict\": \"failed\"}");
        expect_in_file(kit_path("v.xml"), "name=\"the_validation_layer_is_silent\" time=\"0\"><failure");
    }
}

static int setup(void **state)
{
    (void)state;
    const char *layers = getenv("VK_INSTANCE_LAYERS");
    demanded = layers != NULL && strstr(layers, "validation") != NULL;
    /* what is said here is meant: it is for these tests, not for who collects messages */
    unsetenv("VK_INSTANCE_LAYERS");
    unsetenv("VK_LAYER_SETTINGS_PATH");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_layer),
        cmocka_unit_test(its_messages_fail_the_run),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
