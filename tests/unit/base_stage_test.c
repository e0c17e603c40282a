#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/stage_os.h"
#include "base/stage_record.h"
#include "base/status.h"
#include "kit/files.h"
#include "kit/killed.h"

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
    const char *path = kit_path(name);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

static const char *inside(const char *directory, const char *name)
{
    return kit_join(directory, name);
}

static void write_in(const tuff_stage *stage, const char *name, const char *text)
{
    KIT_OK(tuff_write_file(inside(tuff_stage_path(stage), name), text, strlen(text)));
}

static void stage_appears_at_once(void **state)
{
    (void)state;
    const char *dir = fresh_directory("stage"), *out = inside(dir, "out/");
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(out, &stage));
    write_in(stage, "config.json", "{}");
    assert_false(tuff_is_directory(out));
    KIT_OK(tuff_stage_commit(&stage));
    assert_null(stage);
    expect_contents(inside(dir, "out/config.json"), "{}");
    assert_int_equal(kit_count_entries(dir), 1);

    /* Again, into the same directory: files replaced, others kept. */
    kit_write_file(inside(dir, "out/keep"), "K", 1);
    KIT_OK(tuff_stage_open(inside(dir, "out"), &stage));
    write_in(stage, "config.json", "{1}");
    expect_contents(inside(dir, "out/config.json"), "{}");
    KIT_OK(tuff_stage_commit(&stage));
    expect_contents(inside(dir, "out/config.json"), "{1}");
    expect_contents(inside(dir, "out/keep"), "K");
    assert_int_equal(kit_count_entries(inside(dir, "out")), 2);
    assert_int_equal(kit_count_entries(dir), 1);
}

static void stage_abort_leaves_nothing(void **state)
{
    (void)state;
    const char *dir = fresh_directory("abort");
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(inside(dir, "a/b/c"), &stage));
    write_in(stage, "x", "x");
    assert_int_equal(mkdir(inside(tuff_stage_path(stage), "sub"), 0755), 0);
    write_in(stage, "sub/y", "y");
    /* A link out of the stage is removed, not followed. */
    const char *precious = kit_temp_path("precious");
    assert_int_equal(mkdir(precious, 0755), 0);
    kit_write_file(inside(precious, "z"), "z", 1);
    assert_int_equal(symlink(precious, inside(tuff_stage_path(stage), "link")), 0);
    tuff_stage_abort(&stage);
    assert_null(stage);
    tuff_stage_abort(&stage);
    assert_int_equal(kit_count_entries(dir), 0);
    assert_int_equal(kit_count_entries(precious), 1);

    assert_int_equal(mkdir(inside(dir, "there"), 0755), 0);
    KIT_OK(tuff_stage_open(inside(dir, "there"), &stage));
    write_in(stage, "x", "x");
    tuff_stage_abort(&stage);
    assert_int_equal(kit_count_entries(inside(dir, "there")), 0);
}

/* What cannot be moved into place is reported, and the stage goes. */
static void stage_commit_failure_is_clean(void **state)
{
    (void)state;
    const char *dir = fresh_directory("clash");
    assert_int_equal(mkdir(inside(dir, "x"), 0755), 0); /* a directory where a file is to go */
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(dir, &stage));
    write_in(stage, "x", "x");
    KIT_FAILS(tuff_stage_commit(&stage), TUFF_IO, "clash/x: Is a directory");
    assert_null(stage);
    assert_int_equal(kit_count_entries(dir), 1);
}

static void stage_in_the_current_directory(void **state)
{
    (void)state;
    const char *dir = fresh_directory("current");
    char before[512];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir), 0);
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(".", &stage));
    write_in(stage, "x", "x");
    KIT_OK(tuff_stage_commit(&stage));
    KIT_OK(tuff_stage_open("new", &stage));
    write_in(stage, "y", "y");
    KIT_OK(tuff_stage_commit(&stage));
    KIT_OK(tuff_write_file("plain", "p", 1));
    assert_int_equal(chdir(before), 0);
    expect_contents(inside(dir, "x"), "x");
    expect_contents(inside(dir, "new/y"), "y");
    assert_int_equal(kit_count_entries(dir), 3);
}

