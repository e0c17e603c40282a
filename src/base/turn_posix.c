#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"

/* On the stack of a thread that waits, in the order in which they came. */
typedef struct waiter {
    struct waiter *next;
    bool has; /* its turn has come */
} waiter;

struct tuff_turn {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool taken;
    waiter *first, *last;
};

/* What waits for a while does so by the monotonic clock. */
static bool make_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

tuff_turn *tuff_turn_create(void)
{
    tuff_turn *turn = tuff_alloc(sizeof *turn);
    if (!turn) return NULL;
    turn->taken = false;
    turn->first = turn->last = NULL;
    if (pthread_mutex_init(&turn->lock, NULL) == 0) {
        if (make_condition(&turn->moved)) return turn;
        pthread_mutex_destroy(&turn->lock);
    }
    tuff_free(turn);
    return NULL;
}

void tuff_turn_destroy(tuff_turn **turn)
{
    if (!*turn) return;
    pthread_cond_destroy(&(*turn)->moved);
    pthread_mutex_destroy(&(*turn)->lock);
    tuff_free(*turn);
    *turn = NULL;
}

static void lock(tuff_turn *turn)
{
    TUFF_ASSERT(pthread_mutex_lock(&turn->lock) == 0);
}

static void unlock(tuff_turn *turn)
{
    TUFF_ASSERT(pthread_mutex_unlock(&turn->lock) == 0);
}

static void come(tuff_turn *turn, waiter *own)
{
    if (turn->last)
        turn->last->next = own;
    else
        turn->first = own;
    turn->last = own;
}

static void leave(tuff_turn *turn, const waiter *own)
{
    waiter *before = NULL;
    for (waiter *w = turn->first; w != own; w = w->next)
        before = w;
    if (before)
        before->next = own->next;
    else
        turn->first = own->next;
    if (turn->last == own) turn->last = before;
}

static void sleep_some(tuff_turn *turn)
{
    enum { TENTH = 100000000, SECOND = 1000000000 };
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TENTH;
    if (until.tv_nsec >= SECOND) {
        until.tv_nsec -= SECOND;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&turn->moved, &turn->lock, &until);
}

bool tuff_turn_wait(tuff_turn *turn, bool (*go_on)(void *user), void *user)
{
    waiter own = {0};
    bool on = true;
    lock(turn);
    if (!turn->taken) {
        turn->taken = own.has = true;
    } else {
        come(turn, &own);
    }
    while (!own.has && on) {
        if (!go_on) {
            pthread_cond_wait(&turn->moved, &turn->lock);
            continue;
        }
        sleep_some(turn);
        if (own.has) break;
        unlock(turn); /* it may take its time */
        on = go_on(user);
        lock(turn);
    }
    if (!own.has) leave(turn, &own);
    unlock(turn);
    if (own.has && !on) tuff_turn_give(turn); /* it came while it was asked */
    return on;
}

void tuff_turn_take(tuff_turn *turn)
{
    (void)tuff_turn_wait(turn, NULL, NULL);
}

bool tuff_turn_give(tuff_turn *turn)
{
    lock(turn);
    waiter *next = turn->first;
    if (next) {
        leave(turn, next);
        next->has = true;
        pthread_cond_broadcast(&turn->moved);
    } else {
        turn->taken = false;
    }
    unlock(turn);
    return next != NULL;
}
