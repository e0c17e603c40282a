#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "kit/kit.h"

enum { MAX_ARGUMENTS = 128 };

/* The child's output goes to files: no pipe can fill up. */
static void redirect(const char *path, int fd)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, fd) < 0) _exit(126);
    close(file);
}

void kit_run(const char *const argv[], kit_result *out_result)
{
    *out_result = (kit_result){0};
    const char *out = kit_temp_path(".stdout"), *err = kit_temp_path(".stderr");
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) fail_msg("cannot fork");
    if (child == 0) {
        redirect("/dev/null", STDIN_FILENO);
        redirect(out, STDOUT_FILENO);
        redirect(err, STDERR_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child) fail_msg("cannot wait for %s", argv[0]);
    out_result->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    KIT_OK(tuff_read_file(out, SIZE_MAX, &out_result->out));
    KIT_OK(tuff_read_file(err, SIZE_MAX, &out_result->err));
    /* Empty output is still a string. */
    tuff_buf_text(&out_result->out, "");
    tuff_buf_text(&out_result->err, "");
    remove(out);
    remove(err);
}

void kit_tuff(kit_result *out_result, ...)
{
    const char *argv[MAX_ARGUMENTS + 1] = {getenv("TUFF_TEST_TUFF")};
    if (!argv[0]) {
        print_message("TUFF_TEST_TUFF is not set\n");
        skip();
    }
    va_list args;
    va_start(args, out_result);
    for (int i = 1; i < MAX_ARGUMENTS; i++) {
        argv[i] = va_arg(args, const char *);
        if (!argv[i]) break;
    }
    va_end(args);
    kit_run(argv, out_result);
}

void kit_result_free(kit_result *result)
{
    tuff_buf_free(&result->out);
    tuff_buf_free(&result->err);
}
