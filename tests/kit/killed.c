#include "kit/killed.h"

#include <sys/wait.h>
#include <unistd.h>

#include "kit/kit.h"

int kit_never_sync(tuff_disk_step step, const char *path)
{
    (void)path;
    return step == TUFF_DISK_SYNC ? TUFF_DISK_SKIP : 0;
}

static int steps_left;
static int die_at(tuff_disk_step step, const char *path)
{
    if (--steps_left == 0) _exit(99);
    return kit_never_sync(step, path);
}

bool kit_killed_at(int n, tuff_status (*fn)(void *user), void *user)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        steps_left = n;
        tuff_disk_hook = die_at;
        _exit(fn(user) == TUFF_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 99 && WEXITSTATUS(status) != 0))
        fail_msg("step %d: the child ended with status %d", n, status);
    return WEXITSTATUS(status) == 99;
}
