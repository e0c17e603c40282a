/* Threads, time, the environment: thin fronts of os_posix.c. */
#ifndef TUFF_BASE_OS_H
#define TUFF_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tuff_mutex tuff_mutex;
tuff_mutex *tuff_mutex_create(void); /* NULL: out of memory */
void tuff_mutex_destroy(tuff_mutex **mutex);
void tuff_mutex_lock(tuff_mutex *mutex);
void tuff_mutex_unlock(tuff_mutex *mutex);

/* A mutex that who waits longest gets next. Of a plain one, a thread that unlocks and at once locks again
 * takes it before those that waited, for as long as it goes on. */
typedef struct tuff_turn tuff_turn;
tuff_turn *tuff_turn_create(void); /* NULL: out of memory */
void tuff_turn_destroy(tuff_turn **turn);
void tuff_turn_take(tuff_turn *turn);
/* The same, asking ten times a second, as long as it waits, whether to go on; false: not to, and the turn is
 * not this thread's. */
bool tuff_turn_wait(tuff_turn *turn, bool (*go_on)(void *user), void *user);
/* True when another thread was waiting, and has it now. */
bool tuff_turn_give(tuff_turn *turn);

/* Runs fn exactly once. `static tuff_once once = TUFF_ONCE_INIT;` */
typedef struct tuff_once {
    int state;
} tuff_once;
#define TUFF_ONCE_INIT \
    {                  \
        0              \
    }
void tuff_call_once(tuff_once *once, void (*fn)(void));

/* Locks of the whole process. They always exist and take no memory, so that nothing stays of them. */
typedef enum tuff_global_lock {
    TUFF_LOCK_LOG,       /* messages to the host program */
    TUFF_LOCK_INSTANCES, /* the Vulkan instances that devices share */
    TUFF_GLOBAL_LOCKS
} tuff_global_lock;
void tuff_lock_global(tuff_global_lock which);
void tuff_unlock_global(tuff_global_lock which);

/* A variable of the environment, NULL when unset or empty. Only the names that DESIGN lists are read. */
const char *tuff_environment(const char *name);

/* Monotonic time. */
uint64_t tuff_now_ns(void);

/* Asks for large pages where memory that was just allocated has whole ones: what is streamed through comes
 * faster. What is in the memory is lost. Does nothing where the system has none. */
enum { TUFF_LARGE_PAGE = 2 << 20 };
void tuff_prefer_large_pages(void *memory, size_t bytes);
/* What is in the memory is lost, and the system has the pages that lie within until they are used again. */
void tuff_give_back(void *memory, size_t bytes);

/* Whether the system gives the process so much more memory now. It is given back, untouched. See
 * tuff_heap_room_for. */
bool tuff_room_for(size_t bytes);

/* Asks the system to keep the tiles of AMX for this process, as it keeps other registers; false: it does not.
 * From then on signal handlers need 8 KiB more of a stack, and stacks that the program gave them with
 * sigaltstack must have that; where one has not, the answer is no. */
bool tuff_allow_tiles(void);

/* Memory that this process may have: the machine's, or its control group's where that is less. Bytes; 0 when
 * unknown. */
uint64_t tuff_total_memory(void);
uint64_t tuff_available_memory(void);
/* The smallest limit and the least that is free among the control groups that the process is in, by the lines
 * of `group_file` (/proc/self/cgroup) and the tree below `root` (/sys/fs/cgroup); UINT64_MAX: no limit.
 * Cached pages of files, which the kernel gives back when memory is short, count as free. */
typedef struct tuff_memory_limit {
    uint64_t limit, available;
} tuff_memory_limit;
tuff_memory_limit tuff_cgroup_limit(const char *group_file, const char *root);
/* How many processors' time the control groups grant at most, rounded up; 0: no limit. Arguments as above. */
unsigned tuff_cgroup_processors(const char *group_file, const char *root);
/* Resident peak of this process, bytes. */
uint64_t tuff_peak_memory(void);

/* A shared library by name, for oneself to look symbols up in. NULL when absent. */
void *tuff_library_open(const char *name);
void *tuff_library_symbol(void *library, const char *name);
void tuff_library_close(void *library);

#endif
