/* The command `tuff` as a child process, and what it prints. */
#ifndef TUFF_TESTS_COMMAND_H
#define TUFF_TESTS_COMMAND_H

#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "kit/files.h"

enum { KIT_ARGUMENTS = 64 };

/* "tuff" with the arguments up to NULL. */
void kit_run_tuff(kit_result *out, const char *const *arguments);

/* One clear sentence on stderr that has `part` in it, nothing on stdout, the exit code, and no new file in
 * the test's directory. */
void kit_expect_refusal(int code, const char *part, const char *const *arguments);
#define KIT_REFUSES(code, part, ...) \
    kit_expect_refusal((code), (part), (const char *const[]){__VA_ARGS__, NULL})

/* Exit code 0. The caller frees the result. */
kit_result kit_expect_success(const char *const *arguments);
#define KIT_TUFF(...) kit_expect_success((const char *const[]){__VA_ARGS__, NULL})
/* The same, its output not looked at. */
#define KIT_DO(...)                             \
    do {                                        \
        kit_result do_ = KIT_TUFF(__VA_ARGS__); \
        kit_result_free(&do_);                  \
    } while (0)

/* Of a group of tests: all commands run on the CPU unless they say otherwise, and there is a text to train
 * on. */
int kit_command_setup(void **state);
const char *kit_text(void); /* its path */

/* JSON that must be there, and be right. */
cJSON *kit_parse(const char *bytes, size_t size);
double kit_number(const cJSON *json, const char *key);
const char *kit_string(const cJSON *json, const char *key);

#endif
