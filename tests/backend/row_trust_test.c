/* Kernel rows on trial: a wrong row is found before its results are used, said once, and not used again; the
 * next one serves, at last the host. Wrong shaders come from a changed copy of the sources. */
#define _POSIX_C_SOURCE 200809L
#include "kit/kit.h"

#if defined TUFF_HAVE_VULKAN && defined TUFF_HAVE_SHADERC

#include <pthread.h>
#include <stdio.h>
#include <tuff/device.h>
#include <tuff/host.h>
#include <tuff/kernels.h>
#include <tuff/program.h>

#include "backend/vulkan/shader_source.h"
#include "base/file.h"
#include "runtime/program.h"

enum { N = 300 };

static tuff_buf messages;

static void keep_message(tuff_log_level level, const char *message, void *user)
{
    (void)level, (void)user;
    tuff_buf_printf(&messages, "%s\n", message);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; at && (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

/* What adding two vectors on a freshly opened device showed. */
typedef struct trial {
    char row[16]; /* that served */
    uint64_t dispatches;
    int said, said_host; /* messages on wrong kernels, on steps that run on the host */
} trial;

static tuff_device *open_device(void)
{
    tuff_device *device = NULL;
    KIT_OK(tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params),
                                                  .name = "lavapipe",
                                                  .validate = true},
                            &device));
    return device;
}

/* The kernel that a plan has for its sum. */
static void find_row(const tuff_program *program, char out[16])
{
    char *plan = tuff_program_text(program);
    const char *step = plan ? strstr(plan, " 0 add ") : NULL;
    assert_non_null(step);
    assert_int_equal(sscanf(step, " 0 add %15s", out), 1);
    tuff_free(plan);
}

/* A sum that any wrong kernel would spoil; made and run twice, as one that was found wrong stays so. */
static void add(tuff_device *device, trial *out)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    float a[N], b[N], y[N];
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N});
    tuff_output(g, "y", tuff_add(g, x, tuff_input(g, "b", TUFF_F32, 1, (int64_t[]){N})));
    KIT_OK(tuff_program_create(device, &g, &program));
    for (int i = 0; i < N; i++)
        a[i] = (float)i, b[i] = (float)(3 * i + 1);
    KIT_OK(tuff_program_input(program, "a", a, sizeof a));
    KIT_OK(tuff_program_input(program, "b", b, sizeof b));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "y", y, sizeof y));
    for (int i = 0; i < N; i++)
        assert_true(y[i] == (float)(4 * i + 1));
    find_row(program, out->row);
    tuff_program_destroy(&program);
}

static trial try_add(void)
{
    trial first = {{0}, 0, 0, 0}, second = first;
    tuff_buf_clear(&messages);
    tuff_device *device = open_device();
    add(device, &first);
    add(device, &second);
    assert_string_equal(first.row, second.row);
    first.dispatches = kit_device_stats(device).dispatches;
    tuff_device_destroy(&device);
    first.said = count(messages.data, " gives wrong results on ");
    first.said_host = count(messages.data, "run on the CPU");
    return first;
}

static tuff_device_info listed(void)
{
    tuff_device_info list[32] = {TUFF_DEVICE_INFO_INIT};
    size_t n = 0;
    KIT_OK(tuff_list_devices(list, 32, &n));
    for (size_t i = 0; i < n && i < 32; i++)
        if (strstr(list[i].driver, "lavapipe")) return list[i];
    fail_msg("lavapipe is not listed");
    return list[0];
}

/* The sources, for the cache folder and the shaders of one test. */
static const char *sources(void)
{
    const char *source = getenv("TUFF_TEST_SOURCE");
    if (!source) skip();
    static char path[4096];
    snprintf(path, sizeof path, "%s/shaders", source);
    return path;
}

static void begin(const char *name)
{
    char cache[64], copy[64];
    snprintf(cache, sizeof cache, "%s cache", name);
    snprintf(copy, sizeof copy, "%s shaders", name);
    const char *directory = kit_temp_path(copy);
    kit_result result;
    kit_run((const char *const[]){"cp", "-r", sources(), directory, NULL}, &result);
    assert_int_equal(result.exit_code, 0);
    kit_result_free(&result);
    setenv("TUFF_CACHE_DIR", kit_temp_path(cache), 1);
    setenv("TUFF_SHADER_DIR", directory, 1);
}

