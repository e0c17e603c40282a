#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "kit/kit.h"

static void expect_contents(const char *path, const char *expected)
{
    tuff_buf text = {0};
    KIT_OK(tuff_read_file(path, SIZE_MAX, &text));
    tuff_buf_text(&text, "");
    assert_string_equal(text.data, expected);
    tuff_buf_free(&text);
}

static const char *fresh_directory(const char *name)
{
    const char *path = kit_temp_path(name);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

static const char *inside(const char *directory, const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void paths_join(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {".", "b", "./b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = tuff_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        tuff_free(path);
    }
    assert_string_equal(tuff_path_name("a/b.c"), "b.c");
    assert_string_equal(tuff_path_name("b.c"), "b.c");
    assert_string_equal(tuff_path_name("a/"), "");
}

static void pointers_of_git_are_no_files(void **state)
{
    (void)state;
    const char *path = kit_temp_path("pointer");
    static const char text[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4665a\nsize 548105171\n";
    tuff_mapping mapping;
    tuff_file file;
    tuff_buf bytes;
    kit_write_file(path, text, sizeof text - 1);
    KIT_FAILS(tuff_map_file(path, &mapping), TUFF_BAD_FORMAT, "is a pointer of Git LFS, not the file");
    KIT_FAILS(tuff_file_open(path, &file), TUFF_BAD_FORMAT, "git lfs pull");
    KIT_FAILS(tuff_read_file(path, SIZE_MAX, &bytes), TUFF_BAD_FORMAT, "git lfs pull");
    /* what is longer than any, or ends before it is one, is a file */
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    memcpy(longer, text, sizeof text - 1);
    kit_write_file(path, longer, sizeof longer);
    KIT_OK(tuff_read_file(path, SIZE_MAX, &bytes));
    assert_int_equal(bytes.size, sizeof longer);
    tuff_buf_free(&bytes);
    kit_write_file(path, text, 39);
    expect_contents(path, "version https://git-lfs.github.com/spec");
}

static void files_map_and_read(void **state)
{
    (void)state;
    const char *dir = fresh_directory("map"), *path = inside(dir, "x");
    kit_write_file(path, "hello", 5);
    tuff_mapping mapping;
    KIT_OK(tuff_map_file(path, &mapping));
    assert_int_equal(mapping.size, 5);
    KIT_OK(tuff_mapping_fill(&mapping, 5));
    assert_memory_equal(mapping.data, "hello", 5);
    tuff_unmap_file(&mapping);
    assert_null(mapping.data);
    tuff_unmap_file(&mapping);

    kit_write_file(path, "", 0);
    KIT_OK(tuff_map_file(path, &mapping));
    assert_int_equal(mapping.size, 0);
    assert_non_null(mapping.data);
    tuff_unmap_file(&mapping);

    KIT_FAILS(tuff_map_file(dir, &mapping), TUFF_IO, "directory");
    KIT_FAILS(tuff_map_file(inside(dir, "none"), &mapping), TUFF_NOT_FOUND, "none: No such file");
    KIT_FAILS(tuff_map_file("/dev/null", &mapping), TUFF_IO, "device");

    tuff_buf text;
    kit_write_file(path, "12345", 5);
    KIT_OK(tuff_read_file(path, 5, &text));
    assert_string_equal(text.data, "12345");
    tuff_buf_free(&text);
    KIT_FAILS(tuff_read_file(path, 4, &text), TUFF_BAD_FORMAT, "larger than the 4 bytes");
    assert_null(text.data);
    KIT_FAILS(tuff_read_file(dir, 100, &text), TUFF_IO, "directory");
    KIT_FAILS(tuff_read_file("/dev/zero", 100000, &text), TUFF_IO, "it is a device, not a file");
    assert_true(tuff_is_file(path) && !tuff_is_file(dir) && !tuff_is_file(inside(dir, "none")));
    assert_true(tuff_is_directory(dir) && !tuff_is_directory(path));
}

/* A pipe that nobody writes into: whoever opened it to read would wait for ever. */
static void pipes_are_no_files(void **state)
{
    (void)state;
    const char *path = kit_temp_path("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    tuff_mapping mapping;
    tuff_buf text;
    alarm(60);
    KIT_FAILS(tuff_map_file(path, &mapping), TUFF_IO, "it is a pipe, not a file");
    KIT_FAILS(tuff_read_file(path, 100, &text), TUFF_IO, "it is a pipe, not a file");
    KIT_FAILS(tuff_read_stream("/dev/zero", 100, &text), TUFF_IO, "it is a device, not a file");
    static const char *const said[] = {"late", ""};
    for (int i = 0; i < 2; i++) { /* a writer that comes late, waits, and may have nothing to say */
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
            int fd = open(path, O_WRONLY);
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
            _exit(write(fd, said[i], strlen(said[i])) != (ssize_t)strlen(said[i]));
        }
        KIT_OK(tuff_read_stream(path, 100, &text));
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(text.size, strlen(said[i]));
        assert_memory_equal(text.size ? text.data : "", said[i], text.size);
        tuff_buf_free(&text);
    }
    alarm(0);
}

/* Nor does writing wait for ever: for a reader that comes late, and in the cache for none at all. */
static void pipes_are_written_when_somebody_reads(void **state)
{
    (void)state;
    const char *path = kit_temp_path("sink");
    struct stat info;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(60);
    KIT_FAILS(tuff_write_file(path, "lost", 4), TUFF_IO, "it is a pipe, and nobody reads it");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char got[8];
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        int fd = open(path, O_RDONLY);
        _exit(read(fd, got, sizeof got) != 4);
    }
    int ended;
    KIT_OK(tuff_write_file(path, "late", 4));
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(ended, 0);
    KIT_OK(tuff_write_cache_file(path, "kept", 4));
    assert_true(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    expect_contents(path, "kept");
    alarm(0);
}

/* A file that another process cuts short is read as far as it was, and no signal ends this one. */
static void what_is_mapped_is_read_as_it_is_asked_for(void **state)
{
    (void)state;
    enum { SIZE = 5 << 15 };
    const char *path = kit_temp_path("mapped");
    tuff_mapping mapping;
    char *bytes = tuff_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i % 251);
    kit_write_file(path, bytes, SIZE);
    KIT_OK(tuff_map_file(path, &mapping));
    KIT_OK(tuff_mapping_fill(&mapping, 3));
    assert_int_equal(truncate(path, 1 << 16), 0);
    assert_memory_equal(mapping.data, bytes, 1 << 16);
    KIT_OK(tuff_mapping_fill(&mapping, 1 << 16));
    KIT_FAILS(tuff_mapping_fill(&mapping, (1 << 16) + 1), TUFF_IO, "mapped was cut short");
    kit_write_file(path, bytes, SIZE);
    KIT_OK(tuff_mapping_fill(&mapping, SIZE));
    assert_memory_equal(mapping.data, bytes, SIZE);
    tuff_unmap_file(&mapping);
    tuff_free(bytes);
}

static void changed_files_are_noticed(void **state)
{
    (void)state;
    const char *path = kit_temp_path("watched"), *other = kit_temp_path("other");
    tuff_file file;
    char bytes[5];
    kit_write_file(path, "hello", 5);
    KIT_OK(tuff_file_open(path, &file));
    KIT_OK(tuff_file_check(&file));
    assert_int_equal(truncate(path, 2), 0);
    KIT_FAILS(tuff_file_check(&file), TUFF_IO,
              "watched was changed after it was loaded (it had 5 bytes, it has 2 now)");
    KIT_FAILS(tuff_file_read(&file, 0, bytes, 5), TUFF_IO,
              "watched was cut short after it was opened: bytes 2 to 5 of it are gone");
    tuff_file_close(&file);

    kit_write_file(path, "hello", 5);
    KIT_OK(tuff_file_open(path, &file));
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    KIT_FAILS(tuff_file_check(&file), TUFF_IO, "was changed after it was loaded");
    tuff_file_close(&file);

    /* replaced or removed, the file stays for those who have it open */
    KIT_OK(tuff_file_open(path, &file));
    kit_write_file(other, "other one", 9);
    assert_int_equal(rename(other, path), 0);
    KIT_OK(tuff_file_check(&file));
    assert_int_equal(remove(path), 0);
    KIT_OK(tuff_file_check(&file));
    KIT_OK(tuff_file_read(&file, 0, bytes, 5));
    assert_memory_equal(bytes, "hello", 5);
    tuff_file_close(&file);
}

/* What a writer that was killed left goes with the next one; what another is writing stays. */
static void left_over_files_go(void **state)
{
    (void)state;
    const char *dir = fresh_directory("leftover"), *path = inside(dir, "x");
    kit_write_file(inside(dir, ".tuff-12345-0"), "half", 4);
    kit_write_file(inside(dir, ".tuff-12345-0.txt"), "mine", 4);
    kit_write_file(inside(dir, ".tuff-notes"), "mine", 4);
    tuff_writer *first, *second;
    KIT_OK(tuff_writer_open(path, &first));
    KIT_OK(tuff_writer_write(first, "1", 1));
    assert_int_equal(kit_count_entries(dir), 3);
    KIT_OK(tuff_writer_open(path, &second));
    assert_int_equal(kit_count_entries(dir), 4);
    KIT_OK(tuff_writer_commit(&first));
    KIT_OK(tuff_writer_write(second, "2", 1));
    KIT_OK(tuff_writer_commit(&second));
    expect_contents(path, "2");
    assert_int_equal(kit_count_entries(dir), 3);
}

static void writer_replaces_only_on_commit(void **state)
{
    (void)state;
    const char *dir = fresh_directory("replace"), *path = inside(dir, "x");
    kit_write_file(path, "old", 3);
    chmod(path, 0640);
    tuff_writer *writer;
    KIT_OK(tuff_writer_open(path, &writer));
    KIT_OK(tuff_writer_write(writer, "ne", 2));
    KIT_OK(tuff_writer_write(writer, "w", 1));
    expect_contents(path, "old");
    assert_int_equal(kit_count_entries(dir), 2);
    KIT_OK(tuff_writer_commit(&writer));
    assert_null(writer);
    expect_contents(path, "new");
    assert_int_equal(kit_count_entries(dir), 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);

    KIT_OK(tuff_writer_open(path, &writer));
    KIT_OK(tuff_writer_write(writer, "never", 5));
    tuff_writer_abort(&writer);
    assert_null(writer);
    tuff_writer_abort(&writer);
    expect_contents(path, "new");
    assert_int_equal(kit_count_entries(dir), 1);
}

static void writer_writes_what_it_is_given(void **state)
{
    (void)state;
    const char *path = kit_temp_path("pieces");
    tuff_writer *writer;
    KIT_OK(tuff_writer_open(path, &writer));
    enum { TOTAL = 1 << 20 };
    uint8_t *data = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    size_t at = 0;
    for (size_t piece = 1; at < TOTAL; piece = piece * 3 % 200003) {
        size_t size = piece < TOTAL - at ? piece : TOTAL - at;
        KIT_OK(tuff_writer_write(writer, data + at, size));
        at += size;
    }
    KIT_OK(tuff_writer_write(writer, NULL, 0));
    KIT_OK(tuff_writer_commit(&writer));
    tuff_mapping mapping;
    KIT_OK(tuff_map_file(path, &mapping));
    assert_int_equal(mapping.size, TOTAL);
    KIT_OK(tuff_mapping_fill(&mapping, TOTAL));
    assert_memory_equal(mapping.data, data, TOTAL);
    tuff_unmap_file(&mapping);
    free(data);
}

static void writer_follows_links_and_writes_devices_directly(void **state)
{
    (void)state;
    const char *dir = fresh_directory("links"), *real = inside(dir, "real"), *link = inside(dir, "link");
    kit_write_file(real, "old", 3);
    assert_int_equal(symlink("real", link), 0);
    KIT_OK(tuff_write_file(link, "new", 3));
    expect_contents(real, "new");
    struct stat info;
    assert_true(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));

    KIT_OK(tuff_write_file("/dev/null", "gone", 4));
    assert_true(lstat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

static void full_disk_is_one_clear_sentence(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    KIT_FAILS(tuff_write_file("/dev/full", "x", 1), TUFF_IO,
              "cannot write /dev/full: No space left on device");
    /* Sticky, with the first reason, even when something else has failed in between. */
    char block[100000] = {0};
    tuff_writer *writer;
    KIT_OK(tuff_writer_open("/dev/full", &writer));
    KIT_FAILS(tuff_writer_write(writer, block, sizeof block), TUFF_IO, "No space");
    tuff_mapping mapping;
    KIT_FAILS(tuff_map_file(kit_temp_path("none"), &mapping), TUFF_NOT_FOUND, "none");
    KIT_FAILS(tuff_writer_write(writer, "x", 1), TUFF_IO, "No space");
    KIT_FAILS(tuff_writer_commit(&writer), TUFF_IO, "No space");
    assert_null(writer);
}

/* A file size limit acts like a disk that fills up in the middle. */
static void failed_write_leaves_nothing(void **state)
{
    (void)state;
    const char *dir = fresh_directory("limit"), *path = inside(dir, "x");
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    limit.rlim_cur = 300000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char block[50000] = {0};
    tuff_writer *writer;
    KIT_OK(tuff_writer_open(path, &writer));
    tuff_status status = TUFF_OK;
    int blocks = 0;
    while (status == TUFF_OK && blocks < 100) {
        status = tuff_writer_write(writer, block, sizeof block);
        blocks++;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, TUFF_IO);
    assert_true(blocks >= 6 && blocks <= 8);
    KIT_FAILS(tuff_writer_commit(&writer), TUFF_IO, "File too large");
    assert_int_equal(kit_count_entries(dir), 0);
}

static void unwritable_places_are_reported(void **state)
{
    (void)state;
    tuff_writer *writer = (tuff_writer *)1;
    KIT_FAILS(tuff_writer_open(kit_temp_path("none/x"), &writer), TUFF_IO, "there is no directory");
    assert_null(writer);
    KIT_FAILS(tuff_writer_open(kit_temp_directory(), &writer), TUFF_IO, "is a directory");
    KIT_FAILS(tuff_writer_open("", &writer), TUFF_INVALID_ARGUMENT, "empty");
    const char *file = kit_temp_path("plain");
    kit_write_file(file, "", 0);
    tuff_stage *stage = (tuff_stage *)1;
    KIT_FAILS(tuff_stage_open(file, &stage), TUFF_IO, "is a file, not a directory");
    assert_null(stage);
    KIT_FAILS(tuff_stage_open(inside(file, "sub"), &stage), TUFF_IO, "Not a directory");
    KIT_FAILS(tuff_stage_open("", &stage), TUFF_INVALID_ARGUMENT, "empty");
    KIT_FAILS(tuff_make_directories(inside(file, "a/b")), TUFF_IO, "Not a directory");
    /* A file system that refuses even the superuser. */
    if (tuff_is_directory("/proc/self")) {
        KIT_FAILS(tuff_stage_open("/proc/tuff-out", &stage), TUFF_IO, "/proc/tuff-out");
        KIT_FAILS(tuff_stage_open("/proc/tuff/out", &stage), TUFF_IO, "/proc/tuff");
        KIT_FAILS(tuff_stage_open("/proc/self", &stage), TUFF_IO, "/proc/self");
    }
    if (getuid() != 0) {
        const char *locked = fresh_directory("locked");
        chmod(locked, 0500);
        KIT_FAILS(tuff_stage_open(locked, &stage), TUFF_IO, "Permission denied");
        KIT_FAILS(tuff_write_file(inside(locked, "x"), "x", 1), TUFF_IO, "Permission denied");
        chmod(locked, 0700);
    }
}

static tuff_status write_everything(void *user)
{
    const char *dir = user;
    tuff_stage *stage;
    tuff_status status = tuff_stage_open(inside(dir, "p/out"), &stage);
    if (status != TUFF_OK) return status;
    char *path = tuff_path_join(tuff_stage_path(stage), "x");
    status = path ? tuff_write_file(path, "x", 1) : TUFF_OUT_OF_MEMORY;
    if (status == TUFF_OK) {
        tuff_buf text = {0};
        status = tuff_read_file(path, 10, &text);
        tuff_buf_free(&text);
    }
    tuff_free(path);
    tuff_stage_abort(&stage);
    return status;
}

static void files_survive_every_memory_failure(void **state)
{
    (void)state;
    char *dir = strdup(fresh_directory("memory"));
    assert_true(kit_for_each_allocation_failure(write_everything, dir) > 10);
    free(dir);
}

static void cache_directory_follows_the_environment(void **state)
{
    (void)state;
    tuff_buf path = {0};
    setenv("TUFF_CACHE_DIR", "/c/own", 1);
    setenv("XDG_CACHE_HOME", "/c/xdg", 1);
    setenv("HOME", "/c/home", 1);
    assert_true(tuff_cache_directory(&path));
    assert_string_equal(path.data, "/c/own");
    setenv("TUFF_CACHE_DIR", "", 1);
    assert_true(tuff_cache_directory(&path));
    assert_string_equal(path.data, "/c/xdg/tuff");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_true(tuff_cache_directory(&path));
    assert_string_equal(path.data, "/c/home/.cache/tuff");
    unsetenv("HOME");
    assert_false(tuff_cache_directory(&path));
    tuff_buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_join),
        cmocka_unit_test(pointers_of_git_are_no_files),
        cmocka_unit_test(files_map_and_read),
        cmocka_unit_test(pipes_are_no_files),
        cmocka_unit_test(pipes_are_written_when_somebody_reads),
        cmocka_unit_test(what_is_mapped_is_read_as_it_is_asked_for),
        cmocka_unit_test(changed_files_are_noticed),
        cmocka_unit_test(left_over_files_go),
        cmocka_unit_test(writer_replaces_only_on_commit),
        cmocka_unit_test(writer_writes_what_it_is_given),
        cmocka_unit_test(writer_follows_links_and_writes_devices_directly),
        cmocka_unit_test(full_disk_is_one_clear_sentence),
        cmocka_unit_test(failed_write_leaves_nothing),
        cmocka_unit_test(unwritable_places_are_reported),
        cmocka_unit_test(files_survive_every_memory_failure),
        cmocka_unit_test(cache_directory_follows_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
