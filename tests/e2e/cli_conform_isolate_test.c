/* tuff conform where the driver crashes or hangs, and where it is interrupted or killed itself. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Anywhere, also behind a NUL. */
static bool says(const tuff_buf *text, const char *part)
{
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= text->size; i++)
        if (memcmp(text->data + i, part, size) == 0) return true;
    return false;
}

static void expect_in_file(const char *name, const char *part)
{
    tuff_buf text = {0};
    kit_read_file(kit_path(name), &text);
    if (!says(&text, part)) fail_msg("%s lacks %s: %s", name, part, text.data);
    tuff_buf_free(&text);
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Starts the command with its output in a file of the test's directory. */
static pid_t start(const char *const *arguments)
{
    const char *tuff = getenv("TUFF_TEST_TUFF");
    if (tuff == NULL) skip();
    const char *out = kit_path("out.txt");
    remove(out);
    remove(kit_path("r.json"));
    remove(kit_path("i.json"));
    pid_t process = fork();
    if (process == 0) {
        int file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, 1);
        dup2(file, 2);
        execv(tuff, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_true(process > 0);
    return process;
}
#define START(...) start((const char *const[]){"tuff", "conform", __VA_ARGS__, NULL})

static void wait_for(const char *name, const char *part)
{
    for (int i = 0; i < 3000; i++, pause_ms(10)) {
        tuff_buf text = {0};
        FILE *file = fopen(kit_path(name), "rb");
        if (file == NULL) continue;
        fclose(file);
        kit_read_file(kit_path(name), &text);
        bool there = says(&text, part);
        tuff_buf_free(&text);
        if (there) return;
    }
    fail_msg("%s has no %s after 30 s", name, part);
}

static int end_of(pid_t process)
{
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t child_of(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)process, (int)process);
    for (int i = 0; i < 1000; i++, pause_ms(5)) {
        int child = 0;
        FILE *file = fopen(path, "r");
        if (file == NULL) skip(); /* another system: how to find the child is not known */
        bool found = fscanf(file, "%d", &child) == 1;
        fclose(file);
        if (found) return child;
    }
    fail_msg("there is no child");
    return 0;
}

/* Large products in full: each takes long enough to be met in the middle. */
#define LONG                                                                                 \
    "--device", "cpu", "--level", "soak", "--minutes", "5", "--case", "matmul.n*", "--json", \
        kit_path("r.json")

/* Where the case had come to its kernels, and not only to its truth on the host, the message names them. */
static void expect_kernels_of_the_crash(void)
{
    tuff_buf text = {0};
    char name[128], kernels[256];
    kit_read_file(kit_path("r.json"), &text);
    char *line = strstr(text.data, "\"verdict\": \"crashed\"");
    assert_non_null(line);
    while (line > text.data && line[-1] != '\n')
        line--;
    assert_int_equal(sscanf(line, "{\"record\": \"case\", \"case\": \"%127[^\"]", name), 1);
    snprintf(kernels, sizeof kernels, "{\"record\": \"kernels\", \"case\": \"%s\", \"kernels\": \"", name);
    bool between = says(&text, "before the next one");
    if (!between) assert_int_equal(says(&text, kernels), says(&text, ", about to use "));
    tuff_buf_free(&text);
}

/* A signal to the child is a crash of the case that runs, and of no other. */
static void a_crash_is_a_cases_result(void **state)
{
    (void)state;
    pid_t process = START("--device", "cpu", "--level", "full", "--case", "elementwise.*,norm.*,softmax.*",
                          "--isolate", "--seed", "3", "--budget", "7", "--json", kit_path("r.json"),
                          "--junit", kit_path("r.xml"), "--report", kit_path("r.html"));
    wait_for("r.json", "\"record\": \"kernels\", \"case\": \"elementwise.");
    kill(child_of(process), SIGSEGV);
    assert_int_equal(end_of(process), 1);
    expect_in_file("r.json", "\"verdict\": \"crashed\"");
    expect_kernels_of_the_crash();
    expect_in_file("r.json", "\"message\": \"crashed: SIGSEGV");
    expect_in_file("r.json", "tuff conform --device 'cpu' --case ");
    expect_in_file("r.json", " --seed 3 --level full --budget 7ms --isolate\"");
    expect_in_file("r.json", "\"case\": \"softmax.20x50.special\""); /* the last one was run all the same */
    expect_in_file("r.json", "\"cases_failed\": 1,");
    expect_in_file("r.json", "{\"record\": \"exit\", \"code\": 1, \"verdict\": \"failed\"}");
    expect_in_file("r.xml", "failures=\"0\" errors=\"1\"");
    expect_in_file("r.xml", "<error type=\"crashed\" message=\"crashed: SIGSEGV");
    expect_in_file("r.html", "crashed: SIGSEGV");
    expect_in_file("out.txt", "crashed: SIGSEGV");
}

/* A child that is stopped is a driver that hangs. */
static void a_hang_is_a_cases_result(void **state)
{
    (void)state;
    pid_t process =
        START("--device", "cpu", "--level", "full", "--case", "elementwise.*,norm.*,sum.*,softmax.*",
              "--isolate", "--timeout", "15", "--json", kit_path("r.json"), "--junit", kit_path("r.xml"));
    wait_for("r.json", "\"record\": \"begin\"");
    kill(child_of(process), SIGSTOP);
    assert_int_equal(end_of(process), 1);
    expect_in_file("r.json", "\"message\": \"timed out after 15 s");
    expect_in_file("r.json", "\"cases_failed\": 1,");
    expect_in_file("r.xml", "<error type=\"timed out\"");
    expect_in_file("r.xml", " --isolate --timeout 15");
    expect_in_file("r.json", "\"case\": \"softmax.20x50.special\"");
}

static void isolated_runs_find_the_same(void **state)
{
    (void)state;
    static const char *const modes[] = {"--verbose", "--isolate"};
    tuff_buf ends[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        KIT_DO("conform", "--device", "cpu", "--op", "softmax,graphs,norm,sum", modes[i], "--json",
               kit_path("s.json"));
        tuff_buf text = {0};
        kit_read_file(kit_path("s.json"), &text);
        const char *at = strstr(text.data, "{\"record\": \"end\"");
        assert_non_null(at);
        tuff_buf_bytes(&ends[i], at,
                       strcspn(at, "}") - strlen(strstr(at, "\"seconds\"")) + strlen(strchr(at, '}')));
        tuff_buf_free(&text);
    }
    assert_string_equal(ends[0].data, ends[1].data);
    for (int i = 0; i < 2; i++)
        tuff_buf_free(&ends[i]);
}

/* All cases, in pieces: each kernel is reached by some. */
static void the_whole_suite_holds(void **state)
{
    (void)state;
    kit_result r = KIT_TUFF("conform", "--device", "cpu", "--isolate", "--json", kit_path("all.json"));
    assert_true(says(&r.out, "PASSED: "));
    kit_result_free(&r);
    expect_in_file("all.json", "\"whole\": true");
    expect_in_file("all.json", "\"rows_unreached\": 0");
    r = KIT_TUFF("conform", "--device", "cpu", "--isolate", "--op", "softmax", "--shard", "77/1000");
    assert_true(says(&r.out, "PASSED: 0 cases held"));
    kit_result_free(&r);
}

static void an_interrupt_leaves_reports(void **state)
{
    (void)state;
    static const char *const modes[] = {"--verbose", "--isolate"};
    static const int signals[] = {SIGINT, SIGTERM};
    static const char cases[] = "matmul.*,norm.*,sum.*";
    kit_result list = KIT_TUFF("conform", "--list", "--level", "full", "--case", cases);
    int count = 0;
    for (size_t i = 0; i < list.out.size; i++)
        count += list.out.data[i] == '\n';
    kit_result_free(&list);
    char all[64]; /* not only of those that a child was given */
    snprintf(all, sizeof all, " of %d cases", count);
    for (int i = 0; i < 2; i++) {
        pid_t process =
            START("--device", "cpu", "--level", "full", "--case", cases, modes[i], "--json",
                  kit_path("i.json"), "--junit", kit_path("i.xml"), "--report", kit_path("i.html"));
        wait_for("i.json", "\"record\": \"case\"");
        kill(process, signals[i]);
        assert_int_equal(end_of(process), 4);
        expect_in_file("i.json", "{\"record\": \"exit\", \"code\": 4, \"verdict\": \"interrupted\"}\n");
        expect_in_file("i.xml", "<error type=\"interrupted\" message=\"INTERRUPTED after ");
        expect_in_file("i.html", "INTERRUPTED after ");
        expect_in_file("i.xml", all);
    }
}

/* From the second round on, an interrupt is how soak ends: with the verdict of what was run. */
static void an_interrupted_soak_has_a_verdict(void **state)
{
    (void)state;
    static const char *const modes[] = {"--verbose", "--isolate"};
    for (int i = 0; i < 2; i++) {
        pid_t process = START("--device", "cpu", "--level", "soak", "--case", "softmax.3x7,softmax.3x257",
                              modes[i], "--json", kit_path("i.json"), "--junit", kit_path("i.xml"));
        wait_for("out.txt", "round 3: ");
        kill(process, SIGINT);
        assert_int_equal(end_of(process), 0);
        expect_in_file("i.json", "{\"record\": \"end\", \"verdict\": \"passed\"");
        expect_in_file("i.json", "{\"record\": \"exit\", \"code\": 0, \"verdict\": \"passed\"}\n");
        expect_in_file("i.xml", "errors=\"0\"");
        expect_in_file("out.txt", "PASSED: 2 cases held");
    }
}

/* Where all have failed there is nothing to run in another round. */
static void soak_ends_where_all_have_failed(void **state)
{
    (void)state;
    time_t began = time(NULL);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"conform", "--device", "cpu", "--isolate", "--level", "soak",
                                           "--minutes", "2", "--case", "matmul.nt.f32.m8n96k2100", "--mask",
                                           "memory=1M", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_true(says(&r.out, "FAILED: 1 of 1 case"));
    assert_true(time(NULL) - began < 90);
    kit_result_free(&r);
}

/* Nothing can be written then: what was written before tells which case ran. */
static void a_kill_leaves_the_record(void **state)
{
    (void)state;
    pid_t process = START(LONG);
    wait_for("r.json", "\"case\": \"matmul.nt.f32.m17n15k33\", \"family\"");
    kill(process, SIGKILL);
    assert_int_equal(end_of(process), 128 + SIGKILL);
    tuff_buf text = {0};
    kit_read_file(kit_path("r.json"), &text);
    tuff_buf_free(&text);
    /* an old record may be cut off, too; the cases before the one that is run were not asked for */
    kit_result r;
    kit_tuff(&r, "conform", "--device", "cpu", "--case", "matmul.nt.f32.m17n15k33", "--compare",
             kit_path("r.json"), NULL);
    assert_int_equal(r.exit_code, 0);
    assert_true(says(&r.out, "0 new failures, 0 mended, 0 new, 0 missing"));
    kit_result_free(&r);
    expect_in_file("out.txt", "matmul.nt.f32.m17n15k33 ... held");
}

/* What CI services read is not the verdict of an older run. */
static void a_kill_leaves_no_old_verdict(void **state)
{
    (void)state;
    const char *junit = kit_path("r.xml"), *html = kit_path("r.html");
    kit_result r = KIT_TUFF("conform", "--device", "cpu", "--op", "fill", "--junit", junit, "--report", html);
    kit_result_free(&r);
    expect_in_file("r.xml", "PASSED");
    expect_in_file("r.html", "PASSED");
    pid_t process = START(LONG, "--junit", junit, "--report", html);
    wait_for("r.json", "\"record\": \"begin\"");
    kill(process, SIGKILL);
    assert_int_equal(end_of(process), 128 + SIGKILL);
    expect_in_file("r.xml", "NOT RUN: the run has not ended");
    expect_in_file("r.xml", "errors=\"1\"");
    expect_in_file("r.html", "NOT RUN: the run has not ended");
}

/* ---- wrong shaders, on lavapipe ---- */

/* A copy of the shaders with a line of one replaced; skips where there is no lavapipe or no compiler. */
static void break_shader(const char *name, const char *old, const char *with)
{
    const char *source = getenv("TUFF_TEST_SOURCE"), *shaders = kit_path("shaders");
    if (source == NULL) skip();
    kit_result r;
    const char *copy[] = {"cp", "-R", kit_join(source, "shaders"), shaders, NULL};
    const char *clean[] = {"rm", "-rf", shaders, NULL};
    kit_run(clean, &r);
    kit_result_free(&r);
    kit_run(copy, &r);
    kit_result_free(&r);
    setenv("TUFF_SHADER_DIR", shaders, 1);
    kit_run_tuff(&r, (const char *const[]){"conform", "--device", "lavapipe", "--case", "fill.assign.1",
                                           "--quiet", NULL});
    bool able = r.exit_code == 0;
    kit_result_free(&r);
    if (!able) {
        unsetenv("TUFF_SHADER_DIR");
        print_message("no lavapipe, or no shader compiler\n");
        skip();
    }
    kit_edit_file(kit_join(shaders, name), old, with);
}

static kit_result run_broken(const char *const *arguments)
{
    kit_result r;
    kit_run_tuff(&r, arguments);
    unsetenv("TUFF_SHADER_DIR");
    return r;
}
#define RUN_BROKEN(...) \
    run_broken((const char *const[]){"conform", "--device", "lavapipe", __VA_ARGS__, NULL})

/* lavapipe's memory is the process's own: a write far away ends it. */
static void a_kernel_that_crashes(void **state)
{
    (void)state;
    break_shader("fill.comp", "a.y.v[i] = ", "a.y.v[i + 0x3fffff00u] = ");
    kit_result r = RUN_BROKEN("--case", "fill.fill.*,copy.i32.31x9.offset", "--isolate");
    assert_int_equal(r.exit_code, 1);
    assert_true(says(&r.out, "fill.fill.255 ... FAILED"));
    assert_true(says(&r.out, "crashed: SIGSEGV"));
    assert_true(says(&r.out, "copy.i32.31x9.offset ... held"));
    assert_true(says(&r.out, "FAILED: 4 of 5 cases"));
    kit_result_free(&r);
}

static void a_kernel_that_hangs(void **state)
{
    (void)state;
    /* lavapipe ends a loop after 65,536 turns: many with much in each are a hang all the same */
    break_shader(
        "fill.comp", "        a.y.v[i] = a.value;",
        "\n#define TURN(s) sin(cos(sin(cos(sin(cos((s) + 1.0))))))\n"
        "{ vec4 s = vec4(i); for (uint j = 0; j < 0xffffffu; j++) s = TURN(TURN(TURN(TURN(TURN(TURN(s))))));"
        " a.y.v[i] = s.x + s.y + s.z + s.w > 99.0 ? s.x : a.value; }");
    kit_result r = RUN_BROKEN("--case", "fill.fill.4099,copy.i32.31x9.offset", "--isolate", "--timeout", "8");
    assert_int_equal(r.exit_code, 1);
    assert_true(says(&r.out, "timed out after 8 s"));
    assert_true(says(&r.out, "FAILED: 1 of 2 cases"));
    kit_result_free(&r);
}

/* In a graph of many operations the wrong one is named, and no other. */
static void a_wrong_kernel_is_named(void **state)
{
    (void)state;
    break_shader("softmax.comp", "- lse.x) * scale", "- lse.x) * scale * 1.01");
    kit_result r =
        RUN_BROKEN("--case", "graphs.seed9.*", "--json", kit_path("w.json"), "--dump", kit_path("dump"));
    assert_int_equal(r.exit_code, 1);
    assert_true(says(&r.out,
                     "    softmax/softmax is at fault: the case fails with it while all other operations run "
                     "on the host\n    softmax/softmax: SPIR-V "));
    assert_true(says(&r.out, "constants [64], workgroup 64x1x1, grid "));
    assert_true(says(&r.out, "\n  at fault: softmax/softmax in 1 case\nFAILED: "));
    kit_result_free(&r);
    tuff_buf text = {0};
    kit_read_file(kit_path("w.json"), &text);
    const char *faults = strstr(text.data, "\"faults\"");
    assert_non_null(faults);
    const char *kernel = faults;
    while (kernel > text.data && *kernel != '{')
        kernel--;
    assert_true(tuff_starts_with(kernel, "{\"kernel\": \"softmax/softmax\""));
    assert_null(strstr(faults + 1, "\"faults\""));
    tuff_buf_free(&text);
    expect_in_file("dump/graphs.seed9.steps16/leaf_0.npy",
                   "'descr': '<f4', 'fortran_order': False, 'shape': (");
    expect_in_file("dump/graphs.seed9.steps16/result_0.expected.npy", "'descr': '<f8'");
    expect_in_file("dump/graphs.seed9.steps16/result_0.npy", "'shape': (");
    expect_in_file("dump/graphs.seed9.steps16/case.txt", "\nsoftmax/softmax: SPIR-V ");
    expect_in_file("dump/graphs.seed9.steps16/case.txt", " --case graphs.seed9.steps16");
    int spirv = 0;
    kit_result ls;
    const char *list[] = {"ls", kit_path("dump/graphs.seed9.steps16"), NULL};
    kit_run(list, &ls);
    for (const char *at = ls.out.data; (at = strstr(at, ".spv")) != NULL; at++)
        spirv++;
    assert_int_equal(spirv, 1);
    kit_result_free(&ls);
}

/* Where a sanitizer is at work, it would make an exit code of a crash. */
static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"ASAN_OPTIONS", "TSAN_OPTIONS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char options[1024];
        const char *before = getenv(names[i]);
        snprintf(options, sizeof options, "%s:handle_segv=0", before != NULL ? before : "");
        setenv(names[i], options, 1);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_a_cases_result),
        cmocka_unit_test(a_hang_is_a_cases_result),
        cmocka_unit_test(isolated_runs_find_the_same),
        cmocka_unit_test(the_whole_suite_holds),
        cmocka_unit_test(an_interrupt_leaves_reports),
        cmocka_unit_test(a_kill_leaves_the_record),
        cmocka_unit_test(a_kill_leaves_no_old_verdict),
        cmocka_unit_test(an_interrupted_soak_has_a_verdict),
        cmocka_unit_test(soak_ends_where_all_have_failed),
        cmocka_unit_test(a_kernel_that_crashes),
        cmocka_unit_test(a_kernel_that_hangs),
        cmocka_unit_test(a_wrong_kernel_is_named),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
