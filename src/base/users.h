/* How many use an object besides its owner: an int of the object, 0 at first. Whoever goes last, owner or
 * user, frees it. Thread-safe. */
#ifndef TUFF_BASE_USERS_H
#define TUFF_BASE_USERS_H

#include <stdbool.h>

static inline void tuff_user_comes(int *users)
{
    __atomic_fetch_add(users, 1, __ATOMIC_RELAXED);
}

/* Also of the owner, who never came. True: it was the last. */
static inline bool tuff_user_goes(int *users)
{
    return __atomic_fetch_sub(users, 1, __ATOMIC_ACQ_REL) == 0;
}

#endif
