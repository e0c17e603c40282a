/* How `tuff bench --kernels` shows what drivers tell: all of it in JSON, in the table what is known by name.
 * Linked with the command's files that print. */
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/bench.h"
#include "kit/kit.h"

/* For src/cli/text.c, which says so of files that cannot be read. */
void tuff_cli_say(const char *format, ...)
{
    fail_msg("%s", format);
}

static const uint32_t constants[] = {64, 4294967295u};
static const tuff_kernel_statistic wide[] = {
    {"VGPRs", "vector \"registers\"", TUFF_KERNEL_UINT64, {.uint64 = 24}, TUFF_KERNEL_REGISTERS, 24},
    {"Spilled VGPRs", "", TUFF_KERNEL_UINT64, {.uint64 = 5}, TUFF_KERNEL_SPILLS, 5},
    {"Scratch size", "", TUFF_KERNEL_UINT64, {.uint64 = 0}, TUFF_KERNEL_SCRATCH, 0},
    {"odd \x01\xff", "", TUFF_KERNEL_BOOL, {.boolean = true}, TUFF_KERNEL_OTHER, 0},
    {"most", "", TUFF_KERNEL_UINT64, {.uint64 = UINT64_MAX}, TUFF_KERNEL_OTHER, 0},
    {"least", "", TUFF_KERNEL_INT64, {.int64 = INT64_MIN}, TUFF_KERNEL_OTHER, 0},
    {"half", "", TUFF_KERNEL_FLOAT64, {.float64 = 0.5}, TUFF_KERNEL_OTHER, 0.5},
};
static const tuff_kernel_statistic narrow[] = {
    {"VGPRs", "", TUFF_KERNEL_UINT64, {.uint64 = 8}, TUFF_KERNEL_REGISTERS, 8},
    {"LDS size", "", TUFF_KERNEL_UINT64, {.uint64 = 512}, TUFF_KERNEL_SHARED, 512},
};
static const tuff_kernel_executable of_wide = {"main", "", 32, wide, sizeof wide / sizeof *wide},
                                    of_narrow = {"main", "", 0, narrow, sizeof narrow / sizeof *narrow};
static const tuff_kernel kernels[] = {
    {"matmul tile", "matmul_tile", constants, 2, {16, 16, 1}, 64, 256, 1000, &of_wide, 1, NULL},
    {"fill plain, add fill", "fill", NULL, 0, {64, 1, 1}, 64, 0, 100, &of_narrow, 1, NULL},
    {"copy words", "copy", NULL, 0, {4, 2, 2}, 8, 0, 12, NULL, 0, "nobody asked"},
};

static char *table_of(const tuff_kernel *const *which, size_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    tuff_cli_kernels_table(out, which, n);
    fclose(out);
    return text;
}

static void columns_are_of_what_is_told(void **state)
{
    (void)state;
    char *all = table_of((const tuff_kernel *const[]){&kernels[0], &kernels[1], &kernels[2]}, 3);
    assert_string_equal(
        all,
        "pipeline                   workgroup  subgroup  shared  SPIR-V  registers     spills    scratch  kernel\n"
        "matmul_tile:64,4294967295      16x16        32     256    1000         24          5          0  matmul tile\n"
        "fill                              64        64     512     100          8          -          -  fill plain, add fill\n"
        "copy                           4x2x2         8       0      12          -          -          -  copy words\n"
        "\n3 pipelines, 1 with spilled registers, 0 with scratch memory.\n");
    free(all);
    char *silent = table_of((const tuff_kernel *const[]){&kernels[2]}, 1);
    assert_string_equal(silent, "pipeline  workgroup  subgroup  shared  SPIR-V  kernel\n"
                                "copy          4x2x2         8       0      12  copy words\n"
                                "\n1 pipeline.\n");
    free(silent);
}

static void json_has_all_of_it(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    tuff_cli_kernels_json(out, &kernels[0]);
    fclose(out);
    assert_non_null(strstr(text, "\"value\": 18446744073709551615,")); /* of which a parser keeps less */
    assert_non_null(strstr(text, "\"value\": -9223372036854775808,"));
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *figures = cJSON_GetObjectItem(json, "statistics"),
                *executables = cJSON_GetObjectItem(json, "executables");
    assert_int_equal(cJSON_GetArraySize(figures), 3);
    assert_true(cJSON_GetObjectItem(figures, "registers")->valuedouble == 24);
    assert_true(cJSON_GetObjectItem(figures, "spills")->valuedouble == 5);
    assert_true(cJSON_GetObjectItem(figures, "scratch_bytes")->valuedouble == 0);
    assert_true(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "constants"), 1)->valuedouble == 4294967295.0);
    const cJSON *told = cJSON_GetObjectItem(cJSON_GetArrayItem(executables, 0), "statistics");
    assert_int_equal(cJSON_GetArraySize(told), 7);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(told, 0), "description")->valuestring,
                        "vector \"registers\"");
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(told, 3), "name")->valuestring,
                        "odd \x01\xef\xbf\xbd");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(told, 3), "value")));
    assert_true(cJSON_GetObjectItem(cJSON_GetArrayItem(told, 6), "value")->valuedouble == 0.5);
    cJSON_Delete(json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_of_what_is_told),
        cmocka_unit_test(json_has_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
