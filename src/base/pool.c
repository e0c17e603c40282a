#include "base/pool.h"

#include <stdbool.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/thread.h"

enum {
    JOBS = 16,                /* asked for at the same time; more callers work alone */
    SPIN_NS = 50000,          /* how long a thread looks for work, or for others to end, before it sleeps */
    INTERRUPTED_NS = 1000000, /* a spin that long was interrupted: others want the processor */
    BUSY_NS = 50000000,       /* how long a busy machine is believed to stay so */
    MOST_LOST_NS = 2000000,   /* how much sharing may lose before it is left for a while */
    WORDS = TUFF_MOST_THREADS / 64
};

#define OPEN 0x80000000u /* of a job's state: more may join; the other bits count who has */

typedef struct job {
    uint32_t taken;    /* atomic: by a caller */
    uint32_t state;    /* atomic */
    uint32_t sleeping; /* atomic: the caller waits at the bell */
    tuff_bell *bell;
    tuff_pool_fn fn;
    void *context;
    int64_t n;
    unsigned shares;
    uint64_t claimed[WORDS]; /* atomic bits */
} job;

typedef struct worker {
    tuff_pool *pool;
    tuff_thread *thread;
    unsigned index; /* from 1: the caller is 0 */
} worker;

struct tuff_pool {
    unsigned threads, started; /* started counts the caller; atomic */
    tuff_mutex *starting;
    worker *workers;
    tuff_bell *bell;
    uint32_t asked;                   /* atomic: counts jobs */
    uint32_t sleepers;                /* atomic */
    uint32_t closing;                 /* atomic */
    uint64_t busy_until, alone_until; /* atomic: times */
    int64_t lost_ns;                  /* atomic: what sharing has cost more than it brought, lately */
    job jobs[JOBS];
};

static _Thread_local bool inside;

#define LOAD(x)         __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_SEQ_CST)

/* Claims a share that nobody has, the thread's own one first, so that it finds in its cache what it left
 * there. -1: none is left. */
static int64_t claim(job *j, unsigned own)
{
    for (unsigned i = 0; i < j->shares; i++) {
        unsigned share = (own + i) % j->shares;
        uint64_t bit = (uint64_t)1 << share % 64, *word = &j->claimed[share / 64];
        if (LOAD(*word) & bit) continue;
        if (!(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit)) return share;
    }
    return -1;
}

/* Does what is left of a job; how many shares that were. */
static unsigned work(job *j, unsigned own)
{
    unsigned done = 0;
    inside = true;
    for (int64_t share; (share = claim(j, own)) >= 0; done++)
        j->fn(j->n * share / j->shares, j->n * (share + 1) / j->shares, j->context);
    inside = false;
    __atomic_fetch_and(&j->state, ~OPEN, __ATOMIC_SEQ_CST);
    return done;
}