/* ---- killed, and out of room, at every step */

static const char *const replaced[] = {"config.json", "model.safetensors", "tokenizer.json", "vocab.json"};

/* An old model of three files, one of which the new one does not have, and a file of somebody else's. */
static void make_old(const char *directory)
{
    assert_int_equal(mkdir(directory, 0755), 0);
    kit_write_file(inside(directory, "config.json"), "old", 3);
    kit_write_file(inside(directory, "model.safetensors"), "old", 3);
    kit_write_file(inside(directory, "vocab.json"), "old", 3);
    kit_write_file(inside(directory, "notes.txt"), "mine", 4);
}

static tuff_status save_new(const char *directory)
{
    tuff_stage *stage;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_stage_replaces(stage, replaced, sizeof replaced / sizeof replaced[0]);
    tuff_status status = TUFF_OK;
    for (int i = 0; i < 3 && status == TUFF_OK; i++)
        status = tuff_write_file(inside(tuff_stage_path(stage), replaced[i]), "newer", 5);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

static char content(const char *directory, const char *name)
{
    char first = '-';
    FILE *file = fopen(inside(directory, name), "rb");
    if (file && fread(&first, 1, 1, file) != 1) first = '?';
    if (file) fclose(file);
    return first;
}

/* 'o' or 'n' for the whole old or new model, '-' for none; anything else fails the test. */
static char which_model(const char *directory, int step)
{
    const char *names[] = {"config.json", "model.safetensors", "tokenizer.json", "vocab.json"};
    char found[5] = {0};
    for (int i = 0; i < 4; i++)
        found[i] = content(directory, names[i]);
    if (strcmp(found, "oo-o") == 0) return 'o';
    if (strcmp(found, "nnn-") == 0) return 'n';
    if (strcmp(found, "----") == 0) return '-';
    fail_msg("step %d left a mixture: %s", step, found);
    return 0;
}

typedef struct working {
    tuff_status (*fn)(const char *directory);
    const char *directory;
} working;
static tuff_status work(void *user)
{
    const working *w = user;
    return w->fn(w->directory);
}

static bool killed_at(int n, tuff_status (*fn)(const char *directory), const char *directory)
{
    return kit_killed_at(n, work, &(working){fn, directory});
}

static tuff_status open_and_abort(const char *directory)
{
    tuff_stage *stage;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_stage_abort(&stage);
    return TUFF_OK;
}

/* Whoever comes next may be a reader or a writer, and may be killed too. */
static void killed_everywhere(tuff_status (*next)(const char *directory), bool exists)
{
    int old = 0, new = 0;
    for (int n = 1;; n++) {
        const char *parent = kit_path("kill");
        assert_int_equal(mkdir(parent, 0755), 0);
        const char *directory = inside(parent, "model");
        if (exists) make_old(directory);
        bool killed = killed_at(n, save_new, directory);
        int first = 1;
        while (killed_at(first, next, directory))
            first++;
        KIT_OK(next(directory));
        char found = which_model(directory, n);
        assert_true(found == 'n' || (killed && found == (exists ? 'o' : '-')));
        assert_true(new == 0 || found == 'n'); /* what is committed stays so */
        old += found != 'n';
        new += found == 'n';
        if (exists) expect_contents(inside(directory, "notes.txt"), "mine");
        /* a writer clears away what is left */
        KIT_OK(open_and_abort(directory));
        if (found != '-') assert_int_equal(kit_count_entries(directory), exists ? 4 : 3);
        assert_int_equal(kit_count_entries(parent), found != '-');
        if (exists) remove(inside(directory, "notes.txt"));
        for (size_t i = 0; i < 4; i++)
            remove(inside(directory, replaced[i]));
        remove(directory);
        assert_int_equal(rmdir(parent), 0);
        if (!killed) break;
    }
    assert_true(old >= 8 && new >= 2);
}

static void a_killed_save_is_whole_or_nothing(void **state)
{
    (void)state;
    killed_everywhere(tuff_stage_settle, true);
    killed_everywhere(open_and_abort, true);
    killed_everywhere(tuff_stage_settle, false);
    killed_everywhere(open_and_abort, false);
}

static int steps_left;
static int no_room(tuff_disk_step step, const char *path)
{
    (void)path;
    if (step == TUFF_DISK_REMOVE) return 0;
    if (--steps_left <= 0) return ENOSPC;
    return step == TUFF_DISK_SYNC ? TUFF_DISK_SKIP : 0;
}

static void full_everywhere(bool exists)
{
    int old = 0, later = 0;
    for (int n = 1;; n++) {
        const char *parent = kit_path("full");
        assert_int_equal(mkdir(parent, 0755), 0);
        const char *directory = inside(parent, "model");
        if (exists) make_old(directory);
        steps_left = n;
        tuff_disk_hook = no_room;
        tuff_status status = save_new(directory);
        tuff_disk_hook = NULL;
        bool promised = status != TUFF_OK && strstr(tuff_error_message(), "puts them in place");
        if (status != TUFF_OK) {
            KIT_FAILS(status, TUFF_IO, "No space left");
            if (!strstr(tuff_error_message(), directory)) fail_msg("step %d: %s", n, tuff_error_message());
            if (strstr(tuff_error_message(), ".tuff") || strchr(tuff_error_message(), '\n'))
                fail_msg("step %d: %s", n, tuff_error_message());
        }
        if (promised) KIT_OK(tuff_stage_settle(directory));
        char found = which_model(directory, n);
        assert_int_equal(found, status == TUFF_OK || promised ? 'n' : exists ? 'o' : '-');
        old += found != 'n';
        later += promised;
        if (found != '-') assert_int_equal(kit_count_entries(directory), exists ? 4 : 3);
        assert_int_equal(kit_count_entries(parent), found != '-');
        if (exists) remove(inside(directory, "notes.txt"));
        for (size_t i = 0; i < 4; i++)
            remove(inside(directory, replaced[i]));
        remove(directory);
        assert_int_equal(rmdir(parent), 0);
        if (status == TUFF_OK) break;
    }
    assert_true(old >= 8);
    assert_true(exists ? later > 0 : later == 0);
}

static void a_full_disk_leaves_what_was_there(void **state)
{
    (void)state;
    full_everywhere(true);
    full_everywhere(false);
}

static int fail_once(tuff_disk_step step, const char *path)
{
    (void)path;
    if (--steps_left == 0) return EIO;
    return step == TUFF_DISK_SYNC ? TUFF_DISK_SKIP : 0;
}

/* A commit of which one step fails: the new files are in place, will be, or are kept apart as they are. */
static void kept_everywhere(bool exists)
{
    int kept_count = 0;
    for (int n = 1;; n++) {
        const char *parent = kit_path("keep"), *directory = inside(parent, "model");
        char *kept;
        tuff_stage *stage;
        assert_int_equal(mkdir(parent, 0755), 0);
        if (exists) make_old(directory);
        KIT_OK(tuff_stage_open(directory, &stage));
        tuff_stage_replaces(stage, replaced, sizeof replaced / sizeof replaced[0]);
        for (int i = 0; i < 3; i++)
            write_in(stage, replaced[i], "newer");
        steps_left = n;
        tuff_disk_hook = fail_once;
        tuff_status status = tuff_stage_commit_or_keep(&stage, &kept);
        tuff_disk_hook = NULL;
        assert_null(stage);
        if (kept) {
            assert_int_not_equal(status, TUFF_OK);
            assert_string_equal(kept, inside(parent, exists ? "model/unsaved" : "model.unsaved"));
            assert_int_equal(which_model(kept, n), 'n');
            assert_int_equal(which_model(directory, n), exists ? 'o' : '-');
            KIT_OK(tuff_stage_open(directory, &stage)); /* whoever writes there next leaves it alone */
            tuff_stage_abort(&stage);
            assert_int_equal(which_model(kept, n), 'n');
            kept_count++;
        } else if (status != TUFF_OK) {
            KIT_OK(tuff_stage_settle(directory));
        }
        if (!kept) assert_int_equal(which_model(directory, n), 'n');
        tuff_free(kept);
        tuff_remove_tree(parent);
        if (status == TUFF_OK && steps_left > 0) break;
    }
    assert_true(kept_count >= 3);
}

static void what_cannot_be_put_in_place_is_kept(void **state)
{
    (void)state;
    kept_everywhere(true);
    kept_everywhere(false);

    const char *dir = fresh_directory("again"); /* where one is kept already */
    assert_int_equal(mkdir(inside(dir, "x"), 0755), 0);
    for (int i = 1; i <= 3; i++) {
        char *kept;
        char name[32];
        tuff_stage *stage;
        KIT_OK(tuff_stage_open(dir, &stage));
        write_in(stage, "x", "x");
        KIT_FAILS(tuff_stage_commit_or_keep(&stage, &kept), TUFF_IO, "Is a directory");
        snprintf(name, sizeof name, i == 1 ? "unsaved" : "unsaved-%d", i);
        assert_string_equal(kept, inside(dir, name));
        tuff_free(kept);
    }
}

/* ---- two at once */

static void a_second_writer_is_refused_at_its_start(void **state)
{
    (void)state;
    const char *parent = fresh_directory("two"), *old = inside(parent, "old"), *none = inside(parent, "none");
    assert_int_equal(mkdir(old, 0755), 0);
    tuff_stage *first, *second;
    KIT_OK(tuff_stage_open(old, &first));
    KIT_FAILS(tuff_stage_open(old, &second), TUFF_IO, "another process is writing to");
    assert_null(second);
    tuff_stage_abort(&first);
    KIT_OK(tuff_stage_open(old, &second));
    tuff_stage_abort(&second);

    KIT_OK(tuff_stage_open(none, &first));
    KIT_FAILS(tuff_stage_open(inside(parent, "none/"), &second), TUFF_IO, "another process is writing to");
    /* also when the directory has been made in the meantime; then the first one's files move into it */
    assert_int_equal(mkdir(none, 0755), 0);
    kit_write_file(inside(none, "theirs"), "t", 1);
    KIT_FAILS(tuff_stage_open(none, &second), TUFF_IO, "another process is writing to");
    write_in(first, "x", "x");
    KIT_OK(tuff_stage_commit(&first));
    expect_contents(inside(none, "x"), "x");
    expect_contents(inside(none, "theirs"), "t");
    assert_int_equal(kit_count_entries(none), 2);
    assert_int_equal(kit_count_entries(parent), 2);
}

/* ---- records from elsewhere */

static void make_record(const char *directory, const char *record)
{
    assert_int_equal(mkdir(inside(directory, ".tuff-stage"), 0755), 0);
    kit_write_file(inside(directory, ".tuff-stage/.tuff-commit"), record, strlen(record));
}

static void records_lead_nowhere_else(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "tuff commit 1\n",
                                      "tuff commit 2\nend\n",
                                      "tuff commit 1\nput 1 x\n",
                                      "tuff commit 1\nput 1 x\nend\nend\n",
                                      "tuff commit 1\nput 1 x\nput 1 x\nend\n",
                                      "tuff commit 1\nput 1 ../x\nend\n",
                                      "tuff commit 1\nput 1 ..\nend\n",
                                      "tuff commit 1\nput 1 .\nend\n",
                                      "tuff commit 1\nput 1 a/b/c\nend\n",
                                      "tuff commit 1\nput 1 /x\nend\n",
                                      "tuff commit 1\nput 1 \nend\n",
                                      "tuff commit 1\nput -1 x\nend\n",
                                      "tuff commit 1\nput 007 x\nend\n",
                                      "tuff commit 1\nremove 7 x\nend\n",
                                      "tuff commit 1\nput 99999999999999999999 x\nend\n",
                                      "tuff commit 1\nput 1 x\x1b[2J\nend\n",
                                      "tuff commit 1\nput 1 \xff\nend\n",
                                      "tuff commit 1\nput 1 .tuff-stage\nend\n",
                                      "tuff commit 1\nremove 0 ../../victim\nend\n",
                                      "tuff commit 1\nmove 1 x\nend\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tuff_stage_record record;
        KIT_FAILS(tuff_stage_record_parse(bad[i], strlen(bad[i]), "here", &record), TUFF_BAD_FORMAT,
                  "here: ");
        assert_null(record.entries);
    }
    tuff_stage_record record;
    static const char good[] = "tuff commit 1\nput 12 a b.json\nremove 0 x\nend\n";
    KIT_OK(tuff_stage_record_parse(good, sizeof good - 1, "here", &record));
    assert_int_equal(record.count, 2);
    assert_string_equal(record.entries[0].name, "a b.json");
    assert_true(record.entries[0].size == 12 && !record.entries[0].remove && record.entries[1].remove);
    tuff_buf text = {0};
    tuff_stage_record_print(&record, &text);
    assert_string_equal(text.data, good);
    tuff_buf_free(&text);
    tuff_stage_record_free(&record);
}

