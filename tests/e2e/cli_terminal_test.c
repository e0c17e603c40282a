/* What is seen on a terminal, also on a narrow one: nothing breaks within a word, and the time that is left
 * stays in sight. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/command.h"

enum { COLUMNS = 50 };

/* The child's standard error is a terminal of so many columns; standard output is too, or goes nowhere. */
static void become_tuff(const char *terminal, bool both, bool colour, const char *const *arguments)
{
    const char *argv[KIT_ARGUMENTS] = {getenv("TUFF_TEST_TUFF")};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    setenv("TERM", "xterm-256color", 1);
    setenv("NO_COLOR", colour ? "" : "1", 1);
    setsid();
    int tty = open(terminal, O_RDWR), null = open("/dev/null", O_RDWR);
    if (tty < 0 || null < 0 ||
        ioctl(tty, TIOCSWINSZ, &(struct winsize){.ws_row = 24, .ws_col = COLUMNS}) != 0)
        _exit(126);
    dup2(null, STDIN_FILENO);
    dup2(both ? tty : null, STDOUT_FILENO);
    dup2(tty, STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Once `part` has come, the terminal gets another width, if it is not NULL. */
typedef struct change {
    const char *part;
    unsigned short columns;
} change;

static void change_width(int terminal, change *to, const tuff_buf *out)
{
    if (!to || !to->part || !out->data || !strstr(out->data, to->part)) return;
    to->part = NULL;
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &(struct winsize){.ws_row = 24, .ws_col = to->columns}), 0);
}

static void run_changing(bool both, bool colour, change *to, const char *const *arguments, tuff_buf *out)
{
    if (!getenv("TUFF_TEST_TUFF")) skip();
    *out = (tuff_buf){0};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), status = 0;
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) skip(); /* there are none here */
    const char *name = ptsname(terminal);
    assert_non_null(name);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) become_tuff(name, both, colour, arguments);
    char piece[1024];
    for (ssize_t n;
         (n = read(terminal, piece, sizeof piece)) > 0 || (n < 0 && waitpid(child, &status, WNOHANG) == 0);)
        if (n > 0) {
            tuff_buf_bytes(out, piece, (size_t)n);
            change_width(terminal, to, out);
        }
    waitpid(child, &status, 0);
    close(terminal);
    assert_false(out->failed);
    tuff_buf_char(out, 0);
}

static void run_on_terminal(bool both, const char *const *arguments, tuff_buf *out)
{
    run_changing(both, false, NULL, arguments, out);
}

