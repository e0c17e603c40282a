/* The leak check of a build with the address sanitizer: it is awake, and what a library keeps that lsan.supp
 * names is no finding, also after that library was closed. Drivers are closed by the Vulkan loader, and a
 * leak of a library that is no longer mapped has no name. */
#define _XOPEN_SOURCE 700
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "kit/kit.h"

/* What the children do: see main. */
static int leak_here(void)
{
    void *volatile lost = malloc(64);
    if (lost) memset(lost, 1, 64);
    lost = NULL;
    return 0;
}

/* Like a driver: another library, the Vulkan loader, closes it. */
static int leak_in_library(const char *directory)
{
    char leaky[4096], closer[4096];
    snprintf(leaky, sizeof leaky, "%s/tests/libkit_leaky.so", directory);
    snprintf(closer, sizeof closer, "%s/tests/libkit_closer.so", directory);
    void *library = dlopen(leaky, RTLD_NOW), *other = dlopen(closer, RTLD_NOW);
    void (*leak)(void) = NULL;
    int (*close_library)(void *) = NULL;
    if (!library || !other) return 2;
    *(void **)&leak = dlsym(library, "kit_leak");
    *(void **)&close_library = dlsym(other, "kit_close");
    if (!leak || !close_library) return 2;
    leak();
    return close_library(library);
}

static void child(const char *what, kit_result *out)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) skip();
    self[n] = 0;
    kit_run((const char *const[]){self, what, getenv("TUFF_TEST_BUILD"), NULL}, out);
}

static void a_leak_is_found(void **state)
{
    (void)state;
    kit_result result;
    child("here", &result);
    assert_int_not_equal(result.exit_code, 0);
    assert_non_null(strstr(result.err.data, "64 byte(s) leaked"));
    kit_result_free(&result);
}

static void a_library_named_in_the_list_may_leak(void **state)
{
    (void)state;
    kit_result result;
    child("library", &result);
    if (result.exit_code) fail_msg("%s", result.err.data);
    kit_result_free(&result);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leak_is_found),
        cmocka_unit_test(a_library_named_in_the_list_may_leak),
    };
    if (argc == 3) return strcmp(argv[1], "here") == 0 ? leak_here() : leak_in_library(argv[2]);
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if (!sanitizer || strcmp(sanitizer, "address") != 0 || !getenv("TUFF_TEST_BUILD")) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
