/* Names of conformance cases: users keep lists of them, so none changes by accident. */
#include "kit/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/conform.h>

#include "conform/case.h"
#include "kit/files.h"

/* The committed names; a case that is renamed, added or removed changes that file in the same commit. */
static void names_are_the_committed_ones(void **state)
{
    (void)state;
    tuff_buf text = {0};
    const char *source = getenv("TUFF_TEST_SOURCE");
    if (source == NULL) skip();
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/unit/conform_names.txt", source);
    kit_read_file(path, &text);
    const char *at = text.data;
    tuff_conform_params params = {.struct_size = sizeof params, .level = TUFF_CONFORM_SOAK};
    tuff_conform_case **cases = NULL;
    size_t n = 0;
    KIT_OK(tuff_conform_list(&params, &cases, &n));
    for (size_t i = 0; i < n; i++) {
        size_t size = strcspn(at, "\n");
        if (strlen(cases[i]->name) != size || memcmp(at, cases[i]->name, size) != 0)
            fail_msg("case %zu is %s, and the committed name is %.*s", i, cases[i]->name, (int)size, at);
        at += size + 1;
    }
    if (*at != 0) fail_msg("%.*s is in the list of names and not in the suite", (int)strcspn(at, "\n"), at);
    tuff_free(cases);
    tuff_buf_free(&text);
}

static void names_are_dotted_and_unique(void **state)
{
    (void)state;
    tuff_conform_params params = {.struct_size = sizeof params, .level = TUFF_CONFORM_SOAK};
    tuff_conform_case **cases = NULL;
    size_t n = 0;
    KIT_OK(tuff_conform_list(&params, &cases, &n));
    for (size_t i = 0; i < n; i++) {
        const char *name = cases[i]->name;
        size_t family = strlen(cases[i]->family);
        assert_memory_equal(name, cases[i]->family, family);
        assert_int_equal(name[family], '.');
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_."), strlen(name));
        assert_null(strstr(name, ".."));
        assert_int_not_equal(name[strlen(name) - 1], '.');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(name, cases[k]->name);
    }
    tuff_free(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_committed_ones),
        cmocka_unit_test(names_are_dotted_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