static bool join(job *j)
{
    uint32_t state = LOAD(j->state);
    while (state & OPEN)
        if (__atomic_compare_exchange_n(&j->state, &state, state + 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    return false;
}

static void leave(job *j)
{
    if (__atomic_sub_fetch(&j->state, 1, __ATOMIC_SEQ_CST) == 0 && LOAD(j->sleeping)) tuff_bell_ring(j->bell);
}

/* Looks at a word for a while; false: it is still `value`. Not at all where that was interrupted lately. */
static bool spin(tuff_pool *pool, const uint32_t *word, uint32_t value)
{
    uint64_t begin = tuff_now_ns(), last = begin;
    if (begin < LOAD(pool->busy_until)) return LOAD(*word) != value;
    while (LOAD(*word) == value) {
        for (int i = 0; i < 32; i++)
            tuff_relax();
        uint64_t now = tuff_now_ns();
        if (now - last > INTERRUPTED_NS) STORE(pool->busy_until, now + BUSY_NS);
        if (now - begin > SPIN_NS) return LOAD(*word) != value;
        last = now;
    }
    return true;
}

static void run_worker(void *user)
{
    worker *w = user;
    tuff_pool *pool = w->pool;
    for (;;) {
        uint32_t asked = LOAD(pool->asked);
        if (LOAD(pool->closing)) return; /* after the look at `asked`: closing changes that too */
        bool worked = false;
        for (int i = 0; i < JOBS; i++)
            if (join(&pool->jobs[i])) {
                work(&pool->jobs[i], w->index);
                leave(&pool->jobs[i]);
                worked = true;
            }
        if (worked || spin(pool, &pool->asked, asked)) continue;
        __atomic_fetch_add(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
        tuff_bell_wait(pool->bell, &pool->asked, asked);
        __atomic_fetch_sub(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
    }
}

static void announce(tuff_pool *pool)
{
    __atomic_fetch_add(&pool->asked, 1, __ATOMIC_SEQ_CST);
    if (LOAD(pool->sleepers)) tuff_bell_ring(pool->bell);
}

/* Workers start when the first job is asked for: many a device never asks. Where the system gives none, fewer
 * do it. */
static void start_workers(tuff_pool *pool)
{
    tuff_mutex_lock(pool->starting);
    if (LOAD(pool->started) == 0) {
        unsigned count = 1;
        for (; count < pool->threads; count++) {
            worker *w = &pool->workers[count - 1];
            *w = (worker){.pool = pool, .index = count};
            w->thread = tuff_thread_start(run_worker, w);
            if (!w->thread) break;
        }
        STORE(pool->started, count);
    }
    tuff_mutex_unlock(pool->starting);
}

tuff_pool *tuff_pool_create(unsigned threads)
{
    tuff_pool *pool = tuff_alloc(sizeof *pool);
    if (!pool) return NULL;
    pool->threads = threads < TUFF_MOST_THREADS ? threads : TUFF_MOST_THREADS;
    pool->workers = tuff_alloc_array(threads, sizeof *pool->workers);
    pool->starting = tuff_mutex_create();
    pool->bell = tuff_bell_create();
    bool made = pool->workers && pool->starting && pool->bell;
    for (int i = 0; i < JOBS && made; i++) {
        pool->jobs[i].bell = tuff_bell_create();
        made = pool->jobs[i].bell != NULL;
    }
    if (!made) tuff_pool_destroy(&pool);
    return pool;
}

void tuff_pool_destroy(tuff_pool **pool)
{
    tuff_pool *p = *pool;
    if (!p) return;
    STORE(p->closing, 1);
    if (p->bell) announce(p);
    for (unsigned i = 0; i + 1 < p->started; i++)
        tuff_thread_join(&p->workers[i].thread);
    for (int i = 0; i < JOBS; i++)
        tuff_bell_destroy(&p->jobs[i].bell);
    tuff_bell_destroy(&p->bell);
    tuff_mutex_destroy(&p->starting);
    tuff_free(p->workers);
    tuff_free(p);
    *pool = NULL;
}

unsigned tuff_pool_threads(const tuff_pool *pool)
{
    return pool->threads;
}

static job *take_job(tuff_pool *pool)
{
    for (int i = 0; i < JOBS; i++)
        if (!__atomic_exchange_n(&pool->jobs[i].taken, 1, __ATOMIC_SEQ_CST)) return &pool->jobs[i];
    return NULL;
}

/* Waits for those who have joined. */
static void wait_for_all(tuff_pool *pool, job *j)
{
    uint32_t state;
    while ((state = LOAD(j->state)) != 0) {
        if (spin(pool, &j->state, state)) continue;
        STORE(j->sleeping, 1);
        tuff_bell_wait(j->bell, &j->state, state);
        STORE(j->sleeping, 0);
    }
}

/* Beside other programs, a thread that has begun a share may not be let to end it for milliseconds: where
 * that costs more than sharing brings, callers work alone for a while. */
static void account(tuff_pool *pool, uint64_t begin, uint64_t own_end, unsigned done, unsigned shares)
{
    if (done == shares || done == 0) return;
    uint64_t end = tuff_now_ns();
    int64_t alone = (int64_t)((own_end - begin) / done * shares), lost = (int64_t)(end - begin) - alone;
    int64_t sum = LOAD(pool->lost_ns) + lost;
    if (sum > MOST_LOST_NS) {
        STORE(pool->alone_until, end + BUSY_NS);
        sum = 0;
    }
    STORE(pool->lost_ns, sum > 0 ? sum : 0);
}

void tuff_pool_run(tuff_pool *pool, int64_t n, int64_t grain, tuff_pool_fn fn, void *context)
{
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int64_t shares = (n - 1) / grain + 1;
    if (shares > pool->threads) shares = pool->threads;
    uint64_t begin = shares > 1 && !inside ? tuff_now_ns() : 0;
    job *j = begin && begin >= LOAD(pool->alone_until) ? take_job(pool) : NULL;
    if (!j) {
        fn(0, n, context);
        return;
    }
    if (LOAD(pool->started) == 0) start_workers(pool);
    j->fn = fn;
    j->context = context;
    j->n = n;
    j->shares = (unsigned)shares;
    for (int64_t i = 0; i * 64 < shares; i++)
        STORE(j->claimed[i], 0);
    STORE(j->state, OPEN);
    announce(pool);
    unsigned done = work(j, 0);
    uint64_t own_end = tuff_now_ns();
    wait_for_all(pool, j);
    STORE(j->taken, 0);
    account(pool, begin, own_end, done, (unsigned)shares);
}