static void change(const char *file, const char *from, const char *to)
{
    tuff_buf text = {0}, changed = {0};
    char path[4096], name[64];
    snprintf(name, sizeof name, "shaders/%s", file);
    KIT_OK(tuff_shader_read(getenv("TUFF_SHADER_DIR"), name, &text));
    const char *at = strstr(text.data, from);
    assert_non_null(at);
    tuff_buf_bytes(&changed, text.data, (size_t)(at - text.data));
    tuff_buf_text(&changed, to);
    tuff_buf_text(&changed, at + strlen(from));
    snprintf(path, sizeof path, "%s/%s", getenv("TUFF_SHADER_DIR"), file);
    kit_write_file(path, changed.data, changed.size);
    tuff_buf_free(&text);
    tuff_buf_free(&changed);
}

static void break_dense(void)
{
    change("elementwise.comp", "tuff_binary(x, a.b.v[i])", "tuff_binary(-x, a.b.v[i])");
}

static void break_strided(void)
{
    change("elementwise_strided.comp", "tuff_binary(x, y)", "tuff_binary(x, -y)");
}

/* Each kernel is tried once, by any number of processes. */
static void remembers_what_held(void **state)
{
    (void)state;
    begin("held");
    trial first = try_add(), second = try_add();
    assert_string_equal(first.row, "dense");
    assert_int_equal(first.said + first.said_host + second.said + second.said_host, 0);
    assert_true(second.dispatches < first.dispatches);
    tuff_device_info info = listed();
    assert_true(info.rows_tested >= 1);
    assert_int_equal(info.rows_wrong, 0);
    assert_string_equal(info.wrong_rows, "");
}

static void the_next_row_serves(void **state)
{
    (void)state;
    begin("next");
    break_dense();
    trial first = try_add(), second = try_add();
    assert_string_equal(first.row, "strided");
    assert_string_equal(second.row, "strided");
    assert_int_equal(first.said, 1);
    assert_int_equal(second.said, 1);
    assert_int_equal(first.said_host, 0);
    assert_non_null(strstr(messages.data, "kernel dense of add gives wrong results on llvmpipe"));
    assert_true(second.dispatches < first.dispatches);
    tuff_device_info info = listed();
    assert_int_equal(info.rows_wrong, 1);
    assert_string_equal(info.wrong_rows, "add dense");
    kit_result result;
    kit_tuff(&result, "devices", NULL);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out.data, "add dense"));
    kit_result_free(&result);
}

static void at_last_the_host_serves(void **state)
{
    (void)state;
    begin("host");
    break_dense();
    break_strided();
    trial first = try_add(), second = try_add();
    assert_string_equal(first.row, "host");
    assert_string_equal(second.row, "host");
    assert_int_equal(first.said, 2);
    assert_int_equal(second.said, 2);
    assert_int_equal(first.said_host, 1);
    assert_int_equal(second.said_host, 1);
    assert_int_equal(listed().rows_wrong, 2);
}

static void expect_compiled(const char *row)
{
    tuff_device *device = NULL;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    char found[16];
    const tuff_device_params params = {.struct_size = sizeof params, .name = "lavapipe"};
    KIT_OK(tuff_device_open_to_compile(&params, &device));
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N});
    tuff_output(g, "y", tuff_add(g, x, tuff_input(g, "b", TUFF_F32, 1, (int64_t[]){N})));
    KIT_OK(tuff_program_create(device, &g, &program));
    find_row(program, found);
    assert_string_equal(found, row);
    tuff_program_destroy(&program);
    tuff_device_destroy(&device);
}

/* A device that runs nothing tests no kernel, and knows what others found. */
static void devices_that_compile_recall(void **state)
{
    (void)state;
    begin("compile");
    break_dense();
    expect_compiled("dense");
    assert_int_equal(listed().rows_tested, 0);
    assert_string_equal(try_add().row, "strided");
    expect_compiled("strided");
}

