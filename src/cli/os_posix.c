/* What the command asks the operating system itself. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

bool tuff_cli_is_terminal(FILE *stream)
{
    return isatty(fileno(stream));
}

int tuff_cli_columns(void)
{
    int columns = 80;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) columns = size.ws_col;
#endif
    return columns;
}

double tuff_cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool tuff_cli_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

bool tuff_cli_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool tuff_cli_is_empty_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) return false;
    int entries = 0;
    while (entries <= 2 && readdir(directory)) /* itself and its parent are always there */
        entries++;
    closedir(directory);
    return entries == 2;
}

enum { PATH_SIZE = 4096 };

/* Cuts the last name off a path; "." when there was only one. */
static void cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash) {
        memcpy(path, ".", 2);
        return;
    }
    while (slash > path && slash[-1] == '/')
        slash--;
    slash[slash == path ? 1 : 0] = 0;
}

/* The nearest directory above `path`, or itself, that exists; what is no directory is in the way. */
static bool nearest_directory(const char *path, char *out)
{
    size_t size = strlen(path);
    if (size == 0 || size >= PATH_SIZE) return false;
    memcpy(out, path, size + 1);
    while (size > 1 && out[size - 1] == '/')
        out[--size] = 0;
    if (!tuff_cli_is_directory(out)) cut_last(out);
    while (!tuff_cli_exists(out))
        cut_last(out);
    return true;
}

bool tuff_cli_can_create(const char *path, bool with_parents)
{
    char at[PATH_SIZE], parent[PATH_SIZE];
    struct stat info;
    if (stat(path, &info) == 0 && S_ISCHR(info.st_mode))
        return true; /* /dev/stdout, /dev/null: nothing is made */
    if (!nearest_directory(path, at)) {
        tuff_cli_say("tuff: \"%.80s\" is no path that can be written", path);
        return false;
    }
    memcpy(parent, path, strlen(path) + 1);
    cut_last(parent);
    if (!with_parents && !tuff_cli_exists(parent)) {
        tuff_cli_say("tuff: %s cannot be made: the directory %s is not there", path, parent);
        return false;
    }
    if (!tuff_cli_is_directory(at)) {
        tuff_cli_say("tuff: %s cannot be made: %s is no directory", path, at);
        return false;
    }
    /* Permissions, a read-only file system, no room: only trying tells. */
    char probe[PATH_SIZE + 16];
    snprintf(probe, sizeof probe, "%s/.tuff-XXXXXX", at);
    if (mkdtemp(probe)) {
        rmdir(probe);
        return true;
    }
    tuff_cli_say("tuff: %s cannot be made: %s cannot be written to: %s", path, at, strerror(errno));
    return false;
}

uint64_t tuff_cli_free_space(const char *path)
{
    char at[PATH_SIZE];
    struct statvfs info;
    if (!nearest_directory(path, at) || statvfs(at, &info) != 0) return UINT64_MAX;
    return (uint64_t)info.f_bavail * info.f_frsize;
}

/* libgomp reads its settings before main and then lets idle threads spin for milliseconds. Where other
 * programs want the processors too, a spinning thread keeps its own team from running: with two cores shared,
 * training ran several times slower. A short spin costs nothing measurable on an idle machine. So the command
 * starts itself once more with it set, unless the user has chosen. */
static void limit_spinning(char **argv)
{
#if defined(__linux__) && defined(TUFF_HAVE_OPENMP)
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (setenv("GOMP_SPINCOUNT", "3000", 1) == 0) execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

void tuff_cli_prepare_process(char **argv)
{
    limit_spinning(argv);
    signal(SIGXFSZ, SIG_IGN);
}

static tuff_watch watch = TUFF_WATCH_INIT;

static void on_signal(int number)
{
    tuff_cancel_request(watch.cancel);
    signal(number, SIG_DFL);
}

const tuff_watch *tuff_cli_watch(void)
{
    if (!watch.cancel && tuff_cancel_create(&watch.cancel) != TUFF_OK) return NULL;
    return &watch;
}

/* A signal that the parent has us ignore, as shells do for background jobs, stays ignored. */
static void catch_signal(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void tuff_cli_catch_interrupt(void)
{
    if (!tuff_cli_watch()) return; /* Ctrl-C ends the process then */
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

bool tuff_cli_interrupted(void)
{
    return tuff_cancel_requested(watch.cancel);
}