static void damaged_stages_are_refused_and_kept(void **state)
{
    (void)state;
    static const char *const bad[] = {"tuff commit 1\nput 2 x\nend\n", "tuff commit 1\nput 1 y\nend\n",
                                      "tuff commit 1\nput 0 link\nend\n", "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "damaged%zu", i);
        const char *directory = fresh_directory(name);
        kit_write_file(inside(directory, "x"), "old", 3);
        make_record(directory, bad[i]);
        kit_write_file(inside(directory, ".tuff-stage/x"), "n", 1);
        assert_int_equal(symlink("/dev/null", inside(directory, ".tuff-stage/link")), 0);
        tuff_stage *stage;
        KIT_FAILS(tuff_stage_settle(directory), TUFF_IO, "cut short and cannot be completed");
        KIT_FAILS(tuff_stage_open(directory, &stage), TUFF_IO, "delete ");
        expect_contents(inside(directory, "x"), "old");
        assert_int_equal(kit_count_entries(inside(directory, ".tuff-stage")), 3);
    }
    const char *directory = fresh_directory("linked");
    tuff_stage *stage;
    assert_int_equal(symlink(fresh_directory("elsewhere"), inside(directory, ".tuff-stage")), 0);
    KIT_FAILS(tuff_stage_open(directory, &stage), TUFF_IO, "is no directory");
}