/* A cast of N numbers on a freshly opened device: the row that served, and what was said of wrong kernels. */
static trial try_cast(tuff_dtype to)
{
    trial out = {{0}, 0, 0, 0};
    tuff_buf_clear(&messages);
    tuff_device *device = open_device();
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_output(g, "y", tuff_copy(g, tuff_input(g, "x", TUFF_F32, 1, (int64_t[]){N}), to));
    KIT_OK(tuff_program_create(device, &g, &program));
    char *plan = tuff_program_text(program);
    const char *step = plan ? strstr(plan, " 0 copy ") : NULL;
    assert_non_null(step);
    assert_int_equal(sscanf(step, " 0 copy %15s", out.row), 1);
    tuff_free(plan);
    tuff_program_destroy(&program);
    out.dispatches = kit_device_stats(device).dispatches;
    tuff_device_destroy(&device);
    out.said = count(messages.data, " gives wrong results on ");
    return out;
}

/* One module, wrong with some constants only: each has a verdict of its own. */
static void constants_are_told_apart(void **state)
{
    (void)state;
    begin("constants");
    change("copy_cast.comp", "tuff_float_to_bfloat(load(i))", "tuff_float_to_bfloat(-load(i))");
    uint64_t first = 0;
    for (int process = 0; process < 2; process++) {
        trial half = try_cast(TUFF_F16), bfloat = try_cast(TUFF_BF16);
        assert_string_equal(half.row, "cast");
        assert_int_equal(half.said, 0);
        assert_string_equal(bfloat.row, "host");
        assert_int_equal(bfloat.said, 1);
        if (process == 0) first = half.dispatches;
        if (process == 1) assert_true(half.dispatches < first); /* from the file */
    }
    tuff_device_info info = listed();
    assert_int_equal(info.rows_wrong, 1);
    assert_string_equal(info.wrong_rows, "copy cast");
}

/* What a watch hears while a program of two kernels is made. */
typedef struct heard {
    int times, stop_at; /* stop_at: of them, when to ask to stop; 0: never */
    uint64_t last;
} heard;

static bool hear(const tuff_progress *progress, void *user)
{
    heard *h = user;
    assert_int_equal(progress->phase, TUFF_PHASE_TEST);
    assert_int_equal(progress->total, 2);
    assert_true(h->times == 0 || progress->done > h->last);
    h->last = progress->done;
    return ++h->times != h->stop_at;
}

static tuff_status make_watched(tuff_device *device, heard *h)
{
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    watch.on_progress = hear;
    watch.user = h;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N}), *y = tuff_exp(g, tuff_add(g, x, x));
    tuff_output(g, "y", tuff_exp(g, tuff_add(g, y, x)));
    tuff_status status = tuff_program_create_watched(device, &g, &watch, &program);
    tuff_program_destroy(&program);
    return status;
}

/* Before each kernel that is tried, and never again; a request to stop is heard then. */
static void trials_are_told(void **state)
{
    (void)state;
    begin("told");
    for (int process = 0; process < 2; process++) {
        tuff_device *device = open_device();
        heard stopped = {.stop_at = 2}, h = {0};
        if (process == 0) {
            KIT_FAILS(make_watched(device, &stopped), TUFF_CANCELLED,
                      "cancelled while testing kernels, after 1 of 2 kernels of a program");
            assert_null(strstr(tuff_error_message(), "testing kernel "));
            assert_int_equal(stopped.times, 2);
        }
        h.stop_at = 0;
        for (int again = 0; again < 2; again++) {
            tuff_graph *g = NULL;
            tuff_program *program = NULL;
            tuff_watch quiet = TUFF_WATCH_INIT;
            KIT_OK(tuff_graph_create(&g));
            tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N});
            tuff_output(g, "y", tuff_exp(g, tuff_add(g, x, x)));
            KIT_OK(tuff_program_create_watched(device, &g, &quiet, &program));
            tuff_program_destroy(&program);
            KIT_OK(make_watched(device, &h));
            assert_int_equal(h.times, 0);
        }
        tuff_device_destroy(&device);
    }
}

typedef struct maker {
    tuff_device *device;
    pthread_t thread;
    tuff_status status;
    bool next_row; /* serves */
} maker;

