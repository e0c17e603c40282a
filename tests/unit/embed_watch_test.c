/* Calls of an embedder that are watched: told of within a batch, ended there, ended while they wait for their
 * turn. */
#include <string.h>
#include <tuff/embed.h>

#include "base/os.h"
#include "base/thread.h"
#include "base/watch.h"
#include "cpu_fixture.h"
#include "model_fixture.h"

enum { TOKENS = 12, MOST_TEXTS = 1 << 18 };

/* Texts that are one batch, which takes long enough to be told of. */
typedef struct fixture {
    tuff_model *model;
    tuff_embedder *embedder;
    int32_t text[TOKENS];
    const int32_t **ids;
    size_t *counts, n;
    float *vectors;
} fixture;

static fixture f;

static tuff_status embed(size_t n, const tuff_watch *watch)
{
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.watch = watch;
    return tuff_embed_ids(f.embedder, f.ids, f.counts, n, &params, f.vectors);
}

static int set_up(void **state)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    open_device(state);
    f.model = model_open("llama");
    params.batch_tokens = 1 << 24;
    KIT_OK(tuff_embedder_create(f.model, device, &params, &f.embedder));
    f.ids = tuff_alloc_array(MOST_TEXTS, sizeof *f.ids);
    f.counts = tuff_alloc_array(MOST_TEXTS, sizeof *f.counts);
    f.vectors = tuff_alloc_array((size_t)MOST_TEXTS * (size_t)tuff_embedder_dimensions(f.embedder),
                                 sizeof *f.vectors);
    assert_true(f.ids && f.counts && f.vectors);
    for (int i = 0; i < TOKENS; i++)
        f.text[i] = 3 + i;
    for (size_t i = 0; i < MOST_TEXTS; i++) {
        f.ids[i] = f.text;
        f.counts[i] = TOKENS;
    }
    f.n = 8192;
    return 0;
}

static int tear_down(void **state)
{
    tuff_embedder_destroy(&f.embedder);
    tuff_model_destroy(&f.model);
    tuff_free(f.ids);
    tuff_free(f.counts);
    tuff_free(f.vectors);
    return close_device(state);
}

typedef struct told {
    int within;
    bool end;
    uint64_t done;
} told;

static bool listen(const tuff_progress *progress, void *user)
{
    told *t = user;
    assert_int_equal(progress->phase, TUFF_PHASE_EMBED);
    assert_int_equal(progress->total, f.n * TOKENS);
    assert_true(progress->done >= t->done);
    t->done = progress->done;
    if (progress->done == 0 || progress->done == progress->total) return true;
    t->within++;
    return !t->end;
}

static void a_batch_is_told_of_while_it_runs(void **state)
{
    (void)state;
    told t = {0};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = listen;
    watch.user = &t;
    KIT_OK(embed(f.n, &watch));
    while (t.within < 2 && f.n < MOST_TEXTS) { /* it was over before */
        f.n *= 2;
        t = (told){0};
        KIT_OK(embed(f.n, &watch));
    }
    assert_true(t.within >= 2);
    assert_int_equal(t.done, f.n * TOKENS);
}

static void a_batch_is_ended_where_it_is(void **state)
{
    (void)state;
    told t = {.end = true};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = listen;
    watch.user = &t;
    tuff_status status = embed(f.n, &watch);
    for (int i = 0; i < 20 && status == TUFF_OK; i++) { /* it was over before */
        t = (told){.end = true};
        status = embed(f.n, &watch);
    }
    KIT_FAILS(status, TUFF_CANCELLED, "cancelled while embedding, after ");
    assert_int_equal(t.within, 1);
    assert_null(strstr(tuff_error_message(), "after 0 of"));
    KIT_OK(embed(f.n, NULL));
}

/* ---- turns ---- */

static uint32_t has_turn, may_end; /* atomic */

/* Keeps the turn that its call has until it may end. */
static bool keep_turn(const tuff_progress *progress, void *user)
{
    (void)user;
    if (progress->done == 0 || progress->done == progress->total) return true;
    __atomic_store_n(&has_turn, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&may_end, __ATOMIC_SEQ_CST))
        tuff_relax();
    return true;
}

static void embed_long(void *user)
{
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = keep_turn;
    tuff_status status = TUFF_OK;
    while (status == TUFF_OK && !__atomic_load_n(&has_turn, __ATOMIC_SEQ_CST))
        status = embed(f.n, &watch);
    *(tuff_status *)user = status;
}

static bool end_while_waiting(const tuff_progress *progress, void *user)
{
    assert_int_equal(progress->done, 0);
    return ++*(int *)user < 3;
}

static void a_call_is_ended_while_it_waits_for_its_turn(void **state)
{
    (void)state;
    tuff_status status = TUFF_OK;
    float vector[64];
    int asked = 0;
    const int32_t *ids = f.text;
    const size_t count = TOKENS;
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    assert_true(tuff_embedder_dimensions(f.embedder) <= 64);
    tuff_thread *thread = tuff_thread_start(embed_long, &status);
    assert_non_null(thread);
    while (!__atomic_load_n(&has_turn, __ATOMIC_SEQ_CST))
        tuff_relax();
    watch.on_progress = end_while_waiting;
    watch.user = &asked;
    params.watch = &watch;
    KIT_FAILS(tuff_embed_ids(f.embedder, &ids, &count, 1, &params, vector), TUFF_CANCELLED,
              "cancelled while embedding, after 0 of 12 tokens");
    assert_int_equal(asked, 3); /* as it began, and twice while it waited */
    watch.on_progress = NULL;
    KIT_OK(tuff_cancel_create(&watch.cancel));
    tuff_cancel_request(watch.cancel);
    KIT_FAILS(tuff_embed_ids(f.embedder, &ids, &count, 1, &params, vector), TUFF_CANCELLED, "0 of 12 tokens");
    tuff_cancel_destroy(&watch.cancel);
    __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
    KIT_OK(tuff_embed_ids(f.embedder, &ids, &count, 1, NULL, vector));
    tuff_thread_join(&thread);
    KIT_OK(status);
    assert_memory_equal(vector, f.vectors, sizeof(float)); /* another's, of the same text */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_told_of_while_it_runs),
        cmocka_unit_test(a_batch_is_ended_where_it_is),
        cmocka_unit_test(a_call_is_ended_while_it_waits_for_its_turn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