static void a_reader_without_the_right_refuses(void **state)
{
    (void)state;
    const char *directory = fresh_directory("reader");
    make_record(directory, "tuff commit 1\nput 1 x\nend\n");
    kit_write_file(inside(directory, ".tuff-stage/x"), "n", 1);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        chmod(kit_temp_directory(), 0755);
        chmod(directory, 0555);
        if (getuid() == 0 && setuid(65534) != 0) _exit(2);
        bool refused = tuff_stage_settle(directory) == TUFF_IO &&
                       strstr(tuff_error_message(), "Permission denied; run a tuff command");
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    chmod(directory, 0755);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) skip();
    assert_int_equal(status, 0);
    KIT_OK(tuff_stage_settle(directory));
    expect_contents(inside(directory, "x"), "n");
    assert_int_equal(kit_count_entries(directory), 1);
}

typedef struct reading {
    const char *directory;
    int calls, saves; /* so often it is saved to while it is read */
    char found[32];
} reading;

static tuff_status read_two_files(void *user)
{
    reading *r = user;
    r->found[0] = content(r->directory, "config.json");
    if (r->calls++ < r->saves) KIT_OK(save_new(r->directory));
    r->found[1] = content(r->directory, "model.safetensors");
    if (r->found[0] != r->found[1]) return tuff_fail(TUFF_BAD_FORMAT, "they do not belong together");
    return strchr("on", r->found[0]) ? TUFF_OK : TUFF_INTERNAL;
}