static void *make_sum(void *user)
{
    maker *m = user;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    m->status = tuff_graph_create(&g);
    if (m->status != TUFF_OK) return NULL;
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N});
    tuff_output(g, "y", tuff_add(g, x, x));
    m->status = tuff_program_create(m->device, &g, &program);
    char *plan = m->status == TUFF_OK ? tuff_program_text(program) : NULL;
    m->next_row = plan && strstr(plan, " strided ");
    tuff_free(plan);
    tuff_program_destroy(&program);
    return NULL;
}

/* One thread judges, the others wait for the verdict. */
static void threads_share_verdicts(void **state)
{
    (void)state;
    begin("threads");
    break_dense();
    tuff_buf_clear(&messages);
    tuff_device *device = open_device();
    maker makers[6];
    for (int i = 0; i < 6; i++) {
        makers[i] = (maker){.device = device};
        assert_int_equal(pthread_create(&makers[i].thread, NULL, make_sum, &makers[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(makers[i].thread, NULL);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(makers[i].status, TUFF_OK);
        assert_true(makers[i].next_row);
    }
    tuff_device_destroy(&device);
    assert_int_equal(count(messages.data, " gives wrong results on "), 1);
}

/* A changed kernel is another kernel. */
static void a_mended_kernel_is_tried_again(void **state)
{
    (void)state;
    begin("mended");
    break_dense();
    assert_string_equal(try_add().row, "strided");
    change("elementwise.comp", "tuff_binary(-x, a.b.v[i])", "tuff_binary(x, a.b.v[i])");
    assert_string_equal(try_add().row, "dense");
    break_dense();
    assert_string_equal(try_add().row, "strided");
}

/* The only file of the folder of verdicts. */
static const char *verdicts(void)
{
    static char path[4096];
    kit_result result;
    char command[4096];
    snprintf(command, sizeof command, "ls '%s'/self-test/*.txt", getenv("TUFF_CACHE_DIR"));
    kit_run((const char *const[]){"sh", "-c", command, NULL}, &result);
    assert_int_equal(result.exit_code, 0);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(result.out.data, "\n"), result.out.data);
    kit_result_free(&result);
    return path;
}

/* Whether kernels were tested in it, as in the first one. How many pieces a first run has depends on the
 * clock. */
static bool tested(trial again, trial first)
{
    return 2 * again.dispatches > first.dispatches;
}

/* What the disk gives back costs time at most. */
static void survives_a_damaged_file(void **state)
{
    (void)state;
    begin("damage");
    trial first = try_add();
    tuff_buf whole = {0};
    KIT_OK(tuff_read_file(verdicts(), 1 << 20, &whole));
    static const char *const contents[] = {"", "tuff", "tuff 0.0.0\nheld add dense 0\n", "\xff\xfe held"};
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        kit_write_file(verdicts(), contents[i], strlen(contents[i]));
        trial again = try_add();
        assert_string_equal(again.row, "dense");
        assert_true(tested(again, first));
    }
    /* A cut line and a byte that ends texts hide nothing that is written later. */
    const unsigned kernels = listed().rows_tested;
    static const char *const ends[] = {"", "\0 held"};
    for (size_t i = 0; i < 2; i++) {
        tuff_buf cut = {0};
        tuff_buf_bytes(&cut, whole.data, whole.size - 3);
        tuff_buf_bytes(&cut, ends[i], i ? 6 : 0);
        kit_write_file(verdicts(), cut.data, cut.size);
        tuff_buf_free(&cut);
        assert_string_equal(try_add().row, "dense");
        assert_int_equal(listed().rows_tested, kernels);
        assert_false(tested(try_add(), first));
    }
    tuff_buf_free(&whole);
}

/* Lines without constants, as they were written before: the kernel with its own is tested, once. A file of
 * another version is not used, which is said at the level of information. */
static void old_verdicts_go_on(void **state)
{
    (void)state;
    begin("old");
    trial first = try_add();
    tuff_buf old = {0}, whole = {0};
    KIT_OK(tuff_read_file(verdicts(), 1 << 20, &whole));
    for (size_t i = 0, skip = 0; i < whole.size; i++) {
        skip = whole.data[i] == ':' || (skip && whole.data[i] != '\n');
        if (!skip) tuff_buf_char(&old, whole.data[i]);
    }
    kit_write_file(verdicts(), old.data, old.size);
    const unsigned before = listed().rows_tested;
    assert_true(tested(try_add(), first));
    assert_false(tested(try_add(), first));
    assert_int_equal(listed().rows_tested, 2 * before);
    assert_int_equal(count(messages.data, "tested again"), 0);
    tuff_buf_clear(&old);
    tuff_buf_printf(&old, "tuff 0.0.1\n%s", strchr(whole.data, '\n') + 1);
    kit_write_file(verdicts(), old.data, old.size);
    tuff_set_log(keep_message, TUFF_LOG_INFO, NULL);
    assert_true(tested(try_add(), first));
    tuff_set_log(keep_message, TUFF_LOG_WARN, NULL);
    assert_int_equal(
        count(messages.data, "is not of this version of Tuff and not used: kernels are tested again"), 1);
    tuff_buf_free(&old);
    tuff_buf_free(&whole);
}

/* A folder that cannot be written means a trial in every process. */
static void works_without_a_cache(void **state)
{
    (void)state;
    begin("uncached");
    kit_write_file(kit_temp_path("a file"), "", 0);
    setenv("TUFF_CACHE_DIR", kit_temp_path("a file"), 1);
    trial first = try_add(), second = try_add();
    assert_string_equal(first.row, "dense");
    assert_true(tested(second, first));
}

static tuff_status open_and_add(void)
{
    tuff_device *device = NULL;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    TUFF_TRY(tuff_device_open(
        &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = "lavapipe"}, &device));
    tuff_status status = tuff_graph_create(&g);
    if (status == TUFF_OK) {
        tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 1, (int64_t[]){N});
        tuff_output(g, "y", tuff_add(g, x, x));
        status = tuff_program_create(device, &g, &program);
    }
    tuff_program_destroy(&program);
    tuff_device_destroy(&device);
    return status;
}

