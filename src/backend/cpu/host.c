#include "backend/cpu/host.h"

#include "base/memory.h"
#include "base/os.h"
#include "base/thread.h"

/* Before the memory that a thread gets. */
typedef union piece {
    union piece *next; /* among those that lie ready */
    char line[64];
} piece;

struct tuff_host {
    tuff_pool *pool;
    tuff_products *products;
    tuff_mutex *lock;
    piece *ready;
};

/* The host that the calling thread works for. */
static _Thread_local tuff_host *current;

static piece *new_piece(void)
{
    return tuff_alloc_aligned(sizeof(piece) + TUFF_HOST_PIECE, 64);
}

/* Later runs allocate nothing: there is a piece for each thread. */
static bool add_pieces(tuff_host *host)
{
    for (unsigned i = 0; i < tuff_pool_threads(host->pool); i++) {
        piece *added = new_piece();
        if (!added) return false;
        added->next = host->ready;
        host->ready = added;
    }
    return true;
}

tuff_status tuff_host_create(unsigned threads, tuff_host **out)
{
    tuff_host *host = *out = tuff_alloc(sizeof *host);
    if (host) host->pool = tuff_pool_create(threads ? threads : tuff_processors());
    if (host) host->products = tuff_products_create();
    if (host) host->lock = tuff_mutex_create();
    if (host && host->pool && host->products && host->lock && add_pieces(host)) return TUFF_OK;
    tuff_host_destroy(out);
    return tuff_fail_memory("what host kernels share");
}

void tuff_host_destroy(tuff_host **host)
{
    if (!*host) return;
    for (piece *at = (*host)->ready, *next; at; at = next) {
        next = at->next;
        tuff_free_aligned(at);
    }
    tuff_mutex_destroy(&(*host)->lock);
    tuff_pool_destroy(&(*host)->pool);
    tuff_products_destroy(&(*host)->products);
    tuff_free(*host);
    *host = NULL;
}

unsigned tuff_host_threads(const tuff_host *host)
{
    return tuff_pool_threads(host->pool);
}

tuff_pool *tuff_host_pool(tuff_host *host)
{
    return host ? host->pool : NULL;
}

tuff_host *tuff_host_current(void)
{
    return current;
}

tuff_products *tuff_host_products(tuff_host *host)
{
    return host ? host->products : NULL;
}

void *tuff_host_take(tuff_host *host)
{
    piece *taken = NULL;
    if (host) {
        tuff_mutex_lock(host->lock);
        taken = host->ready;
        if (taken) host->ready = taken->next;
        tuff_mutex_unlock(host->lock);
    }
    if (!taken) taken = new_piece(); /* more of the program's own threads than the host has */
    return taken ? taken + 1 : NULL;
}

void tuff_host_give(tuff_host *host, void *memory)
{
    if (!memory) return;
    piece *given = (piece *)memory - 1;
    if (!host) {
        tuff_free_aligned(given);
        return;
    }
    tuff_mutex_lock(host->lock);
    given->next = host->ready;
    host->ready = given;
    tuff_mutex_unlock(host->lock);
}

tuff_host *tuff_host_swap(tuff_host *host)
{
    tuff_host *before = current;
    current = host;
    return before;
}

void tuff_host_run(tuff_host *host, const tuff_plan_step *step, const void *const *in, void *const *out,
                   void *scratch)
{
    tuff_host *before = tuff_host_swap(host);
    step->op->cpu(step->node, in, out, scratch);
    tuff_host_swap(before);
}