static void forget(void *user)
{
    memset(((reading *)user)->found, 0, 2);
}

/* Another program replaces a file of a name that models' files have, or one of another. */
static tuff_status read_beside_a_writer(void *user)
{
    reading *r = user;
    if (r->calls++ == 0) kit_write_file(inside(r->directory, r->found), "later", 5);
    return TUFF_OK;
}

static void not_forget(void *user)
{
    (void)user;
}

static void changes_are_noticed_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int calls;
    } cases[] = {{"pytorch_model.bin", 2}, {"qwen.tiktoken", 2}, {"chat_template.jinja", 2},
                 {"tokenizer.model", 2},   {"notes.md", 1},      {"train.log", 1}};
    const char *directory = kit_path("noticed");
    make_old(directory);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reading r = {.directory = directory};
        snprintf(r.found, sizeof r.found, "%s", cases[i].name);
        KIT_OK(tuff_stage_read(directory, read_beside_a_writer, not_forget, &r));
        if (r.calls != cases[i].calls)
            fail_msg("%s changed, and it was read %d times, expected %d", cases[i].name, r.calls,
                     cases[i].calls);
    }
}

static void reading_meets_no_mixture(void **state)
{
    (void)state;
    reading r = {.directory = kit_path("read")};
    make_old(r.directory);
    KIT_OK(tuff_stage_read(r.directory, read_two_files, forget, &r));
    assert_true(r.calls == 1 && strcmp(r.found, "oo") == 0);
    r = (reading){.directory = r.directory, .saves = 2};
    KIT_OK(tuff_stage_read(r.directory, read_two_files, forget, &r));
    assert_true(r.calls == 3 && strcmp(r.found, "nn") == 0);
    r = (reading){.directory = r.directory, .saves = 100};
    KIT_FAILS(tuff_stage_read(r.directory, read_two_files, forget, &r), TUFF_IO, "try again later");
    /* a file of no model may change as it likes, and a true failure is told */
    kit_write_file(inside(r.directory, "config.json"), "o", 1);
    r = (reading){.directory = r.directory};
    KIT_FAILS(tuff_stage_read(r.directory, read_two_files, forget, &r), TUFF_BAD_FORMAT, "do not belong");
    assert_int_equal(r.calls, 1);
}

