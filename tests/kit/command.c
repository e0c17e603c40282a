#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

void kit_run_tuff(kit_result *out, const char *const *arguments)
{
    const char *argv[KIT_ARGUMENTS] = {getenv("TUFF_TEST_TUFF")};
    if (!argv[0]) {
        print_message("TUFF_TEST_TUFF is not set\n");
        skip();
    }
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    kit_run(argv, out);
}

void kit_expect_refusal(int code, const char *part, const char *const *arguments)
{
    kit_result r;
    int entries = kit_count_entries(kit_temp_directory());
    kit_run_tuff(&r, arguments);
    const char *newline = strchr(r.err.data, '\n');
    bool one_line = newline && newline[1] == 0;
    if (r.exit_code != code || r.out.size || !one_line || !tuff_starts_with(r.err.data, "tuff: ") ||
        !strstr(r.err.data, part))
        fail_msg("%s: exit code %d, expected %d and one sentence with \"%s\"; stderr: %s; stdout: %s",
                 arguments[0], r.exit_code, code, part, r.err.data, r.out.data);
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
}

kit_result kit_expect_success(const char *const *arguments)
{
    kit_result r;
    kit_run_tuff(&r, arguments);
    if (r.exit_code != 0) fail_msg("%s: exit code %d: %s", arguments[0], r.exit_code, r.err.data);
    return r;
}

const char *kit_text(void)
{
    static char path[512];
    if (!path[0]) snprintf(path, sizeof path, "%s/text.txt", kit_temp_directory());
    return path;
}

int kit_command_setup(void **state)
{
    (void)state;
    setenv("TUFF_DEVICE", "cpu", 1);
    kit_write_sentences(kit_text(), 60);
    return 0;
}

cJSON *kit_parse(const char *bytes, size_t size)
{
    cJSON *json;
    KIT_OK(tuff_json_parse(bytes, size, "output", &json));
    return json;
}

double kit_number(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsNumber(item)) fail_msg("no number \"%s\"", key);
    return item->valuedouble;
}

const char *kit_string(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsString(item)) fail_msg("no text \"%s\"", key);
    return item->valuestring;
}
