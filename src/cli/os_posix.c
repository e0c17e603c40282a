/* What the command asks the operating system itself. */
#define _GNU_SOURCE /* O_TMPFILE */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "cli/cli.h"

void tuff_cli_outlive_readers(void)
{
    signal(SIGPIPE, SIG_IGN);
}

bool tuff_cli_is_terminal(FILE *stream)
{
    return isatty(fileno(stream));
}

FILE *tuff_cli_memory_stream(char **text, size_t *size)
{
    return open_memstream(text, size);
}

int tuff_cli_columns(FILE *stream)
{
    if (!tuff_cli_is_terminal(stream)) return 0;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
#endif
    return 80;
}

bool tuff_cli_has_colour(FILE *stream)
{
    const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
    return tuff_cli_is_terminal(stream) && !(none && *none) && kind && *kind && strcmp(kind, "dumb") != 0;
}

static volatile sig_atomic_t resized;

static void note_resize(int number)
{
    (void)number;
    resized = 1;
}

void tuff_cli_catch_resize(void)
{
    struct sigaction action = {.sa_handler = note_resize, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
#ifdef SIGWINCH
    sigaction(SIGWINCH, &action, NULL);
#endif
}

bool tuff_cli_resized(void)
{
    const bool was = resized != 0;
    resized = 0;
    return was;
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

/* Permissions, a read-only file system, no room: only trying tells. The file has no name, so that nothing is
 * left behind however this process ends; where there are no such files, a directory is made and removed. */
static bool can_write_in(const char *directory)
{
#ifdef O_TMPFILE
    int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    if (fd >= 0) return true;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) return false;
#endif
    char probe[PATH_SIZE + 16];
    snprintf(probe, sizeof probe, "%s/.tuff-XXXXXX", directory);
    if (!mkdtemp(probe)) return false;
    rmdir(probe);
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
    if (can_write_in(at)) return true;
    tuff_cli_say("tuff: %s cannot be made: %s cannot be written to: %s", path, at, strerror(errno));
    return false;
}

/* Of a pipe that was opened without waiting: the first byte that comes, else EOF. Reading gives nothing at
 * all while nobody writes, and EAGAIN once somebody may. False: nobody did for 10 seconds. */
static bool first_byte(int fd, int *out)
{
    struct pollfd pipe = {.fd = fd, .events = POLLIN};
    *out = EOF;
    for (int i = 0; i < 1000; i++) {
        unsigned char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got == 1) *out = byte;
        if (got == 1 || (got < 0 && errno != EINTR)) return true; /* a true failure shows again at once */
        if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLHUP)) return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

bool tuff_cli_wait_for_input(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!tuff_cli_interrupted())
        if (poll(&input, 1, -1) >= 0 || errno != EINTR) return true;
    return false;
}

bool tuff_cli_read_line(char **line, size_t *room, size_t *out_size)
{
    const ssize_t size = getline(line, room, stdin);
    *out_size = size < 0 ? 0 : (size_t)size;
    return size >= 0;
}

FILE *tuff_cli_open_input(const char *path)
{
    struct stat info;
    int byte = EOF, fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *why = fd < 0 || fstat(fd, &info) != 0 ? strerror(errno) : NULL;
    if (!why && !S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !isatty(fd))
        why = S_ISDIR(info.st_mode) ? "it is a directory" : "it is a device";
    if (!why && S_ISFIFO(info.st_mode) && !first_byte(fd, &byte))
        why = "it is a pipe, and nobody writes into it";
    if (!why && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0) why = strerror(errno);
    FILE *file = why ? NULL : fdopen(fd, "rb");
    if (!why && !file) why = strerror(errno);
    if (file && byte != EOF) ungetc(byte, file);
    if (why) tuff_cli_say("tuff: %s cannot be read: %s", path, why);
    if (!file && fd >= 0) close(fd);
    return file;
}

