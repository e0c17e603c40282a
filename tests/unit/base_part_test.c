#define _XOPEN_SOURCE 700
/* Files that are made over a long time: they go on where they were left, one process writes at a time, and no
 * step that fails loses what was written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/part.h"
#include "kit/files.h"

static void expect_content(const char *path, const char *text)
{
    tuff_buf found = {0};
    kit_read_file(path, &found);
    assert_string_equal(found.data, text);
    tuff_buf_free(&found);
}

static void a_part_goes_on_where_it_was_left(void **state)
{
    (void)state;
    char path[512], part[600];
    snprintf(path, sizeof path, "%s", kit_path("whole"));
    snprintf(part, sizeof part, "%s.part", path);
    tuff_part *p = NULL;
    KIT_OK(tuff_part_open(path, &p));
    assert_int_equal(tuff_part_size(p), 0);
    KIT_OK(tuff_part_write(p, "....one ", 8));
    KIT_OK(tuff_part_write(p, "lost", 4));
    KIT_OK(tuff_part_sync(p));
    tuff_part_close(&p);
    tuff_part_close(&p);
    assert_false(tuff_is_file(path));
    expect_content(part, "....one lost");

    KIT_OK(tuff_part_open(path, &p));
    assert_int_equal(tuff_part_size(p), 12);
    KIT_OK(tuff_part_cut(p, 8));
    KIT_OK(tuff_part_cut(p, 100)); /* not longer */
    assert_int_equal(tuff_part_size(p), 8);
    KIT_OK(tuff_part_write(p, "two", 3));
    KIT_OK(tuff_part_write_head(p, "head", 4));
    KIT_OK(tuff_part_write(p, "!", 1));
    KIT_OK(tuff_part_commit(&p));
    assert_null(p);
    assert_false(tuff_is_file(part));
    expect_content(path, "headone two!");
}

static void a_link_stays_and_its_file_is_written(void **state)
{
    (void)state;
    char path[512];
    struct stat info;
    tuff_part *p = NULL;
    snprintf(path, sizeof path, "%s", kit_path("linked"));
    kit_write_file(path, "old", 3);
    assert_int_equal(symlink(path, kit_path("link")), 0);
    KIT_OK(tuff_part_open(kit_path("link"), &p));
    KIT_OK(tuff_part_write(p, "new", 3));
    KIT_OK(tuff_part_commit(&p));
    assert_true(lstat(kit_path("link"), &info) == 0 && S_ISLNK(info.st_mode));
    expect_content(path, "new");
}

static void one_process_writes_at_a_time(void **state)
{
    (void)state;
    tuff_part *p = NULL, *other = NULL;
    KIT_OK(tuff_part_open(kit_path("shared"), &p));
    KIT_FAILS(tuff_part_open(kit_path("shared"), &other), TUFF_IO, "another process is writing it");
    assert_null(other);
    tuff_part_close(&p);
    KIT_OK(tuff_part_open(kit_path("shared"), &other));
    tuff_part_close(&other);
    KIT_FAILS(tuff_part_open(kit_path("no-such-directory/x"), &p), TUFF_IO, "no-such-directory");
    KIT_OK(tuff_make_directories(kit_path("folder")));
    KIT_FAILS(tuff_part_open(kit_path("folder"), &p), TUFF_IO, "it is a directory");
    assert_int_equal(mkfifo(kit_path("pipe"), 0600), 0);
    KIT_FAILS(tuff_part_open(kit_path("pipe"), &p), TUFF_IO, "it is a pipe or a device");
    KIT_OK(tuff_make_directories(kit_path("taken.part")));
    KIT_FAILS(tuff_part_open(kit_path("taken"), &p), TUFF_IO, "taken");
}

static tuff_disk_step failing;

static int fail_step(tuff_disk_step step, const char *path)
{
    (void)path;
    return step == failing ? ENOSPC : 0;
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    static const tuff_disk_step steps[] = {TUFF_DISK_WRITE, TUFF_DISK_SYNC, TUFF_DISK_RENAME};
    for (int i = 0; i < 3; i++) {
        char path[512], part[600];
        snprintf(path, sizeof path, "%s", kit_path("full"));
        snprintf(part, sizeof part, "%s.part", path);
        kit_write_file(path, "old", 3);
        tuff_part *p = NULL;
        KIT_OK(tuff_part_open(path, &p));
        KIT_OK(tuff_part_cut(p, 0));
        KIT_OK(tuff_part_write(p, "new", 3));
        failing = steps[i];
        tuff_disk_hook = fail_step;
        tuff_status status = tuff_part_write(p, "er", 2);
        if (status == TUFF_OK) status = tuff_part_commit(&p);
        tuff_disk_hook = NULL;
        KIT_FAILS(status, TUFF_IO, "No space left on device");
        tuff_part_close(&p);
        expect_content(path, "old");
        expect_content(part, steps[i] == TUFF_DISK_WRITE ? "new" : "newer");
        KIT_OK(tuff_part_open(path, &p));
        KIT_OK(tuff_part_commit(&p));
        expect_content(path, steps[i] == TUFF_DISK_WRITE ? "new" : "newer");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_goes_on_where_it_was_left),
        cmocka_unit_test(a_link_stays_and_its_file_is_written),
        cmocka_unit_test(one_process_writes_at_a_time),
        cmocka_unit_test(a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