/* Without what sets colours; how often there was one. */
static int take_colours(char *text)
{
    int n = 0;
    char *to = text;
    for (const char *at = text; *at;) {
        const size_t code = *at == 27 && at[1] == '[' ? 2 + strspn(at + 2, "0123456789;") : 0;
        if (code && at[code] == 'm') {
            at += code + 1;
            n++;
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
    return n;
}

/* Lines end with \r\n there; "\r" alone and "\033[K" are of the line that is rewritten. */
static void narrow_terminals(void **state)
{
    (void)state;
    tuff_buf out;
    run_on_terminal(false,
                    (const char *const[]){"train", "--model", kit_golden("llama"), "--train-file", kit_text(),
                                          "--output-dir", kit_path("out"), "--block-size", "32",
                                          "--max-steps", "300", "--logging-steps", "300", "--lora-rank", "2",
                                          "--verbose", NULL},
                    &out);
    int steps = 0, live = 0, words = 0;
    for (char *line = strtok(out.data, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        bool shown = strstr(line, "\033[K") != NULL;
        char *text = line;
        size_t size = strlen(text);
        if (shown && size >= 3) size -= 3;
        if (strncmp(text, "step ", 5) == 0 && strncmp(text, "step 0/", 7) != 0) {
            if (size >= COLUMNS) fail_msg("%zu columns: %s", size, text);
            assert_non_null(strstr(text, "ETA "));
            assert_non_null(strstr(text, "loss "));
            live += shown;
            steps++;
        }
        static const char *const heads[] = {"device ", "model ", "data ", "steps ",
                                            "memory ", "arena ", "log ",  "         "};
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
            if (strncmp(text, heads[i], strlen(heads[i])) == 0) {
                if (size > COLUMNS && strchr(text + 9, ' ')) fail_msg("%zu columns: %s", size, text);
                words++;
            }
    }
    assert_true(steps >= 3 && words >= 8);
    assert_true(live >= 1);
    tuff_buf_free(&out);
}

/* The line that is rewritten has colours, unless nobody wants any; with room it has all there is to say. */
static void colours(void **state)
{
    (void)state;
    static const char *const parts[] = {" [",           "  loss ", "  eval ", "  lr ",
                                        "  grad norm ", " tok/s",  "B",       "  ETA "};
    for (int colour = 0; colour < 2; colour++) {
        tuff_buf out;
        change wide = {"", 160};
        run_changing(false, colour, &wide,
                     (const char *const[]){"train", "--model", kit_golden("llama"), "--train-file",
                                           kit_text(), "--output-dir",
                                           kit_path(colour ? "coloured" : "plain"), "--block-size", "32",
                                           "--max-steps", "600", "--logging-steps", "600",
                                           "--validation-file", kit_text(), "--eval-steps", "300", NULL},
                     &out);
        const int codes = take_colours(out.data);
        if (colour ? codes < 10 : codes != 0) fail_msg("%d colours", codes);
        int whole = 0;
        for (char *line = strtok(out.data, "\r\n"); line; line = strtok(NULL, "\r\n")) {
            const char *at = strncmp(line, "step ", 5) == 0 && strstr(line, "\033[K") ? line : NULL;
            for (size_t i = 0; at && i < sizeof parts / sizeof *parts; i++)
                at = strstr(at, parts[i]);
            whole += at != NULL;
        }
        assert_true(whole >= 1);
        tuff_buf_free(&out);
    }
}

/* A step that lasts says how far it is, and what is shown is as wide as the terminal is by now. */
static void terminals_change(void **state)
{
    (void)state;
    tuff_buf out;
    change narrow = {"step 0/1 [#", 20};
    run_changing(false, false, &narrow,
                 (const char *const[]){"train", "--model", kit_golden("llama"), "--train-file", kit_text(),
                                       "--output-dir", kit_path("changing"), "--block-size", "32",
                                       "--max-steps", "1", "--gradient-accumulation-steps", "2500",
                                       "--per-device-train-batch-size", "1", NULL},
                 &out);
    assert_null(narrow.part);
    const char *cut = strstr(out.data, "\rstep 0/1\033[K"); /* the bar has no room any more */
    assert_non_null(cut);
    assert_non_null(strstr(out.data, "\rstep 0/1 [#"));
    assert_true(strstr(out.data, "\rstep 0/1 [#") < cut);
    tuff_buf_free(&out);
}

/* What takes long says how far it is, and takes its line away at the end. What takes half a second is not
 * long: the text grows until this machine takes longer. */
static void long_calls_show_how_far_they_are(void **state)
{
    (void)state;
    const char *text = kit_path("long.txt");
    bool shown = false;
    for (int sentences = 3000; !shown && sentences <= 3000 << 8; sentences *= 2) {
        tuff_buf out;
        kit_write_sentences(text, sentences);
        run_on_terminal(false,
                        (const char *const[]){"eval", "--model", kit_golden("llama"), "--file", text,
                                              "--batch-size", "1", "--block-size", "16", NULL},
                        &out);
        shown = strstr(out.data, "\rmeasuring the loss: ") != NULL;
        assert_string_equal(strrchr(out.data, '\r'), "\r\033[K");
        tuff_buf_free(&out);
    }
    assert_true(shown);
}

/* Help, and the list of devices: no line is wider, but for a word that is. */
static void results_fit_too(void **state)
{
    (void)state;
    static const char *const commands[][3] = {
        {NULL}, {"help", "train"}, {"help", "eval"}, {"help", "conform"}, {"help", "generate"}, {"devices"}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        tuff_buf out;
        run_on_terminal(true, commands[i], &out);
        int lines = 0;
        for (char *line = strtok(out.data, "\r\n"); line; line = strtok(NULL, "\r\n"), lines++) {
            size_t blanks = strspn(line, " ");
            bool one_word = strcspn(line + blanks, " ") == strlen(line + blanks);
            if (strlen(line) > COLUMNS && !one_word) fail_msg("%zu columns: %s", strlen(line), line);
        }
        assert_true(lines >= 4);
        tuff_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_terminals),
        cmocka_unit_test(colours),
        cmocka_unit_test(terminals_change),
        cmocka_unit_test(results_fit_too),
        cmocka_unit_test(long_calls_show_how_far_they_are),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