/* No verdict is made of a shortage: memory that fails is an error, or costs a saved file. */
static void shortage_is_no_verdict(void **state)
{
    (void)state;
    begin("shortage");
    unsetenv("TUFF_SHADER_DIR");
    KIT_OK(open_and_add());
    tuff_buf_clear(&messages);
    tuff_buf_text(&messages, " ");
    uint64_t live = kit_live();
    int on_trial = 0;
    /* from an empty cache every run tries the kernels */
    char command[4096];
    snprintf(command, sizeof command, "rm -r '%s'/self-test", getenv("TUFF_CACHE_DIR"));
    for (uint64_t n = 1; n < 60000; n += n / 8 + 1) {
        kit_result result;
        kit_run((const char *const[]){"sh", "-c", command, NULL}, &result);
        kit_result_free(&result);
        kit_fail_allocation(n);
        tuff_status status = open_and_add();
        bool reached = kit_allocation_failed();
        kit_fail_allocation(0);
        if (status != TUFF_OK)
            kit_expect_status(status, TUFF_OUT_OF_MEMORY, "a failed allocation", __FILE__, __LINE__);
        on_trial += status != TUFF_OK && strstr(tuff_error_message(), "testing kernel ") != NULL;
        assert_int_equal(kit_live(), live);
        assert_int_equal(listed().rows_wrong, 0);
        if (!reached) break;
    }
    assert_int_equal(count(messages.data, "wrong results"), 0);
    assert_true(on_trial > 5); /* what fails while a kernel is on trial names it */
}

int main(void)
{
    tuff_device *device = NULL;
    if (tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = "lavapipe"},
                         &device) != TUFF_OK)
        return 77;
    tuff_device_destroy(&device);
    tuff_set_log(keep_message, TUFF_LOG_WARN, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_what_held),      cmocka_unit_test(the_next_row_serves),
        cmocka_unit_test(at_last_the_host_serves),  cmocka_unit_test(a_mended_kernel_is_tried_again),
        cmocka_unit_test(survives_a_damaged_file),  cmocka_unit_test(works_without_a_cache),
        cmocka_unit_test(threads_share_verdicts),   cmocka_unit_test(shortage_is_no_verdict),
        cmocka_unit_test(constants_are_told_apart), cmocka_unit_test(old_verdicts_go_on),
        cmocka_unit_test(trials_are_told),          cmocka_unit_test(devices_that_compile_recall),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_buf_free(&messages);
    return failed;
}

#else

int main(void)
{
    return 77;
}

#endif