static void messages_name_the_final_path(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"out/.tuff-stage/x", "out/x"},
                                           {".tuff-stage/x", "x"},
                                           {"a/.out.tuff-stage/x", "a/out/x"},
                                           {".out.tuff-stage/x", "out/x"},
                                           {".out.tuff-stage/.tuff-commit", "out"},
                                           {"out.tuff-stage/x", "out.tuff-stage/x"},
                                           {"a/b", "a/b"},
                                           {"b", "b"},
                                           {"/b", "/b"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tuff_buf path = {0};
        KIT_OK(tuff_stage_final_path(cases[i][0], &path));
        tuff_buf_text(&path, "");
        assert_string_equal(path.data, cases[i][1]);
        tuff_buf_free(&path);
    }
}

static tuff_status stage_something(void *user)
{
    static int turn;
    char name[16];
    snprintf(name, sizeof name, "%d", turn++);
    const char *path = inside(user, name);
    if (turn % 2) make_old(path);
    return save_new(path);
}

static void stages_survive_every_memory_failure(void **state)
{
    (void)state;
    char directory[512];
    snprintf(directory, sizeof directory, "%s", fresh_directory("memory"));
    assert_true(kit_for_each_allocation_failure(stage_something, directory) > 20);
}

/* ---- folders */

/* A file and one in a folder. */
static tuff_status save_folder(const char *directory)
{
    tuff_stage *stage;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    char folder[600];
    snprintf(folder, sizeof folder, "%s/part", tuff_stage_path(stage));
    tuff_status status = tuff_write_file(inside(tuff_stage_path(stage), "list.json"), "newer", 5);
    if (status == TUFF_OK && !tuff_disk_make_directory(folder)) status = tuff_fail(TUFF_IO, "no folder");
    if (status == TUFF_OK) status = tuff_write_file(inside(folder, "config.json"), "newer", 5);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

static void files_in_folders_come_into_place(void **state)
{
    (void)state;
    const char *dir = fresh_directory("folders"), *out = inside(dir, "out");
    KIT_OK(save_folder(out)); /* appears whole */
    expect_contents(inside(out, "part/config.json"), "newer");
    kit_write_file(inside(out, "part/config.json"), "old", 3);
    kit_write_file(inside(out, "part/mine"), "M", 1);
    KIT_OK(save_folder(out)); /* replaces the file */
    expect_contents(inside(out, "part/config.json"), "newer");
    expect_contents(inside(out, "part/mine"), "M");
    assert_int_equal(kit_count_entries(out), 2);
    const char *bare = fresh_directory("bare");
    KIT_OK(save_folder(bare)); /* makes the folder */
    expect_contents(inside(bare, "part/config.json"), "newer");
    assert_int_equal(kit_count_entries(bare), 2);
}

static void folders_lead_nowhere_else(void **state)
{
    (void)state;
    const char *dir = fresh_directory("leads"), *elsewhere = fresh_directory("outside");
    assert_int_equal(symlink(elsewhere, inside(dir, "part")), 0);
    KIT_FAILS(save_folder(dir), TUFF_IO, "is in the way of a folder of that name");
    assert_int_equal(kit_count_entries(elsewhere), 0);
    assert_int_equal(kit_count_entries(dir), 1);
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(fresh_directory("deep"), &stage));
    assert_int_equal(mkdir(inside(tuff_stage_path(stage), "a"), 0755), 0);
    assert_int_equal(mkdir(inside(tuff_stage_path(stage), "a/b"), 0755), 0);
    KIT_FAILS(tuff_stage_commit(&stage), TUFF_INVALID_ARGUMENT,
              "folders of an output directory take files only");
    static const char *const bad[] = {"a/", "a/b/c", "../a", "a/..", "./a", "a/.tuff-x", ".tuff-x/a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tuff_stage_name_valid(bad[i], strlen(bad[i])));
    assert_true(tuff_stage_name_valid("1_Pooling/config.json", 21));
}

static void a_killed_save_with_a_folder_is_whole_or_nothing(void **state)
{
    (void)state;
    int old = 0, new = 0;
    for (int n = 1;; n++) {
        char directory[512], folder[600];
        snprintf(directory, sizeof directory, "%s", fresh_directory("killed"));
        snprintf(folder, sizeof folder, "%s/part", directory);
        assert_int_equal(mkdir(folder, 0755), 0);
        kit_write_file(inside(directory, "list.json"), "old", 3);
        kit_write_file(inside(folder, "config.json"), "old", 3);
        bool killed = killed_at(n, save_folder, directory);
        int first = 1;
        while (killed_at(first, tuff_stage_settle, directory))
            first++;
        KIT_OK(tuff_stage_settle(directory));
        char one = content(directory, "list.json"), two = content(folder, "config.json");
        if (one != two) fail_msg("step %d left a mixture: %c%c", n, one, two);
        old += one == 'o';
        new += one == 'n';
        KIT_OK(open_and_abort(directory));
        assert_int_equal(kit_count_entries(directory), 2);
        tuff_remove_tree(directory);
        if (!killed) break;
    }
    assert_true(old >= 8 && new >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stage_appears_at_once),
        cmocka_unit_test(stage_abort_leaves_nothing),
        cmocka_unit_test(stage_commit_failure_is_clean),
        cmocka_unit_test(stage_in_the_current_directory),
        cmocka_unit_test(a_killed_save_is_whole_or_nothing),
        cmocka_unit_test(files_in_folders_come_into_place),
        cmocka_unit_test(folders_lead_nowhere_else),
        cmocka_unit_test(a_killed_save_with_a_folder_is_whole_or_nothing),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
        cmocka_unit_test(what_cannot_be_put_in_place_is_kept),
        cmocka_unit_test(a_second_writer_is_refused_at_its_start),
        cmocka_unit_test(records_lead_nowhere_else),
        cmocka_unit_test(damaged_stages_are_refused_and_kept),
        cmocka_unit_test(a_reader_without_the_right_refuses),
        cmocka_unit_test(reading_meets_no_mixture),
        cmocka_unit_test(changes_are_noticed_by_name),
        cmocka_unit_test(messages_name_the_final_path),
        cmocka_unit_test(stages_survive_every_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
