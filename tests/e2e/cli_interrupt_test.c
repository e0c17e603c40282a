/* A signal in the middle of things: every verb that works for long ends within a moment, and keeps what was
 * done. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

/* Sends a signal after so many seconds; the command must have been at work until then, and must end soon
 * after (the bound is for sanitizers on a busy machine: the whole takes minutes). Under sh a background job
 * ignores SIGINT: SIGTERM does the same. */
static kit_result interrupt_once(int seconds, const char *const *arguments)
{
    static const char script[] = "delay=$1; shift; \"$@\" & child=$!\n"
                                 "sleep $delay; kill -TERM $child || exit 99\n"
                                 "begin=$(date +%s%N); wait $child; code=$?; end=$(date +%s%N)\n"
                                 "[ $(((end - begin) / 1000000)) -lt 5000 ] || exit 98\n"
                                 "exit $code";
    char delay[16];
    const char *tuff = getenv("TUFF_TEST_TUFF"),
               *argv[KIT_ARGUMENTS] = {"sh", "-c", script, "sh", delay, tuff};
    if (!tuff) skip();
    snprintf(delay, sizeof delay, "%d", seconds);
    for (int i = 0; arguments[i]; i++)
        argv[6 + i] = arguments[i];
    kit_result r;
    kit_run(argv, &r);
    if (r.exit_code == 99) fail_msg("%s was done before it could be interrupted", arguments[0]);
    if (r.exit_code == 98) fail_msg("%s went on for too long", arguments[0]);
    return r;
}

/* Before it is at work a signal ends the command as it ends any other (128 + 15): then it is given more time.
 */
static kit_result interrupt(int seconds, const char *const *arguments)
{
    kit_result r = interrupt_once(seconds, arguments);
    while (r.exit_code == 143 && seconds < 30) {
        kit_result_free(&r);
        seconds *= 3;
        r = interrupt_once(seconds, arguments);
    }
    return r;
}
#define INTERRUPT(seconds, ...) interrupt((seconds), (const char *const[]){__VA_ARGS__, NULL})

static const char *long_text(void)
{
    const char *path = kit_path("long.txt");
    kit_write_sentences(path, 60000);
    return path;
}

static void test_prompt(void **state)
{
    (void)state;
    kit_result r = INTERRUPT(2, "generate", "--model", kit_golden("llama"), "--prompt-file", long_text(),
                             "--context-length", "16000000");
    assert_int_equal(r.exit_code, 1);
    assert_int_equal(r.out.size, 0);
    assert_non_null(strstr(r.err.data, "interrupted before the first token"));
    kit_result_free(&r);
}

static void test_text(void **state)
{
    (void)state;
    kit_result r = INTERRUPT(3, "generate", "--model", kit_golden("llama"), "--prompt", "the river",
                             "--ignore-eos", "--context-length", "16000000");
    assert_int_equal(r.exit_code, 1);
    assert_true(r.out.size > 10 && r.out.data[r.out.size - 1] == '\n');
    assert_non_null(strstr(r.err.data, "(interrupted)"));
    kit_result_free(&r);
}

/* Of many texts those that were finished are there, whole. */
static void test_many_texts(void **state)
{
    (void)state;
    kit_result r = INTERRUPT(3, "generate", "--model", kit_golden("llama"), "--file", long_text(),
                             "--ignore-eos", "--max-new-tokens", "20", "--json");
    assert_int_equal(r.exit_code, 1);
    assert_true(r.out.size > 10 && r.out.data[r.out.size - 1] == '\n');
    assert_non_null(strstr(r.err.data, "interrupted; texts that were not finished are left out"));
    for (const char *at = r.out.data; *at; at = strchr(at, '\n') + 1)
        assert_memory_equal(at, "{\"record\": ", 11);
    kit_result_free(&r);
}

static void test_eval(void **state)
{
    (void)state;
    kit_result r = INTERRUPT(2, "eval", "--model", kit_golden("llama"), "--file", long_text());
    assert_int_equal(r.exit_code, 1);
    assert_int_equal(r.out.size, 0);
    assert_non_null(strstr(r.err.data, "tuff: interrupted\n"));
    kit_result_free(&r);
}

/* One step of many micro-batches, the first: nothing is there to be saved. */
static void test_first_step(void **state)
{
    (void)state;
    const char *out = kit_path("first");
    kit_result r =
        INTERRUPT(2, "train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--output-dir", out,
                  "--block-size", "32", "--gradient-accumulation-steps", "60000", "--max-steps", "3");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "interrupted before the first step"));
    assert_false(tuff_is_directory(out));
    kit_result_free(&r);
}

/* A terminal or a connection that is closed ends the training as Ctrl-C does: what was done is saved. */
static void test_closed_terminal(void **state)
{
    (void)state;
    static const char script[] =
        "log=$1; shift; \"$@\" & child=$!\n"
        "for i in $(seq 1200); do grep -qs '\"step\": 2,' \"$log\" && break; sleep .05; done\n"
        "kill -HUP $child || exit 99; wait $child";
    const char *log = kit_path("hup.jsonl"), *out = kit_path("hup"), *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    kit_result r;
    kit_run((const char *const[]){"sh",
                                  "-c",
                                  script,
                                  "sh",
                                  log,
                                  tuff,
                                  "train",
                                  "--model",
                                  kit_golden("llama"),
                                  "--train-file",
                                  kit_text(),
                                  "--output-dir",
                                  out,
                                  "--block-size",
                                  "32",
                                  "--max-steps",
                                  "1000000",
                                  "--log-file",
                                  log,
                                  NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "(interrupted)"));
    assert_true(tuff_is_directory(out));
    kit_result_free(&r);
}

/* It is stopped while it writes, which it does as fast as the reader of a pipe reads. */
static void test_convert(void **state)
{
    (void)state;
    static const char script[] =
        "mkfifo \"$2\"; \"$1\" convert \"$3\" --to gguf --output \"$2\" --overwrite & "
        "child=$!\nexec 3<\"$2\"; sleep 1; kill -TERM $child || exit 99\n"
        "cat <&3 >/dev/null; wait $child";
    const char *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    kit_result r;
    kit_run(
        (const char *const[]){"sh", "-c", script, "sh", tuff, kit_path("pipe"), kit_golden("llama"), NULL},
        &r);
    assert_int_equal(r.exit_code, 1);
    assert_string_equal(r.err.data, "tuff: interrupted; nothing is written\n");
    kit_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt),          cmocka_unit_test(test_text),
        cmocka_unit_test(test_many_texts),      cmocka_unit_test(test_eval),
        cmocka_unit_test(test_first_step),      cmocka_unit_test(test_convert),
        cmocka_unit_test(test_closed_terminal),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
