/* What the tests of the command share: copies of the golden models to be damaged, and what a refusal is. */
#ifndef TUFF_TESTS_E2E_H
#define TUFF_TESTS_E2E_H

#include <stdio.h>

#include "base/file.h"
#include "kit/kit.h"

enum { E2E_ARGUMENTS = 64 };

/* "tuff", the arguments up to NULL; all on the CPU backend unless they say otherwise (TUFF_DEVICE, set in
 * main). */
static inline void e2e_run_list(kit_result *out, const char *const *arguments)
{
    const char *argv[E2E_ARGUMENTS] = {getenv("TUFF_TEST_TUFF")};
    if (!argv[0]) {
        print_message("TUFF_TEST_TUFF is not set\n");
        skip();
    }
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    kit_run(argv, out);
}

/* One clear sentence on stderr that has `part` in it, nothing on stdout, the exit code, and no new file in
 * the test's directory. */
static inline void e2e_expect_refusal(int code, const char *part, const char *const *arguments)
{
    kit_result r;
    int entries = kit_count_entries(kit_temp_directory());
    e2e_run_list(&r, arguments);
    const char *newline = strchr(r.err.data, '\n');
    bool one_line = newline && newline[1] == 0;
    if (r.exit_code != code || r.out.size || !one_line || !tuff_starts_with(r.err.data, "tuff: ") ||
        !strstr(r.err.data, part))
        fail_msg("%s: exit code %d, expected %d and one sentence with \"%s\"; stderr: %s; stdout: %s",
                 arguments[0], r.exit_code, code, part, r.err.data, r.out.data);
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
}
#define E2E_REFUSES(code, part, ...) \
    e2e_expect_refusal((code), (part), (const char *const[]){__VA_ARGS__, NULL})

/* Exit code 0. The caller frees the result. */
static inline kit_result e2e_succeed(const char *const *arguments)
{
    kit_result r;
    e2e_run_list(&r, arguments);
    if (r.exit_code != 0) fail_msg("%s: exit code %d: %s", arguments[0], r.exit_code, r.err.data);
    return r;
}
#define E2E_OK(...) e2e_succeed((const char *const[]){__VA_ARGS__, NULL})
/* The same, its output not looked at. */
#define E2E_DO(...)                           \
    do {                                      \
        kit_result do_ = E2E_OK(__VA_ARGS__); \
        kit_result_free(&do_);                \
    } while (0)

static inline void e2e_read(const char *path, tuff_buf *out)
{
    *out = (tuff_buf){0};
    KIT_OK(tuff_read_file(path, SIZE_MAX, out));
    tuff_buf_text(out, "");
}

/* "<directory>/<name>" in one of 256 rotating buffers: good within a test. */
static inline const char *e2e_join(const char *directory, const char *name)
{
    static char paths[256][512];
    static unsigned turn;
    char *path = paths[turn++ % 256];
    size_t size = strlen(directory), rest = strlen(name) + 1;
    assert_true(size + 1 + rest <= sizeof paths[0]);
    memmove(path, directory, size);
    path[size] = '/';
    memcpy(path + size + 1, name, rest);
    return path;
}

static inline const char *e2e_path(const char *name)
{
    return e2e_join(kit_temp_directory(), name);
}

static inline const char *e2e_golden(const char *name)
{
    return e2e_join(kit_asset("golden"), name);
}

static inline void e2e_copy(const char *from, const char *to)
{
    tuff_buf bytes;
    e2e_read(from, &bytes);
    kit_write_file(to, bytes.data, bytes.size);
    tuff_buf_free(&bytes);
}

/* A golden model copied into the test's directory, to be damaged. */
static inline const char *e2e_copy_model(const char *golden, const char *as)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    const char *to = e2e_path(as);
    KIT_OK(tuff_make_directories(to));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        e2e_copy(e2e_join(golden, files[i]), e2e_join(to, files[i]));
    return to;
}

/* Replaces the first `old` in a file, which must be there. */
static inline void e2e_edit(const char *path, const char *old, const char *with)
{
    tuff_buf bytes;
    e2e_read(path, &bytes);
    size_t at = 0, size = strlen(old), length = bytes.size;
    while (at + size <= length && memcmp(bytes.data + at, old, size) != 0)
        at++;
    if (at + size > length) fail_msg("%s has no \"%s\"", path, old);
    tuff_buf out = {0};
    tuff_buf_bytes(&out, bytes.data, at);
    tuff_buf_text(&out, with);
    tuff_buf_bytes(&out, bytes.data + at + size, length - at - size);
    kit_write_file(path, out.data, out.size);
    tuff_buf_free(&out);
    tuff_buf_free(&bytes);
}

/* Overwrites bytes; a negative offset counts from the end. */
static inline void e2e_poke(const char *path, long offset, const void *data, size_t size)
{
    tuff_buf bytes;
    e2e_read(path, &bytes);
    size_t at = offset < 0 ? bytes.size - (size_t)-offset : (size_t)offset;
    assert_true(at + size <= bytes.size);
    memcpy(bytes.data + at, data, size);
    kit_write_file(path, bytes.data, bytes.size);
    tuff_buf_free(&bytes);
}

static inline void e2e_cut(const char *path, size_t size)
{
    tuff_buf bytes;
    e2e_read(path, &bytes);
    assert_true(size < bytes.size);
    kit_write_file(path, bytes.data, size);
    tuff_buf_free(&bytes);
}

/* Writes a text of about `sentences` sentences in the letters that the goldens' tokenizers know. */
static inline void e2e_write_text(const char *path, int sentences)
{
    static const char *const words[] = {"the river", "the bridge",     "a road",   "they said",
                                        "because",   "in the morning", "it isn't", "the stones",
                                        "we take",   "the longest",    "and",      "one"};
    tuff_buf text = {0};
    unsigned state = 1;
    for (int i = 0; i < sentences * 6; i++) {
        state = state * 1103515245u + 12345u;
        tuff_buf_printf(&text, "%s%s", words[(state >> 16) % 12], i % 6 == 5 ? ".\n" : " ");
    }
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
}

#endif