/* As open, but a pipe that nobody reads is given up after 10 seconds, or when we are told to stop. */
static int open_output(const char *path, int flags)
{
    for (int i = 0;; i++) {
        int fd = open(path, flags | O_NONBLOCK, 0666);
        if (fd >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0) return fd;
        if (fd >= 0) close(fd);
        if (fd >= 0 || errno != ENXIO || i == 1000 || tuff_cli_interrupted()) return -1;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

FILE *tuff_cli_create(const char *path, bool fresh, const char **out_why)
{
    int fd = open_output(path,
                         O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (fresh ? O_EXCL | O_NOFOLLOW : O_TRUNC));
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    *out_why = file ? NULL : errno == ENXIO ? "it is a pipe, and nobody reads it" : strerror(errno);
    if (!file && fd >= 0) close(fd);
    return file;
}

uint64_t tuff_cli_free_space(const char *path)
{
    char at[PATH_SIZE];
    struct statvfs info;
    if (!nearest_directory(path, at) || statvfs(at, &info) != 0) return UINT64_MAX;
    return (uint64_t)info.f_bavail * info.f_frsize;
}

/* A file that is opened takes the lowest number that is free: were one of 0 to 2 closed, the next file that
 * is opened would be read as input, or get the messages. What stands in for one cannot be used that way
 * round, so that reading fails, and lost output is seen. */
static void take_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

void tuff_cli_prepare_process(void)
{
    take_standard_descriptors();
    signal(SIGXFSZ, SIG_IGN);
}

static tuff_cancel *cancel; /* of all long calls; NULL: none is to be told */

static void on_signal(int number)
{
    tuff_cancel_request(cancel);
    signal(number, SIG_DFL);
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
    const tuff_watch *watch = tuff_cli_watch();
    if (!watch) return; /* Ctrl-C ends the process then */
    cancel = watch->cancel;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP); /* the terminal or the connection is gone; nohup has it ignored */
}

bool tuff_cli_interrupted(void)
{
    return tuff_cancel_requested(cancel);
}

/* ---- child processes ---- */

static void be_child(pid_t parent, int from, int to, int (*task)(FILE *out, void *user), void *user)
{
    close(from);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
#ifdef __linux__
    /* also a child that hangs in a driver ends when its parent is killed; it may have been already */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(TUFF_EXIT_FAILED);
#else
    (void)parent;
#endif
    FILE *out = fdopen(to, "wb");
    int code = out ? task(out, user) : TUFF_EXIT_FAILED;
    if (out && fclose(out) != 0) code = TUFF_EXIT_FAILED;
    fflush(stderr);
    _exit(code);
}

bool tuff_cli_start_child(tuff_cli_child *child, int (*task)(FILE *out, void *user), void *user)
{
    int ends[2];
    fflush(stdout);
    fflush(stderr);
    if (pipe(ends) == 0) {
        pid_t parent = getpid(), process = fork();
        if (process == 0) be_child(parent, ends[0], ends[1], task, user);
        close(ends[1]);
        if (process > 0) {
            *child = (tuff_cli_child){.process = process, .pipe = ends[0]};
            return true;
        }
        close(ends[0]);
    }
    tuff_cli_say("tuff: a process for isolated cases cannot be started: %s", strerror(errno));
    return false;
}

int tuff_cli_read_child(tuff_cli_child *child, double seconds, char *bytes, size_t size)
{
    struct pollfd wait = {.fd = child->pipe, .events = POLLIN};
    double end = tuff_cli_seconds() + seconds;
    for (int ready = 0; ready <= 0;) {
        /* in slices: a signal that comes after this question does not end poll */
        if (tuff_cli_interrupted()) return -2;
        double left = end - tuff_cli_seconds();
        ready = poll(&wait, 1, left > 0.2 ? 200 : left > 0 ? (int)(left * 1e3) + 1 : 0);
        if ((ready == 0 && left <= 0) || (ready < 0 && errno != EINTR)) return -1;
    }
    ssize_t n = read(child->pipe, bytes, size);
    return n < 0 ? -1 : (int)n;
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
                 {SIGILL, "SIGILL"},   {SIGKILL, "SIGKILL"}, {SIGTRAP, "SIGTRAP"}, {SIGTERM, "SIGTERM"},
                 {SIGSYS, "SIGSYS"},   {SIGXCPU, "SIGXCPU"}};
    static char other[32];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == number) return names[i].name;
    snprintf(other, sizeof other, "signal %d", number);
    return other;
}

const char *tuff_cli_end_child(tuff_cli_child *child, bool kill_it, int *out_code)
{
    int status = 0;
    if (kill_it) kill(child->process, SIGKILL);
    while (waitpid(child->process, &status, 0) < 0 && errno == EINTR)
        continue;
    close(child->pipe);
    *out_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : NULL;
}
